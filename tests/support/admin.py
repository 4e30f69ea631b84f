"""A real `confcast admin`, and those who ask it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.programs import ROOT
from tests.support.waiting import DEADLINE, eventually


class AdminServer:
    """`confcast admin` as a process; after `kill`, `start` has it listen where it did before.

    Args:
        folder: For its tokens and what it says.
        *arguments: Of the command, beside where it listens and its tokens.
        program: The module that is run, with its first arguments.
    """

    def __init__(self, folder: Path, *arguments: str, program: tuple[str, ...] = ("confcast", "admin")) -> None:
        self.tokens, self._log = folder / "tokens", folder / "admin.log"
        self._program, self._arguments = program, arguments
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = threading.RLock()

    def start(self) -> AdminServer:
        """Start it, unless it runs, and return when it listens. For any thread, as `start_again` is."""
        with self._turn:
            return self if self._process is not None else self._start()

    def _start(self) -> AdminServer:
        bind = ["--bind", f"127.0.0.1:{self._port}", "--token-file", str(self.tokens)]
        with self._log.open("wb") as log:
            command = [sys.executable, "-m", *self._program, *bind, *self._arguments]
            self._process = subprocess.Popen(command, stderr=log, stdout=log, cwd=ROOT, env=_without_owners())
        self._port = int(eventually(self._listens, "the admin server listens"))
        return self

    def _listens(self) -> str:
        assert self._process is not None
        text = self._log.read_text()
        assert self._process.poll() is None, text
        _, found, rest = text.partition("://127.0.0.1:")
        return rest.split("\n")[0].strip("/") if found and "\n" in rest else ""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        """The port of that."""
        return self._port

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def said(self) -> str:
        """What it has written since it was started."""
        return self._log.read_text()

    def token(self, role: str) -> str:
        """Its `read` or its `write` token."""
        lines = [line.split() for line in self.tokens.read_text().splitlines() if not line.startswith("#")]
        return next(words[2] for words in lines if words[1] == role)

    def client(self, role: str = "write", **query: str) -> Api:
        """Somebody who has its token of this role; `query` is in each URL."""
        return Api(self._port, self.token(role), query)

    @property
    def is_running(self) -> bool:
        """Whether it was started, and has not ended since."""
        return self._process is not None and self._process.poll() is None

    def start_again(self) -> AdminServer:
        """After its end, by whomever; unless it runs."""
        with self._turn:  # two would start one each, of which nobody ends the first
            if self._process is not None and self._process.poll() is not None:
                self._process = None
            return self.start()

    def kill(self, number: int = signal.SIGKILL) -> int:
        """End it; returns its exit status when it is gone."""
        assert self._process is not None
        self._process.send_signal(number)
        status = self._process.wait(DEADLINE)
        self._process = None
        return status

    def close(self) -> None:
        """End it, if it runs."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self.kill(signal.SIGTERM)


def _without_owners() -> dict[str, str]:
    """The environment without what names the owner of this process."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CONFCAST_ADDRESS_")}


class Answer(NamedTuple):
    """An answer: its status, its headers by lower-case names, and its data."""

    status: int
    headers: dict[str, str]
    data: Any

    @property
    def tag(self) -> str:
        """Its ETag."""
        return self.headers["etag"]


class Api:
    """Somebody who asks.

    Args:
        port: Where it listens.
        token: What is shown; empty for nothing.
        query: What is in each URL.
    """

    def __init__(self, port: int, token: str, query: Mapping[str, str] | None = None) -> None:
        self._port, self._token, self._query = port, token, dict(query or {})

    def get(self, path: str, **headers: str) -> Answer:
        """GET /v1/PATH."""
        return self.ask("GET", f"/v1/{path}", None, **headers)

    def post(self, path: str, body: Any = None, match: str | int | None = None, **headers: str) -> Answer:
        """POST /v1/PATH; `match`: the version that was seen."""
        if match is not None:
            headers["if-match"] = match if isinstance(match, str) else f'"{match}"'
        return self.ask("POST", f"/v1/{path}", json.dumps(body or {}).encode(), **headers)

    def ask(self, method: str, target: str, body: bytes | None = None, **headers: str) -> Answer:
        """Any request; an underscore in a header's name is a hyphen."""
        given = {"authorization": f"Bearer {self._token}"} if self._token else {}
        given |= {"content-type": "application/json"} if body is not None else {}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        if self._query:
            joint = "&" if "?" in target else "?"
            target += joint + "&".join(f"{name}={value}" for name, value in self._query.items())
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=DEADLINE)
        with contextlib.closing(connection):
            connection.request(method, target, body, given)
            response = connection.getresponse()
            content = response.read()
        found = {name.lower(): value for name, value in response.getheaders()}
        is_json = found.get("content-type", "").endswith("json") and content
        return Answer(response.status, found, json.loads(content) if is_json else content.decode())

    @contextlib.contextmanager
    def events(self, last: str = "") -> Iterator[Events]:
        """The event stream, for the time of the block; `last`: the id of the last event that is known."""
        with socket.create_connection(("127.0.0.1", self._port), DEADLINE) as connection:
            connection.sendall(self.wish("/v1/events", last))
            with contextlib.closing(Events(connection)) as events:
                yield events

    def wish(self, path: str, last: str = "") -> bytes:
        """A GET as it is sent."""
        query = "".join(f"?{name}={value}" for name, value in self._query.items())
        lines = [f"GET {path}{query} HTTP/1.1", f"Host: 127.0.0.1:{self._port}", f"Authorization: Bearer {self._token}"]
        return "\r\n".join([*lines, *([f"Last-Event-ID: {last}"] if last else []), "", ""]).encode()


class Event(NamedTuple):
    """One event of a stream."""

    kind: str
    data: Any
    id: str


class Events:
    """Reads an event stream."""

    def __init__(self, connection: socket.socket) -> None:
        self._file, self._end = connection.makefile("rb"), 0.0
        self.status = int((self._file.readline() or b"HTTP/1.1 0").split()[1])
        while self._file.readline().strip():
            pass
        assert self.status == 200, self._file.read(1000)

    def close(self) -> None:
        """Read no more."""
        self._file.close()

    def next(self, *kinds: str) -> Event:
        """The next event of one of these kinds; others are passed over. Raises EOFError at the stream's end."""
        self._end = time.monotonic() + DEADLINE
        while True:
            found = self._event()
            if found.kind in kinds:
                return found

    def until(self, kind: str, wanted: Any) -> Event:
        """The next event of this kind whose data are wanted."""
        while not wanted((found := self.next(kind)).data):
            pass
        return found

    def _event(self) -> Event:
        fields = dict[str, str]()
        while True:
            line = self._line()
            if not line and "data" in fields:
                return Event(fields["event"], json.loads(fields["data"]), fields.get("id", ""))
            name, _, value = line.partition(": ")
            if name:
                fields[name] = value

    def _line(self) -> str:
        """The next line that is no frame of HTTP's chunks."""
        while True:
            size = self._file.readline()
            if not size:
                raise EOFError
            assert time.monotonic() < self._end, "heartbeats, and nothing else"
            if size.startswith((b"event: ", b"id: ", b"data: ", b":")) or size == b"\n":
                return "" if size.startswith(b":") else size.decode().rstrip("\n")


def resident(pid: int) -> int:
    """Bytes of memory that a process has."""
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))
