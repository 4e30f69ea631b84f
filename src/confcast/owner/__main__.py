"""The owner's main program; a master starts it with the descriptor of the owner's end of the master channel.

The owner receives its StartupConfig and runs until its master is gone. Standard input is /dev/null, and standard output
goes to standard error (the master may speak a protocol on its own output). Only here does confcast configure logging:
to standard error, and on to the next log file when standard error is a file that is rotated.

Exit status: 0 the master is gone, 1 the owner could not go on, 2 a person started it, 3 it could not start, 78 the
first configuration was refused.
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
from confcast.errors import ConfcastError, ConfigError, NotCarried, Problem, ProtocolError, first_of
from confcast.log_fields import about
from confcast.owner.lifecycle import REFUSED, Lifecycle, send
from confcast.owner.log_file import CapturedOutput, StandardError
from confcast.texts import Lines, printable
from confcast.tracebacks import to_be_logged
from confcast.wire import processes, programs
from confcast.wire.master_channel import MasterChannel, Ready, StartupConfig
from confcast.wire.role import become_owner

_log = logging.getLogger("confcast.owner")

_STARTUP_WITHIN = 30.0
"""Seconds to wait for StartupConfig: a child of a master that has just died may hold the channel open."""

_WHAT_IT_IS = """\
python -m confcast.owner is the config owner of a server, a program that a ConfigReloadManager (and so each server's
install() or launcher) starts by itself and that leaves with it. It can't be started by hand.
To try a configuration: python -m confcast check --loader MODULE:NAME
To see the owners that run: python -m confcast status"""

_ANOTHER_VERSION = (
    "the master runs another version of confcast than the one that is installed now: reload the server fully, so that "
    "both run this one"
)


def run(arguments: list[str]) -> NoReturn:
    """Run an owner, in a process that was started for it, and end the process."""
    sys.argv[:] = [__file__, *arguments]
    status = main(arguments)
    logging.shutdown()
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    programs.end_all()  # a poll or a load that was under way may have begun one since the others were ended
    # Exit without waiting for threads, since a load may hang; everything that must be closed is closed.
    os._exit(status)


def main(arguments: list[str]) -> int:
    """Receive StartupConfig, serve, and return the exit status."""
    connection = _connection(arguments)
    if connection is None:
        print(_WHAT_IT_IS, file=sys.stderr)
        return 2
    become_owner()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # the user's module may print, and a print is a log line
    channel = MasterChannel(connection)
    channel.connection.settimeout(_STARTUP_WITHIN)
    try:
        startup = channel.receive()
    except OSError as error:
        print(f"the config owner was sent nothing by its master: {error}", file=sys.stderr)
        return 3
    except ProtocolError as error:
        print(f"{error}; {_ANOTHER_VERSION}", file=sys.stderr)
        return 3
    if not isinstance(startup, StartupConfig):
        return 3
    output = CapturedOutput(startup.captured, startup.output)
    try:
        return _serve(channel, startup, output)
    finally:
        output.release()


def _serve(channel: MasterChannel, startup: StartupConfig, output: CapturedOutput) -> int:
    _begin_to_log(startup)
    lifecycle: Lifecycle | None = None
    try:
        _check_that_the_master_started_this(startup)
        lifecycle = Lifecycle(channel, startup, output)
        return lifecycle.serve()
    except (ConfigError, NotCarried) as error:
        if _only_the_log_can_tell(startup, lifecycle):
            _log.error("the config owner could not go on: %s", error, extra=about("owner_ends", reason=error))
        output.release()
        send(channel, Ready(0, first_of(error.problems), getattr(error, "reason", "")))
        return REFUSED
    except (Exception, SystemExit) as error:  # a module that the schema imports may call sys.exit()
        text = str(error) if isinstance(error, ConfcastError) else f"{type(error).__name__}: {error}"
        text += f" ({place})" if (place := place_of(error)) else ""
        level = logging.ERROR if _only_the_log_can_tell(startup, lifecycle) else logging.DEBUG
        trace = to_be_logged(error) if level == logging.DEBUG else None
        _log.log(
            level,
            "the config owner could not go on: %s",
            Lines(text),
            exc_info=trace,
            extra=about("owner_ends", reason=text),
        )
        output.release()
        send(channel, Ready(0, [Problem("", text)], "not_started"))
        return 3


def _begin_to_log(startup: StartupConfig) -> None:
    lowest = startup.options.log_level.upper()
    handler = StandardError(startup.log)
    if startup.options.log_format == "json":
        from confcast import json_lines  # imported here: text is the usual format

        handler.setFormatter(json_lines.JsonLines(startup.options.name))
        json_lines.of_warnings()
    else:
        name = printable(startup.options.name).replace("%", "%%")  # a format string holds the name
        handler.setFormatter(
            logging.Formatter(f"%(asctime)s [%(process)d] [%(levelname)s] confcast {name}: %(message)s")
        )
    logging.basicConfig(handlers=[handler], level=lowest)
    logging.getLogger("confcast").setLevel(lowest)  # even if the schema's module sets another level on the root


def _check_that_the_master_started_this(startup: StartupConfig) -> None:
    """Refuse to run as a child of an unrelated process, which would get the owner's signals. Raises ConfcastError."""
    parent = os.getppid()
    if parent != startup.master_pid and processes.is_alive(startup.master_pid, startup.master_started):
        raise ConfcastError(
            f"the process {parent}, which was started as the config owner, has started Python as its child: it is a "
            "program around an interpreter, such as a profiler's script. Name the interpreter itself by executable= "
            "(--executable of a launcher), or let the script exec it"
        )


def _connection(arguments: list[str]) -> socket.socket | None:
    """The socket of the master channel; None where a person has started this program."""
    try:
        connection = socket.socket(fileno=int(arguments[0]))
    except (IndexError, ValueError, OverflowError, OSError):
        return None
    return connection if connection.family == socket.AF_UNIX else None


def _only_the_log_can_tell(startup: StartupConfig, lifecycle: Lifecycle | None) -> bool:
    """Whether only the log can tell why this owner ends.

    The master raises why a first owner can't start. It reads no reason of an owner that has served, or was restarted.
    """
    return startup.restarts > 0 or (lifecycle is not None and lifecycle.ready)


if __name__ == "__main__":
    run(sys.argv[1:])
