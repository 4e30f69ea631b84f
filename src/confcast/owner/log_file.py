"""The owner writes its log lines to standard error, and follows that file's path to the next file after a rotation.

When a server reopens its log files, the owner's standard error still is the old file, renamed by then, which takes up
disk space even once it is deleted. So on USR1, and before each line that it logs, the owner looks whether the log's
path leads to another file, and makes that one its standard output and error.

Until it serves, an owner may write to a nameless file instead, which its master reads back when the start fails.

Rejected: looking before each line only (an owner that logs nothing for a week holds the rotated file for a week),
looking on the signal only (a server may rotate without sending one), and making a missing file (in the moment between
the renaming and the making of the next one, the rotating program chooses the file's mode and owner).
"""

from __future__ import annotations

import contextlib
import logging
import os
import stat
import sys
from pathlib import Path

from confcast.log_stream import LogStream
from confcast.wire.captured_output import copy_on


class CapturedOutput:
    """The nameless file that this process's standard output and error are until it serves.

    Args:
        file: Its descriptor; -1 if nothing is captured.
        destination: The descriptor that replaces both from `release()` on.
    """

    def __init__(self, file: int, destination: int) -> None:
        self._held = () if file < 0 else (file, destination)
        for descriptor in self._held:
            os.set_inheritable(descriptor, False)  # else a program that the user's code starts would keep it open

    def release(self) -> None:
        """Copy what was written so far to the destination, and write there from now on. May be called again.

        What can't be copied is lost.
        """
        if not self._held:
            return
        (file, destination), self._held = self._held, ()
        _flush()
        try:
            with contextlib.suppress(OSError):  # a terminal that is gone, or a pipe that nobody reads
                end = copy_on(file, destination)
                _redirect(file, destination)
                copy_on(file, destination, end)  # copies what another thread has written meanwhile
            _redirect(file, destination)
            os.ftruncate(file, 0)  # else the master would take it for the output of an owner that died
        finally:
            os.close(file)
            os.close(destination)


class StandardError(LogStream):
    """Writes to standard error.

    Args:
        log: The path of the log file that standard error is open on; empty where it is no file.
    """

    def __init__(self, log: str) -> None:
        super().__init__()
        self._log = Path(log) if log else None

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line. As with every handler of logging, it raises nothing."""
        if self._log is not None:
            try:
                follow(self._log)
            except OSError:
                logging.Handler.handleError(self, record)
        super().emit(record)


def follow(log: Path) -> None:
    """Make the file at this path standard output and error, if there is one. Raises OSError."""
    try:
        there = log.stat()
    except FileNotFoundError:  # the log was renamed, and the next file is not made yet
        return
    if not stat.S_ISREG(there.st_mode) or os.path.samestat(there, os.fstat(2)):
        return
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        for stream in (1, 2):
            os.dup2(file, stream)
    finally:
        os.close(file)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or replaced by the user's code
            stream.flush()


def _redirect(file: int, destination: int) -> None:
    """Redirect the streams that are still open on this file; one that the user's code has redirected stays."""
    captured = os.fstat(file)
    for stream in (1, 2):
        with contextlib.suppress(OSError):  # closed
            if os.path.samestat(os.fstat(stream), captured):
                os.dup2(destination, stream)
