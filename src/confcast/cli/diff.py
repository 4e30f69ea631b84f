"""`confcast diff [A [B]]` lists what differs between two configurations: a kept version, what runs, the sources.

Without arguments it says what a reload would change. Secrets come masked from the owner.
"""

from __future__ import annotations

import argparse
from typing import Any, Literal

from confcast.cli import owners
from confcast.cli.reload import shown_change
from confcast.cli.report import ExitCode, Report
from confcast.wire.messages import Change

Side = int | Literal["running", "sources"]


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "diff",
        help="list what differs between two versions, or between what runs and what the sources say",
        description="Lists what differs from A to B, by key. Each is the number of a kept version, `running`, or "
        "`sources`: what a reload would load now. Changes nothing. Exits with 0 whether anything differs or not, and "
        "with 1 when a version can't be compared, or the sources are refused.",
    )
    parser.add_argument("a", nargs="?", type=_side, default="running", metavar="A", help="default: running")
    parser.add_argument("b", nargs="?", type=_side, default="sources", metavar="B", help="default: sources")
    owners.add_to(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Report:
    """Ask the owner, and report. Raises OwnerUnavailable, or ConfcastError if the owner refuses to answer."""
    a, b = options.a, options.b
    return owners.answered(options, lambda owner: report(a, b, owner.diff(a, b)))


def report(a: Side, b: Side, changes: list[Change]) -> Report:
    """The report on what differs, for a person and for a program."""
    lines = [shown_change(each) for each in changes] or [f"nothing differs between {_named(a)} and {_named(b)}"]
    return Report(ExitCode.DONE, "\n".join(lines), {"a": a, "b": b, "changes": changes})


def _named(side: Side) -> str:
    return f"version {side}" if isinstance(side, int) else {"running": "what runs", "sources": "the sources"}[side]


def _side(text: str) -> Side:
    if text in ("running", "sources"):
        return "running" if text == "running" else "sources"
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no version: give a number, running or sources")
    return int(text)


_side.__name__ = "version"  # argparse names the type in its message
