"""`confcast status` shows which version runs in which process, and whether that is the sources' content.

The last load in the history shows the sources' content: the owner reads them at every trigger and at every change that
it notices. Rejected: reading them in this process (it has another environment, another user and perhaps another file at
that path).
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from confcast.cli import owners, provisional
from confcast.cli.reload import shown_change
from confcast.cli.report import ExitCode, Report, caller_name, failing_observers, line, table, when
from confcast.errors import ConfcastError, more
from confcast.wire.messages import Change, ReloadEvent, ReloadResult, Status, WorkerStatus
from confcast.worker.client import status_data
from confcast.worker.client.status_data import sources_state

if TYPE_CHECKING:
    from confcast.wire.files.owner_dirs import OwnerDir

_MOST_SHOWN = 10
"""How many of the sources' changes are listed."""
_AT_ONCE = 1.0
"""Seconds within which the owner begins to end a value whose time is over; nothing is said of them."""
_BOOT = "the sources were refused when the server started, and are followed as soon as they are applied"

_REFUSED = {
    "hello": "a process with another schema, another name or another version of confcast",
    "stranger": "a process of another user",
    "crowd": "a process with too many connections",
    "malformed": "a process that sent what the protocol does not allow",
    "silent": "a process that fell silent in the middle of a message",
    "never reads": "a process that asked and never read",
    "long": "a process that asked for more than one answer has room for",
    "accept": "a connection that could not be accepted",
    "gone before refusal": "a process that left before it was told",
}
"""The kinds of refused peers that the owner counts, in words."""

_SAID = {
    "death": "workers that died",
    "unhealthy": "workers that said they were unhealthy",
    "probe": "probes that said no",
}
"""What may be said against a version, in words."""


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "status",
        help="show the version, the owner, the last reload and every worker",
        description="Shows which version runs in which process, and what became of the last reload. Changes nothing. "
        "With --follow it is shown again whenever it has changed, until Ctrl-C (130) or the owner's end (3).",
    )
    owners.add_to(parser)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--all", action="store_true", help="of every owner that runs here, one after another")
    how.add_argument("--follow", "-f", action="store_true", help="go on, and show it again when it has changed")
    parser.add_argument("--json", action="store_true", help="print one JSON document; with --follow, one on each line")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(options: argparse.Namespace) -> Report:
    """Ask the owner, and report. Raises OwnerUnavailable, or ConfcastError if the owner refuses to answer."""
    if options.all:
        if options.name or options.pid or options.address:
            options.usage_error("--all shows every owner: leave out --name, --pid and --address")
        from confcast.worker.client import known_owners  # imported here: one owner is asked mostly, and once

        return of_all(known_owners.running())
    if options.follow:
        return Report(ExitCode.DONE, "", {}, _followed(options))
    return of(owners.find(options))


def of_all(found: list[OwnerDir]) -> Report:
    """The reports on these owners as one. It has failed only if there are owners, and none answers."""
    reports = [_of_one(each) for each in found]
    if not reports:
        return Report(ExitCode.DONE, "no config owner runs here", {"owners": []})
    answered = any(each.exit is ExitCode.DONE for each in reports)
    text = "\n\n".join(each.text for each in reports)
    return Report(ExitCode.DONE if answered else ExitCode.NO_OWNER, text, {"owners": [each.data for each in reports]})


def _of_one(each: OwnerDir) -> Report:
    try:
        return of(owners.OwnerClient(each.address, each.label))
    except ConfcastError as error:
        text = f"version  no answer of {each.label!r}, at {line(each.address)}\n         {line(error)}"
        data = {"address": each.address, "name": each.label, "version": None, "error": str(error)}
        return Report(ExitCode.NO_OWNER, text, data)


def _followed(options: argparse.Namespace) -> Iterator[Report]:
    """A report now, and one whenever it has changed. Raises OwnerUnavailable when there is no owner any more."""
    from confcast.cli import following  # imported here, as above

    owner, shown = owners.find(options), None
    while True:
        if following.is_superseded(owner):
            owner = owners.find(options)
        if (now := following.unless_restarted(owner, of)) is not None:
            if (seen := status_data.without_clocks(now.data)) != shown:
                yield now if shown is None else now._replace(text=f"\n{now.text}")
            shown = seen
        time.sleep(following.PAUSE)


def of(owner: owners.OwnerClient) -> Report:
    """The report on this owner. Raises OwnerUnavailable, or ConfcastError if the owner refuses to answer."""
    known = status_data.asked(owner)
    return report(owner, *known)


