"""A worker whose master is dead gets a call to leave, and is killed when it does not leave."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from confcast.servers.common import orphans
from tests.support.waiting import DEADLINE


def test_it_is_called_to_leave_when_its_parent_is_another_and_killed_when_it_stays(monkeypatch: pytest.MonkeyPatch):
    done: list[Any] = []
    killed = threading.Event()
    parents: Iterator[int] = iter([7, 7, 7, 1])

    def getppid() -> int:
        done.append("look")
        return next(parents)

    def kill(pid: int, number: int) -> None:
        done.append((pid, number))
        if number == signal.SIGKILL:
            killed.set()

    monkeypatch.setattr(orphans, "os", SimpleNamespace(getppid=getppid, getpid=lambda: 9, kill=kill))
    monkeypatch.setattr(orphans, "_INTERVAL", 0.0)
    monkeypatch.setattr(orphans, "_GRACE", 0.0)

    orphans.watch_master(7)

    assert killed.wait(DEADLINE)
    assert done == ["look", "look", "look", "look", (9, signal.SIGTERM), (9, signal.SIGKILL)]
