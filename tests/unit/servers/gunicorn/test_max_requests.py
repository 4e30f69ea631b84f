"""With `max_requests` the master sends one worker at a time the signal to leave; with an arbiter that only records."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from confcast.servers.gunicorn.max_requests import Recycling

OLD, OTHER, NEW, NEWER = 11, 12, 13, 14


class Arbiter:
    """The part of gunicorn's arbiter that is used here. `turn` is a turn of its loop, which may start workers."""

    def __init__(self) -> None:
        self.WORKERS: dict[int, Any] = {OLD: SimpleNamespace(age=1), OTHER: SimpleNamespace(age=2)}
        self.num_workers = 2
        self.began = 2
        self.told: list[tuple[int, int]] = []
        self.log = logging.getLogger("test.gunicorn")
        self.recycling = Recycling(self)

    def kill_worker(self, pid: int, number: int) -> None:
        self.told.append((pid, number))

    def note(self, *notes: str) -> None:
        """Write what workers would."""
        os.write(self.recycling._notes_w, "".join(f"{note} " for note in notes).encode())

    def turn(self, *new: int) -> None:
        self.recycling.tick()
        for pid in new:
            assert len(self.WORKERS) < self.num_workers
            self.began += 1
            self.WORKERS[pid] = SimpleNamespace(age=self.began)

    def handle_ttou(self) -> None:
        if self.num_workers > 1:
            self.num_workers -= 1

    def surplus(self) -> list[int]:
        """Those that gunicorn would end, as its `manage_workers` chooses them."""
        by_age = sorted(self.WORKERS, key=lambda pid: self.WORKERS[pid].age)
        return by_age[: max(0, len(by_age) - self.num_workers)]

    def end(self, pid: int) -> None:
        del self.WORKERS[pid]
        self.turn()


@pytest.fixture
def arbiter() -> Iterator[Arbiter]:
    made = Arbiter()
    yield made
    os.close(made.recycling._notes_r)
    os.close(made.recycling._notes_w)


def test_a_worker_that_has_served_its_number_leaves_where_all_are_attached(arbiter: Arbiter) -> None:
    arbiter.note(f"a{OLD}", f"a{OTHER}", f"s{OLD}")
    arbiter.turn()
    arbiter.turn()

    assert arbiter.told == [(OLD, signal.SIGTERM)]
    arbiter.end(OLD)
    assert arbiter.num_workers == 2


def test_one_leaves_at_a_time_and_the_next_one_when_its_place_is_taken(arbiter: Arbiter) -> None:
    arbiter.note(f"a{OLD}", f"a{OTHER}", f"s{OLD}", f"s{OTHER}", f"s{OTHER}")
    arbiter.turn()
    arbiter.end(OLD)
    arbiter.turn(NEW)
    assert [pid for pid, _ in arbiter.told] == [OLD]

    arbiter.note(f"a{NEW}")
    arbiter.turn()
    assert [pid for pid, _ in arbiter.told] == [OLD, OTHER]
    arbiter.end(OTHER)
    arbiter.turn(NEWER)
    arbiter.note(f"a{NEWER}")
    arbiter.turn()
    assert len(arbiter.told) == 2


def test_a_lower_number_of_workers_comes_before_a_worker_that_has_served(arbiter: Arbiter) -> None:
    """gunicorn has not ended the surplus one yet, and the number is not raised for it again."""
    arbiter.note(f"a{OLD}", f"a{OTHER}")
    arbiter.turn()
    arbiter.handle_ttou()
    arbiter.note(f"s{OTHER}")
    arbiter.turn()
    assert (arbiter.num_workers, arbiter.surplus(), arbiter.told) == (1, [OLD], [])

    arbiter.end(OLD)
    assert arbiter.num_workers == 2, "the one that is left has served, and gets a second one beside it"


def test_of_too_many_gunicorn_ends_the_one_that_leaves_already(arbiter: Arbiter) -> None:
    arbiter.note(f"a{OLD}", f"a{OTHER}", f"s{OTHER}")
    arbiter.turn()
    arbiter.handle_ttou()
    arbiter.turn()
    assert (arbiter.told, arbiter.surplus()) == ([(OTHER, signal.SIGTERM)], [OTHER])


