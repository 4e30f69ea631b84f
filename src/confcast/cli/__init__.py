"""The command line: `python -m confcast check|reload|status|versions`, or `confcast …`.

Recipes:

    confcast check --loader pkg.settings:loader && kill -HUP "$master"     # never send a HUP for a broken file
    confcast reload --json | jq '.workers[] | select(.state != "current")'
    confcast status
    confcast versions
    confcast reload --pid "$MAINPID"                                       # the server of this process, whichever it is
    confcast --version

Each command has a file and returns a `Report`; only this file prints. A command asks the owner over the control socket,
as any client does. A report is written to standard output, whatever its verdict; an error that prevents a report, to
standard error. `report.ExitCode` has the exit codes. There are no colours, so that nothing has to switch them off.

Rejected: click and rich (every worker's environment would have five more packages, for four commands), and `reload` by
a signal (a signal has no answer).
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence

import confcast
from confcast.cli import check, diff, explain, operations, reload, status, versions
from confcast.cli.report import ExitCode, as_json
from confcast.errors import ConfcastError

__all__ = ["main"]

_EXITS = (
    "exit codes: 0 done; 1 refused; 2 usage; 3 no config owner answered; 4 in use, but not in every worker; 5 another "
    "version runs than the one that was expected"
)
_INTERRUPTED = 128 + signal.SIGINT


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The arguments as typed, without the program's name; None for this process's.

    Returns:
        The exit code.

    Raises:
        SystemExit: The arguments can't be understood (2), or help was asked for (0).
    """
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    for stream in filter(None, (sys.stdout, sys.stderr)):  # a stream is None if its descriptor is closed
        stream.reconfigure(errors="backslashreplace")  # a name's bytes may not be UTF-8
    try:
        report = options.run(options)
    except ConfcastError as error:
        print(f"confcast {options.command}: {error}", file=sys.stderr)
        if options.json:
            _print(as_json({"error": str(error)}))
        return ExitCode.NO_OWNER
    except KeyboardInterrupt:
        print(f"confcast {options.command}: interrupted; what was asked for may still happen", file=sys.stderr)
        return _INTERRUPTED
    _print(as_json(report.data) if options.json else report.text)
    return int(report.exit)


def _print(text: str) -> None:
    """Print a report. A failure to write does not change what was done, nor the exit code.

    The failure is reported on standard error, unless the reader has closed the pipe (`| head`).
    """
    try:
        print(text, flush=True)
    except OSError as error:
        # Python flushes standard output once more at its end, and would report the error again.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        if not isinstance(error, BrokenPipeError):
            print(f"confcast: the report can't be written: {error.strerror}", file=sys.stderr)


class _Version(argparse.Action):
    """Like argparse's own action, but reads the version only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        _print(f"confcast {confcast.__version__}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="confcast", description="The configuration of a running server.", epilog=_EXITS, allow_abbrev=False
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version of confcast")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in (check, reload, operations, status, versions, explain, diff):
        command.add_to(commands)
    return parser
