"""Where an owner's output goes, and what of it the error of a start that fails can have.

Standard output and error of an owner are one descriptor: the master's standard error, or a log file that a server
names. What an owner writes before it serves is the only trace of an end without a word: an interpreter that can't
begin, `os._exit()` or a crash in a module that the schema imports. From a log file it is read back. From a terminal, a
pipe or a socket nothing can be read back: there the first owner of a manager writes into a file without a name until
it serves, or refuses to. Then it copies that on, and goes on in the right place; of an owner that is dead the master
copies it. Nothing waits for a reader, and nothing is lost but what a program that was started before, and still has
the nameless file, writes later. Owners after the first write where they should at once: nobody waits for their words.

Rejected: a pipe (its writer stands still when the master is busy, and breaks when it is gone).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import stat
import subprocess
import sys
from collections.abc import Callable

from confcast.master.start.execute import nameless_file
from confcast.texts import printable
from confcast.wire import captured_output

_log = logging.getLogger("confcast.master")

Output = Callable[[], int]
"""Gives the descriptor for an owner's standard output and error; asked at each start, as log files are reopened."""

_MOST_BYTES = 4096
_MOST_LINES = 5


def standard_error() -> int:
    """The master's own, as it is when an owner starts. Raises OSError where it began without one.

    What has its number then is anything that was opened since, be it the master's end of the leash.
    """
    if sys.__stderr__ is None:
        raise OSError(errno.EBADF, "standard error was closed when this process began")
    return 2


class BootOutput:
    """What one owner writes until it serves.

    Args:
        output: Where it is to go.
        first: Whether somebody waits for this owner, to raise an error with its words.

    Attributes:
        streams: The owner's standard output and error; `subprocess.DEVNULL`: nowhere.
        destination: Where an owner goes on that serves, if that is another descriptor; else -1.
    """

    def __init__(self, output: Output, *, first: bool) -> None:
        self.streams = _usable(output)
        self.destination = -1
        self._begin = _size(self.streams)
        if first and self._begin < 0:
            try:
                self._capture()
            except OSError as error:  # no descriptor is left, say
                _log.debug("what the config owner writes before it serves can't be kept: %s", error)

    def last_lines(self) -> str | None:
        """The last few that were written; None where they can't be read back."""
        if self._begin < 0:
            return None
        with contextlib.suppress(OSError):
            fd = os.open(f"/dev/fd/{self.streams}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                end = os.fstat(fd).st_size
                begin = max(self._begin, end - _MOST_BYTES)
                text = os.pread(fd, _MOST_BYTES, begin).decode(errors="backslashreplace")
            finally:
                os.close(fd)
            lines = [printable(line) for line in text.splitlines() if line.strip()]
            return "\n".join(lines[-_MOST_LINES:])
        return None

    @property
    def passed(self) -> tuple[int, ...]:
        """The descriptors that its orders name."""
        return () if self.destination < 0 else (self.streams, self.destination)

    def close(self) -> None:
        """The owner serves, or is dead: what it has not copied on itself is copied now. May be called again."""
        if self.destination >= 0:
            with contextlib.suppress(OSError):  # the terminal is gone, say
                captured_output.copy_on(self.streams, self.destination)
        self.forget()

    def forget(self) -> None:
        """In a forked child: the output is the parent's to copy."""
        passed = self.passed
        self.streams, self.destination, self._begin = subprocess.DEVNULL, -1, -1
        for descriptor in passed:
            os.close(descriptor)

    def _capture(self) -> None:
        file = nameless_file("confcast-output")
        try:
            destination = (
                os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
                if self.streams == subprocess.DEVNULL
                else fcntl.fcntl(self.streams, fcntl.F_DUPFD_CLOEXEC, 3)
            )
        except BaseException:
            os.close(file)
            raise
        self.streams, self.destination, self._begin = file, destination, 0


def _usable(output: Output) -> int:
    """A log that is closed just now, or was closed for good, is no reason to have no owner."""
    try:
        descriptor = output()
        os.fstat(descriptor)
    except (OSError, ValueError) as error:
        _log.warning("what the config owner logs is lost: there is nowhere to write it (%s)", error)
        return subprocess.DEVNULL
    return descriptor


def _size(descriptor: int) -> int:
    """How far a regular file has been written; -1 of what can't be read back."""
    if descriptor < 0:
        return -1
    status = os.fstat(descriptor)
    return status.st_size if stat.S_ISREG(status.st_mode) else -1