def test_no_signal_takes_the_only_one_that_serves_while_the_second_can_not_attach(arbiter: Arbiter) -> None:
    alone(arbiter)
    arbiter.turn(NEW)
    assert (arbiter.num_workers, arbiter.recycling.extra) == (2, 1)
    arbiter.handle_ttou()
    assert (arbiter.num_workers, arbiter.surplus()) == (2, [])


def test_while_no_new_worker_can_attach_no_other_leaves_and_that_is_logged_once(
    arbiter: Arbiter, caplog: pytest.LogCaptureFixture
) -> None:
    arbiter.note(f"a{OLD}", f"a{OTHER}", f"s{OLD}", f"s{OTHER}")
    arbiter.turn()
    arbiter.end(OLD)
    for pid in (NEW, NEWER):
        arbiter.turn(pid)
        arbiter.note(f"f{pid}")
        arbiter.end(pid)
    arbiter.turn(NEWER + 1)

    assert [pid for pid, _ in arbiter.told] == [OLD]
    assert caplog.messages == [
        f"confcast: worker {OTHER} has served its max_requests and stays: a new worker could not attach"
    ]


def alone(arbiter: Arbiter) -> None:
    """Let one worker be wanted, which has served its number."""
    arbiter.num_workers = 1
    del arbiter.WORKERS[OTHER]
    arbiter.note(f"a{OLD}", f"s{OLD}")
    arbiter.turn()


def test_a_single_worker_leaves_when_a_second_one_is_attached(arbiter: Arbiter) -> None:
    alone(arbiter)
    assert (arbiter.num_workers, arbiter.recycling.extra) == (2, 1)
    arbiter.turn(NEW)
    arbiter.turn()
    assert arbiter.told == []

    arbiter.note(f"a{NEW}")
    arbiter.turn()
    arbiter.turn()

    assert arbiter.told == [(OLD, signal.SIGTERM)]
    arbiter.end(OLD)
    assert (arbiter.num_workers, arbiter.recycling.extra) == (1, 0)


def test_a_single_worker_stays_while_no_second_one_can_attach(
    arbiter: Arbiter, caplog: pytest.LogCaptureFixture
) -> None:
    alone(arbiter)
    for pid in (NEW, NEWER):
        arbiter.turn(pid)
        arbiter.note(f"f{pid}")
        arbiter.end(pid)

    assert arbiter.told == []
    assert len(caplog.messages) == 1
    assert list(arbiter.WORKERS) == [OLD]


def test_a_single_worker_that_dies_while_it_waits_needs_no_second_one(arbiter: Arbiter) -> None:
    alone(arbiter)
    arbiter.turn(NEW)
    arbiter.end(OLD)

    assert arbiter.num_workers == 1
    assert arbiter.told == []


def test_when_all_are_to_leave_no_worker_is_added(arbiter: Arbiter) -> None:
    """WINCH sets the number of workers to 0."""
    alone(arbiter)
    arbiter.turn(NEW)
    arbiter.num_workers = 0
    arbiter.turn()
    arbiter.WORKERS.clear()

    arbiter.turn()

    assert (arbiter.num_workers, arbiter.recycling.extra, arbiter.told) == (0, 0, [])


def test_a_full_reload_begins_anew(arbiter: Arbiter) -> None:
    alone(arbiter)
    arbiter.turn(NEW)
    arbiter.num_workers = 2  # gunicorn sets it, and replaces everyone
    arbiter.recycling.forget()
    arbiter.WORKERS = {NEWER: SimpleNamespace(age=4), NEWER + 1: SimpleNamespace(age=5)}

    arbiter.turn()

    assert arbiter.num_workers == 2
    assert arbiter.told == []