def report(
    owner: owners.OwnerClient,
    stats: dict[str, Any],
    last: ReloadEvent | None,
    workers: list[WorkerStatus],
    status: Status | None = None,
    undone: str = "",
) -> Report:
    """The report on the owner and its workers, for a person and for a program.

    `status`: None from an earlier build. `undone`: what nobody confirmed, in words, while what was put back for it
    runs; empty for nothing.
    """
    lines = [
        f"version  {stats['version']} of {owner.name!r}, at {line(owner.address)}",
        *_since(status),
        *_master(owner),
        f"owner    process {stats['owner_pid']}; restarts: {stats['owner_restarts']}",
        f"reloads  {_counts(stats)}",
        f"last     {_last(last)}",
        f"sources  {_sources(last, stats)}",
        *(f"         {line(each)}" for each in (() if last is None else (*last.problems, *last.notes))),
        *_differs(status),
        *(f"stale    {line(each)}" for each in (() if status is None else status.stale)),
        *_provisional(stats),
        *([f"undone   {undone}"] if undone else []),
        *_operated(stats, last),
        *_pending(stats, owner),
        *_declined(workers),
        *_spoken_against(stats.get("spoken_against", {})),
        *_doing(stats),
        *_refused(stats.get("refused", {})),
        *_failures(stats.get("failures", {})),
        *_webhooks(stats.get("webhooks", ())),
    ]
    rows = [(worker.pid, worker.version, worker.state, worker.reason) for worker in workers]
    lines += table(("PID", "VERSION", "STATE", "REASON"), rows) if rows else ["no workers"]
    lines += failing_observers(workers)
    data = status_data.of(owner, stats, last, workers, status, undone)
    return Report(ExitCode.DONE, "\n".join(lines), data)


def _provisional(stats: dict[str, Any]) -> list[str]:
    """The lines for what may still be taken back by itself, and for what speaks against it."""
    lines = [f"{label:8} {sentence}" for label, sentence in provisional.labelled(stats)]
    return [*lines, *(f"         {each}" for each in provisional.evidence(stats))] if lines else []


def _since(status: Status | None) -> list[str]:
    """The line for when the version that runs was committed, by whom, and why."""
    if status is None or not status.since:
        return []
    by = "" if status.who is None else f" by {caller_name(status.who.uid, status.who.actor)}"
    why = f": {line(status.reason)}" if status.reason else ""
    return [f"since    {when(status.since)}, {line(status.origin or '?')}{by}{why}"]


def _differs(status: Status | None) -> list[str]:
    """The lines for what the sources would change, if their content does not run."""
    changes = [] if status is None else status.differs
    shown = [f"         would change: {shown_change(each)}" for each in changes[:_MOST_SHOWN]]
    return [*shown, f"         {more(rest)}"] if (rest := len(changes) - _MOST_SHOWN) > 0 else shown


def _master(owner: owners.OwnerClient) -> list[str]:
    """The line for the master that has started the owner; none if the address does not show it."""
    if (master := owner.master()) is None:
        return []
    user = "" if master["uid"] == os.geteuid() else f" of {owners.user_name(master['uid'])}"
    place = f", started in {line(master['working_directory'])}" if master["working_directory"] else ""
    command = f": {line(master['command'])}" if master["command"] else ""
    label = "serve" if owner.is_of_a_serve() else "master"
    return [f"{label:8} process {master['pid']}{user}{place}{command}"]


def _counts(stats: dict[str, Any]) -> str:
    held, conflicts = stats.get("held_reloads", 0), stats.get("conflicts", 0)
    return (
        f"{stats['total_reloads']}: {stats['successful_reloads']} applied, {stats['suppressed']} without a change, "
        f"{stats['failed_reloads']} refused"
        + (f", {held} held" if held else "")
        + (f"; {conflicts} {'conflict' if conflicts == 1 else 'conflicts'}" if conflicts else "")
    )


def _operated(stats: dict[str, Any], last: ReloadEvent | None = None) -> list[str]:
    """The lines for what people have set: a hold, and each override."""
    lines = []
    if hold := stats.get("held"):
        end = _BOOT if hold.get("boot") else "`confcast resume` follows the sources again"
        lines.append(
            f"held     the content of version {hold['version']}, since {when(hold['since'])}{_why(hold)}; {end}"
        )
    for each in stats.get("overrides", ()):
        end = "" if each["expires"] is None else f", until {when(each['expires'])}"
        value = f" = {line(each['value'])}" if each["applied"] else ""
        lines.append(f"set      {line(each['key'])}{value}, since {when(each['since'])}{end}{_why(each)}")
        if not each["applied"]:
            why = line(each.get("why") or "the schema has no such key")
            lines.append(f"         without effect: {why}; `confcast unset` removes it")
        elif not each["needed"]:
            lines.append("         no longer needed: the sources say so, too; `confcast unset` removes it")
        if each["expires"] is not None and each["expires"] + _AT_ONCE < time.time():
            lines.append(f"         stays beyond its time: {_what_it_waits_for(stats, last)}")
    return lines


