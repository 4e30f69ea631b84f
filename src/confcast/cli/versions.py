"""`confcast versions` lists the committed versions that the owner keeps: when, what caused each, who called, and why.

It shows no content and no key of any version. Rejected: reading the journal's file (it belongs to the owner's user, and
the owner has it open).
"""

from __future__ import annotations

import argparse
from typing import Any

from confcast.cli import owners, provisional
from confcast.cli.report import ExitCode, Report, caller_name, spoken, table, when
from confcast.texts import shortened
from confcast.wire.messages import VersionInfo, Who
from confcast.worker.client.status_data import provisional_parts

_LONGEST_COMMAND = 40
_TRIES = 5


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "versions",
        help="list the versions that are kept: when, what caused them, who called, and whether they were good",
        description="Lists the committed versions that the config owner keeps, newest first; the one that runs is "
        "marked. A version is good if every worker that answered has applied it. Changes nothing.",
    )
    owners.add_to(parser)
    parser.add_argument("-n", type=count, dest="limit", metavar="COUNT", help="list no more than so many")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Report:
    """Ask the owner, and report. Raises OwnerUnavailable, or ConfcastError if the owner refuses to answer."""
    owner = owners.find(options)
    after = owner.get_stats()
    for _ in range(_TRIES):
        before, kept, after = after, owner.versions(options.limit), owner.get_stats()
        if _is_same(before, after):  # else a reload came between, and the list may be older or newer than the number
            break
    return report(after, kept)


def _is_same(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether the same version runs, and is provisional or not, as before."""
    return all(before.get(name) == after.get(name) for name in ("version", "provisional", "deadline"))


def report(stats: dict[str, Any], versions: list[VersionInfo]) -> Report:
    """The report on the kept versions, for a person and for a program.

    `stats`: the totals, of which the version that runs is marked, and what is provisional stands in the last lines.
    """
    header = ("", "VERSION", "WHEN", "ORIGIN", "WHO", "GOOD", "REASON")
    lines = table(header, [_row(each, stats) for each in versions]) if versions else ["no version is kept"]
    if lost := sum(not each.restorable for each in versions):
        what = "1 version is" if lost == 1 else f"{lost} versions are"
        lines.append(f"{what} of another schema, or the content is damaged: --json says which (restorable)")
    lines += provisional.told(stats)
    data = {"version": stats["version"], **provisional_parts(stats), "versions": versions}
    return Report(ExitCode.DONE, "\n".join(lines), data)


def _row(each: VersionInfo, stats: dict[str, Any]) -> tuple[object, ...]:
    mark = "*" if each.version == stats["version"] else ""
    good = "yes" if each.good else "not yet" if provisional.may_be_undone(stats, each.version) else "no"
    return mark, each.version, when(each.timestamp), each.origin or "?", caller(each.who), good, each.reason


def caller(who: Who | None) -> str:
    """Who called, in words; `-` if nobody did, or it is not known."""
    if who is None:
        return "-"
    user = caller_name(who.uid, who.actor)
    if not who.pid:
        return f"{user}, in another pid namespace"
    command = f": {shortened(spoken(who.command), _LONGEST_COMMAND)}" if who.command else ""
    return f"{user}, process {who.pid}{command}"


def count(text: str) -> int:
    """How many are listed. Raises ArgumentTypeError."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number to list, 1 or more")
    return int(text)
