"""How an owner's process is made: an exec'd child that holds nothing of the master but its end of the leash.

Standard input is /dev/null, standard output goes to standard error, or both to another descriptor of the master's (a
daemon has closed its own), and SIGHUP is blocked until the owner can take it.

Rejected: `multiprocessing.Process` (in a prefork server a worker's atexit terminates it, and it may hold the listening
socket).
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import confcast

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


def execute(leash: int, output: Output) -> int:
    """Start an owner's process. Its SIGHUP stays blocked until it has a handler: no trigger kills it, none is lost.

    Args:
        leash: The descriptor of its end; the caller closes its own copy.
        output: Where it writes.

    Returns:
        Its pid. Nobody waits for it: the caller hears of its end by a pidfd, and reaps it.

    Raises:
        OSError: No process can be made.
    """
    home = str(Path(confcast.__file__).parents[1])
    path = os.pathsep.join([home, *filter(None, [os.environ.get("PYTHONPATH")])])
    streams = _usable(output)
    leash = fcntl.fcntl(leash, fcntl.F_DUPFD_CLOEXEC, 3)  # below may be the place of a stream that the master closed
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        process = subprocess.Popen(  # noqa: S603 - our own module, by our own interpreter
            # -P: else the working directory is the first place where it looks for every module, the standard library's
            # too. What the master imports from there, it names in its orders.
            [sys.executable, "-P", "-m", "confcast.owner", str(leash)],
            stdin=subprocess.DEVNULL,
            stdout=streams,
            stderr=streams,
            pass_fds=(leash,),
            env={**os.environ, "PYTHONPATH": path},
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        os.close(leash)
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
