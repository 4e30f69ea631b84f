"""granian's master looks after its owner and its workers in each turn."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
import weakref
from types import SimpleNamespace
from typing import Any

import pytest
from granian.server import common
from granian.server.mp import MPServer, WorkerProcess

from confcast.servers.granian.server import Server, _Worker
from tests.support.waiting import DEADLINE


@pytest.mark.parametrize("ends", [True, False])
def test_a_worker_that_is_to_end_is_sent_no_hup_any_more(ends: bool) -> None:
    """Of two signals at once a thread other than the main one would get the second, and the worker would not end."""
    turns: list[Any] = []
    master: Any = SimpleNamespace(interrupt_signal=ends, _reloading=SimpleNamespace(tick=turns.append), _pids=set)

    Server._tick(master)

    assert turns == ([] if ends else [set])


class Worker:
    """One that ends when it has been woken so often."""

    def __init__(self, pid: int, *, wakes: int, is_to_end: bool = True) -> None:
        self.inner: Any = SimpleNamespace(pid=pid, join=lambda timeout: self.joins.append(timeout))
        self.interrupt_by_parent = is_to_end
        self.wakes = wakes
        self.joins: list[float] = []
        self.server: Any = None

    def is_alive(self) -> bool:
        return self.wakes > 0


def join(worker: Worker, others: list[Worker], monkeypatch: pytest.MonkeyPatch, *timeout: float) -> list[int]:
    """Who was woken while the master waited for this one's end, which is no longer one of its workers."""
    woken: list[int] = []

    def kill(pid: int, number: int) -> None:
        assert number == signal.SIGRTMIN
        woken.append(pid)
        for each in (worker, *others):
            each.wakes -= each.inner.pid == pid
            if each.wakes == -1:
                raise ProcessLookupError

    monkeypatch.setattr(os, "kill", kill)
    worker.server = SimpleNamespace(wrks=others)
    _Worker.join(worker, *timeout)  # type: ignore[arg-type]
    return woken


def test_workers_that_are_to_end_are_woken_until_they_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """And are not sent TERM again: granian's handler of a third one waits for ever."""
    dead, serving = Worker(1, wakes=0), Worker(2, wakes=1, is_to_end=False)
    missed, old = Worker(3, wakes=9), Worker(4, wakes=2)

    assert join(old, [dead, serving, missed], monkeypatch) == [4, 3, 4, 3]


def test_a_worker_is_waited_for_as_long_as_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    old = Worker(4, wakes=9)
    times = iter([0.0, 0.0, 0.9, 1.5])
    monkeypatch.setattr(time, "monotonic", lambda: next(times))

    assert join(old, [], monkeypatch, 1.5) == [4, 4]
    assert old.joins == [1.0, pytest.approx(0.6)]


def test_nothing_holds_a_worker_that_has_been_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else two pipes of each stay open in the master until the collector comes, which has little to do there."""
    monkeypatch.setattr(MPServer, "_spawn_worker", lambda self, idx, target, boot: WorkerProcess(self, idx, target, ()))
    server: Any = Server.__new__(Server)
    server._worker, server.interface = (), "wsgi"
    worker = server._spawn_worker(0, print, print)
    left = weakref.ref(worker)
    gc.disable()
    try:
        del worker
        assert left() is None
    finally:
        gc.enable()


class Turns:
    """A lock that tells when somebody finds it taken."""

    def __init__(self) -> None:
        self.lock, self.awaited = threading.Lock(), threading.Event()

    def __enter__(self) -> None:
        if not self.lock.acquire(blocking=False):
            self.awaited.set()
            self.lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.lock.release()


def test_no_worker_is_forked_while_a_thread_logs_the_end_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would inherit the lock of the log's stream, and wait for it before it unblocks TERM."""
    done: list[str] = []
    turns, logs = Turns(), threading.Event()
    server = SimpleNamespace(no_fork_while_logging=turns, interrupt_children=[], main_loop_interrupt=threading.Event())
    server.reload_on_changes = False

    def log(text: str) -> None:
        logs.set()
        turns.awaited.wait(DEADLINE)
        done.append("logged")

    def worker(**inner: Any) -> Any:
        made = _Worker.__new__(_Worker)
        made.server = made.parent = server  # type: ignore[assignment]
        made.idx, made.interrupt_by_parent, made.inner = 0, False, SimpleNamespace(pid=1, join=lambda: None, **inner)
        return made

    monkeypatch.setattr(common.logger, "error", log)
    ended = threading.Thread(target=worker()._watcher)
    ended.start()
    assert logs.wait(DEADLINE)
    following = worker(start=lambda: done.append("forked"))
    following._watch = lambda: None
    following.start()
    turns.awaited.set()
    ended.join(DEADLINE)
    assert done == ["logged", "forked"]
