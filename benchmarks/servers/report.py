"""The tables, as Markdown that can stand in the README, and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from benchmarks.rows import Row, against_peer, at_least, exactly, text
from benchmarks.servers.hup import Case
from benchmarks.servers.pinning import Pinning
from benchmarks.servers.running import Note
from benchmarks.servers.storming import A_SECOND, Storm

SOONER = 200
_CPU = 0.1
_THROUGHPUT = 0.97
_P99 = 1.25

_CONDITIONS = (
    "HUP to the master; 4 workers, an application that takes 1.5 CPU-s to import; 8 kept connections at 10 requests a "
    "second and 40 new connections a second:"
)

_HUP = (
    "server",
    "HUP",
    "first new answer s",
    "last old answer s",
    "every answer new after s",
    "longest silence s",
    "failed (lost)",
    "p99 before / during ms",
    "extra CPU s",
    "workers kept",
)
_PINNING = (
    "server",
    "bare answers/s",
    "pinned answers/s",
    "ratio",
    "bare CPU µs a request",
    "pinned CPU µs",
    "ratio",
    "failed",
)
_STORM = (
    "server",
    "answers/s without",
    "with, ratio",
    "p99 without ms",
    "with, ratio",
    "versions seen a second",
    "failed",
)


class Results(NamedTuple):
    """All that a run has measured.

    Attributes:
        machine: What it ran on, and which versions of what.
        hup: By server, then by side; a text says why it could not be measured.
        pinning: By server.
        storm: By server.
        notes: How servers ended, unless well.
    """

    machine: dict[str, str]
    hup: dict[str, dict[str, Case | str]]
    pinning: dict[str, Pinning | str]
    storm: dict[str, Storm | str]
    notes: list[Note]

    @property
    def failures(self) -> list[str]:
        """What could not be measured, and how servers with confcast ended, unless well."""
        sides = [(f"{name}, {side}", case) for name, both in self.hup.items() for side, case in both.items()]
        pinning = [(f"{name}, pinning", found) for name, found in self.pinning.items()]
        storm = [(f"{name}, storm", found) for name, found in self.storm.items()]
        ours = [(f"{note.server}, {note.side}", note.text) for note in self.notes if note.side == "confcast"]
        return [f"{name}: {found}" for name, found in (*sides, *pinning, *storm, *ours) if isinstance(found, str)]


def markdown(results: Results) -> str:
    """Every table, and under which conditions."""
    parts = [
        ", ".join(f"{name} {value}" for name, value in results.machine.items()) + ".",
        _CONDITIONS,
        _table(_HUP, (_hup_line(n, side, case) for n, both in results.hup.items() for side, case in both.items())),
        "Pinning each request, against the bare application on the bare server (8 connections, closed loop):",
        _table(_PINNING, (_pinning_line(name, found) for name, found in results.pinning.items())),
        f"{A_SECOND} reloads a second, against the same server without (8 connections, closed loop):",
        _table(_STORM, (_storm_line(name, found) for name, found in results.storm.items())),
        "Bars:",
        _table(Row._fields, ([text(value, "") for value in row] for row in bars(results))),
    ]
    if results.failures:
        parts += ["Failures:", _bullets(results.failures)]
    if noticed := [f"{note.server}: {note.text}" for note in results.notes if note.side == "today"]:
        parts += ["Noticed at the end of servers without confcast:", _bullets(noticed)]
    return "\n\n".join(parts)


def _bullets(texts: list[str]) -> str:
    return "\n".join(f"- {' '.join(text.split())}" for text in texts)


def bars(results: Results) -> list[Row]:
    """What has a bar. A server that failed has none here; see `failures`."""
    rows = []
    for name, both in results.hup.items():
        today, ours = both.get("today"), both.get("confcast")
        if isinstance(ours, Case):
            rows += [
                exactly(f"{name}: HUP: failed and lost requests", ours.failed + ours.lost, 0),
                exactly(f"{name}: HUP: workers kept", int(ours.pids_kept), 1),
            ]
        if isinstance(today, Case) and isinstance(ours, Case):
            sooner = f"{name}: HUP: today's s until every answer is new; peer: confcast's"
            rows += [
                at_least(sooner, today.until_all_new, max(ours.until_all_new, 1e-6), SOONER),
                against_peer(
                    f"{name}: HUP: extra CPU s; peer: today's", max(0.0, ours.extra_cpu), today.extra_cpu, _CPU
                ),
            ]
    for name, found in results.storm.items():
        if isinstance(found, Storm):
            rows += _storm_bars(name, found)
    return rows


def as_json(results: Results) -> dict[str, Any]:
    """The same as data; times in seconds."""

    def plain(found: Any) -> Any:
        return {"not measured": found} if isinstance(found, str) else found._asdict()

    return {
        "machine": results.machine,
        "hup": {name: {side: plain(case) for side, case in both.items()} for name, both in results.hup.items()},
        "pinning": {name: plain(found) for name, found in results.pinning.items()},
        "storm": {name: plain(found) for name, found in results.storm.items()},
        "bars": [row._asdict() for row in bars(results)],
        "failures": results.failures,
        "notes": [note._asdict() for note in results.notes],
    }


def _storm_bars(name: str, found: Storm) -> list[Row]:
    storm = f"{name}: storm"
    return [
        exactly(f"{storm}: failed requests", found.failed, 0),
        at_least(f"{storm}: versions a second; peer: the reloads", found.versions, A_SECOND, 0.9),
        at_least(f"{storm}: answers a second; peer: without", found.throughput * found.calm, found.calm, _THROUGHPUT),
        against_peer(f"{storm}: p99 s; peer: without", found.p99 * found.calm_p99, found.calm_p99, _P99),
    ]


def _hup_line(name: str, side: str, case: Case | str) -> list[str]:
    if isinstance(case, str):
        return _failed(_HUP, name, side)
    return [
        name,
        side,
        _seconds(case.first_new),
        _seconds(case.last_old),
        _seconds(case.until_all_new),
        _seconds(case.silence),
        f"{case.failed} ({case.lost})",
        f"{case.p99_before * 1000:.0f} / {case.p99 * 1000:.0f}",
        f"{case.extra_cpu:.2f}",
        "yes" if case.pids_kept else "no",
    ]


def _pinning_line(name: str, found: Pinning | str) -> list[str]:
    if isinstance(found, str):
        return _failed(_PINNING, name)
    return [
        name,
        f"{found.bare:.0f}",
        f"{found.pinned:.0f}",
        f"{found.throughput:.3f}",
        f"{found.bare_cpu:.0f}",
        f"{found.pinned_cpu:.0f}",
        f"{found.cpu:.3f}",
        str(found.failed),
    ]


def _storm_line(name: str, found: Storm | str) -> list[str]:
    if isinstance(found, str):
        return _failed(_STORM, name)
    return [
        name,
        f"{found.calm:.0f}",
        f"{found.throughput:.3f}",
        f"{found.calm_p99 * 1000:.1f}",
        f"{found.p99:.2f}",
        f"{found.versions:.1f}",
        str(found.failed),
    ]


def _failed(head: Sequence[str], *first: str) -> list[str]:
    return [*first, "not measured", *[""] * (len(head) - len(first) - 1)]


def _seconds(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Columns are aligned, so that it can be read as it is, too."""
    every = [list(head), *map(list, lines)]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in [every[0], rule, *every[1:]]
    )
