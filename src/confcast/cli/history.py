"""`confcast history` lists versions and refusals as one list: what was changed, when, by whom, and what came of it.

The owner keeps the two apart, so that many refusals push no version out: versions with their contents, and the events
of loads. Here a version has the changes of its event, as long as the history has that. What changed nothing is left
out, but for what a person did without a new version: a hold, its end, and a confirmation. `--follow` asks the owner
twice a second for its newest event; it goes on with an owner that was restarted, and with the owner of the next
generation. Rejected: an owner that sends events to its clients (a client that does not read would have to be served, or
forgotten).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from functools import partial
from itertools import chain, takewhile, zip_longest
from typing import Any

import msgspec

from confcast.cli import following, owners, provisional
from confcast.cli.reload import shown_change
from confcast.cli.report import ExitCode, Report, line, table, when
from confcast.cli.versions import caller, count
from confcast.wire.messages import ReloadEvent, ReloadResult, VersionInfo, Who
from confcast.worker.client.status_data import provisional_parts

_EARLIER = 10
"""How many entries `--follow` begins with, unless `-n` says it."""
_MOST_SHOWN = 3
"""How many changes or problems of an entry are shown."""

_ALWAYS = frozenset({"rollback", "resume", "set", "unset", "confirm", "last_good"})
"""The origins of events that are listed even if no version came of them."""


class Entry(msgspec.Struct, frozen=True):
    """One line of the history.

    Attributes:
        version: The version that came of it, or is on trial; otherwise the one that a refusal left running.
        timestamp: When it was committed, or when the load that was refused began, in seconds since 1970.
        committed: Whether a version came of it.
        result: The event's result; None for a version whose event the history does not have.
        origin, who, reason, changes, problems: As in an event.
        good, restorable: As in a version; None for a refusal, and for a version that is not kept.
        confirm_by, evidence: As in an event.
        pending: What waited for a full reload of the server since then, as in an event.
    """

    version: int
    timestamp: float
    committed: bool
    result: ReloadResult | None
    origin: str
    who: Who | None
    reason: str
    changes: list[Any]
    problems: list[Any]
    good: bool | None = None
    restorable: bool | None = None
    confirm_by: float | None = None
    evidence: tuple[str, ...] = ()
    pending: list[Any] = []


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "history",
        help="list what was changed or refused: when, by whom, and what came of it",
        description="Lists versions and refusals, the newest first; the version that runs is marked. With --follow the "
        "newest comes last, and new ones are added as they come, until Ctrl-C (130) or the owner's end (3). Changes "
        "nothing.",
    )
    owners.add_to(parser)
    parser.add_argument("-n", type=count, dest="limit", metavar="COUNT", help="list no more than so many")
    parser.add_argument(
        "--follow", "-f", action="store_true", help=f"go on with new ones; begins with the last {_EARLIER}, or COUNT"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document; with --follow, one on each line")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Report:
    """Ask the owner, and report. Raises OwnerUnavailable, or ConfcastError if the owner refuses to answer."""
    owner = owners.find(options)
    kept, events = owner.versions(), owner.get_event_history()
    found = entries(kept, events)
    if options.follow:
        return followed(found[: options.limit or _EARLIER], _new(options, owner, events[:1]))
    return report(owner.get_stats(), found[: options.limit])


def entries(kept: list[VersionInfo], events: list[ReloadEvent]) -> list[Entry]:
    """Versions and refusals as one list. All are given, and returned, the newest first.

    An event that made a version stands for it. A version whose event was dropped from the history stands before the
    first event at which an older version ran.
    """
    left = {each.version: each for each in kept}
    found = list[Entry]()
    for event, earlier in _with_earlier(events):
        made = left.pop(event.version, None) if _committed(event) else None
        newer = [number for number in left if number > event.version]
        found += [_of_version(left.pop(number)) for number in newer]
        found += [entry_of(event, made)] if _is_listed(event, earlier) else []
    return [*found, *map(_of_version, left.values())]


def entry_of(event: ReloadEvent, made: VersionInfo | None = None) -> Entry:
    """The entry of an event, and of the version that it made, if that is kept."""
    return Entry(
        event.version,
        event.timestamp if made is None else made.timestamp,
        _committed(event),
        event.result,
        event.origin,
        event.who,
        event.reason,
        event.changes,
        event.problems,
        None if made is None else made.good,
        None if made is None else made.restorable,
        event.confirm_by,
        tuple(event.evidence),
        event.pending,
    )


def report(stats: dict[str, Any], found: list[Entry]) -> Report:
    """The report on these entries, for a person and for a program.

    `stats`: the totals, of which the version that runs is marked, and what is provisional stands in the last lines.
    """
    header = ("", "VERSION", "WHEN", "RESULT", "ORIGIN", "WHO", "WHAT")
    rows = [_row(each, stats["version"]) for each in found]
    lines = table(header, rows) if rows else ["the history is empty"]
    lines += provisional.told(stats)
    data = {"version": stats["version"], **provisional_parts(stats), "history": found}
    return Report(ExitCode.DONE, "\n".join(lines), data)


def followed(earlier: list[Entry], new: Iterator[Entry]) -> Report:
    """The report on earlier entries, which are given with the newest first, and on new ones, each as it comes."""
    return Report(ExitCode.DONE, "", {}, map(_as_report, chain(reversed(earlier), new)))


def _as_report(each: Entry) -> Report:
    return Report(ExitCode.DONE, _line(each), {name: getattr(each, name) for name in each.__struct_fields__})


def _new(options: argparse.Namespace, owner: owners.OwnerClient, newest: list[ReloadEvent]) -> Iterator[Entry]:
    """The entries of events that come after this one. Raises OwnerUnavailable when there is no owner any more."""
    while True:
        time.sleep(following.PAUSE)
        if following.is_superseded(owner):
            owner = owners.find(options)
        if not (events := following.unless_restarted(owner, partial(_newer, newest))):
            continue
        new, newest = _before(newest, events), events[:1]
        pairs = list(_with_earlier(events))[: len(new)]
        yield from (entry_of(event) for event, earlier in reversed(pairs) if _is_listed(event, earlier))


def _newer(newest: list[ReloadEvent], owner: owners.OwnerClient) -> list[ReloadEvent]:
    """The history, if its newest event is another one; else nothing. Raises OwnerUnavailable."""
    latest = owner.get_event_history(1)
    return owner.get_event_history() if latest not in (newest, []) else []  # it may have been emptied


def _before(newest: list[ReloadEvent], events: list[ReloadEvent]) -> list[ReloadEvent]:
    """The events that are newer than the one in `newest`; all of them if it is not among them any more."""
    return list(takewhile(lambda event: event not in newest, events))


def _committed(event: ReloadEvent) -> bool:
    made = bool(event) or event.result is ReloadResult.UNDONE
    return made and event.version != event.previous_version


def _is_trial(event: ReloadEvent | Entry) -> bool:
    return event.result is ReloadResult.ON_TRIAL


def _with_earlier(events: list[ReloadEvent]) -> Iterator[tuple[ReloadEvent, ReloadEvent | None]]:
    """Each event, and the one before it in time; events come with the newest first."""
    return zip_longest(events, events[1:])


def _is_listed(event: ReloadEvent, earlier: ReloadEvent | None = None) -> bool:
    """Whether it changed or refused something, or is listed always, or what waits for a full reload is new in it."""
    if _is_trial(event) and not event.evidence and earlier is not None and _is_trial(earlier):
        return event.version != earlier.version  # otherwise it is the answer to a load of the same content
    if _committed(event) or not event or event.origin in _ALWAYS or event.evidence:
        return True
    if event.origin == "late":
        return event.result is not ReloadResult.UNCHANGED
    return bool(event.pending) and (earlier is None or earlier.pending != event.pending)


def _of_version(each: VersionInfo) -> Entry:
    return Entry(
        each.version,
        each.timestamp,
        True,
        None,
        each.origin or "?",
        each.who,
        each.reason,
        [],
        [],
        each.good,
        each.restorable,
    )


def _row(each: Entry, running: int) -> tuple[object, ...]:
    mark = "*" if each.committed and each.version == running else ""
    result = each.result.value if each.result is not None else "-"
    return mark, _number(each), when(each.timestamp), result, each.origin, caller(each.who), _what(each)


def _line(each: Entry) -> str:
    result = each.result.value if each.result is not None else "-"
    by = "" if each.who is None else f" by {caller(each.who)}"
    return line(f"{_number(each):>5}  {when(each.timestamp)}  {result} ({each.origin}{by})  {_what(each)}".rstrip())


def _number(each: Entry) -> str:
    """The version's number, also of one on trial; a refusal has none."""
    return str(each.version) if each.committed or _is_trial(each) else "-"


def _what(each: Entry) -> str:
    """The reason or, of an undo, why; the first changes or problems; what waits, and until when it may be confirmed."""
    refused = [] if each.evidence else list(map(str, each.problems))  # those of an undo say the same at length
    details = refused or list(map(shown_change, each.changes))
    if each.origin == "last_good" and not details:
        details = [f"the server started on version {each.version}"]
    shown = details[:_MOST_SHOWN]
    shown += [f"and {more} more"] if (more := len(details) - len(shown)) > 0 else []
    shown += [f"waits for a full reload: {shown_change(change)}" for change in each.pending[:_MOST_SHOWN]]
    by = each.confirm_by if each.committed and not each.good else None
    until = "" if by is None else f" (to be confirmed by {when(by)})"
    return ": ".join(filter(None, [each.reason, "; ".join(each.evidence), "; ".join(shown)])) + until
