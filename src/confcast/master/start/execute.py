"""The owner's process: an exec'd child that has one end of the channel to the master, and nothing else of the master.

Its standard input is /dev/null, its standard output and error are one descriptor that the caller gives, its environment
is the master's, and signals that a master sends stay blocked until it has handlers. interpreter.py finds the program;
surroundings.py says what of the environment an owner that is not to be instrumented gets late.

Rejected: `multiprocessing.Process` (in a prefork server a worker's atexit terminates it, and it may hold the listening
socket).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator

from confcast.master.start.interpreter import Command
from confcast.master.start.popen import content, started
from confcast.wire.role import OWNER
from confcast.wire.signal_mask import held_back


def execute(channel: int, streams: int, command: Command, passed: tuple[int, ...] = ()) -> int:
    """Start an owner's process. HUP, USR1 and RTMIN stay blocked until it has handlers: none kills it, or is lost.

    Args:
        channel: The descriptor of the owner's end of the channel; the caller closes its own copy.
        streams: The owner's standard output and error; `subprocess.DEVNULL` drops them.
        command: The program to start.
        passed: Further descriptors that the owner gets under the same numbers.

    Returns:
        The owner's pid. The caller watches its end by a pidfd, and reaps it.

    Raises:
        OSError: No process can be made.
    """
    with _to_be_passed(channel, content(command)) as given, held_back():
        process = started(
            command, [OWNER, *map(str, given)], stdout=streams, stderr=streams, pass_fds=(*given, *passed)
        )
    # From here on the pidfd reports the process's end. Popen would wait for it, warn of it in forked children, and take
    # another process's reaping of it for a clean exit.
    process.returncode = 0
    return process.pid


def nameless_file(label: str) -> int:
    """Open a new file without a name for reading and writing, in memory if the system can do that. Raises OSError."""
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


@contextlib.contextmanager
def _to_be_passed(channel: int, path: bytes | None) -> Iterator[list[int]]:
    """The descriptors whose numbers are arguments of the owner, in their order."""
    given = [fcntl.fcntl(channel, fcntl.F_DUPFD_CLOEXEC, 3)]  # a lower number may be a closed stream's of the master
    try:
        if path is not None:
            given.append(nameless_file("confcast-path"))
            with open(given[-1], "wb", closefd=False) as file:
                file.write(path)
            os.lseek(given[-1], 0, os.SEEK_SET)
        yield given
    finally:
        for descriptor in given:
            os.close(descriptor)
