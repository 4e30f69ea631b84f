"""`confcast show [KEY]` prints what runs: all keys with their values, those below a table, or one value alone.

The value alone is for scripts: a text is printed as it is, a certificate's lines too, and anything else as JSON; only
a terminal gets escapes for what would control it. Secrets come masked from the owner, which is asked nothing else: no
source is read. Rejected: the value of a secret behind an option (an owner's answers have none, to whomever).
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import msgspec

from confcast.cli import owners, terminal
from confcast.cli.report import ExitCode, Report, line, table
from confcast.errors import more
from confcast.wire.messages import Configuration


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "show",
        help="print what runs: everything, a table, or the value of one key alone",
        description="Prints the configuration that runs, secrets masked. With the key of one value it prints that "
        "value alone: a text as it is, anything else as JSON. Changes nothing. `explain` says where one value comes "
        "from, and --origins where each does: these two read the sources. Exits with 1 when there is no such key.",
    )
    parser.add_argument("key", nargs="?", default="", metavar="KEY", help="dotted; of a value, or of a table")
    parser.add_argument("--origins", action="store_true", help="with where each value comes from; reads the sources")
    parser.add_argument("--search", default="", metavar="TEXT", help="with --origins, only what has this text in it")
    owners.add_to(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run, usage_error=parser.error)


def run(options: argparse.Namespace) -> Report:
    """Ask the owner, and report. Raises OwnerUnavailable, or ConfcastError if the owner refuses to answer."""
    if options.search and not options.origins:
        options.usage_error("--search looks into values and their origins: give --origins, too")
    if options.origins:
        return owners.answered(options, lambda owner: with_origins(owner.configuration(options.key, options.search)))
    return owners.answered(options, lambda owner: report(options.key, owner.shown(options.key)))


def report(key: str, values: list[tuple[str, Any]]) -> Report:
    """The report on these values, for a person and for a program."""
    if len(values) == 1 and values[0][0] in (key, key.replace('"', "")):
        text = _alone(values[0][1])
    else:
        text = "\n".join(line(name if _counts(name, value) else f"{name} = {value!r}") for name, value in values)
    return Report(ExitCode.DONE, text, {"values": dict(values)})


def with_origins(found: Configuration) -> Report:
    """The report on these keys, each with its origin."""
    rows = [(each.key, repr(each.value), each.origin, each.changed_in or "?") for each in found.values]
    lines = table(("KEY", "VALUE", "FROM", "SINCE"), rows) if rows else ["nothing has this text in it"]
    lines += [more(found.left_out)] if found.left_out else []
    if found.problems:
        lines.append("the sources are refused, so that no position in them is known:")
        lines += [f"  {line(each)}" for each in found.problems]
    data = {"version": found.version, "values": list(found.values), "left_out": found.left_out}
    return Report(ExitCode.DONE, "\n".join(lines), {**data, "problems": list(found.problems)})


def _counts(name: str, value: Any) -> bool:
    """Whether this stands for the values that were left out."""
    return value is None and name.startswith("and ") and name.endswith(" more")


def _alone(value: Any) -> str:
    if not isinstance(value, str):
        return msgspec.json.encode(value).decode()
    return line(value) if terminal.is_terminal(sys.stdout) else value
