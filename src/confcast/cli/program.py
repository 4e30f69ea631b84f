"""Runs one command line: parses it, runs the command, and writes its report.

Guaranteed: a reader that has closed the pipe (`| head`) gets no traceback. The command has done what it does, and its
exit code stays, unless that is 0: then it is 141, as of every program that the signal SIGPIPE ends. So it is on a full
disk: a script that goes on has what it asked for. Rejected: to end by that signal (the verdict of a refused reload
would be lost).
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

from confcast.cli import commands, terminal
from confcast.cli.report import ExitCode, Report, as_json
from confcast.errors import ConfcastError
from confcast.log_stream import LogStream

COMPLETE = "_CONFCAST_COMPLETE"
"""The variable by which a shell asks for completions, or for the script that does so; its name is click's."""

_INTERRUPTED = 128 + signal.SIGINT
_ONE_LINE = -1


def run(arguments: Sequence[str] | None, before: Callable[[], object]) -> int:
    """As `confcast.cli.main`. `before` is called when the command has been imported, before it runs."""
    for stream in filter(None, (sys.stdout, sys.stderr)):  # a stream is None if its descriptor is closed
        stream.reconfigure(errors="backslashreplace")  # a name's bytes may not be UTF-8
    if instruction := os.environ.get(COMPLETE):
        from confcast.cli import completion

        return completion.answer(instruction, COMPLETE)
    try:
        options = commands.parse(sys.argv[1:] if arguments is None else arguments)
    except SystemExit as end:  # of --help, --version and what can't be understood
        raise SystemExit(_written("", end.code if isinstance(end.code, int) else 0)) from None
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[LogStream()])
    who = f"confcast {options.command}".rstrip()
    try:
        before()
        return _run(who, options)
    except KeyboardInterrupt:
        _complain(f"{who}: interrupted; what was asked for may still happen")
        return _INTERRUPTED


def _run(who: str, options: Any) -> int:
    try:
        report = options.run(options)
    except ConfcastError as error:
        return _failed(who, error, options, code=getattr(error, "exit", ExitCode.NO_OWNER))
    except ValueError as error:
        from confcast.worker.client.sendable import NotSendable  # imported here: nearly no command needs it

        if not isinstance(error, NotSendable):
            raise
        return _failed(who, error, options, code=ExitCode.USAGE)
    if report.more is None:
        return _write(report, options)
    return _follow(who, report.more, options) or int(report.exit)


def _follow(who: str, more: Iterator[Report], options: Any) -> int:
    """Write reports as they come, until they end, nobody reads them, or Ctrl-C, by which a person ends them."""
    try:
        for report in more:
            if code := _write(report, options, _ONE_LINE):
                return code
    except ConfcastError as error:
        return _failed(who, error, options, _ONE_LINE)
    except KeyboardInterrupt:
        if text := getattr(options, "interrupted", ""):  # what goes on without this process
            _complain(f"{who}: {text}")
        return _INTERRUPTED
    return ExitCode.DONE


def _failed(who: str, error: Exception, options: Any, indent: int = 2, code: ExitCode = ExitCode.NO_OWNER) -> int:
    _complain(f"{who}: {error}")
    data = {"error": str(error), **getattr(error, "data", {})}
    return _written(as_json(data, indent=indent) + "\n" if options.json else "", code)


def _write(report: Report, options: Any, indent: int = 2) -> int:
    text = as_json(report.data, indent=indent) if options.json else terminal.shown(report.text, sys.stdout)
    return _written(f"{text}\n", int(report.exit))


def _written(text: str, code: int) -> int:
    """Write a report, or what is left to write. Returns the exit code: a failure does not change what was done.

    So it changes a code of 0 alone, and where standard output was closed from the beginning not even that. The failure
    is reported on standard error, unless the reader has closed the pipe.
    """
    stream: TextIO | None = sys.stdout
    if stream is None:
        return code
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        # Python flushes standard output once more at its end, and would report the error again.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
        if not isinstance(error, BrokenPipeError):
            _complain(f"confcast: the report can't be written: {error.strerror}")
        return code or ExitCode.NOT_READ
    return code


def _complain(text: str) -> None:
    if sys.stderr is not None:  # print() would take None for standard output
        with contextlib.suppress(OSError):  # nobody reads it
            print(terminal.shown(text, sys.stderr), file=sys.stderr, flush=True)
