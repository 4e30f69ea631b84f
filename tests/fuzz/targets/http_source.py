"""What a configuration server answers, byte by byte: over a real socket, to a load, a look, and a load after that.

An input is up to three answers, each behind its length. Declared: ConfigError (`config/sources/http.py`).
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

from confcast import ConfigError, Http
from confcast.config.sources import polled
from confcast.wire import http_exchange
from tests.fuzz.bounds import Cut, Finding, joined
from tests.fuzz.loading import SENTINEL, tokens

TOKENS = [
    *tokens("toml"),
    *(
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 304 N\r\n",
        b"HTTP/1.1 503 U\r\nRetry-After: 5\r\n",
        b"HTTP/1.1 302 F\r\nLocation: /b.toml\r\n",
    ),
    *(
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n",
        b'ETag: "a"\r\n',
        b"Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n",
    ),
    *(
        b"Content-Type: text/html\r\n",
        b"Content-Encoding: gzip\r\n",
        b"\r\n\r\n",
        b"5\r\na = 1\r\n0\r\n\r\n",
        b"Date: ",
    ),
]
_OK, _AGO = b"HTTP/1.1 200 OK\r\n", b"Last-Modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
_CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n5\r\na = 1\r\n0\r\n\r\n"


def seeds():
    whole, none = _OK + b'Content-Length: 5\r\nETag: "a"\r\n\r\na = 1', b"Content-Length: 0\r\n\r\n"
    away, same = b"HTTP/1.1 503 No\r\nRetry-After: 9\r\n" + none, b"HTTP/1.1 304 Not Modified\r\n\r\n"
    yield joined(whole, same, away)
    yield joined(b"HTTP/1.1 302 F\r\nLocation: /b\r\n" + none, _OK + _CHUNKED)
    yield joined(_OK + b"Content-Length: 9\r\n" + _AGO + b"\r\na = 1", whole)
    yield joined(b"HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\n<p>", b"")


def one(data: bytes) -> None:
    cut = Cut(data)
    answers = [cut.chunk() for _ in range(3)]
    source = Http("http://127.0.0.1:1/a.toml?token=x", every=1e-9, format="toml", timeout=5.0)
    polled._records.clear()
    with _answered_by(answers):
        _read(source)
        assert source.poll() >= 0.0
        _read(source)
    source.stale()
    assert source.content_fingerprint()


def _read(source: Http) -> None:
    try:
        assert isinstance(source.read().data, dict)
    except ConfigError as error:
        if not error.problems or SENTINEL in str(error):
            raise Finding(f"no problem, or one that quotes the answer: {error}") from error


@contextlib.contextmanager
def _answered_by(answers: list[bytes]) -> Any:
    """Each connection that is made meanwhile gets the next answer, and its end."""
    import http.client

    def connect(connection: Any) -> None:
        ours, its = socket.socketpair()
        answer = answers.pop(0) if answers else b""
        its.sendall(answer)
        its.shutdown(socket.SHUT_WR)
        threading.Thread(target=_swallow, args=(its,), daemon=True).start()
        ours.settimeout(connection.timeout)
        connection.sock = ours

    before = http.client.HTTPConnection.connect
    http.client.HTTPConnection.connect = connect  # type: ignore[method-assign]
    try:
        yield
    finally:
        http.client.HTTPConnection.connect = before  # type: ignore[method-assign]


def _swallow(its: socket.socket) -> None:
    with its, contextlib.suppress(OSError):
        while its.recv(65536):
            pass


assert http_exchange.get  # imported before the time counts