def test_a_worker_that_is_being_replaced_counts_no_more(arbiter: Arbiter) -> None:
    """gunicorn spawns the new ones, counts its workers, and only then sends the oldest the signal to leave."""
    arbiter.note(f"a{OLD}", f"a{OTHER}", f"s{OTHER}", f"s{NEW}")
    arbiter.WORKERS |= {NEW: SimpleNamespace(age=3), NEWER: SimpleNamespace(age=4)}

    arbiter.turn()
    arbiter.note(f"a{NEW}", f"s{OLD}")
    arbiter.turn()
    assert arbiter.told == []

    arbiter.note(f"a{NEWER}")
    arbiter.turn()
    assert arbiter.told == [], "gunicorn has yet to end the old ones"

    arbiter.end(OLD)
    arbiter.end(OTHER)
    assert [pid for pid, _ in arbiter.told] == [NEW]


def test_one_worker_stays_when_fewer_are_asked_for_meanwhile(arbiter: Arbiter) -> None:
    """gunicorn ignores a TTOU where one worker is wanted; the second one makes it act."""
    alone(arbiter)
    arbiter.turn(NEW)
    arbiter.num_workers -= 1
    arbiter.turn()
    arbiter.end(OLD)  # gunicorn takes the oldest

    assert arbiter.num_workers == 1


class Worker:
    """The part of gunicorn's worker that is used here."""

    __module__ = "gunicorn.workers.sync"

    def __init__(self, limit: int, **others: Any) -> None:
        self.nr = 0
        self.max_requests = limit
        self.log = logging.getLogger("test.gunicorn")
        vars(self).update(others)

    def leaves(self) -> bool:
        """Serve a request as gunicorn's workers do, which count it."""
        self.nr += 1
        return self.nr >= self.max_requests


def noted(arbiter: Arbiter) -> str:
    """The notes of workers since the last call."""
    try:
        return os.read(arbiter.recycling._notes_r, 100).decode()
    except BlockingIOError:
        return ""


def test_a_worker_asks_once_when_its_number_is_served_and_does_not_leave(arbiter: Arbiter) -> None:
    worker = Worker(2, wsgi=len)
    arbiter.recycling.attached(worker)

    assert noted(arbiter) == f"a{os.getpid()} "
    assert [(worker.leaves(), noted(arbiter)) for _ in range(4)] == [
        (False, ""),
        (False, f"s{os.getpid()} "),
        (False, ""),
        (False, ""),
    ]
    assert worker.wsgi is len


def test_aiohttps_leaves_beyond_its_number(arbiter: Arbiter) -> None:
    worker = Worker(2)
    arbiter.recycling.attached(worker)
    noted(arbiter)

    assert [(count > worker.max_requests, noted(arbiter)) for count in (2, 3)] == [
        (False, ""),
        (False, f"s{os.getpid()} "),
    ]


def test_uvicorn_asks_too_whatever_it_adds(arbiter: Arbiter) -> None:
    """uvicorn's server compares for itself, and adds its own jitter."""

    class UvicornWorker(Worker):
        __module__ = "uvicorn_worker"

    worker = UvicornWorker(2, config=SimpleNamespace(limit_max_requests=2))
    arbiter.recycling.attached(worker)
    noted(arbiter)
    limit = worker.config.limit_max_requests + 1

    assert [(count >= limit, noted(arbiter)) for count in (2, 3)] == [(False, ""), (False, f"s{os.getpid()} ")]
    assert f"{limit:d} {limit}" == "3 3"


def test_without_a_limit_nothing_is_changed(arbiter: Arbiter) -> None:
    worker = Worker(sys.maxsize)
    arbiter.recycling.attached(worker)

    assert type(worker.max_requests) is int


def test_a_master_that_takes_no_notes_costs_no_request(arbiter: Arbiter, caplog: pytest.LogCaptureFixture) -> None:
    for size in (4096, 1):
        with suppress(BlockingIOError):
            while True:
                os.write(arbiter.recycling._notes_w, b" " * size)
    worker = Worker(1)
    arbiter.recycling.attached(worker)

    assert not worker.leaves()
    assert "the master can't be told how this worker is" in caplog.text
