"""Where an owner lives: its lock, its control socket, its files; made, and made anew when they were cleaned away.

One owner per generation: the lock is held for life. Found busy, its holder is asked for: while that one's master
lives, this owner refuses to start and names it; when its master is dead, or is ours and has started this owner in its
place, the holder is one too many, and is killed. What is not to be told is left alone, and refused. An owner of a next
generation lives in its run-time folder instead, until the state folder is free.
Rejected: a pid file alone (it outlives its process), and epochs instead of the lock (workers stay on the pipe of a
stopped owner for ever).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from confcast.errors import ConfcastError
from confcast.owner.store.allowed_uids import AllowedUids
from confcast.wire import listener, processes
from confcast.wire.files import about, goodbye_files, snapshot_file
from confcast.wire.files.about import About
from confcast.wire.master_channel import HANDOVER

_MINE = ("lock", "journal", "loading")
_ALWAYS_MINE = (snapshot_file.FILE, about.FILE, "loading", HANDOVER, f"{HANDOVER}.number")
_PATIENCE = 5.0


class LockHolder(msgspec.Struct, frozen=True):
    """Who holds the lock, as written into it: pids with their start times, and the configuration's name."""

    owner: int
    owner_started: int
    master: int
    master_started: int
    name: str


class _Taken(ConfcastError):
    """Another owner lives there, and its master lives."""


