"""The owner's main program. Its argument is the descriptor of its end of the leash; a master calls `run`.

It hears its orders and lives until its master is gone. Standard input is /dev/null and standard output goes to
standard error (the master may speak a protocol on its own). This is a program of ours, so here, and only here,
logging is configured: to standard error, and on to the next log file when that is one and is rotated.

Exit status: 0 left with its master, 1 had to give up, 2 was started by a person, 3 could not start, 78 the first
configuration was refused.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import socket
import sys
from typing import NoReturn

from confcast.config.import_loader import place_of
from confcast.errors import ConfcastError, ConfigError, NotCarried, Problem, first_of
from confcast.owner.lifecycle import REFUSED, Lifecycle
from confcast.owner.log_file import CapturedOutput, StandardError
from confcast.texts import Lines, printable
from confcast.tracebacks import to_be_logged
from confcast.wire import processes
from confcast.wire.master_channel import MasterChannel, Ready, StartupConfig
from confcast.wire.role import become_owner

_log = logging.getLogger("confcast.owner")

_PATIENCE = 30.0
"""Seconds until the orders are there: a master that died just now may have left a child that holds the leash open."""


_WHAT_IT_IS = """\
python -m confcast.owner is the config owner of a server, a program that a ConfigReloadManager (and so each server's
install() or launcher) starts by itself and that leaves with it. It can't be started by hand.
To try a configuration: python -m confcast check --loader MODULE:NAME
To see the owners that run: python -m confcast status"""


def run(arguments: list[str]) -> NoReturn:
    """Be an owner, in a process that was started to be one, and end the process."""
    sys.argv[:] = [__file__, *arguments]
    status = main(arguments)
    logging.shutdown()
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    # A load that hangs must not hold up the end; everything that must be closed is closed.
    os._exit(status)


def main(arguments: list[str]) -> int:
    """Hear the orders and serve; the exit status."""
    connection = _connection(arguments)
    if connection is None:
        print(_WHAT_IT_IS, file=sys.stderr)
        return 2
    become_owner()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what the user's module prints is a log: it comes out at once
    channel = MasterChannel(connection)
    channel.connection.settimeout(_PATIENCE)
    startup = channel.receive()
    if not isinstance(startup, StartupConfig):
        return 3
    output = CapturedOutput(startup.captured, startup.output)
    try:
        return _live(channel, startup, output)
    finally:
        output.release()


def _live(channel: MasterChannel, startup: StartupConfig, output: CapturedOutput) -> int:
    lowest = startup.log_level.upper()
    logging.basicConfig(
        handlers=[StandardError(startup.log)],
        level=lowest,
        format=f"%(asctime)s [%(process)d] [%(levelname)s] confcast {_in_a_format(startup.name)}: %(message)s",
    )
    logging.getLogger("confcast").setLevel(lowest)  # also where the schema's module gives the root another one
    life: Lifecycle | None = None
    try:
        _check_that_the_master_started_this(startup)
        life = Lifecycle(channel, startup, output)
        return life.serve()
    except (ConfigError, NotCarried) as error:
        if _is_on_its_own(startup, life):
            _log.error("the config owner could not go on: %s", error)
        output.release()
        _say(channel, Ready(0, first_of(error.problems), getattr(error, "reason", "")))
        return REFUSED
    except (Exception, SystemExit) as error:  # a module that the schema imports may ask for the end
        text = str(error) if isinstance(error, ConfcastError) else f"{type(error).__name__}: {error}"
        text += f" ({place})" if (place := place_of(error)) else ""
        level = logging.ERROR if _is_on_its_own(startup, life) else logging.DEBUG
        trace = to_be_logged(error) if level == logging.DEBUG else None
        _log.log(level, "the config owner could not go on: %s", Lines(text), exc_info=trace)
        output.release()
        _say(channel, Ready(0, [Problem("", text)], "not_started"))
        return 3


def _check_that_the_master_started_this(startup: StartupConfig) -> None:
    """Else signals for the owner, and the owner's end, are another process's. Raises ConfcastError."""
    parent = os.getppid()
    if parent != startup.master_pid and processes.is_alive(startup.master_pid, startup.master_started):
        raise ConfcastError(
            f"the process {parent}, which was started as the config owner, has started Python as its child: it is a "
            "program around an interpreter, such as a profiler's script. Name the interpreter itself by executable= "
            "(--executable of a launcher), or let the script exec it"
        )


def _connection(arguments: list[str]) -> socket.socket | None:
    """The end of the leash; None where a person has started this program."""
    try:
        connection = socket.socket(fileno=int(arguments[0]))
    except (IndexError, ValueError, OverflowError, OSError):
        return None
    return connection if connection.family == socket.AF_UNIX else None


def _is_on_its_own(startup: StartupConfig, life: Lifecycle | None) -> bool:
    """Whether only the log can tell why this owner ends.

    The master raises what a first owner can't start for, and listens to none that serves, or takes a dead one's place.
    """
    return startup.restarts > 0 or (life is not None and life.ready)


def _in_a_format(name: str) -> str:
    return printable(name).replace("%", "%%")


def _say(channel: MasterChannel, message: Ready) -> None:
    try:
        channel.send(message)
    except OSError as error:
        _log.debug("the master no longer listens: %s", error)


if __name__ == "__main__":
    run(sys.argv[1:])
