"""The control socket, to which every worker and client connects, and the identity of the process at the other end.

The socket is bound under a temporary name, closed to others (0600) before it listens, and renamed into place: no
process connects to a half-made socket. Only its owner unlinks it, under the lock, when it exits. A peer is known by
what the kernel says of it (SO_PEERCRED; LOCAL_PEERCRED on macOS), never by what it says itself. Rejected: abstract
sockets (they have no permissions), a token in the environment (it shows in /proc and in logs), and a umask around the
binding (it is the whole process's, and a validator may be writing a file just then).
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from pathlib import Path
from typing import NamedTuple

from confcast.errors import ConfcastError

SOCKET = "control.sock"
"""Its name in the run-time folder."""

FRESH = f".{SOCKET}"
"""Its name until it listens. There is one owner at a time, so one that a killed owner has left is not in use."""

MAX_PATH = 103 if sys.platform == "darwin" else 107
"""Bytes that `sockaddr_un` has for a path, without the closing zero."""

_BACKLOG = 1024


class Peer(NamedTuple):
    """The process at the other end of a connection, as the kernel identifies it."""

    pid: int
    uid: int


def listen(path: Path, uid: int = -1) -> socket.socket:
    """Put a non-blocking listening socket, 0600, at this path atomically.

    Args:
        path: The socket's path, whose name is `SOCKET`.
        uid: The user that is to own the socket; -1: this process's.

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
        os.chown(fresh, uid, -1)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        fresh.rename(path)
    except BaseException:
        listener.close()
        raise
    return listener


def check_length(path: Path) -> None:
    """Raises ConfcastError, in words, for a path that no socket can have."""
    length = len(os.fsencode(path))
    if length > MAX_PATH:
        raise ConfcastError(
            f"the control socket's path has {length} bytes, and the system allows {MAX_PATH}: {path}; "
            "set CONFCAST_RUNTIME_DIR to a shorter folder"
        )


def peer_of(connection: socket.socket) -> Peer:
    """The process at the other end. Raises OSError when it has exited already, or the system can't tell."""
    if sys.platform == "darwin":
        return _peer_of_darwin(connection)
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
    pid, uid, _ = struct.unpack("iII", credentials)
    return Peer(pid, uid)


def _peer_of_darwin(connection: socket.socket) -> Peer:
    """By sys/un.h: SOL_LOCAL 0, LOCAL_PEERCRED 1 (struct xucred: version, uid, …), LOCAL_PEERPID 2."""
    credentials = connection.getsockopt(0, 1, 76)
    pid = connection.getsockopt(0, 2, 4)
    return Peer(struct.unpack("i", pid)[0], struct.unpack_from("II", credentials)[1])
