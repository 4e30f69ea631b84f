"""`max_requests` under gunicorn: who is told to leave, and when; against an arbiter that only remembers."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from confcast.servers.gunicorn.max_requests import Relief

OLD, OTHER, NEW, NEWER = 11, 12, 13, 14


class Arbiter:
    """As much of gunicorn's as is asked for. `turn` is a turn of its loop: a place that is free is filled."""

    def __init__(self) -> None:
        self.WORKERS: dict[int, Any] = {OLD: None, OTHER: None}
        self.num_workers = 2
        self.told: list[tuple[int, int]] = []
        self.log = logging.getLogger("test.gunicorn")
        self.relief = Relief(self)

    def kill_worker(self, pid: int, number: int) -> None:
        self.told.append((pid, number))

    def note(self, *notes: str) -> None:
        """What workers write."""
        os.write(self.relief._wakeup_w, "".join(f"{note} " for note in notes).encode())

    def turn(self, *new: int) -> None:
        self.relief.tick()
        for pid in new:
            assert len(self.WORKERS) < self.num_workers
            self.WORKERS[pid] = None
        assert len(self.WORKERS) <= self.num_workers


@pytest.fixture
def arbiter() -> Iterator[Arbiter]:
    made = Arbiter()
    yield made
    os.close(made.relief._wakeup_r)
    os.close(made.relief._wakeup_w)


def test_who_has_served_enough_leaves_when_another_is_ready(arbiter: Arbiter) -> None:
    arbiter.note(f"r{OLD}", f"r{OTHER}", f"s{OLD}")
    arbiter.turn(NEW)
    arbiter.turn()
    assert arbiter.told == []

    arbiter.note(f"r{NEW}")
    arbiter.turn()
    arbiter.turn()

    assert arbiter.told == [(OLD, signal.SIGTERM)]
    del arbiter.WORKERS[OLD]
    arbiter.turn()
    assert arbiter.num_workers == 2


def test_while_nobody_can_attach_nobody_leaves_and_that_is_said_once(
    arbiter: Arbiter, caplog: pytest.LogCaptureFixture
) -> None:
    arbiter.note(f"s{OLD}", f"s{OTHER}")
    for pid in (NEW, NEWER):
        arbiter.turn(pid)
        arbiter.note(f"f{pid}")
        del arbiter.WORKERS[pid]
    arbiter.turn(NEWER + 1)

    assert arbiter.told == []
    assert caplog.messages == [
        f"confcast: worker {OLD} has served its max_requests and stays: the one in its place could not attach"
    ]


def test_one_is_relieved_at_a_time(arbiter: Arbiter) -> None:
    arbiter.note(f"s{OLD}", f"s{OTHER}")
    arbiter.turn(NEW)
    assert arbiter.num_workers == 3
    arbiter.note(f"r{NEW}")
    arbiter.turn()
    del arbiter.WORKERS[OLD]
    arbiter.turn()
    arbiter.turn(NEWER)
    arbiter.note(f"r{NEWER}")
    arbiter.turn()

    assert [pid for pid, _ in arbiter.told] == [OLD, OTHER]


def test_who_dies_while_it_waits_needs_nobody_more(arbiter: Arbiter) -> None:
    arbiter.note(f"s{OLD}")
    arbiter.turn(NEW)
    del arbiter.WORKERS[OLD]
    arbiter.turn()

    assert arbiter.num_workers == 2
    assert arbiter.told == []


def test_when_all_are_to_leave_nobody_is_added(arbiter: Arbiter) -> None:
    """WINCH sets the number to 0."""
    arbiter.note(f"s{OLD}")
    arbiter.turn(NEW)
    arbiter.num_workers = 0
    arbiter.WORKERS.clear()

    arbiter.turn()

    assert arbiter.num_workers == 0


def test_a_full_reload_begins_anew(arbiter: Arbiter) -> None:
    arbiter.note(f"s{OLD}", f"s{OTHER}")
    arbiter.turn(NEW)
    arbiter.num_workers = 2  # gunicorn sets it, and replaces everyone
    arbiter.relief.forget()
    arbiter.WORKERS = {NEWER: None, NEWER + 1: None}

    arbiter.turn()

    assert arbiter.num_workers == 2
    assert arbiter.told == []


