"""The control socket, to which every worker and client connects, and the identity of the process at the other end.

The socket is bound under a temporary name, closed to others (0600) before it listens, and renamed into place: no
process connects to a half-made socket. Only the socket's owner unlinks it, under the lock, when the owner exits. A peer
is identified by the kernel (SO_PEERCRED; LOCAL_PEERCRED on macOS), never by what it says itself. Rejected: abstract
sockets (they have no permissions), a token in the environment (it shows in /proc and in logs), and a umask around the
binding (it holds for the whole process, and a validator may be writing a file at that moment).
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from pathlib import Path
from typing import NamedTuple

from confcast.errors import ConfcastError

SOCKET = "control.sock"
"""The socket's name in the runtime directory."""

FRESH = f".{SOCKET}"
"""The socket's name until it listens. There is one owner at a time, so one that a killed owner left is not in use."""

MAX_PATH = 103 if sys.platform == "darwin" else 107
"""Bytes that `sockaddr_un` has for a path, without the terminating zero."""

_BACKLOG = 1024
_PEERGROUPS = 59
"""SO_PEERGROUPS of Linux, since 4.13; Python has no name for it."""
_MANY, _MOST = 256, 65536
"""How many groups a process usually has at the most, and how many Linux allows."""


class Peer(NamedTuple):
    """The process at the other end of a connection, as the kernel identifies it."""

    pid: int
    uid: int


def listen(path: Path, uid: int = -1, gid: int = -1) -> socket.socket:
    """Put a non-blocking listening socket at this path atomically: of mode 0600, or 0660 for a group.

    Args:
        path: The socket's path, which ends with `SOCKET`.
        uid: The user to whom the socket will belong; -1 for this process's.
        gid: The group whose members may connect, too; -1 for none.

    Raises:
        ConfcastError: The path is too long for a socket.
        OSError: The folder can't be written.
    """
    fresh = path.with_name(FRESH)
    check_length(fresh)
    fresh.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(os.fspath(fresh))
        fresh.chmod(0o600)
        os.chown(fresh, uid, gid)
        if gid >= 0:
            fresh.chmod(0o660)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        fresh.rename(path)
    except BaseException:
        listener.close()
        raise
    return listener


def check_length(path: Path) -> None:
    """Raise ConfcastError, in words, for a path that is too long for a socket."""
    length = len(os.fsencode(path))
    if length > MAX_PATH:
        raise ConfcastError(
            f"the control socket's path has {length} bytes, and the system allows {MAX_PATH}: {path}; "
            "set CONFCAST_RUNTIME_DIR to a shorter folder"
        )


def peer_of(connection: socket.socket) -> Peer:
    """The process at the other end. Raises OSError if it has exited already, or the system can't identify it."""
    if sys.platform == "darwin":
        return _peer_of_darwin(connection)
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
    pid, uid, _ = struct.unpack("iII", credentials)
    return Peer(pid, uid)


def is_of_group(connection: socket.socket, gid: int) -> bool:
    """Whether the process at the other end was in this group when it connected, as its own or a further one.

    Where the system tells no groups, the socket's mode has told them apart: then each peer is. `gid` -1: no group, and
    nobody is in it. Raises OSError.
    """
    if gid < 0 or sys.platform != "linux":
        return gid >= 0
    *_, own = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII")))
    if own == gid:
        return True
    try:
        further = connection.getsockopt(socket.SOL_SOCKET, _PEERGROUPS, 4 * _MANY)
    except OSError as error:
        if error.errno != errno.ERANGE:
            return error.errno == errno.ENOPROTOOPT
        further = connection.getsockopt(socket.SOL_SOCKET, _PEERGROUPS, 4 * _MOST)
    return gid in struct.unpack(f"{len(further) // 4}I", further)


def _peer_of_darwin(connection: socket.socket) -> Peer:
    """As in sys/un.h: SOL_LOCAL 0, LOCAL_PEERCRED 1 (struct xucred: version, uid, …), LOCAL_PEERPID 2."""
    credentials = connection.getsockopt(0, 1, 76)
    pid = connection.getsockopt(0, 2, 4)
    return Peer(struct.unpack("i", pid)[0], struct.unpack_from("II", credentials)[1])
