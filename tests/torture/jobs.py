"""Servers that speak no HTTP: a program of jobs with `multiprocessing`, and the same program below `confcast serve`."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any, Self

from tests.support.server import Server
from tests.support.waiting import DEADLINE, eventually
from tests.torture.client import PATIENCE, Answer, Wish, of_data


class Jobs(Server):
    """A program whose manager and workers are its own.

    Args:
        folder: For its files.
        workers: How many.
        options: The manager's.
        environment: For its processes.
    """

    LISTENING = r"jobs at port (\d+)"

    def __init__(
        self, folder: Path, *, workers: int, options: dict[str, Any], environment: dict[str, str] | None = None
    ) -> None:
        super().__init__(folder, environment=environment)
        self._workers, self._options = workers, options

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "jobs.py", str(self._workers), json.dumps(self._options)]

    def wanted(self) -> int:
        return self._workers

    def ask(self, path: str) -> Any:
        """One job, over a connection of its own."""
        return talk(self.port, {"what": path})

    def roots(self) -> list[int]:
        """The processes below which all others are, while they run: the pid of one that has ended may be another's."""
        return [self.pid] if self._is_running() else []


class Served(Jobs):
    """`confcast serve`, and beside it the program, whose workers attach to its address.

    Args:
        folder: For its files.
        workers: How many.
        options: The owner's, as flags.
        environment: For its processes.

    Attributes:
        address: Where processes attach, whatever owner serves.
    """

    def __init__(
        self, folder: Path, *, workers: int, options: list[str], environment: dict[str, str] | None = None
    ) -> None:
        super().__init__(folder, workers=workers, options={}, environment=environment)
        self._flags = options
        self.address = self.runtime.with_suffix(".sock")
        self._program: subprocess.Popen[bytes] | None = None
        self._former: list[subprocess.Popen[bytes]] = []
        self._turn = threading.Lock()

    def command(self, *arguments: str) -> list[str]:
        serve = [sys.executable, "-m", "confcast", "serve", "--loader", "sources:loader"]
        return [*serve, "--address", str(self.address), *self._flags, *arguments]

    def start(self, *arguments: str) -> Self:
        self.launch(*arguments)
        eventually(lambda: "serving version" in self.log() or not self._is_running(), "a serve")
        with (self.folder / "log").open("ab") as log:
            self._program = subprocess.Popen(
                [sys.executable, "jobs.py", str(self._workers)],
                cwd=self.folder,
                env={**os.environ, **self._environment, **self._marks(), "CONFCAST_ADDRESS_APP": str(self.address)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self.await_workers()

    def start_again(self) -> None:
        """After its death, or beside it: another `confcast serve` takes the address, and so its place.

        If that one ends before it serves, the one beside which it was started is the master still.
        """
        with self._turn:
            self._start_again()

    def _start_again(self) -> None:
        former, before = self._process, self.log().count("serving version")
        assert former is not None
        self._former.append(former)
        self.launch("--take-over")
        eventually(lambda: self.log().count("serving version") > before or not self._is_running(), "the next serve")
        if self.log().count("serving version") == before and former.poll() is None:
            self._former.remove(former)
            self._process = former

    def roots(self) -> list[int]:
        mine = [self._process, *self._former, self._program]
        return [each.pid for each in mine if each is not None and each.poll() is None]

    def end(self) -> None:
        """The program first: its workers would wait for another owner."""
        try:
            for each in [self._program, *self._former]:
                if each is not None:
                    with contextlib.suppress(ProcessLookupError):
                        each.send_signal(signal.SIGTERM)
                    each.wait(DEADLINE)
        finally:
            try:
                super().end()
                assert not self.address.is_symlink(), "the address is there after the end"
            finally:
                self.address.unlink(missing_ok=True)


def talk(port: int, job: dict[str, Any]) -> Any:
    """One job over a connection of its own."""
    with contextlib.closing(Connection(lambda: port)) as connection:
        return connection.talk(job)


class Connection:
    """Asks a program of jobs."""

    def __init__(self, port: Any) -> None:
        self._port = port
        self._socket: socket.socket | None = None
        self._stream: Any = None

    def ask(self, wish: Wish) -> Answer:
        if wish.fresh:
            self.close()
        data = self.talk({"waits": wish.waits, "pause": wish.pause, "entity": wish.entity})
        return of_data(data["status"], data)

    def talk(self, job: dict[str, Any]) -> Any:
        """A job, and its answer. Raises OSError."""
        try:
            if self._socket is None:
                self._socket = socket.create_connection(("127.0.0.1", self._port()), PATIENCE)
                self._stream = self._socket.makefile("rw")
            self._stream.write(json.dumps(job) + "\n")
            self._stream.flush()
            line = self._stream.readline()
        except BaseException:
            self.close()
            raise
        if not line:
            self.close()
            raise ConnectionResetError("the connection ended before an answer")
        return json.loads(line)

    def close(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._stream.close()
            self._socket.close()
            self._socket = None
