"""The output of an owner: where it is written, and what part of it the error of a failed start quotes.

Standard output and error of an owner are one descriptor: the master's standard error, or a log file that a server
module names. What an owner writes before it serves is the only trace of an end that it can't report: an interpreter
that can't begin, `os._exit()` or a crash in a module that the schema imports. From a log file the master reads it back.
A terminal, a pipe or a socket can't be read back: instead, the first owner of a manager writes into a nameless file
until it serves, or refuses to. Then the owner copies the file's content to the proper descriptor, and writes there; the
master copies the content for an owner that has died. Nothing waits for a reader. Only later output of a program is lost
that the owner started before, since that program still has the nameless file. Later owners write to the proper
descriptor at once: no caller waits for them.

Rejected: a pipe (its writer blocks when the master is busy, and gets an error when the master is gone).
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

from confcast.log_fields import about
from confcast.master.start.execute import nameless_file
from confcast.texts import printable
from confcast.wire import captured_output

_log = logging.getLogger("confcast.master")

Output = Callable[[], int]
"""Returns the descriptor for an owner's standard output and error. Called at each start, as log files are reopened."""

_MOST_BYTES = 4096
_MOST_LINES = 5


def standard_error() -> int:
    """The master's standard error, as it is when an owner starts. Raises OSError if the master began without one.

    In that case its number belongs to whatever was opened since, such as the master's end of the channel.
    """
    if sys.__stderr__ is None:
        raise OSError(errno.EBADF, "standard error was closed when this process began")
    return 2


class StartupOutput:
    """What one owner writes until it serves.

    Args:
        output: Returns the descriptor for the owner's output.
        first: Whether a caller waits for this owner, to raise an error that quotes its output.

    Attributes:
        streams: The owner's standard output and error; `subprocess.DEVNULL` drops them.
        destination: The descriptor that the owner writes to once it serves, if it is not `streams`; otherwise -1.
    """

    def __init__(self, output: Output, *, first: bool) -> None:
        self.streams = _usable(output)
        self.destination = -1
        self._begin = _size(self.streams)
        if first and self._begin < 0:
            try:
                self._capture()
            except OSError as error:  # for example, no descriptor is left
                _log.debug(
                    "what the config owner writes before it serves can't be kept: %s",
                    error,
                    extra=about("owner_output_not_kept", error=error),
                )

    def last_lines(self) -> str | None:
        """The last few lines that the owner wrote; None if they can't be read back."""
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
        """The descriptors that the owner's startup configuration names."""
        return () if self.destination < 0 else (self.streams, self.destination)

    def close(self) -> None:
        """Copy what the owner, which serves or is dead, has not copied itself. May be called again."""
        if self.destination >= 0:
            with contextlib.suppress(OSError):  # for example, the terminal is gone
                captured_output.copy_on(self.streams, self.destination)
        self.forget()

    def forget(self) -> None:
        """Close the descriptors in a forked child: copying the output is left to the parent."""
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
    """The descriptor that `output` returns, or DEVNULL: if a log is closed, the owner must start all the same."""
    try:
        descriptor = output()
        os.fstat(descriptor)
    except (OSError, ValueError) as error:
        _log.warning(
            "what the config owner logs is lost: there is nowhere to write it (%s)",
            error,
            extra=about("owner_output_lost", error=error),
        )
        return subprocess.DEVNULL
    return descriptor


def _size(descriptor: int) -> int:
    """The size of a regular file in bytes; -1 for a descriptor that can't be read back."""
    if descriptor < 0:
        return -1
    status = os.fstat(descriptor)
    return status.st_size if stat.S_ISREG(status.st_mode) else -1
