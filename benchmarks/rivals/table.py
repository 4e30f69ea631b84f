"""The results as tables in the guide's page, each between two comments.

A block stands between `<!-- scripts/bench --rivals: NAME -->` and `<!-- end -->`. The names are `machine`, `summary`,
and that of each event.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from benchmarks.rivals.events import EVENTS, Event, Outcome
from benchmarks.rivals.results import Found, Results

_BLOCK = re.compile(r"(?<=<!-- scripts/bench --rivals: )(\w+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)
_HEAD = (
    "",
    "old for",
    "old answers",
    "torn",
    "wrong",
    "failed",
    "slowest",
    "workers kept",
    "what the operator is told",
)
_SUMMARY = ("", "one look", "lines", "torn", "wrong", "failed", "ended", "made of")


def replaced(page: str, results: Results) -> str:
    """The page with these results instead of those that it has. Raises ValueError if not each has its one block."""
    written = blocks(results)
    there = [found[1] for found in _BLOCK.finditer(page)]
    if sorted(there) != sorted(written):
        raise ValueError(f"the page has blocks for {', '.join(there)}, and there are {', '.join(written)}")
    return _BLOCK.sub(lambda found: f"{found[1]}{found[2]}\n{written[found[1]]}\n\n", page)


def blocks(results: Results) -> dict[str, str]:
    """What stands in each block, as Markdown."""
    machine = "\n".join(f"- {name}: {value}" for name, value in results.machine.items())
    summary = _table(_SUMMARY, map(_summed, results.rivals))
    return {"machine": machine, "summary": summary} | {event.name: _event(event, results) for event in EVENTS}


def _summed(found: Found) -> Sequence[str]:
    counted = [each.counted for each in found.outcomes if each.counted is not None]
    cost = next(each.cost_ns for each in found.outcomes if each.cost_ns is not None)
    return (
        found.shown,
        _cost(cost),
        str(found.lines),
        str(sum(each.torn for each in counted)),
        str(sum(each.wrong for each in counted)),
        str(sum(each.failed for each in counted)),
        str(sum(not each.lives for each in found.outcomes)),
        ", ".join(f"{package} {version}" for package, version in found.versions.items()),
    )


def _cost(nanoseconds: float) -> str:
    value, unit = (nanoseconds, "ns") if nanoseconds < 1000 else (nanoseconds / 1000, "µs")
    return f"{value:,.0f} {unit}" if value >= 10 else f"{value:.2g} {unit}"


def _event(event: Event, results: Results) -> str:
    outcomes = [(each.shown, each.outcomes[EVENTS.index(event)]) for each in results.rivals]
    return _table(_HEAD, (_row(shown, outcome) for shown, outcome in outcomes))


def _row(shown: str, outcome: Outcome) -> Sequence[str]:
    if outcome.counted is None:
        return shown, *["-"] * 7, "there is no such process"
    counted = outcome.counted
    others = f", {counted.new} new" if counted.new else ""
    died = f", {counted.died} died with it" if counted.died else ""
    return (
        shown,
        "never arrives" if counted.old_seconds is None else f"{counted.old_seconds:.2f} s",
        str(counted.old),
        str(counted.torn),
        str(counted.wrong),
        f"{counted.failed} of {counted.requests}{died}",
        f"{counted.slowest:.2f} s",
        f"{counted.kept}{others}" if outcome.lives else "the server ended",
        _told(outcome),
    )


def _told(outcome: Outcome) -> str:
    said = outcome.said.replace("`", "'").replace("|", "\\|")
    return {"": "nothing", "log": f"in the log: `{said}`", "command": f"`{said}`"}[outcome.by]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])
