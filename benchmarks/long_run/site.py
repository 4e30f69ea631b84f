"""What a long run runs: gunicorn with four workers, and all that may be around a config owner.

`confcast admin` with an open event stream, a fleet's engine and gateway, a receiver of webhooks, and a process that
serves metrics. All are real, on the loopback, and end with the block.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.long_run import looks
from benchmarks.long_run.looks import Has, Look
from benchmarks.server import PATIENCE
from confcast import Client
from tests.support import gunicorn
from tests.support.admin import AdminServer
from tests.support.leaks import children_of
from tests.support.receiver import SECRET, Receiver, receiving
from tests.support.waiting import eventually
from tests.torture.fleet import KEY, Fleet

APPLICATION = Path(__file__).with_name("application")
WORKERS = 4
JUDGED = ("owner", "master", "worker", "admin", "gateway", "metrics")
"""The roles whose processes are ours; the engine is somebody else's."""
_LINES = (2, 20, 60, 8)
"""How many routes a content has, in turns: frames and files of several sizes."""


class Site:
    """All of it, while it runs. Made by `running`.

    Attributes:
        client: The verbs.
        serial: The newest content's number. All of them have as many digits: longer ones are no growth.
    """

    def __init__(
        self, server: gunicorn.Server, admin: AdminServer, fleet: Fleet, hooks: Receiver, exporter: Exporter
    ) -> None:
        self._server, self._admin, self._fleet, self._hooks, self._exporter = server, admin, fleet, hooks, exporter
        self.client = Client(pid=server.pid)
        self.serial = 1_000_000
        self.told = 0  # by webhooks
        self._fewest: dict[str, tuple[int, int]] = {}  # descriptors and threads that a process of a role has had

    # ---- what is done to it

    @property
    def port(self) -> int:
        """Where requests go."""
        return self._server.port

    def write(self, text: str = "", *, veto: bool = False) -> None:
        """Put this text into the file, or the next content."""
        if not text:
            self.serial += 1
            text = content(self.serial, veto=veto)
        fresh = self._server.folder / "fresh.toml"
        fresh.write_text(text)
        fresh.replace(self._server.folder / "app.toml")

    def publish(self, number: int) -> None:
        """Have the engine give this number."""
        self._fleet.later(lambda: self._fleet.publish(number)).result(PATIENCE)

    def hup(self) -> None:
        """Have the master reload."""
        self._server.signal(signal.SIGHUP)

    def kill_the_newest_worker(self) -> None:
        """And wait for another one: the older ones live until they have served their number."""
        self.kill(max(self.workers(), key=_started))

    def kill(self, victim: int) -> None:
        """Return when another worker is in this one's place."""
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: victim not in self.workers() and len(self.attached()) == WORKERS, "a worker in its place")

    def ask_admin(self, path: str) -> None:
        """One request, by who may read."""
        request = urllib.request.Request(
            f"{self._admin.url}{path}", headers={"Authorization": f"Bearer {self._admin.token('read')}"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            answer.read()

    def scrape(self) -> None:
        """As Prometheus does."""
        with urllib.request.urlopen(self._exporter.url, timeout=PATIENCE) as answer:
            assert b"confcast_" in answer.read()

    # ---- what there is

    def attached(self) -> set[int]:
        """The workers that are current, by what the owner says."""
        return {each.pid for each in self.client.workers() if each.state == "current"} - {self._server.pid}

    def workers(self) -> list[int]:
        """Those that run."""
        return self.processes()["worker"]

    def processes(self) -> dict[str, list[int]]:
        """All, by role."""
        below = {pid: _command(pid) for pid in children_of(self._server.pid)}
        owners = [pid for pid, command in below.items() if b"confcast.owner" in command]
        workers = sorted(pid for pid, command in below.items() if command and pid not in owners)
        others = {"admin": [self._admin.pid], "metrics": [self._exporter.pid], **self._fleet.processes()}
        return {"master": [self._server.pid], "owner": owners, "worker": workers, **others}

    # ---- what it has

    def look(self, reloads: int) -> Look:
        """What there is once everything rests; of descriptors and threads, the fewest meanwhile."""
        self.await_rest()
        self.told += len(self._hooks.got)
        self._hooks.got.clear()
        processes, end = looks.all_have(self.processes()), time.monotonic() + _AT_REST
        while not self._has_closed(processes) and time.monotonic() < end:
            threading.Event().wait(_MOMENT)
            processes = looks.least(processes, looks.all_have(self.processes()))
        entries, size = looks.folder(self._server.folder / "state")
        there, its_size = looks.folder(self._server.runtime)
        files = {"journal: files": entries, "journal: KiB": size, "run-time folder: entries": there}
        log = (self._server.folder / "log").stat().st_size
        return Look(reloads, processes, {**files, "run-time folder: KiB": its_size}, log)

    def _has_closed(self, processes: list[Has]) -> bool:
        """Whether each process has as little as one of its role ever had."""
        for each in processes:
            fewest = self._fewest.get(each.role, (each.descriptors, each.threads))
            self._fewest[each.role] = min(fewest[0], each.descriptors), min(fewest[1], each.threads)
        return all((each.descriptors, each.threads) == self._fewest[each.role] for each in processes)

    def await_rest(self) -> None:
        """Return when nothing is provisional or under way, and each worker has the version that runs."""
        eventually(self._rests, "rest", PATIENCE)
        self.scrape()

    def _rests(self) -> bool:
        status = self.client.status()
        attached = [each for each in status.workers if each.state == "current" and each.version == status.version]
        workers = {each.pid for each in attached} - {self._server.pid}
        return status.phase == "idle" and not status.provisional and workers == {*self.workers()} != set()


_MOMENT, _AT_REST = 0.1, 1.5
"""Seconds between two looks at processes that rest, and in which what was given up is closed: things that were derived,
the threads of health checks, a client's connection, a fold into the journal."""


def content(serial: int, *, veto: bool = False) -> str:
    """A content of this number as TOML."""
    routes = (
        f'[routes.r{each:04}]\nurl = "http://10.0.0.{each % 250}:8080/{serial}"\nweight = {each}'
        for each in range(_LINES[serial % len(_LINES)])
    )
    head = f"serial = {serial}\nveto = {str(veto).lower()}"
    pool = f'[pool]\nsize = {serial % 7 + 1}\npassword = "{serial // 3}"'
    return "\n".join((head, pool, "[routes]", *routes, ""))


@contextmanager
def running(folder: Path, max_requests: int) -> Iterator[Site]:
    """A site in this folder; each worker leaves after so many requests."""
    with ExitStack() as stack:
        fleet = stack.enter_context(contextlib.closing(Fleet("redis")))
        hooks = stack.enter_context(receiving())
        variables = {
            "LONG_RUN_MAX_REQUESTS": str(max_requests),
            "LONG_RUN_WEBHOOK": hooks.url,
            "LONG_RUN_GATEWAY": fleet.gateway.url,
            "LONG_RUN_KEY": KEY,
            "PYTHONPATH": str(APPLICATION.parents[2]),
        }
        server = gunicorn.Server(folder, environment=variables)
        shutil.copytree(APPLICATION, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "app.toml").write_text(content(1_000_000))
        (folder / "hook_secret").write_text(SECRET)
        (folder / "hook_secret").chmod(0o600)
        stack.callback(server.end)
        with _variable("CONFCAST_RUNTIME_DIR", str(server.runtime)):
            server.start()
            admin = AdminServer(folder, "--pid", str(server.pid))
            stack.callback(admin.close)
            admin.start()
            exporter = stack.enter_context(Exporter(folder, server.pid))
            stack.enter_context(_reading_events(admin))
            yield Site(server, admin, fleet, hooks, exporter)


class Exporter:
    """The process that serves metrics, from `with` to its end."""

    def __init__(self, folder: Path, server: int) -> None:
        command = [sys.executable, "exporter.py", str(server)]
        self._process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, bufsize=0)
        self.pid = self._process.pid

    @property
    def url(self) -> str:
        """Where they are."""
        return f"http://127.0.0.1:{self._port}/metrics"

    def __enter__(self) -> Exporter:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], PATIENCE)[0]:
            self.__exit__()
            raise TimeoutError(f"the process that serves metrics said nothing for {PATIENCE:g} s")
        self._port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *about: object) -> None:
        with self._process:
            self._process.terminate()


@contextmanager
def _reading_events(admin: AdminServer) -> Iterator[None]:
    """One who keeps the event stream open, as a page does, and reads it."""
    with socket.create_connection(("127.0.0.1", admin.port), PATIENCE) as connection:
        connection.sendall(admin.client("read").wish("/v1/events", ""))
        connection.settimeout(None)
        thread = threading.Thread(target=_read, args=(connection,))
        thread.start()
        try:
            yield
        finally:
            connection.shutdown(socket.SHUT_RDWR)
            thread.join()


def _read(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while connection.recv(1 << 16):
            pass


@contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """Of this process's environment, in the block."""
    former = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name)
        if former is not None:
            os.environ[name] = former


def _started(pid: int) -> int:
    """When a process began, in ticks since the boot; of one that has ended, before all."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
    return 0


def _command(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""
