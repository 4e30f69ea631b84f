"""How an owner's process is made: an exec'd child that holds nothing of the master but its end of the leash.

Standard input is /dev/null, standard output and error are one descriptor that the caller gives, the environment is the
master's, and SIGHUP is blocked until the owner can take it. interpreter.py says which program it is.

Rejected: `multiprocessing.Process` (in a prefork server a worker's atexit terminates it, and it may hold the listening
socket).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator

from confcast.master.interpreter import Command
from confcast.wire.role import OWNER

_log = logging.getLogger("confcast.master")

Output = Callable[[], int]
"""Gives the descriptor for an owner's standard output and error; asked at each start, as log files are reopened."""


def standard_error() -> int:
    """The master's own, as it is when an owner starts. Raises OSError where it began without one.

    What has its number then is anything that was opened since, be it the master's end of the leash.
    """
    if sys.__stderr__ is None:
        raise OSError(errno.EBADF, "standard error was closed when this process began")
    return 2


def execute(leash: int, output: Output, command: Command) -> int:
    """Start an owner's process. Its SIGHUP stays blocked until it has a handler: no trigger kills it, none is lost.

    Args:
        leash: The descriptor of its end; the caller closes its own copy.
        output: Where it writes.
        command: Which program it is.

    Returns:
        Its pid. Nobody waits for it: the caller hears of its end by a pidfd, and reaps it.

    Raises:
        OSError: No process can be made.
    """
    streams = _usable(output)
    with _to_be_passed(leash, command.path) as given:
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
        try:
            process = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
                [*command.arguments, OWNER, *map(str, given)],
                stdin=subprocess.DEVNULL,
                stdout=streams,
                stderr=streams,
                pass_fds=given,
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
    # From here on the pidfd tells of its end. Popen would wait for it, warn of it in forked children, and take
    # another process's reaping of it for a clean exit.
    process.returncode = 0
    return process.pid


def _usable(output: Output) -> int:
    """A log that is closed just now, or was closed for good, is no reason to have no owner."""
    try:
        descriptor = output()
        os.fstat(descriptor)
    except (OSError, ValueError) as error:
        _log.warning("what the config owner logs is lost: there is nowhere to write it (%s)", error)
        return subprocess.DEVNULL
    return descriptor


@contextlib.contextmanager
def _to_be_passed(leash: int, path: bytes) -> Iterator[list[int]]:
    """The descriptors that the owner's arguments name, in their order."""
    given = [fcntl.fcntl(leash, fcntl.F_DUPFD_CLOEXEC, 3)]  # below may be the place of a stream that the master closed
    try:
        given.append(nameless_file("confcast-path"))
        with open(given[-1], "wb", closefd=False) as file:
            file.write(path)
        os.lseek(given[-1], 0, os.SEEK_SET)
        yield given
    finally:
        for descriptor in given:
            os.close(descriptor)


def nameless_file(label: str) -> int:
    """A new file without a name, open for reading and writing, in memory where the system can. Raises OSError."""
    if hasattr(os, "memfd_create"):
        with contextlib.suppress(OSError):  # an old kernel, or a filter of system calls
            return _above_streams(os.memfd_create(label))
    with tempfile.TemporaryFile(buffering=0) as file:
        return _above_streams(os.dup(file.fileno()))


def _above_streams(descriptor: int) -> int:
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(descriptor)
