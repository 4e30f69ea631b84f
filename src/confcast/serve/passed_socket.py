"""The socket that a service manager passes (`LISTEN_FDS`): it outlives the process, so that no connection is refused.

Each owner accepts on it, besides its own control socket; while there is none, connections wait in it. Its path is the
lasting address, and is never removed: it is the service manager's. The link `PATH.folder` beside it leads to the
runtime directory of the present owner, for the files there (`wire/files/lasting_address.py`).

The protocol is that of `sd_listen_fds(3)`: descriptors from 3 on, for the process that `LISTEN_PID` names; the
variables are unset, since no child of this process is meant. Rejected: an abstract socket (it has no permissions).
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import socket
import stat
from collections.abc import MutableMapping
from pathlib import Path

from confcast.log_fields import about
from confcast.serve.address_link import AddressRefused
from confcast.texts import printable
from confcast.wire.files import lasting_address

_log = logging.getLogger("confcast.serve")

_FIRST = 3
_MOST = 64


class PassedSocket:
    """One listening socket that was passed. For the main thread.

    Args:
        descriptor: Of the socket; it stays open as long as the process.
        path: Its path.

    Attributes:
        descriptor: As given.
        path: As given.
    """

    def __init__(self, descriptor: int, path: Path) -> None:
        self.descriptor = descriptor
        self.path = path
        self._link = Path(lasting_address.folder_link(str(path)))

    def lead_to(self, folder: Path) -> None:
        """Have the link beside the socket lead to this runtime directory. If it can't be made, that is logged."""
        try:
            lasting_address.lead(self._link, folder)
        except OSError as error:
            text = (
                "no link %s can be made (%s): a process that starts while no owner answers waits for one, and finds no "
                "snapshot file; let this user write in the socket's folder"
            )
            fields = about("folder_not_linked", path=self._link, error=error)
            _log.warning(text, self._link, error.strerror, extra=fields)

    def give_back(self, folder: Path) -> None:
        """Remove the link, if it still leads to this runtime directory. Raises nothing."""
        with contextlib.suppress(OSError):
            if self._link.readlink() == folder:
                self._link.unlink()


def passed(name: str, environment: MutableMapping[str, str] = os.environ) -> PassedSocket | None:
    """The socket that was passed to this process for the configuration `name`; None if none was.

    The variables are removed from the environment in any case.

    Args:
        name: Of several sockets, the one with this name (`FileDescriptorName=`) is meant.
        environment: Where the variables are.

    Raises:
        AddressRefused: What was passed is no listening Unix socket with a path, or none of several has the name.
    """
    pid, count, names = (environment.pop(each, "") for each in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
    if not count:
        return None
    if not count.isdecimal() or not 0 < int(count) <= _MOST:
        raise AddressRefused(f"LISTEN_FDS={printable(count)}: a number of descriptors from 1 to {_MOST} is expected")
    if pid != str(os.getpid()):
        text = (
            "LISTEN_FDS is for the process %s, and not for this one (%d): the socket is not used. A shell before this "
            "command must `exec` it"
        )
        whose = printable(pid) or "that LISTEN_PID does not name"
        _log.warning(text, whose, os.getpid(), extra=about("socket_not_passed", listen_pid=pid))
        return None
    descriptors = range(_FIRST, _FIRST + int(count))
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    return _checked(_chosen(name, list(descriptors), names.split(":") if names else []))


def _chosen(name: str, descriptors: list[int], names: list[str]) -> int:
    if len(descriptors) == 1:
        return descriptors[0]
    found = [each for each, its in zip(descriptors, names, strict=False) if its == name]
    if len(found) != 1:
        told = printable(", ".join(names)) or "none has a name"
        raise AddressRefused(
            f"{len(descriptors)} sockets were passed ({told}), and one for {name!r} is expected: give it "
            f"FileDescriptorName={name}"
        )
    return found[0]


def _checked(descriptor: int) -> PassedSocket:
    """The socket of this descriptor. Raises AddressRefused: it is none on which an owner can accept."""
    what = f"the descriptor {descriptor}, which LISTEN_FDS passes,"
    try:
        is_socket = stat.S_ISSOCK(os.fstat(descriptor).st_mode)
    except OSError:
        raise AddressRefused(f"{what} is not open") from None
    if not is_socket:
        raise AddressRefused(f"{what} is no socket: one of ListenStream=/run/NAME/config.sock is expected")
    with socket.socket(fileno=os.dup(descriptor)) as opened:
        if opened.family != socket.AF_UNIX or opened.type != socket.SOCK_STREAM:
            raise AddressRefused(f"{what} is no Unix stream socket: ListenStream=/run/NAME/config.sock is expected")
        if not opened.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise AddressRefused(f"{what} does not listen: it is a connection's; Accept=no is expected")
        path = opened.getsockname()
    if not isinstance(path, str) or not path.startswith("/"):
        raise AddressRefused(f"{what} has no path: ListenStream=/run/NAME/config.sock is expected")
    if not Path(path).is_socket():
        raise AddressRefused(f"{what} has lost its path {printable(path)}, so nobody can connect: restart its .socket")
    return PassedSocket(descriptor, Path(path))
