"""Upstreams to try the proxy with: small HTTP servers on free ports of the loopback, in threads of this process.

`/stream` answers in lines as they come; `/health` is well; every other path says what has arrived there.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

_MOST_LINES = 1000


class Stub:
    """One upstream. It serves from its construction until `close()`.

    Args:
        name: What its answers say.
        fails: Whether all its answers but `/health` have status 500: no health check sees that, only requests do.

    Attributes:
        url: Its address.
        connections: How many are open.
        proceed: A stream waits for it before each line but the first; it is set from the beginning.
    """

    def __init__(self, name: str, *, fails: bool = False) -> None:
        self.name, self.fails = name, fails
        self.connections = 0
        self.proceed = threading.Event()
        self.proceed.set()
        self.closing = threading.Event()
        self.lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.stub = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name=f"stub-{name}")
        self._thread.start()

    def close(self) -> None:
        """Stop, and end every connection."""
        self.closing.set()
        self.proceed.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    stub: Stub
    daemon_threads = True
    request_queue_size = 128

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self.stub.lock:
            self.stub.connections += 1
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self.stub.lock:
                self.stub.connections -= 1

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that has gone."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def handle_one_request(self) -> None:
        if self.server.stub.closing.is_set():
            self.close_connection = True
            return
        super().handle_one_request()

    def answer(self) -> None:
        """Answer whatever was asked."""
        where, body = urlsplit(self.path), self._body()
        stub = self.server.stub
        if where.path == "/stream" and not stub.fails:
            self._stream(where.query)
            return
        failed = stub.fails and where.path != "/health"
        said = {
            "upstream": stub.name,
            "method": self.command,
            "path": self.path,
            "tenant": self.headers.get("x-tenant"),
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": body.decode(errors="replace"),
        }
        self._send(500 if failed else 200, {"upstream": stub.name, "error": "it fails"} if failed else said)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the base calls them so

    def _send(self, status: int, document: dict[str, Any]) -> None:
        content = json.dumps(document).encode() + b"\n"
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _stream(self, query: str) -> None:
        """Lines in chunks: `?lines=3&every=0.1`."""
        asked = parse_qs(query)
        lines, every = (float(asked.get(name, [default])[0]) for name, default in (("lines", "3"), ("every", "0")))
        self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        stub = self.server.stub
        for number in range(1, min(int(lines), _MOST_LINES) + 1):
            if number > 1:
                stub.closing.wait(every)
                stub.proceed.wait()
            self._chunk(f"line {number} from {stub.name}\n".encode())
        self._chunk(b"")

    def _chunk(self, content: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(content), content))

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base's name
        """Log nothing."""
