"""Where metrics are served: `HOST:PORT`, with this host alone as the default, since metrics have no password."""

from __future__ import annotations

import errno
import os
import socket
from contextlib import ExitStack
from typing import NamedTuple

from confcast.errors import ConfcastError
from confcast.texts import printable

LOOPBACK = "127.0.0.1"
_BACKLOG = 128
_HIGHEST = 65535


class InUse(ConfcastError):
    """Another process listens there."""


class Address(NamedTuple):
    """A host, as a name or a number, and a port; 0: a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(text: str) -> Address:
    """What `127.0.0.1:9150`, `[::1]:9150`, `localhost:9150`, `:9150` or `9150` names. Raises ValueError."""
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]") and ":" in host:
        host = host[1:-1]
    elif ":" in host or "[" in host or "]" in host:
        raise ValueError(f"{text!r}: an IPv6 address is written in brackets, as [::1]:9150")
    if not (port.isascii() and port.isdigit()) or int(port) > _HIGHEST:
        raise ValueError(f"{text!r} is no address: give HOST:PORT, as {LOOPBACK}:9150")
    return Address(host or LOOPBACK, int(port))


def bind(address: Address) -> list[socket.socket]:
    """Sockets that listen there: one, or one for each address that a name has.

    Raises:
        InUse: The port is another process's.
        ConfcastError: The host is unknown, or this user may not have the port.
    """
    with ExitStack() as opened:
        try:
            places = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            sockets = []
            port = address.port
            for family, where in dict.fromkeys((each[0], each[4]) for each in places):
                made = opened.enter_context(
                    socket.create_server((*where[:1], port, *where[2:]), family=family, backlog=_BACKLOG)
                )
                port = port or made.getsockname()[1]  # a name with two addresses has one port
                sockets.append(made)
        except OSError as error:
            known = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or error
            kind = InUse if error.errno == errno.EADDRINUSE else ConfcastError
            raise kind(f"--metrics {printable(str(address))}: {known}") from None
        opened.pop_all()
    return sockets
