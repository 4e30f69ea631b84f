"""The control socket: where every pipe is opened, and who may open one.

The socket is bound under a name of its own, closed to others (0600) before it listens, and renamed into place: a
knock never meets a half-made socket. Only the owner whose socket it is unlinks it, under its lock, when it leaves.
A peer is known by what the kernel says of it (SO_PEERCRED; LOCAL_PEERCRED on macOS), never by what it says itself.
Rejected: abstract sockets (no permissions at all), a token in the environment (it shows in /proc and in logs), and a
umask around the binding (it is the whole process's, and a validator may be writing a file just then).
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
"""Its name until it listens. There is one owner at a time, so a leftover of a killed one is in nobody's use."""

MAX_PATH = 103 if sys.platform == "darwin" else 107
"""Bytes that `sockaddr_un` has for a path, without the closing zero."""

_BACKLOG = 1024


class Peer(NamedTuple):
    """The process at the other end, as the kernel knows it."""

    pid: int
    uid: int


def listen(path: Path, uid: int = -1) -> socket.socket:
    """A non-blocking listening socket at this path (whose name is `SOCKET`), 0600, put there atomically.

    Args:
        path: Where.
        uid: To whom it is given; -1: it is this user's.

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
    """Who is at the other end. Raises OSError when it is gone already, or the system can't tell."""
    if sys.platform == "darwin":
        return _peer_of_darwin(connection)
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("iII"))
    pid, uid, _ = struct.unpack("iII", credentials)
    return Peer(pid, uid)


def _peer_of_darwin(connection: socket.socket) -> Peer:
    """From sys/un.h: SOL_LOCAL 0, LOCAL_PEERCRED 1 (struct xucred: version, uid, …), LOCAL_PEERPID 2."""
    credentials = connection.getsockopt(0, 1, 76)
    pid = connection.getsockopt(0, 2, 4)
    return Peer(struct.unpack("i", pid)[0], struct.unpack_from("II", credentials)[1])
