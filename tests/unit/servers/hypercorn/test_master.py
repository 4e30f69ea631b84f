"""hypercorn's master is stopped while it replaces its workers."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from threading import Lock
from types import SimpleNamespace
from typing import Any

import pytest

from confcast.servers.hypercorn.master import _Waiting


class Event:
    """As hypercorn's, which is set to stop every worker: its lock can be taken once. A deadlock is an error here."""

    def __init__(self) -> None:
        self.times_set = 0
        self._lock = Lock()

    def set(self, came: signal.Signals | None = None) -> None:
        """Set it; meanwhile this signal comes."""
        assert self._lock.acquire(blocking=False), "the thread waits for itself"
        if came is not None:
            signal.raise_signal(came)
        self.times_set += 1
        self._lock.release()


@pytest.fixture(params=[signal.SIGTERM, signal.SIGINT])
def stop(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    before = signal.getsignal(request.param)
    yield request.param
    signal.signal(request.param, before)


def test_a_stop_that_comes_while_workers_are_replaced_is_handled_afterwards(stop: signal.Signals) -> None:
    event = Event()

    def shutdown(*_: object) -> None:
        event.set()

    signal.signal(stop, shutdown)
    context: Any = SimpleNamespace(pids=set, replace=lambda timeout: None, worker=None)
    reloading: Any = SimpleNamespace(begin=lambda: None, end=lambda before, now: True)
    waiting = _Waiting(context, reloading, 1.0)
    waiting._replace_workers = lambda: event.set(stop)

    assert waiting._reload_fully()
    assert event.times_set == 2
    assert signal.getsignal(stop) is shutdown
