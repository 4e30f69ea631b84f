"""As much of a PostgreSQL server as a driver needs to connect and to ask for a number.

It asks for a password in clear text, and refuses a wrong one. Every query has one row with the number 1.
"""

from __future__ import annotations

import contextlib
import socketserver
import struct
import threading
from collections.abc import Iterator
from typing import Any

_TLS = 80877103
_READY = b"Z" + struct.pack("!ic", 5, b"I")


class Postgres:
    """Listens from `with` to its end.

    Args:
        password: The one that is right.
    """

    def __init__(self, password: str) -> None:
        self.password = password
        self.open = 0
        self._lock = threading.Lock()
        server = self

        class Session(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(ConnectionError, EOFError):
                    server._serve(self)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session)
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        """What a driver is given; without a password."""
        return f"postgresql://ada@127.0.0.1:{self._server.server_address[1]}/shop"

    def __enter__(self) -> Postgres:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *about: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, session: Any) -> None:
        while struct.unpack("!i", _read(session, _length(session))[:4])[0] == _TLS:
            session.wfile.write(b"N")
        session.wfile.write(_message(b"R", struct.pack("!i", 3)))
        _, password = _next(session)
        if password.rstrip(b"\0").decode() != self.password:
            fields = b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed\0\0"
            session.wfile.write(_message(b"E", fields))
            return
        session.wfile.write(_message(b"R", struct.pack("!i", 0)))
        for name, value in (("server_version", "16.4"), ("client_encoding", "UTF8")):
            session.wfile.write(_message(b"S", f"{name}\0{value}\0".encode()))
        session.wfile.write(_message(b"K", struct.pack("!ii", 1, 1)) + _READY)
        self._count(1)
        try:
            for kind, _ in iter(lambda: _next(session), (b"X", b"")):
                session.wfile.write(b"".join(_answers(kind)))
        finally:
            self._count(-1)

    def _count(self, more: int) -> None:
        with self._lock:
            self.open += more


def _answers(kind: bytes) -> Iterator[bytes]:
    if kind == b"P":
        yield _message(b"1")
    elif kind == b"D":
        yield _message(b"t", struct.pack("!h", 0))
        yield _message(b"T", struct.pack("!h", 1) + b"number\0" + struct.pack("!ihihih", 0, 0, 23, 4, -1, 0))
    elif kind == b"B":
        yield _message(b"2")
    elif kind == b"E":
        yield _message(b"D", struct.pack("!hii", 1, 4, 1)) + _message(b"C", b"SELECT 1\0")
    elif kind == b"C":
        yield _message(b"3")
    elif kind == b"Q":
        yield _message(b"C", b"SELECT 1\0") + _READY
    elif kind == b"S":
        yield _READY


def _message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _next(session: Any) -> tuple[bytes, bytes]:
    kind = _read(session, 1)
    return kind, _read(session, _length(session))


def _length(session: Any) -> int:
    return int(struct.unpack("!i", _read(session, 4))[0]) - 4


def _read(session: Any, count: int) -> bytes:
    got = session.rfile.read(count)
    if len(got) < count:
        raise EOFError
    return bytes(got)
