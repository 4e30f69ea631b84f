"""The command line: `confcast COMMAND …`, or `python -m confcast COMMAND …`.

Recipes:

    confcast                                                               # what runs here, and what to type
    confcast check --loader pkg.settings:loader && kill -HUP "$master"     # never send a HUP for a broken file
    confcast reload --json | jq '.workers[] | select(.state != "current")'
    confcast status
    confcast versions
    confcast reload --pid "$MAINPID"                                       # the server of this process, whichever it is
    confcast --version

Each command has a file and returns a `Report`; only `program.py` prints. `commands.py` has the table of them. A command
asks the owner over the control socket, as any client does. A report is written to standard output, whatever its
verdict; an error that prevents a report, to standard error. `report.ExitCode` has the exit codes. Nothing needs more
than confcast itself: with the extra `cli`, rich colours what a terminal shows, and click completes in shells.

Rejected: parsers of click (see `commands.py`), and `reload` by a signal (a signal has no answer).
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The arguments as typed, without the program's name; None for this process's.

    Returns:
        The exit code.

    Raises:
        SystemExit: The arguments can't be understood (2), or help was asked for (0).
    """
    collects = gc.isenabled()
    gc.disable()  # imports make no garbage
    try:
        from confcast.cli import program

        return program.run(arguments, before=gc.enable if collects else lambda: None)
    except KeyboardInterrupt:  # while something was imported: `program` answers one that comes later
        with contextlib.suppress(OSError):  # nobody reads it
            if sys.stderr is not None:
                print("confcast: interrupted", file=sys.stderr, flush=True)
        return 130
    finally:
        if arguments is None:
            gc.freeze()  # the process ends: to look through all that was imported is a fifth of a `confcast status`
        if collects:
            gc.enable()
