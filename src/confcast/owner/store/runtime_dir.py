"""The runtime directory: an owner's control socket and files, made at its start, and made anew when they were deleted.

An owner has two folders, often the same: the runtime directory for the control socket and the snapshot file, and the
state folder for the lock, the journal and the in-progress file. While another generation's owner holds the lock of the
state folder, this owner keeps these three files in its runtime directory, until the state folder is free.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from confcast.config.sources import last_known
from confcast.errors import ConfcastError
from confcast.owner.store import host_id
from confcast.owner.store.allowed_uids import AllowedUids
from confcast.owner.store.handover import NUMBER
from confcast.owner.store.identity import Identity, identity
from confcast.owner.store.runtime_lock import LockTaken, RuntimeLock
from confcast.wire import listener
from confcast.wire.files import about, goodbye_files, snapshot_file
from confcast.wire.files.about import About
from confcast.wire.files.owner_dirs import FORMER, HANDOVER, TAKE_OVER

_LOCK, _JOURNAL, _IN_PROGRESS = _IN_STATE_FOLDER = ("lock", "journal", "loading")
_IN_RUNTIME_DIR = (snapshot_file.FILE, about.FILE, _IN_PROGRESS, HANDOVER, NUMBER, FORMER, TAKE_OVER)
_TRIES = 3
"""How often a folder is emptied: a next owner may write its number there meanwhile, and a worker that it has left."""


class RuntimeDir:
    """The runtime directory and the state folder of one owner. For one thread.

    Args:
        folder: The runtime directory; mode 0700, or as `allowed_uids` says.
        state_folder: The state folder that was asked for.
        lock: This owner's lock, not acquired yet.
        apart: Whether another generation's owner may hold the state folder: then this one does not try it at the start.
        allowed_uids: The workers' user, where it differs from the owner's.

    Attributes:
        address: The control socket's path.
        state_folder: The state folder in use; `folder` while another owner has the one that was asked for.
        awaited: The state folder that was asked for, while another owner has it; otherwise None.
        was_missing: Whether the runtime directory was not there at the last `listen()`.
    """

    def __init__(
        self,
        folder: Path,
        state_folder: Path,
        lock: RuntimeLock,
        *,
        apart: bool = False,
        allowed_uids: AllowedUids = AllowedUids(),  # noqa: B008 - immutable
    ) -> None:
        self.folder = folder
        self.address = folder / listener.SOCKET
        self.state_folder = folder if apart else state_folder
        self.awaited = state_folder if self.state_folder != state_folder else None
        self.allowed_uids = allowed_uids
        self.was_missing = False
        self._lock = lock
        self._about: About | None = None
        self._noted: dict[int, goodbye_files.Writer] = {}
        self._socket: Identity | None = None
        self._socket_name = str(self.address)  # looked at before each load: a Path takes longer than the look

    @property
    def journal(self) -> Path:
        """The journal's path."""
        return self.state_folder / _JOURNAL

    @property
    def in_progress_file(self) -> Path:
        """The in-progress file's path."""
        return self.state_folder / _IN_PROGRESS

    def listen(self) -> socket.socket:
        """Make missing files, acquire the lock, and listen on the control socket. May be called again.

        Raises:
            ConfcastError: Another owner holds the lock, and its master lives; or the socket's path is too long; or
                the runtime directory belongs to another user; or a state folder apart from it can't be used.
            OSError: The runtime directory can't be made or written.
        """
        self.was_missing = not self.folder.is_dir()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_that_it_is_mine(self.folder)
        with self._state_folder_in_words():
            self.state_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._acquire_lock()
        self.allowed_uids.open_folder(self.folder)
        theirs = self.allowed_uids
        goodbye_files.make_folder(self.folder, theirs.uid, theirs.gid, shared=theirs.shared)
        for each in self._noted.values():
            with contextlib.suppress(OSError):
                goodbye_files.write_of(self.folder, each)
        if self._about is not None:
            self.describe(self._about)
        listening = listener.listen(self.address, theirs.uid, theirs.group)
        self._socket = identity(self.address)
        return listening

    def save(self, schema: bytes, version: int, digest: bytes, payload: bytes) -> None:
        """Write the snapshot file. Raises OSError, and then leaves none: a worker would start from an old version."""
        try:
            theirs = self.allowed_uids
            snapshot_file.save(self.folder, schema, version, digest, payload, uid=theirs.uid, gid=theirs.group)
        except OSError:
            snapshot_file.remove(self.folder)
            raise

    def describe(self, server: About) -> None:
        """Write to which server this owner belongs, now and whenever the folder is made anew. Raises OSError."""
        self._about = server
        about.save(self.folder, server, uid=self.allowed_uids.uid, gid=self.allowed_uids.group)

    def note(self, member: goodbye_files.Writer) -> None:
        """Write a note of a worker that could not be written to the roster, also whenever the folder is made anew.

        Raises OSError.
        """
        self._noted[member[0]] = member
        goodbye_files.write_of(self.folder, member)

    def take_note_back(self, pid: int) -> None:
        """Remove the note of this process, if there is one. Raises OSError."""
        if (member := self._noted.pop(pid, None)) is not None:
            goodbye_files.remove_of(self.folder, member)

    def missing(self) -> Path | None:
        """The path of the control socket or the lock, if it no longer leads to this owner's; None while both do."""
        if not self._listens_there():
            return self.address
        lock = f"{self.state_folder}/{_LOCK}"  # a Path takes longer than the look at it
        return None if self._lock.holds(lock) else Path(lock)

    def remove_files(self) -> None:
        """Delete the files of this owner, unless another owner listens here by now. Never raises.

        A state folder apart from the runtime directory keeps its files. Only for an owner that no other follows: a
        restarted one starts from these files. Must be called before the lock is released.
        """
        if not self._listens_there():
            return
        paths = [self.address, *(self.folder / name for name in _IN_RUNTIME_DIR)]
        if self.folder == self.state_folder:
            paths.append(self.folder / host_id.FILE)
            paths += [path for name in (*_IN_STATE_FOLDER, last_known.PREFIX) for path in self.folder.glob(f"{name}*")]
        for _ in range(_TRIES):
            for path in paths:
                with contextlib.suppress(OSError):
                    path.unlink()
            with contextlib.suppress(OSError):
                goodbye_files.remove_folder(self.folder)
            with contextlib.suppress(OSError):
                self.folder.rmdir()
                break

    @contextlib.contextmanager
    def moving(self) -> Iterator[bool]:
        """Use the awaited state folder in the block and afterwards, unless the block raises.

        Yields:
            Whether the folder is free; if not, nothing changes.
        """
        assert self.awaited is not None
        former = self.state_folder
        try:
            with self._lock.moving_to(self.awaited / _LOCK) as free:
                if free:
                    self.state_folder = self.awaited
                yield free
        except BaseException:
            self.state_folder = former
            raise
        if free:
            self.awaited = None
            with contextlib.suppress(OSError):  # deleted with the folder; the move is done
                (former / _LOCK).unlink()

    @contextlib.contextmanager
    def leaving(self) -> Iterator[None]:
        """Use the runtime directory in place of the state folder in the block and afterwards, unless it raises."""
        former = self.state_folder
        self.state_folder = self.folder
        try:
            with self._lock.moving_to(self.folder / _LOCK) as free:
                if not free:
                    raise ConfcastError(f"the lock in {self.folder} is held by another process")
                yield
        except BaseException:
            self.state_folder = former
            raise

    def _listens_there(self) -> bool:
        return self._socket is not None and identity(self._socket_name) == self._socket

    @contextlib.contextmanager
    def _state_folder_in_words(self) -> Iterator[None]:
        """Raise a ConfcastError that says what to do for what the system raises about a folder that a person named."""
        try:
            yield
        except (FileExistsError, FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
            if self.state_folder == self.folder:
                raise
            why = "it is no folder" if isinstance(error, FileExistsError) else error.strerror
            advice = f"give a folder that uid {os.geteuid()} may write"
            raise ConfcastError(f"the state_dir {self.state_folder} can't be used: {why}; {advice}") from error

    def _acquire_lock(self) -> None:
        try:
            self._lock.acquire(self.state_folder / _LOCK)
        except LockTaken:
            if not self._lock.follows or self.state_folder == self.folder:
                raise
            self.awaited, self.state_folder = self.state_folder, self.folder
            self._lock.acquire(self.state_folder / _LOCK)


def _check_that_it_is_mine(folder: Path) -> None:
    """Refuse another user's folder, perhaps made after this owner's folder was deleted. Raises ConfcastError."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise ConfcastError(f"{folder} belongs to another user (uid {status.st_uid}): nothing is put into it")
