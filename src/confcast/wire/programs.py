"""Runs a program within a deadline: for a probe, and for the source that is a program's output.

Guaranteed: the program ends at its deadline, whatever it ignores, and with it all that it has started in its process
group; so does what it has left running when it ends by itself. What it says is read as it comes, and bounded. It reads
nothing, inherits no descriptor but its output, and has signals as they are by default: the owner ignores and blocks
some, and shells and `timeout` need them. So it is started by posix_spawn. Rejected: `subprocess` (it resets only three
signals; a function between fork and exec may hang where there are threads), and SIGTERM first (who waits for the
deadline waits for the end, too).
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import selectors
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from confcast.wire.processes import Death

_DEFAULT_AGAIN = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGPIPE, signal.SIGIO)
_MOST_ERRORS = 2000
"""Bytes that are kept of what a program says on its standard error: the last ones, where the reason mostly is."""

_CHUNK = 65536
_running: set[int] = set()  # process groups that are not reaped
_starting = 0  # how many are being started
_ends = 0  # how often `end_all` was called
_lock = threading.Lock()
_started_one = threading.Condition(_lock)
_STARTS_WITHIN = 0.5  # seconds that `end_all` waits for starts under way: one on a disk that hangs holds nobody longer


class NotStarted(OSError):
    """The system could not start the program."""


class Ended(NamedTuple):
    """How a program has ended.

    Attributes:
        status: As waitpid(2) reports it; None if it was killed, at its deadline or for its output.
        output: What it said: on its standard output, or on both where they are merged.
        errors: The end of what it said on its standard error; empty where they are merged.
        too_long: Whether it was killed since it said more than is allowed.
    """

    status: int | None
    output: bytes = b""
    errors: bytes = b""
    too_long: bool = False


def run(
    command: Sequence[str], deadline: float, most: int, *, merged: bool = False, over: Callable[[], bool] = bool
) -> Ended:
    """Run a program until its end, or until the deadline.

    Args:
        command: The program and its arguments; no shell runs it.
        deadline: By `time.monotonic()`.
        most: Bytes of its output. A program that says more is killed; where the outputs are merged, the rest is
            dropped.
        merged: Whether standard error goes to the output, too.
        over: Asked twice a second whether nobody needs the answer any more: then the program is killed.

    Raises:
        NotStarted: There is no such program, or it may not be run.
        OSError: Its end can't be watched; it is killed then.
    """
    with _Pipe() as output, _Pipe() as errors:
        pid = _started(command, output.writable, output.writable if merged else errors.writable)
        output.close_writable()
        errors.close_writable()
        said = _Said(output.readable, errors.readable, most, drops=merged)
        try:
            ended = _follow(pid, said, deadline, over)
        finally:
            status = _reap(pid)
    done = ended and not said.too_long
    return Ended(status if done else None, bytes(said.output), bytes(said.errors), said.too_long)


def end_all() -> None:
    """Kill every program that runs now, or is being started, in whatever thread: this process ends.

    A program runs before the thread that starts it can note it, so this waits a little for starts under way.
    """
    global _ends
    with _lock:
        _ends += 1
        _started_one.wait_for(lambda: not _starting, _STARTS_WITHIN)
        for pid in _running:
            _kill(pid)


class _Pipe:
    """Both ends of a pipe, closed at the end of a block."""

    def __enter__(self) -> _Pipe:
        self.readable, self.writable = os.pipe()
        os.set_blocking(self.readable, False)
        return self

    def close_writable(self) -> None:
        fd, self.writable = self.writable, -1
        if fd >= 0:
            os.close(fd)

    def __exit__(self, *about: object) -> None:
        self.close_writable()
        os.close(self.readable)


class _Said:
    """What a program says, as it is read from its two pipes. `drops`: whether what is too much is dropped."""

    def __init__(self, output: int, errors: int, most: int, *, drops: bool) -> None:
        self.output, self.errors, self.too_long = bytearray(), bytearray(), False
        self.open = {output, errors}
        self._output, self._most, self._drops = output, most, drops

    def read(self, fd: int) -> bool:
        """Take what is there. Returns whether there may be more."""
        try:
            read = os.read(fd, _CHUNK)
        except BlockingIOError:
            return False
        if not read:
            self.open.discard(fd)
        elif fd != self._output:
            self.errors = (self.errors + read)[-_MOST_ERRORS:]
        elif not self._drops:
            self.output += read
            self.too_long = len(self.output) > self._most
        elif len(self.output) < self._most:
            self.output = (self.output + read)[: self._most]
        return bool(read) and not self.too_long

    def drain(self, deadline: float) -> None:
        """Take what is left once the program has ended; what it has left running may still write, without end."""
        for fd in tuple(self.open):
            while self.read(fd) and not self._drops and time.monotonic() < deadline:
                pass


def _started(command: Sequence[str], output: int, errors: int) -> int:
    """Start the program, the leader of a new process group. Returns its pid. Raises NotStarted."""
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output, 1),
        (os.POSIX_SPAWN_DUP2, errors, 2),
        *((os.POSIX_SPAWN_CLOSE, fd) for fd in _inherited()),
    ]
    _end_with_this_process()
    with _noting() as note:
        try:  # without the lock: a program on a disk that hangs keeps its start waiting
            pid = os.posix_spawnp(
                command[0],
                list(command),
                os.environ,
                file_actions=actions,
                setpgroup=0,
                setsigmask=(),
                setsigdef=_DEFAULT_AGAIN,
            )
        except OSError as error:
            raise NotStarted(error.errno, error.strerror) from None
        note(pid)
    return pid


@contextlib.contextmanager
def _noting() -> Iterator[Callable[[int], None]]:
    """In the block a program is being started, and then noted; killed at once if `end_all` was called meanwhile."""
    global _starting
    with _lock:
        _starting += 1
        ends = _ends

    def note(pid: int) -> None:
        with _lock:
            _running.add(pid)
            if _ends != ends:
                _kill(pid)

    try:
        yield note
    finally:
        with _lock:
            _starting -= 1
            _started_one.notify_all()


@functools.cache
def _end_with_this_process() -> None:
    """Have `end_all` called at the exit of a process that does not call it: its threads end without their deadlines."""
    atexit.register(end_all)


def _inherited() -> Iterator[int]:
    """The descriptors that a child would inherit, but for the first three: somebody has made them so."""
    with contextlib.suppress(OSError):  # nothing is mounted there
        for entry in sorted(Path("/dev/fd").iterdir()):
            with contextlib.suppress(OSError, ValueError):  # that of the folder itself, closed by now
                if (fd := int(entry.name)) > 2 and os.get_inheritable(fd):
                    yield fd


def _follow(pid: int, said: _Said, deadline: float, over: Callable[[], bool]) -> bool:
    """Read what the program says. Returns whether it has ended by itself. Raises OSError, if it can't be watched."""
    with contextlib.closing(Death(pid)) as death, selectors.DefaultSelector() as selector:
        selector.register(death, selectors.EVENT_READ)
        for fd in said.open:
            selector.register(fd, selectors.EVENT_READ)
        while not said.too_long and not over() and (left := deadline - time.monotonic()) > 0:
            ready = {key.fileobj for key, _ in selector.select(min(left, 0.5))}
            for fd in tuple(said.open):
                if fd in ready and not said.read(fd) and fd not in said.open:
                    selector.unregister(fd)
            if death in ready:
                said.drain(deadline)
                return True
    return False


def _reap(pid: int) -> int:
    """Kill what is left of the program's group, and take its status."""
    _kill(pid)  # not reaped yet, so that no other process has its pid
    with _lock:
        _running.discard(pid)
    return os.waitpid(pid, 0)[1]


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # not permitted: another user's; on macOS, dead
        os.killpg(pid, signal.SIGKILL)
