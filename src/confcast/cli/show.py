"""`confcast show [KEY]` prints what runs: all keys with their values, those below a table, or one value alone.

The value alone is for scripts: a text is printed as it is, anything else as JSON. Secrets come masked from the owner,
which is asked nothing else: no source is read. Rejected: the value of a secret behind an option (an owner's answers
have none, to whomever).
"""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from confcast.cli import owners
from confcast.cli.report import ExitCode, Report, line


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "show",
        help="print what runs: everything, a table, or the value of one key alone",
        description="Prints the configuration that runs, secrets masked. With the key of one value it prints that "
        "value alone: a text as it is, anything else as JSON. Changes nothing, and reads no source: `explain` says "
        "where a value comes from. Exits with 1 when there is no such key.",
    )
    parser.add_argument("key", nargs="?", default="", metavar="KEY", help="dotted; of a value, or of a table")
    owners.add_to(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Report:
    """Ask the owner, and report. Raises OwnerUnavailable, or ConfcastError if the owner refuses to answer."""
    return owners.answered(options, lambda owner: report(options.key, owner.shown(options.key)))


def report(key: str, values: list[tuple[str, Any]]) -> Report:
    """The report on these values, for a person and for a program."""
    if len(values) == 1 and values[0][0] in (key, key.replace('"', "")):
        text = _alone(values[0][1])
    else:
        text = "\n".join(line(name if _counts(name, value) else f"{name} = {value!r}") for name, value in values)
    return Report(ExitCode.DONE, text, {"values": dict(values)})


def _counts(name: str, value: Any) -> bool:
    """Whether this stands for the values that were left out."""
    return value is None and name.startswith("and ") and name.endswith(" more")


def _alone(value: Any) -> str:
    return line(value) if isinstance(value, str) else msgspec.json.encode(value).decode()
