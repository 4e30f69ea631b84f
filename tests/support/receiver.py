"""A receiver of webhooks: a real HTTP server, whose answers are the test's, and which verifies what it is sent."""

from __future__ import annotations

import http.server
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import standardwebhooks

from tests.support.waiting import eventually

SECRET = "whsec_aHVudGVyMi1odW50ZXIyLWh1bnRlcjItaHVudGVyMg=="
"""It has the sentinel of secrets in it: `hunter2`, once it is decoded; see `traces_of`."""


class Got(NamedTuple):
    """One request, as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def told(self) -> Any:
        return json.loads(self.body)

    @property
    def type(self) -> str:
        return str(self.told["type"]).removeprefix("confcast.")


Answer = int | str | tuple[int, dict[str, str]]
"""A status; a status with headers; `hang`, `close` (without an answer), `half` (of a status), `drip` (a head without
end), `slow` (a good head, and a body without end)."""


class Receiver(http.server.ThreadingHTTPServer):
    """Answers each request by `answer`, which the test may change at any time."""

    daemon_threads = True

    def __init__(self, port: int = 0, secret: str | None = SECRET, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self._scheme = "http" if tls is None else "https"
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.verifier = standardwebhooks.Webhook(secret) if secret is not None else None
        self.answer: Answer | Callable[[Got], Answer] = 200
        self.got: list[Got] = []
        self.unverified: list[str] = []
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.server_port}/hook"

    def await_got(self, count: int = 1, what: str = "what is posted") -> list[Got]:
        """All requests, once there are so many."""
        eventually(lambda: len(self.got) >= count, f"{what}: {count} requests, not {[each.type for each in self.got]}")
        return list(self.got)

    def handle_error(self, *about: object) -> None:
        """A sender that has gone away is no error of the test's."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        got = Got(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        if self.server.verifier is not None:
            try:
                self.server.verifier.verify(body, dict(got.headers))
            except standardwebhooks.WebhookVerificationError as error:
                self.server.unverified.append(str(error))
        self.server.got.append(got)
        answer = self.server.answer
        self._do(answer(got) if callable(answer) else answer)

    def _do(self, answer: Answer) -> None:
        if isinstance(answer, str):
            self._misbehave(answer)
            return
        status, headers = (answer, {}) if isinstance(answer, int) else answer
        self.send_response(status)
        for name, value in {"Content-Length": "2", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"ok")

    def _misbehave(self, how: str) -> None:
        begun = {"half": b"HTTP/1.1 20", "drip": b"HTTP/1.1 200 OK\r\n", "slow": b"HTTP/1.1 200 OK\r\n\r\n"}
        self.wfile.write(begun.get(how, b""))
        self.wfile.flush()
        while how not in ("close", "half") and not self.server.over.wait(0.05):
            if how != "hang":
                self.wfile.write(b"X: y\r\n")
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def do_GET(self) -> None:
        self.server.got.append(Got(self.path, {}, b"{}"))
        self._do(200)

    def log_message(self, *about: object) -> None:
        """Nothing."""


@contextmanager
def receiving(port: int = 0, secret: str | None = SECRET, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """A receiver on the loopback; it ends with the block."""
    receiver = Receiver(port, secret, tls)
    thread = threading.Thread(target=receiver.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.over.set()
        receiver.shutdown()
        thread.join()
        receiver.server_close()
