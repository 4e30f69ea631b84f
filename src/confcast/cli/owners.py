"""The options that say which config owner a command means, and the client that asks it.

`worker/client/which_owner.py` has the rules, which are those of the public `Client`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import Any

from confcast.cli.report import ExitCode, Report, line
from confcast.cli.report import user_name as user_name
from confcast.errors import ConfigError, OwnerUnavailable
from confcast.wire.address import address_variable
from confcast.worker.client import which_owner
from confcast.worker.client.owner_client import OwnerClient as OwnerClient
from confcast.worker.client.which_owner import SeveralOwners


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which owner is meant."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--address", type=_not_empty, metavar="SOCKET", help="the owner's control socket")
    which.add_argument("--pid", type=int, help="a process of the server (master, worker, owner), or below one")
    parser.add_argument(
        "--name",
        type=_not_empty,
        help=f"the configuration's name; without it, the owner at ${address_variable('app')} is asked, else "
        f"the one at any ${address_variable('')}*, else the only one that runs, else the one whose master was started "
        "here",
    )


class OwnersToChooseFrom(OwnerUnavailable):
    """The list of owners as a table for standard error, and as `data` for a program."""

    def __init__(self, error: SeveralOwners) -> None:
        from confcast.cli import listing  # imported here: few commands need them
        from confcast.worker.client import known_owners

        self.data: dict[str, Any] = {"owners": known_owners.described(error.found)}
        super().__init__("\n".join([error.reason, *listing.as_table(self.data["owners"], sys.stderr)]))


def find(options: argparse.Namespace, *, warns: bool = True) -> OwnerClient:
    """A client of the owner that options and environment mean. Raises OwnerUnavailable, which says how to choose.

    `warns`: log a warning if, of several owners, the one is taken whose master was started in the working directory.
    """
    try:
        return OwnerClient(
            *which_owner.find(options.name, address=options.address, pid=options.pid, warns=warns, words="--{}".format)
        )
    except SeveralOwners as error:
        raise OwnersToChooseFrom(error) from None


def answered(options: argparse.Namespace, question: Callable[[OwnerClient], Report]) -> Report:
    """The report on a question to the owner that is meant, or on why it has no answer.

    Raises OwnerUnavailable, or ConfcastError if the owner refuses to answer.
    """
    try:
        return question(find(options))
    except ConfigError as error:
        return Report(ExitCode.REFUSED, "\n".join(map(line, error.problems)), {"problems": error.problems})


def asked_without_options() -> OwnerClient | None:
    """The owner that a command without options asks; None if there is none, or a person has to choose."""
    try:
        return find(argparse.Namespace(pid=None, address=None, name=None), warns=False)
    except OwnerUnavailable:
        return None


def _not_empty(text: str) -> str:
    """Refuse an empty text: an unset variable in a script would mean whichever owner is the only one that runs."""
    if not text:
        raise argparse.ArgumentTypeError("is empty: say which owner is meant, or leave the option out")
    return text