def test_who_asks_while_all_are_replaced_is_not_relieved(arbiter: Arbiter) -> None:
    """gunicorn spawns the new ones, counts its workers, and only then tells the old ones to leave."""
    arbiter.relief.forget()
    arbiter.note(f"s{OTHER}")
    arbiter.WORKERS |= {NEW: None, NEWER: None}

    arbiter.relief.tick()

    assert arbiter.num_workers == 2


def test_one_worker_stays_when_fewer_are_asked_for_meanwhile(arbiter: Arbiter) -> None:
    """TTOU, which gunicorn ignores where there is one only."""
    arbiter.num_workers = 1
    del arbiter.WORKERS[OTHER]
    arbiter.note(f"s{OLD}")
    arbiter.turn(NEW)
    arbiter.num_workers -= 1
    del arbiter.WORKERS[OLD]  # gunicorn takes the oldest

    arbiter.turn()

    assert arbiter.num_workers == 1


class Worker:
    """As much of gunicorn's as is asked for."""

    __module__ = "gunicorn.workers.sync"

    def __init__(self, limit: int, **others: Any) -> None:
        self.max_requests = limit
        self.log = logging.getLogger("test.gunicorn")
        vars(self).update(others)


def asked(arbiter: Arbiter) -> str:
    """What workers have noted since."""
    try:
        return os.read(arbiter.relief._wakeup_r, 100).decode()
    except BlockingIOError:
        return ""


def test_a_worker_asks_once_when_its_number_is_served(arbiter: Arbiter) -> None:
    worker = Worker(2, wsgi=lambda environ, start_response: "answer")
    arbiter.relief.count_requests(worker)

    assert [(worker.wsgi({}, None), asked(arbiter)) for _ in range(4)] == [
        ("answer", ""),
        ("answer", f"s{os.getpid()} "),
        ("answer", ""),
        ("answer", ""),
    ]
    assert worker.max_requests == sys.maxsize


def test_an_asgi_worker_counts_requests_and_connections_and_no_lifespan(arbiter: Arbiter) -> None:
    served: list[str] = []

    async def app(scope: dict[str, str], receive: Any, send: Any) -> None:
        served.append(scope["type"])

    worker = Worker(2, asgi=app)
    arbiter.relief.count_requests(worker)

    for kind, note in (("lifespan", ""), ("http", ""), ("websocket", f"s{os.getpid()} "), ("http", "")):
        asyncio.run(worker.asgi({"type": kind}, None, None))
        assert asked(arbiter) == note
    assert served == ["lifespan", "http", "websocket", "http"]


def test_uvicorn_does_not_count_beside_us_and_takes_the_application_for_what_it_is(arbiter: Arbiter) -> None:
    """It looks whether the call is a coroutine function."""

    class UvicornWorker(Worker):
        __module__ = "uvicorn_worker"

    worker = UvicornWorker(2, wsgi=len, config=SimpleNamespace(limit_max_requests=2, interface="auto"))
    arbiter.relief.count_requests(worker)

    assert worker.config.limit_max_requests is None
    assert inspect.iscoroutinefunction(worker.wsgi.__call__)


def test_without_a_limit_nothing_is_counted(arbiter: Arbiter) -> None:
    worker = Worker(sys.maxsize, wsgi=len)
    arbiter.relief.count_requests(worker)

    assert worker.wsgi is len


def test_tornado_counts_for_itself(arbiter: Arbiter) -> None:
    """It calls its application in another way."""
    app = type("Application", (), {"__module__": "tornado.web"})()
    worker = Worker(2, wsgi=app)
    arbiter.relief.count_requests(worker)

    assert (worker.wsgi, worker.max_requests) == (app, 2)


def test_a_master_that_takes_no_notes_costs_no_request(arbiter: Arbiter, caplog: pytest.LogCaptureFixture) -> None:
    for size in (4096, 1):
        with suppress(BlockingIOError):
            while True:
                os.write(arbiter.relief._wakeup_w, b" " * size)
    worker = Worker(1, wsgi=lambda environ, start_response: "answer")
    arbiter.relief.count_requests(worker)

    assert worker.wsgi({}, None) == "answer"
    assert "the master can't be told how this worker is" in caplog.text