def _what_it_waits_for(stats: dict[str, Any], last: ReloadEvent | None) -> str:
    """Why a value is still set though its time is over; `last`: the newest event."""
    if stats.get("trial"):
        return "it ends when the trial has ended"
    if stats.get("phase", "idle") != "idle":
        return f"the owner is {line(stats['phase'])}"
    if last is not None and last.origin == "expiry" and last.result is ReloadResult.IO_ERROR:
        return "the journal can't be written; the owner tries again by itself"
    if last is not None and last.origin == "expiry":
        return "its end was refused, and comes with the next load, whatever asks for it; `confcast reload`, or `unset`"
    return "it ends with the next load, whatever asks for it; `confcast reload`, or `unset`"


def _pending(stats: dict[str, Any], owner: owners.OwnerClient) -> list[str]:
    """The lines for what the sources would change, and waits for a full reload of the server."""
    changes = [Change(**each) for each in stats.get("pending", ())]
    what = "start of `confcast serve`, or take-over" if owner.is_of_a_serve() else "full reload of the server"
    return [f"pending  {shown_change(each)}, at the next {what}" for each in changes]


def _why(given: dict[str, Any]) -> str:
    """By whom, and why, as far as that is known."""
    who = given.get("who")
    by = "" if who is None else f", by {caller_name(who['uid'], who.get('actor', ''))}"
    return by + (f": {line(given['reason'])}" if given.get("reason") else "")


def _declined(workers: list[WorkerStatus]) -> list[str]:
    """The line for workers that keep an older version; a worker that starts now runs the committed one."""
    pids = [str(worker.pid) for worker in workers if worker.state == "declined"]
    many = "worker keeps" if len(pids) == 1 else "workers keep"
    return [f"declined {len(pids)} {many} an older version, for the reason below: {', '.join(pids)}"] if pids else []


def _doing(stats: dict[str, Any]) -> list[str]:
    """The lines for what the owner is doing, and for which processes it waits; none while it is idle."""
    if stats.get("phase", "idle") == "idle":
        return []
    waits = [
        f"         waits for process {wait['pid']}{': ' * bool(wait['function'])}{line(wait['function'])}, "
        f"for {wait['seconds']:.1f} s"
        for wait in stats["waits_for"]
    ]
    return [f"now      {line(stats['phase'])} for {stats['phase_seconds']:.1f} s", *waits]


def _refused(counts: dict[str, int]) -> list[str]:
    """The lines for peers that this owner has refused, by kind; the owner's log names the processes."""
    return [
        f"refused  {times} {'time' if times == 1 else 'times'}: {_REFUSED.get(kind) or line(kind)}"
        for kind, times in sorted(counts.items(), key=lambda each: -each[1])
    ]


def _spoken_against(counts: dict[str, int]) -> list[str]:
    """The line for what was said against versions, whichever they were: only what is provisional is undone for it."""
    counted = ", ".join(f"{_SAID.get(kind) or line(kind)} ({times})" for kind, times in sorted(counts.items()))
    return [f"against  {counted}, of whatever version; the owner's log says more"] if counted else []


def _failures(counts: dict[str, int]) -> list[str]:
    """The line for what this owner could not write, or found deleted; the owner's log says why."""
    counted = ", ".join(f"{line(what)} ({times})" for what, times in sorted(counts.items()))
    return [f"trouble  {counted}; the owner's log says more"] if counted else []


def _webhooks(found: Iterable[dict[str, Any]]) -> list[str]:
    """The lines for webhooks that take nothing now, or have lost something; none where all is well."""
    lines = []
    for number, each in enumerate(found, 1):
        lost = f"; dropped: {each['dropped']}" if each["dropped"] else ""
        if each["gone"] is not None:
            state = f"{each['error']}, since {when(each['gone'])}; the server's next start tries it again"
        elif each["error"]:
            again = "" if each["next_try"] is None else f", tried again at {when(each['next_try'])}"
            state = f"{each['error']}; waiting: {each['pending']}{again}"
        else:
            state = f"takes messages; waiting: {each['pending']}"
        lines += [f"webhook  {number}, {line(each['url'])}: {line(state)}{lost}"] if each["error"] or lost else []
    return lines


def _last(last: ReloadEvent | None) -> str:
    if last is None:
        return "not in the history"
    return f"{last.result} by {line(last.origin)}, {when(last.timestamp)}, {last.duration_ms:.1f} ms"


def _sources(last: ReloadEvent | None, stats: dict[str, Any]) -> str:
    state, version = sources_state(last, stats), stats["version"]
    words = {
        "held": f"version {version} stays in use whatever they say, until `confcast resume`",
        "unknown": "the history has no load of them; `confcast reload` loads them now",
        "on trial": f"version {version} runs beside what they said when they were last loaded",
        "applied": f"version {version} is what they said when they were last loaded"
        + (", with what is set below" if any(each["applied"] for each in stats.get("overrides", ())) else ""),
    }
    return f"{state}: {words.get(state, f'version {version} stays in use, because of this:')}"
