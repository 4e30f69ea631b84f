"""A real celery worker, and a client that gives it tasks: `ask(path)` runs the site's function of that name in one.

The client has one connection to the broker, and one to where results are, whatever asks at the same time.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import celery
import redis

from tests.support import server
from tests.support.load import Load
from tests.support.waiting import DEADLINE, eventually


class Server(server.Server):
    """One celery worker, with its processes.

    Args:
        folder: For its files.
        port: Where its redis is.
        pool: What `-P` says.
        concurrency: How many processes, threads or greenlets run tasks.
        watch: Whether its owner watches the file.
        more: Lines at the end of the module of its tasks.
        environment: For its processes.
    """

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        pool: str = "prefork",
        concurrency: int = 2,
        watch: bool = False,
        more: str = "",
        environment: dict[str, str] | None = None,
    ) -> None:
        url = f"redis://127.0.0.1:{port}/0"
        mine = {"BROKER": url, "WATCH": "yes" if watch else "no", "READ_AT_IMPORT": "no"}
        super().__init__(folder, environment={**mine, **(environment or {})})
        with (folder / "tasks.py").open("a") as tasks:
            tasks.write(more)
        self._pool, self._concurrency = pool, concurrency
        self.concurrent = pool != "solo"
        self._client = Client(url)

    def command(self, *arguments: str) -> list[str]:
        """What starts it."""
        quiet = ["--without-mingle", "--without-gossip", "--without-heartbeat"]
        pool = ["-P", self._pool, "-c", str(self._concurrency)]
        return [sys.executable, "-m", "celery", "-A", "tasks", "worker", "-l", "INFO", *quiet, *pool, *arguments]

    def wanted(self) -> int:
        """How many processes run tasks."""
        return self._concurrency if self._pool == "prefork" else 1

    def await_workers(self) -> Self:
        """Return when it takes tasks and its processes are attached."""
        ready = re.compile(r" ready\.$", re.MULTILINE)
        eventually(lambda: ready.search(self.log()) or not self._is_running(), "a worker", 2 * DEADLINE)
        assert self._is_running(), f"it ended before it was ready; its log:\n{self.log()}"
        eventually(lambda: len(self.ask("workers")) == self.wanted(), "all processes attached")
        return self

    def ask(self, path: str) -> Any:
        """One task, and its answer."""
        return self.result(self.send("ask", *path.partition("?")[::2]))

    def send(self, task: str, *arguments: Any) -> str:
        """Give it a task of that name; its id."""
        return self._client.send(f"tasks.{task}", arguments)

    def result(self, task: str) -> Any:
        """Wait for that task's result. Raises TaskFailed."""
        meta = eventually(lambda: self._client.look(task), f"the end of a task; the log:\n{self.log()[-3000:]}")
        if meta["status"] != "SUCCESS":
            raise TaskFailed(f"{meta['status']}: {meta['result']}")
        return meta["result"]

    def children(self) -> set[int]:
        """The processes of its pool."""
        return {pid for pid in self.processes() if pid != self.pid and pid not in self.owners()}

    def end(self) -> None:
        """However it is: afterwards it is gone. Fails if it has left anything."""
        self._client.close()
        super().end()


def changes_under_load(server: Server, change: Callable[[], tuple[str, int]]) -> None:
    """Four times, as often as this says how: no task sees an older number than one that every process had before."""
    pids, settled = server.pids(), [server.number]

    def ask() -> tuple[int, int]:
        return settled[-1], server.ask("read")["number"]

    with Load(ask, clients=4) as load:
        for _ in range(4):
            assert change()[0] == "success"
            settled.append(server.number)
            load.go_on(40)
    assert len(load.answers) >= 160
    assert [answer for at_least, answer in load.answers if answer < at_least] == []
    assert server.pids() == pids == server.children()


class TaskFailed(Exception):
    """The task raised, or its process was lost."""


class Client:
    """Sends tasks, and looks for their results; from any thread.

    Args:
        url: The redis that is broker and backend.
    """

    def __init__(self, url: str) -> None:
        self._app = celery.Celery("client", broker=url, backend=None, set_as_current=False)
        self._broker = self._app.connection_for_write()
        self._results = redis.Redis.from_url(url, single_connection_client=True)
        self._lock = threading.Lock()

    def send(self, name: str, arguments: tuple[Any, ...]) -> str:
        """Its id."""
        with self._lock:
            return str(self._app.send_task(name, arguments, connection=self._broker).id)

    def look(self, task: str) -> dict[str, Any] | None:
        """What became of it, once it has ended."""
        with self._lock:
            found = self._results.get(f"celery-task-meta-{task}")
        meta = json.loads(found) if found else None
        return meta if meta and meta["status"] in ("SUCCESS", "FAILURE", "REVOKED") else None

    def close(self) -> None:
        """Close both connections."""
        self._broker.release()
        self._results.close()
        self._app.close()


@contextmanager
def servers(folder: Path, port: int) -> Iterator[Callable[..., Server]]:
    """What makes celery workers, all of one redis; at its end they are ended, and must have left nothing."""
    with ExitStack() as made:

        def make(**options: Any) -> Server:
            server = Server(folder, port, **options)
            made.callback(server.end)
            return server

        yield make


def environment_of(server: Server) -> dict[str, str]:
    """For a program that imports its tasks."""
    return {**os.environ, **server._environment, **server._marks()}
