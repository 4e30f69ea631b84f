"""What a pin counts: each request once, for the version that it ends on, in whatever thread."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from confcast import Replica
from confcast.worker import pins
from confcast.worker.health import tally
from confcast.worker.health.tally import Tally
from tests.support.forking import holds_in_child
from tests.support.number import Settings
from tests.support.waiting import in_thread


def counted(settings: Replica[Settings]) -> tuple[int, int]:
    tally = settings._snapshot._tally
    return tally.answered, tally.failed


@pytest.fixture
def switching() -> Iterator[None]:
    """Threads are switched as often as they can be."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_a_pin_is_counted_when_it_ends(settings: Replica[Settings], fake: Any):
    with settings.pin():
        assert counted(settings) == (0, 0)
        with settings.pin():
            pass
    assert counted(settings) == (1, 0)


def test_what_raises_out_of_it_has_failed(settings: Replica[Settings], fake: Any):
    with pytest.raises(ValueError, match="no"), settings.pin():
        raise ValueError("no")
    with pytest.raises(SystemExit), settings.pin():  # the server's, or a cancelled task's: not the application's
        raise SystemExit
    assert counted(settings) == (2, 1)


def test_a_pin_that_was_never_entered_or_is_closed_twice_counts_no_more(settings: Replica[Settings], fake: Any):
    settings.pin().__exit__(None, None, None)
    pin = settings.pin()
    pin.__enter__()
    pin.__exit__(None, None, None)
    pin.__exit__(None, None, None)
    assert counted(settings) == (1, 0)


def test_one_that_is_renewed_counts_for_each_version_that_a_message_ended_on(settings: Replica[Settings], fake: Any):
    former = settings._snapshot
    pin = settings.pin()
    with pin:
        fake.push(Settings(2))
        pin.renew()
    assert (former._tally.answered, counted(settings)) == (1, (1, 0))


@pytest.mark.parametrize("free_threaded", [False, True])
def test_no_count_is_lost_in_threads(
    settings: Replica[Settings], fake: Any, switching: None, monkeypatch: pytest.MonkeyPatch, free_threaded: bool
):
    """With a lock; and without one, as CPython never switches threads within the statement that counts."""
    if free_threaded or not pins.IS_FREE_THREADED:
        monkeypatch.setattr(pins, "IS_FREE_THREADED", free_threaded)
    together = threading.Barrier(8)

    def requests() -> None:
        together.wait()
        for _ in range(5000):
            pin = settings.pin()
            with pin:
                pin.failed = True

    for result in [in_thread(requests) for _ in range(8)]:
        result()
    assert counted(settings) == (40000, 40000)


def test_a_new_tally_is_empty():
    tally = Tally()
    tally.add(failed=True, names_entity=True)
    assert (tally.answered, tally.failed, tally.entities) == (1, 1, 1)


def test_a_forked_child_waits_for_no_thread_of_its_parent(settings: Replica[Settings], fake: Any):
    """One may count just when the process forks."""

    def counts() -> bool:
        signal.alarm(5)  # it would wait for ever
        Tally().add(failed=False)
        return True

    with tally._lock:
        assert holds_in_child(counts)
