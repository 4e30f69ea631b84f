"""A committed version that a program inherits from `confcast exec`, so that it starts on it at once.

It is a nameless file in memory (elsewhere than on Linux: an unlinked one, of mode 0600), whose descriptor the program
inherits; `CONFCAST_SNAPSHOT_<NAME>` has the descriptor's number and what the file is recognised by. Guarantees: the
content, which may have secrets, is in no environment and under no name, and ends with its last reader. A number that
means another file by now (a process between closed it) is left alone. The first `attach()` in a process takes it, and
closes the descriptor; a shell that runs several programs gives it to each, and so does a server to what it forks.

Rejected: a file with a name (whoever replaces itself by the program can't remove it), and the owner's own snapshot file
(it is gone with its server, and a job may start after that).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import NamedTuple

import msgspec

from confcast.wire.address import address_variable, is_name, snapshot_variable
from confcast.wire.decoders import decode
from confcast.wire.files.snapshot_file import Saved
from confcast.wire.messages import MAX_FRAME, PROTOCOL, UNDECODABLE, WithSecrets

_LEAST_FD = 64
"""The lowest number that is taken: scripts use 3 to 9 for themselves, and systemd passes sockets from 3 on."""

_MOST = MAX_FRAME + 4096


class Inherited(WithSecrets, frozen=True, array_like=True):
    """The version, and when `confcast exec` found it, in seconds since 1970."""

    SHOWN = ("found",)

    found: float
    saved: Saved

    @property
    def age(self) -> float:
        """Seconds since it was found."""
        return max(0.0, time.time() - self.found)


class _Place(NamedTuple):
    fd: int
    device: int
    inode: int


def hand_over(name: str, saved: Saved) -> None:
    """Have the program by which this process replaces itself inherit this version. Raises OSError.

    Sets the variable in this process's environment. A version that this process has inherited itself is closed.
    """
    take(name, name)
    fd = _nameless(msgspec.msgpack.encode(Inherited(time.time(), saved)))
    status = os.fstat(fd)
    os.environ[snapshot_variable(name)] = f"{fd}:{status.st_dev}:{status.st_ino}"


def take(name: str, address: str) -> Inherited | None:
    """The version that this process has inherited, for an `attach()` to this address; None if there is none.

    It is that of the owner in the environment: a process that attaches elsewhere does not start on it. It can be taken
    once: the descriptor is closed, and the variable removed.
    """
    variable = snapshot_variable(name)
    if variable not in os.environ or not (is_name(address, name) or address == os.environ.get(address_variable(name))):
        return None
    place = _parsed(os.environ.pop(variable))
    if place is None or not _is_there(place):
        return None
    try:
        body = os.pread(place.fd, min(os.fstat(place.fd).st_size, _MOST), 0)  # not read(): all share the offset
        found = decode(body, Inherited)
    except (OSError, *UNDECODABLE):
        return None
    finally:
        os.close(place.fd)
    return found if found.saved.protocol == PROTOCOL else None


def _nameless(body: bytes) -> int:
    """An inheritable descriptor of a file without a name that has this content. Raises OSError."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("confcast-snapshot", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    else:
        import tempfile  # imported here: it imports half a MiB of compression

        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    try:
        os.fchmod(fd, 0o600)
        while body:
            body = body[os.write(fd, body) :]
        if hasattr(os, "memfd_create"):
            seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, seals)
        return _inheritable(fd)
    finally:
        os.close(fd)


def _inheritable(fd: int) -> int:
    """A copy of this descriptor that a program inherits, out of the way of what the program uses."""
    with contextlib.suppress(OSError):  # the limit of open files is below it
        return fcntl.fcntl(fd, fcntl.F_DUPFD, _LEAST_FD)
    return fcntl.fcntl(fd, fcntl.F_DUPFD, 3)


def _parsed(text: str) -> _Place | None:
    parts = text.split(":")
    if len(parts) != 3 or not all(part.isascii() and part.isdecimal() and len(part) < 20 for part in parts):
        return None
    return _Place(*map(int, parts))


def _is_there(place: _Place) -> bool:
    """Whether the descriptor is open, and is the file that was handed over."""
    try:
        status = os.fstat(place.fd)
    except (OSError, OverflowError):
        return False
    return (status.st_dev, status.st_ino, status.st_nlink) == (place.device, place.inode, 0)
