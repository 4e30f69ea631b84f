"""Stores that every worker asks at each read: a manager's dictionary, Redis, gunicorn's stash.

A store tells nobody of a change: a worker has it when it reads next. So the time of a change is the least that it can
be: the write, then one read by each of the workers, all begun when the write has returned. Redis has the whole
configuration as one JSON text, which a read decodes; the two others have a key for each value, and a read fetches one.
All three are reached over a Unix socket, which is the quickest way to each.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.document import CONTENTS, TOTALS
from benchmarks.others.crew import WORKERS, Crew, serve, spawned
from benchmarks.others.edited import changes_ms
from benchmarks.server import PATIENCE

_PAUSE = 0.02


class Missing(Exception):
    """A store that can't be had here, and why."""


class Store:
    """One that runs.

    Args:
        name: What it is called in the table.
        crew: Its readers.
        write: Puts a value there; returns when it is there.
    """

    def __init__(self, name: str, crew: Crew, write: Callable[[int], object]) -> None:
        self.name = name
        self.crew = crew
        self._write = write
        self._totals = cycle(reversed(TOTALS))

    def change(self) -> float:
        """The median of some writes, each until the last worker has read the value, in milliseconds."""
        return changes_ms(self._change, self.crew)

    def _change(self) -> int:
        total = next(self._totals)
        self._write(total)
        self.crew.ask()
        return total


# ---- multiprocessing.Manager().dict()


@contextmanager
def manager_dict(folder: Path) -> Iterator[Store]:
    """The dictionary of a manager whose process was started by this one."""
    with multiprocessing.get_context("spawn").Manager() as manager:
        values = manager.dict(total_budget_mb=TOTALS[0])
        with spawned(_of_dict, values) as crew:
            yield Store("Manager().dict()", crew, lambda total: values.update(total_budget_mb=total))


def _of_dict(pipe: Connection, values: dict[str, int]) -> None:
    serve(pipe, 'values["total_budget_mb"]', values=values)


# ---- Redis


@contextmanager
def redis_get(folder: Path) -> Iterator[Store]:
    """A Redis server that keeps nothing on disk. Raises Missing."""
    import redis
    import yaml

    if shutil.which("redis-server") is None:
        raise Missing("there is no redis-server (scripts/install-redis): the rows of Redis are left out")
    texts = {total: json.dumps(yaml.safe_load(content)) for total, content in zip(TOTALS, CONTENTS, strict=True)}
    path = folder / "redis.socket"
    options = {"port": "0", "unixsocket": str(path), "save": "", "appendonly": "no", "dir": str(folder)}
    command = ["redis-server", *(part for name, value in options.items() for part in (f"--{name}", value))]
    with _running(command, folder / "redis.log"), redis.Redis(unix_socket_path=str(path)) as client:
        _until(lambda: client.set("config", texts[TOTALS[0]]), redis.ConnectionError)
        with spawned(_of_redis, path) as crew:
            yield Store("Redis, GET and decode", crew, lambda total: client.set("config", texts[total]))


def _of_redis(pipe: Connection, path: Path) -> None:
    import redis

    with redis.Redis(unix_socket_path=str(path)) as client:
        expression = 'loads(client.get("config"))["memory"]["total_budget_mb"]'
        serve(pipe, expression, client=client, loads=json.loads)


# ---- gunicorn's stash


@contextmanager
def stash(folder: Path) -> Iterator[Store]:
    """The stash of a gunicorn whose workers, as gunicorn starts them, connect to this process."""
    from gunicorn.dirty.stash import StashClient, StashError

    path = folder / "crew.socket"
    environment = os.environ | {"BENCH_CREW": str(path), "GUNICORN_CMD_ARGS": "", "TMPDIR": str(folder)}
    command = [sys.executable, "-m", "gunicorn", "-c", "python:benchmarks.others.gunicorn_conf"]
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(path))
        listener.listen(WORKERS)
        listener.settimeout(PATIENCE)
        stack.enter_context(_running(command, folder / "gunicorn.log", environment))
        crew = Crew([stack.enter_context(Connection(listener.accept()[0].detach())) for _ in range(WORKERS)])
        client = stack.enter_context(StashClient(crew.about[0], timeout=PATIENCE))

        def put(total: int) -> None:
            client.put("config", "total_budget_mb", total)

        _until(lambda: put(TOTALS[0]), StashError)
        yield Store("gunicorn's stash", crew, put)


# ---- programs


@contextmanager
def _running(command: list[str], log: Path, environment: dict[str, str] | None = None) -> Iterator[None]:
    """A program, until the end of the context. Its log is shown when something fails."""
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        yield
    except Exception:
        sys.stderr.write(log.read_text(encoding="utf-8", errors="replace")[-2000:])
        raise
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        process.kill()
        process.wait()


def _until(attempt: Callable[[], object], refused: type[Exception]) -> None:
    """Try until it is not refused any more: who is asked may still be starting."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            attempt()
            return
        except refused:
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE)
