"""Whose deaths the owner's loop notices, also when it is short of descriptors."""

from __future__ import annotations

import errno
import os
import selectors
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from confcast.owner.loop import exit_watch as module
from confcast.owner.loop.exit_watch import ExitWatch


class Bench:
    """Deaths on a selector that the test turns."""

    def __init__(self) -> None:
        self.told: list[int] = []
        self.selector = selectors.DefaultSelector()
        self.exit_watch = ExitWatch(self.selector)

    def tell(self, pid: int) -> bool:
        return self.exit_watch.watch(pid, lambda failed: self.told.append(pid))

    def turn(self, timeout: float = 10.0) -> None:
        for key, mask in self.selector.select(timeout):
            key.data(mask)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.exit_watch.close()
    assert not made.selector.get_map()
    made.selector.close()


def test_a_death_is_told_once(bench: Bench, child: subprocess.Popen[bytes]) -> None:
    assert bench.tell(child.pid)
    assert bench.tell(child.pid)
    bench.turn(0)
    assert bench.told == []
    child.kill()
    bench.turn()
    bench.turn(0)
    assert bench.told == [child.pid]


def test_a_dead_one_is_reported_at_once(bench: Bench, child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    assert bench.tell(child.pid)
    assert bench.told == [child.pid]


def test_a_forgotten_one_is_not_reported(bench: Bench, child: subprocess.Popen[bytes]) -> None:
    bench.tell(child.pid)
    bench.exit_watch.forget(child.pid)
    bench.exit_watch.forget(child.pid)
    child.kill()
    bench.turn(0)
    assert bench.told == []


def test_one_that_can_t_be_watched_for_now_is_not_dead_and_is_watched_later(
    bench: Bench,
    child: subprocess.Popen[bytes],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def none_left(pid: int) -> Any:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(module, "Death", none_left)
    assert not bench.tell(child.pid)
    assert not bench.exit_watch.try_again()
    assert bench.told == []
    assert caplog.text.count("can't be watched for now") == 1  # it is tried each second

    monkeypatch.undo()
    assert bench.exit_watch.try_again()
    child.kill()
    bench.turn()
    assert bench.told == [child.pid]
