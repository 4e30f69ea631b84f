"""A real server, with the application of `tests/support/site`, in a folder of its own.

What is the same whatever serves it. A subclass says how its server is started (`command`), and where its log says that
it listens (`LISTENING`). Everything it starts has its run-time folder in the environment: that is how what it leaves is
found, whoever its parent is by then.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from tests.support.leaks import is_running
from tests.support.waiting import DEADLINE, eventually

SITE = Path(__file__).with_name("site")


class Server:
    """One server. Started by `start`, and not by the constructor.

    Args:
        folder: For its files.
        environment: For its processes.
    """

    LISTENING: ClassVar[str]
    """What its log says when it listens, as a regular expression; its first group is the port."""

    def __init__(self, folder: Path, *, environment: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.runtime = Path(tempfile.mkdtemp(prefix="cc-"))
        self.port = 0
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None
        shutil.copytree(SITE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        self.number = 0
        self.tls: ssl.SSLContext | None = None  # what to ask with, where it serves TLS
        self.change()

    # ---- what a subclass says

    def command(self, *arguments: str) -> list[str]:
        """What starts it."""
        raise NotImplementedError

    def wanted(self) -> int:
        """How many workers its command line asks for."""
        raise NotImplementedError

    def stopped_by(self, number: int) -> int:
        """With which exit status it ends when this signal has stopped it."""
        return 0

    # ---- its files

    def change(self, text: str = "") -> int:
        """Put the next number into the configuration's file, or this text; the number."""
        if not text:
            self.number += 1
            text = f"number = {self.number}\n"
        fresh = self.folder / "fresh.toml"
        fresh.write_text(text)
        fresh.replace(self.folder / "app.toml")
        return self.number

    def add_a_field(self) -> None:
        """Edit the schema's module, as a deploy in place does."""
        module = self.folder / "settings.py"
        module.write_text(module.read_text().replace("    number: int\n", "    number: int\n    color: str = 'red'\n"))

    # ---- its life

    def start(self, *arguments: str) -> Self:
        """Start it, and return when it listens and its workers are attached."""
        self.launch(*arguments)
        return self.await_workers()

    def await_workers(self) -> Self:
        """Return when it listens and its workers are attached."""
        eventually(lambda: re.search(self.LISTENING, self.log()) or not self._is_running(), "a server that listens")
        return self.find(self.log())

    def find(self, log: str) -> Self:
        """Read in its log where it listens, and return when its workers are attached."""
        found = re.findall(self.LISTENING, log)
        assert found, f"it ended before it listened; its log:\n{log}"
        self.port = int(found[-1])
        eventually(self._all_attached, "all workers attached")
        return self

    def await_port(self) -> None:
        """Return when it accepts connections; nothing is asked yet."""
        found = eventually(lambda: re.findall(self.LISTENING, self.log()), "a server that listens")
        self.port = int(found[-1])
        eventually(self._accepts, "a connection")

    def _accepts(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def _all_attached(self) -> bool:
        try:
            return len(self.ask("workers")) == self.wanted()
        except ConnectionError:  # some log that they listen when they are about to
            return False

    def launch(self, *arguments: str) -> None:
        """Start it, whatever becomes of it. Its standard streams are the log."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(*arguments),
                cwd=self.folder,
                env={**os.environ, **self._environment, **self._marks()},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _marks(self) -> dict[str, str]:
        # Unbuffered, a line and its end are written apart, and two workers' lines become one.
        own = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": ""}
        return {"CONFCAST_RUNTIME_DIR": str(self.runtime), **own}

    @property
    def pid(self) -> int:
        """The master."""
        assert self._process is not None
        return self._process.pid

    def signal(self, number: int) -> None:
        """Send the master a signal."""
        os.kill(self.pid, number)

    def ended(self) -> int:
        """Wait for its end; its exit status."""
        assert self._process is not None
        return self._process.wait(DEADLINE)

    def masters(self) -> list[int]:
        """Every master to which a signal to end must be sent."""
        return [self.pid] if self._is_running() else []

    def end(self) -> None:
        """However it is: afterwards it is gone. Fails if it has left anything."""
        for pid in self.masters():
            os.kill(pid, signal.SIGTERM)
        try:
            if self._process is not None:
                self.ended()
            self.assert_nothing_left()
        finally:
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)
            if self._process is not None:
                self._process.wait()
            shutil.rmtree(self.runtime, ignore_errors=True)

    def processes(self) -> list[int]:
        """All that belong to it: master, owners, workers."""
        mark = f"CONFCAST_RUNTIME_DIR={self.runtime}".encode()
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        return [pid for pid in pids if mark in _environ(pid)]

    def owners(self) -> list[int]:
        """The processes of config owners."""
        return [pid for pid in self.processes() if b"confcast.owner" in _read(pid, "cmdline")]

    def owner(self) -> int:
        """The only one."""
        (pid,) = eventually(lambda: len(found := self.owners()) == 1 and found, "one config owner")
        return pid

    def assert_nothing_left(self) -> None:
        """No process, no run-time folder, no listening port."""
        try:
            eventually(lambda: not self.processes(), "the end of every process of this server")
        except AssertionError as error:  # they are killed next
            raise AssertionError(f"{error}: {'; '.join(map(_words, self.processes()))}") from None
        assert list(self.runtime.iterdir()) == []
        if self.port:
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", self.port)) != 0

    # ---- what it says

    def log(self) -> str:
        """All that it and its children have written."""
        path = self.folder / "log"
        return path.read_text() if path.exists() else ""

    def crashes(self) -> list[str]:
        """The exceptions of the tracebacks in its log.

        SystemExit is left out: a worker that receives a signal to quit (INT, QUIT) raises it from gunicorn's handler,
        wherever it is; in the last lines of an answer, gunicorn prints that.
        """
        found = re.findall(r"Traceback \(most recent call last\):\n(?: .*\n)*(.*)", self.log())
        return [exception for exception in found if not exception.startswith("SystemExit")]

    def await_log(self, text: str, count: int = 1) -> str:
        """Return the log when the text has been in it so often."""
        try:
            eventually(lambda: self.log().count(text) >= count, f"{text!r} in the log")
        except AssertionError as error:
            raise AssertionError(f"{error}; it has:\n{self.log()}") from None
        return self.log()

    def ask(self, path: str) -> Any:
        """One request over a connection of its own."""
        connection = self.connection()
        try:
            connection.request("GET", f"/{path}")
            response = connection.getresponse()
            body = response.read()
            assert response.status == 200, f"{response.status}: {body!r}; its log:\n{self.log()}"
            return json.loads(body)
        finally:
            connection.close()

    def connection(self) -> http.client.HTTPConnection:
        """A new one, by TLS where it serves that."""
        if self.tls is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=DEADLINE, context=self.tls)

    def everyone(self, path: str = "read") -> dict[int, Any]:
        """The answer of each worker, by pid: many requests at once, until each has answered."""
        answers: dict[int, Any] = {}

        def all_answered() -> bool:
            with ThreadPoolExecutor(8) as clients:
                for answer in clients.map(self.ask, [path] * 16):
                    answers[answer["pid"]] = answer
            return len(answers) >= self.wanted()

        eventually(all_answered, "an answer of every worker")
        return answers

    def pids(self) -> set[int]:
        """The workers that serve."""
        return set(self.everyone())

    def after(self, act: Callable[[], Any], origin: str) -> tuple[str, int]:
        """Do something that makes the owner load, and wait for the event; its result and version."""
        before = len(self.events(origin))
        act()
        return eventually(lambda: len(found := self.events(origin)) > before and found[0], f"an event of {origin}")

    def events(self, origin: str) -> list[tuple[str, int]]:
        """What became of the loads of that origin, newest first."""
        return [(result, version) for came, result, version in self.ask("history") if came == origin]

    def hup(self) -> tuple[str, int]:
        """HUP the master and wait for the outcome."""
        return self.after(lambda: self.signal(signal.SIGHUP), "signal")


S = TypeVar("S", bound=Server)


@contextmanager
def servers_of(kind: type[S], folder: Path) -> Iterator[Callable[..., S]]:
    """What makes servers of that kind; at its end they are ended, and must have left nothing."""
    with ExitStack() as made:

        def make(**options: Any) -> S:
            server = kind(folder, **options)
            made.callback(server.end)
            return server

        yield make


def reload_all(server: Server) -> set[int]:
    """Reload; the workers that are there, each of which has applied it, and nobody else was waited for."""
    number = server.change()
    event = server.ask("reload")
    answers = server.everyone()
    assert (event["result"], set(event["applied"])) == ("success", set(answers))
    assert {answer["number"] for answer in answers.values()} == {number}
    return set(answers)


def kill_worker(server: Server, victim: int) -> int:
    """Kill a worker with -9; the pid of the one in its place, once that is attached."""
    others = set(server.ask("workers"))
    death = os.pidfd_open(victim)
    try:
        os.kill(victim, signal.SIGKILL)
        # To its last thread: while one is left, a listener of its own still accepts what is then reset.
        assert select.select([death], [], [], DEADLINE)[0], "its end"
    finally:
        os.close(death)

    def new() -> set[int]:
        found = set(server.ask("workers"))
        return found - others if victim not in found and len(found) == server.wanted() else set()

    (pid,) = eventually(new, "a worker in the place of the dead one")
    return pid


def _environ(pid: int) -> list[bytes]:
    return _read(pid, "environ").split(b"\0") if is_running(pid) else []


def _words(pid: int) -> str:
    return f"{pid}: {_read(pid, 'cmdline').replace(bytes(1), b' ').decode(errors='replace')}"


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
