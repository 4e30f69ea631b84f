"""How a worker ends, under real servers: one that its server or a signal to end has ended speaks against no version."""

from __future__ import annotations

import http.client
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from confcast.owner.loop.endings import why_it_failed
from confcast.wire.processes import Death
from tests.support import celery, granian, gunicorn, uvicorn
from tests.support.redis import needs_redis, redis_server
from tests.support.server import Server
from tests.support.waiting import DEADLINE, eventually

PROVISIONAL = ("--max-deaths", "1", "--probation", "60")
Make = Callable[[Path], Server]

SERVERS: dict[str, Make] = {
    "gunicorn": lambda folder: gunicorn.Server(folder, options="watch=False, max_deaths=1, probation=60.0"),
    "uvicorn": lambda folder: uvicorn.Server(folder, arguments=PROVISIONAL),
    "granian": lambda folder: granian.Server(folder, arguments=(*PROVISIONAL, "--respawn-failed-workers")),
}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[Make], Server]]:
    with ExitStack() as ends:

        def started(make: Make) -> Server:
            server = make(tmp_path)
            ends.callback(server.end)
            return server.start()

        yield started


def ask(server: Server, path: str) -> Any:
    """As Server.ask, for a server in which a worker dies meanwhile: it may have the connection."""

    def answered() -> Any:
        try:
            return [server.ask(path)]
        except (ConnectionError, http.client.HTTPException):
            return None

    return eventually(answered, "an answer")[0]


def all_there(server: Server, but: int) -> bool:
    workers = ask(server, "workers")
    return but not in workers and len(workers) == server.wanted()


@pytest.mark.parametrize("name", ["gunicorn", *(pytest.param(each, marks=pytest.mark.slow) for each in [*SERVERS][1:])])
def test_a_worker_that_was_asked_to_end_is_no_evidence_and_one_that_crashed_is(
    name: str, start: Callable[[Make], Server]
) -> None:
    server = start(SERVERS[name])
    before = server.number

    def reload() -> None:
        server.change()
        server.signal(signal.SIGHUP)

    result, version = server.after(reload, "signal")
    assert (result, version) == ("success", 2)
    ended = server.ask("workers")[0]
    os.kill(ended, signal.SIGTERM)
    eventually(lambda: all_there(server, but=ended), "another one in its place")
    assert [event for event in ask(server, "history") if event[0] == "undo"] == []

    crashed = ask(server, "workers")[0]
    os.kill(crashed, signal.SIGSEGV)
    undone = ["undo", "undone", 3]
    eventually(lambda: undone in ask(server, "history"), "the undo")
    eventually(lambda: all_there(server, but=crashed), "another one in its place")
    log = server.log()
    assert f"worker {crashed} was killed by signal 11 (SIGSEGV)" in log
    assert f"worker {ended} " not in log
    assert {answer["number"] for answer in server.everyone().values()} == {before}


@pytest.mark.slow
@needs_redis()
def test_a_child_of_celery_s_pool_that_has_had_its_tasks_ends_as_it_should(tmp_path: Path) -> None:
    with redis_server() as port, ExitStack() as ends:
        more = "\napp.conf.worker_max_tasks_per_child = 4\n"
        server = celery.Server(tmp_path, port, more=more, concurrency=1)
        ends.callback(server.end)
        server.start()
        (child,) = server.ask("workers")
        death = ends.enter_context(closing(Death(child)))
        eventually(lambda: server.ask("read")["pid"] != child, "another child")
        assert death.wait(DEADLINE)
        status = death.status()
        assert status == 155 << 8
        assert why_it_failed(status) == ""
