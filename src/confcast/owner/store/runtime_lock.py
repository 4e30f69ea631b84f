"""The lock of a runtime directory: each generation has one owner, which holds the lock for as long as it lives.

Guarantees. The kernel releases the lock when its holder dies, however it dies. An owner that finds the lock held reads
the holder from the file. While the holder's master lives, the new owner refuses to start, and names the holder. When
that master is dead, or has started the new owner in the holder's place, the new owner kills the holder. A process that
the lock does not name (a program that a dead owner started has the file open) is not killed: the start fails.

Rejected: a pid file alone (the file outlives its process), and epochs instead of the lock (workers stay connected to a
stopped owner for ever).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from confcast.errors import ConfcastError
from confcast.owner.store.identity import Identity, identity
from confcast.wire import processes
from confcast.wire.files.whole_files import named
from confcast.wire.messages import UNDECODABLE

_RELEASED_WITHIN = 5.0
"""Seconds that a new owner waits for a lock whose holder it has killed, or can't identify."""


_LENGTH = 256
"""Bytes of a file's text: with a pid of one digit more it would be longer, and a full disk has no room for that."""


class LockHolder(msgspec.Struct, frozen=True):
    """The process that holds the lock, as its file says: pids with their start times, and a configuration's name."""

    owner: int
    owner_started: int
    master: int
    master_started: int
    name: str


class LockTaken(ConfcastError):
    """Another owner holds the lock, and its master lives."""


class RuntimeLock:
    """One owner's lock: on no file until `acquire()`, then on one file at a time. For one thread.

    Args:
        holder: What to write into the file: this process and its master.
        follows: Whether this owner begins a next generation: it never kills the former owner of its own master, which
            serves until its last worker is replaced.
    """

    def __init__(self, holder: LockHolder, *, follows: bool = False) -> None:
        self.follows = follows
        self._holder = holder
        self._fd = -1
        self._identity: Identity | None = None

    def acquire(self, path: Path) -> None:
        """Acquire the lock at this path, and release the lock that was held before.

        Raises:
            LockTaken: Another owner holds it, and its master lives.
            ConfcastError: A process holds it that the file does not identify.
            OSError: The file can't be opened or written.
        """
        if self.holds(path):
            return
        fd = _open(path)
        try:
            self._wait_for(fd, path)
            self._sign(fd, path)
        except BaseException:
            os.close(fd)
            raise
        self.release()
        self._fd, self._identity = fd, identity(fd)

    def holds(self, path: Path | str) -> bool:
        """Whether the lock is held, and this path still leads to its file."""
        return self._fd >= 0 and identity(path) == self._identity

    def release(self) -> None:
        """Release the lock, if it is held; the file remains."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    @contextlib.contextmanager
    def moving_to(self, path: Path) -> Iterator[bool]:
        """Hold the lock at another path after the block, unless the block raises; the former lock is held until then.

        Yields:
            Whether that lock was free; if not, nothing changes.
        """
        fd = _open(path)
        try:
            if free := _try_lock(fd):
                self._sign(fd, path)
            yield free
        except BaseException:
            os.close(fd)
            raise
        if free:
            fd, self._fd, self._identity = self._fd, fd, identity(fd)
        os.close(fd)

    def _sign(self, fd: int, path: Path) -> None:
        body = msgspec.json.encode(self._holder).ljust(_LENGTH)
        try:
            os.pwrite(fd, body, 0)  # overwrites the former text, which is as long: a full disk has room for that
            os.ftruncate(fd, len(body))
        except OSError as error:
            raise named(error, str(path)) from None

    def _wait_for(self, fd: int, path: Path) -> None:
        deadline = time.monotonic() + _RELEASED_WITHIN
        while not _try_lock(fd):
            holder = _read_holder(fd)
            if holder is not None:
                self._evict(holder, path)
            if time.monotonic() > deadline:
                raise ConfcastError(
                    f"the lock in {path.parent} is held, but not by whom it names ({holder}): a process that "
                    "the former owner started has it open; end that one"
                )
            time.sleep(0.02)

    def _evict(self, holder: LockHolder, path: Path) -> None:
        successor = (holder.master, holder.name) == (self._holder.master, self._holder.name) and not self.follows
        if not successor and processes.is_alive(holder.master, holder.master_started):
            raise LockTaken(
                f"{path.parent} is in use by the config owner {holder.owner} of the master {holder.master} "
                f"({holder.name}); two managers need a state_dir each"
            )
        with contextlib.suppress(ProcessLookupError), contextlib.closing(processes.Death(holder.owner)) as death:
            if processes.started(holder.owner) == holder.owner_started:
                death.signal(signal.SIGKILL)
                death.wait(_RELEASED_WITHIN)


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # EWOULDBLOCK, or EACCES on some file systems
        return False
    return True


def _read_holder(fd: int) -> LockHolder | None:
    """The holder that the file names; None while it is written, and where it names none."""
    try:
        return msgspec.json.decode(os.pread(fd, 4096, 0), type=LockHolder)
    except UNDECODABLE:
        return None
