"""The lasting address of a `confcast serve`: a symbolic link to its owner's control socket.

Guarantees. The link is put there by a rename, so that a process that connects finds the former owner or the next one,
never none. What confcast did not put there is never replaced, and neither is a link to an owner that serves, unless the
caller takes that one's place. Of two processes that begin at once one wins, and the other is told: both look and rename
under a lock on the folder. A link that a killed process has left is replaced.

Rejected: a lock file beside the link (one more file, which nobody removes).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from confcast.errors import ConfcastError
from confcast.master import folders
from confcast.texts import printable
from confcast.wire.files import lasting_address, owner_dirs
from confcast.wire.files.owner_dirs import OwnerDir
from confcast.wire.listener import SOCKET, check_length

_LOCKED_WITHIN, _PAUSE = 5.0, 0.01
"""Seconds to wait for the lock, which others hold for some system calls only, and between two tries."""
_KINDS = ((stat.S_ISSOCK, "a socket"), (stat.S_ISDIR, "a folder"))


class AddressRefused(ConfcastError):
    """The address can't be used: it is something else's, or another owner serves there."""


class AddressLink:
    """The link at one path. May be used from any thread.

    Args:
        path: Where it is; made absolute here.

    Raises:
        AddressRefused: The path is too long for a socket.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(os.path.abspath(path))  # noqa: PTH100 - not resolved: a folder on the way may be a link
        try:
            check_length(self.path)
        except ConfcastError as error:
            raise AddressRefused(str(error).partition(";")[0] + "; give a shorter --address") from None

    def owner(self) -> OwnerDir | None:
        """The owner that serves there now; None where none does, so that the path may be taken.

        Raises:
            AddressRefused: Something that confcast did not make is there, or its folder can't be used.
        """
        try:
            mode = self.path.lstat().st_mode
        except FileNotFoundError:
            self._check_folder()
            return None
        except OSError as error:
            raise AddressRefused(f"--address {self._shown} can't be looked at: {error.strerror}") from None
        if not stat.S_ISLNK(mode):
            what = next((words for is_kind, words in _KINDS if is_kind(mode)), "a file")
            raise AddressRefused(
                f"--address {self._shown} is {what}, which `confcast serve` did not make: remove it, or give "
                "another path"
            )
        target = self.path.parent / self.path.readlink()
        found = owner_dirs.parse(target.parent)
        if found is None or target.name != SOCKET:
            raise AddressRefused(
                f"--address {self._shown} is a link to {printable(str(target))}, which is no config owner's: remove "
                "it, or give another path"
            )
        return found if found.lives() or folders.has_an_owner(found) else None

    def take(self, control_socket: str, *, instead_of: Path | None = None) -> None:
        """Have the path lead to this control socket from now on.

        Args:
            control_socket: The owner's, which serves already.
            instead_of: The runtime directory of the owner that may serve there now, and is replaced.

        Raises:
            AddressRefused: Another owner serves there by now, or the path can't be written.
        """
        with self._locked():
            present = self.owner()
            if present is not None and present.path not in (instead_of, Path(control_socket).parent):
                raise self.is_taken(present)
            try:
                lasting_address.lead(self.path, control_socket)
            except OSError as error:
                raise AddressRefused(f"--address {self._shown} can't be written: {error.strerror}") from None

    def leads_to(self, control_socket: str) -> bool:
        """Whether the path leads to this control socket."""
        with contextlib.suppress(OSError):
            return self.path.readlink() == Path(control_socket)
        return False

    def give_back(self, control_socket: str) -> None:
        """Remove the link, if it still leads to this control socket. Raises nothing."""
        with contextlib.suppress(AddressRefused, OSError), self._locked():
            if self.leads_to(control_socket):
                self.path.unlink()

    def is_taken(self, by: OwnerDir) -> AddressRefused:
        """The error for an address at which this owner serves."""
        who = f"process {by.master}" + (f" ({printable(by.command())})" if by.command() else "")
        return AddressRefused(f"--address {self._shown} is served by {who}: `--take-over` replaces it")

    @property
    def _shown(self) -> str:
        return printable(str(self.path))

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock on the folder, while this process looks at the link and replaces it."""
        try:
            fd = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise self._no_folder(error) from None
        try:
            self._lock(fd)
            yield
        finally:
            os.close(fd)

    def _lock(self, fd: int) -> None:
        deadline = time.monotonic() + _LOCKED_WITHIN
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise AddressRefused(
                        f"--address {self._shown}: another process holds a lock on {self.path.parent}"
                    ) from None
                time.sleep(_PAUSE)
            else:
                return

    def _check_folder(self) -> None:
        try:
            status = self.path.parent.stat()
        except OSError as error:
            raise self._no_folder(error) from None
        if not stat.S_ISDIR(status.st_mode) or not os.access(self.path.parent, os.W_OK | os.X_OK):
            raise AddressRefused(
                f"--address {self._shown}: this user (uid {os.geteuid()}) can't write in {self.path.parent}"
            )

    def _no_folder(self, error: OSError) -> AddressRefused:
        return AddressRefused(
            f"--address {self._shown}: the folder {self.path.parent} can't be used: {error.strerror}; make it (a "
            "service's RuntimeDirectory= does)"
        )