class RuntimeDir:
    """The run-time folder and the state folder (often the same) of one owner.

    Args:
        folder: For the control socket and the snapshot file; 0700, but for guests.
        state_folder: For the lock, the journal and the mark of what is being loaded.
        holder: What to write into the lock.
        follows: It is the owner of a next generation: while another owner lives in the state folder it does without.
        apart: A next generation may have the state folder by now: it does without from the start.
        allowed_uids: The workers' user, where it is another one.

    Attributes:
        address: The control socket's path.
    """

    def __init__(
        self,
        folder: Path,
        state_folder: Path,
        holder: LockHolder,
        *,
        follows: bool = False,
        apart: bool = False,
        allowed_uids: AllowedUids = AllowedUids(),  # noqa: B008 - immutable
    ) -> None:
        self.folder = folder
        self.address = folder / listener.SOCKET
        self.state_folder = folder if apart else state_folder
        self.awaited = state_folder if self.state_folder != state_folder else None  # once no other owner has it
        self.allowed_uids = allowed_uids
        self._holder = holder
        self._follows = follows
        self._about: About | None = None
        self._lock = -1
        self._socket: tuple[int, int] | None = None

    @property
    def journal(self) -> Path:
        """The journal's path."""
        return self.state_folder / "journal"

    @property
    def in_progress_file(self) -> Path:
        """Where it stands what is being loaded."""
        return self.state_folder / "loading"

    def acquire(self) -> socket.socket:
        """Make what is missing, take the lock, and listen.

        Raises:
            ConfcastError: Another owner holds the lock, and its master lives; or the socket's path is too long; or
                the run-time folder is somebody else's.
            OSError: A folder can't be made or written.
        """
        for folder in (self.folder, self.state_folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_that_it_is_mine(self.folder)
        self._take_lock()
        self.allowed_uids.open_folder(self.folder)
        goodbye_files.make_folder(self.folder, self.allowed_uids.uid, self.allowed_uids.gid)
        if self._about is not None:
            self.describe(self._about)
        listening = listener.listen(self.address, self.allowed_uids.uid)
        self._socket = _identity(self.address)
        return listening

    def save(self, schema: bytes, version: int, digest: bytes, payload: bytes) -> None:
        """Write the snapshot file. Raises OSError; then there is none, for a worker would start on an old one."""
        try:
            snapshot_file.save(self.folder, schema, version, digest, payload, uid=self.allowed_uids.uid)
        except OSError:
            snapshot_file.remove(self.folder)
            raise

    def describe(self, told: About) -> None:
        """Tell of the server whose owner lives here, also in a folder that is made anew. Raises OSError."""
        self._about = told
        about.save(self.folder, told, uid=self.allowed_uids.uid)

    def missing(self) -> Path | None:
        """What does not lead to this owner any more: its control socket, or its lock; None while both do."""
        if not self._listens_there():
            return self.address
        lock = f"{self.state_folder}/lock"  # at each load and each commit: a Path takes longer than the look at it
        return None if self._lock >= 0 and _identity(lock) == _identity(self._lock) else Path(lock)

    def release(self) -> None:
        """Take away what this owner made, and nothing of a state folder that was asked for. Never raises.

        Only for an owner that nobody follows: a restarted one stands on these files.
        """
        if self._listens_there():
            if self.folder == self.state_folder:
                mine = [path for name in _MINE for path in self.folder.glob(f"{name}*")]
            else:
                mine = []
            for path in (self.address, *(self.folder / name for name in _ALWAYS_MINE), *mine):
                with contextlib.suppress(OSError):
                    path.unlink()
            with contextlib.suppress(OSError):
                goodbye_files.remove_folder(self.folder)
            with contextlib.suppress(OSError):
                self.folder.rmdir()
        self.unlock()

    def unlock(self) -> None:
        """Give the lock back."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    @contextlib.contextmanager
    def moving(self) -> Iterator[bool]:
        """Whether the awaited state folder is free. It is this owner's inside, and from then on unless it raises."""
        assert self.awaited is not None
        before = self.state_folder, self._lock
        fd = os.open(self.awaited / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _try_lock(fd):
            os.close(fd)
            yield False
            return
        try:
            self._sign(fd)
            self.state_folder, self._lock = self.awaited, fd
            yield True
        except BaseException:
            self.state_folder, self._lock = before
            os.close(fd)
            raise
        self.awaited = None
        os.close(before[1])
        with contextlib.suppress(OSError):  # it goes with the folder, and the move is done
            (before[0] / "lock").unlink()

    def _listens_there(self) -> bool:
        return self._socket is not None and _identity(self.address) == self._socket

    def _take_lock(self) -> None:
        path = self.state_folder / "lock"
        if self._lock >= 0 and _identity(path) == _identity(self._lock):
            return
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._lock_or_fight(fd)
            self._sign(fd)
        except _Taken:
            os.close(fd)
            if not self._follows or self.state_folder == self.folder:
                raise
            self.awaited, self.state_folder = self.state_folder, self.folder
            self._take_lock()
            return
        except BaseException:
            os.close(fd)
            raise
        self.unlock()
        self._lock = fd

    def _sign(self, lock: int) -> None:
        body = msgspec.json.encode(self._holder)
        os.pwrite(lock, body, 0)  # over what stands there: a full disk has room for that
        os.ftruncate(lock, len(body))

    def _lock_or_fight(self, fd: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not _try_lock(fd):
            holder = _read_holder(fd)
            if holder is not None:
                self._evict(holder)
            if time.monotonic() > deadline:
                raise ConfcastError(
                    f"the lock in {self.state_folder} is held, but not by whom it names ({holder}): a process that "
                    "the former owner started has it open; end that one"
                )
            time.sleep(0.02)

    def _evict(self, holder: LockHolder) -> None:
        successor = (holder.master, holder.name) == (self._holder.master, self._holder.name) and not self._follows
        if not successor and processes.is_alive(holder.master, holder.master_started):
            raise _Taken(
                f"{self.state_folder} is in use by the config owner {holder.owner} of the master {holder.master} "
                f"({holder.name}); two managers need a state_dir each"
            )
        with contextlib.suppress(ProcessLookupError), contextlib.closing(processes.Death(holder.owner)) as death:
            if processes.started(holder.owner) == holder.owner_started:
                death.signal(signal.SIGKILL)
                death.wait(_PATIENCE)


def _check_that_it_is_mine(folder: Path) -> None:
    """One that was cleaned away can have been made by anybody by now, where anybody may make folders."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise ConfcastError(f"{folder} belongs to another user (uid {status.st_uid}): nothing is put into it")


def _identity(place: Path | str | int) -> tuple[int, int] | None:
    try:
        status = os.stat(place)  # noqa: PTH116 - a path or a descriptor
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise
        return False
    return True


def _read_holder(fd: int) -> LockHolder | None:
    """None in the moment between a lock being taken and its holder being written."""
    try:
        return msgspec.json.decode(os.pread(fd, 4096, 0), type=LockHolder)
    except msgspec.DecodeError:
        return None
