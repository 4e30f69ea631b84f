"""`confcast wait [N]` waits until a version is good or gone, or until nothing is provisional, and says how it ended."""

from __future__ import annotations

import argparse
from typing import Any

from confcast.cli import owners
from confcast.cli.arguments import duration
from confcast.cli.operations import version_number
from confcast.cli.reload import outcome, report
from confcast.cli.report import Report
from confcast.wire.messages import ReloadResult

_TIMEOUT = 30.0


def add_to(commands: Any) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "wait",
        help="wait until a version is good or gone, or until nothing is provisional",
        description="Waits until version N is good or gone: every worker that answers has applied it, and its trial, "
        "its probation and its --confirm-within are over; or it was taken back. Without N, until no load, vote or "
        "change is under way, and nothing is provisional. Reports the last event of that, and "
        "exits as `reload` does; with 3 when it is not over in time.",
    )
    parser.add_argument("version", nargs="?", type=version_number, metavar="N", help="the number of a version")
    owners.add_to(parser)
    parser.add_argument(
        "--timeout", type=duration, default=_TIMEOUT, metavar="SECONDS", help="how long to wait (default: 30s)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> Report:
    """Wait, and report. Raises OwnerUnavailable, or ConfcastError if the owner refuses to answer."""
    owner = owners.find(options)
    event = owner.wait(options.version, timeout=options.timeout)
    if event.result is ReloadResult.OWNER_UNAVAILABLE:
        return report(event, [], headline="not over in time, or no owner answers; what is under way goes on")
    return outcome(owner, event)
