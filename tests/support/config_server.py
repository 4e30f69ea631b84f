"""A server on loopback that answers with a document, or as a test tells it to, and notes what it was asked."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from tests.support.waiting import eventually

Script = Callable[["Handler"], None]


class Asked(NamedTuple):
    """A request: its path, and its headers by their names in lower case."""

    path: str
    headers: dict[str, str]


class Handler(http.server.BaseHTTPRequestHandler):
    """One request; a script answers it."""

    server: Any
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Note the request, and let the script answer."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append(Asked(self.path, headers))
        self.close_connection = True
        self.server.script(self)

    def give(self, status: int, body: bytes = b"", *, length: int | None = None, **headers: str) -> None:
        """Answer; `length`: what is said of the body's length, -1 for nothing. A name's `_` is a `-`."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length != -1:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def drip(self, byte: bytes = b"H") -> None:
        """Send one byte after the other, until the server ends or the peer does."""
        try:
            while not self.server.over.wait(0.02):
                self.wfile.write(byte)
        except OSError:
            pass

    def log_message(self, *about: object) -> None:
        """Say nothing."""


class ConfigServer(http.server.ThreadingHTTPServer):
    """A server with one document. `script` answers each request, and may be replaced at any time.

    Args:
        body: The document.
        port: Where it listens; 0: at a free port.
        tag: The document's ETag; empty for none.
        context: Has it speak TLS.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self, body: str = "", port: int = 0, tag: str = "", context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.body, self.tag = body, tag
        self.asked: list[Asked] = []
        self.over = threading.Event()
        self.script: Script = self.document
        self._scheme = "http" if context is None else "https"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def url(self, path: str = "/app.toml") -> str:
        """The URL of a path."""
        return f"{self._scheme}://127.0.0.1:{self.server_port}{path}"

    def document(self, request: Handler) -> None:
        """Answer with the document, or with 304 to whoever has it."""
        named = {"ETag": self.tag} if self.tag else {}
        if self.tag and request.headers.get("If-None-Match") == self.tag:
            request.give(304, length=-1, **named)
        else:
            request.give(200, self.body.encode(), **named)

    def hang(self, request: Handler) -> None:
        """Answer nothing, until the server ends."""
        self.over.wait()

    def await_requests(self, number: int) -> None:
        """Return once it was asked so many times in all."""
        eventually(lambda: len(self.asked) >= number, f"request {number}")

    def handle_error(self, *about: object) -> None:
        """A peer that goes away is none."""

    def close(self) -> None:
        """Stop listening, and let each request end."""
        self.over.set()
        self.shutdown()
        self.server_close()
        self._thread.join()


@contextmanager
def config_server(body: str = "", port: int = 0, tag: str = "") -> Iterator[ConfigServer]:
    """A server for a block."""
    server = ConfigServer(body, port, tag)
    try:
        yield server
    finally:
        server.close()


def says(status: int, body: bytes = b"", **more: Any) -> Script:
    """A script that gives this answer."""
    return lambda request: request.give(status, body, **more)
