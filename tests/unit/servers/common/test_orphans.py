"""A worker whose master is dead gets a TERM, and is killed when it does not leave; until then its watch sleeps."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from confcast.servers.common import orphans
from tests.support.waiting import DEADLINE, eventually


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


def test_it_sleeps_while_the_master_lives(monkeypatch: pytest.MonkeyPatch):
    readable, writable = os.pipe()
    looks: list[int] = []
    parent = [7]
    left = threading.Event()

    def getppid() -> int:
        looks.append(parent[0])
        return parent[0]

    system = SimpleNamespace(pidfd_open=lambda pid: readable, close=os.close, getppid=getppid)
    system.getpid, system.kill = lambda: 9, lambda pid, number: left.set() if number == signal.SIGKILL else None
    monkeypatch.setattr(orphans, "os", system)
    monkeypatch.setattr(orphans, "_INTERVAL", 0.0)
    monkeypatch.setattr(orphans, "_GRACE", 0.0)

    orphans.watch_master(7)
    eventually(lambda: looks, "the first look")
    parent[0] = 1
    os.close(writable)  # readable: the master is dead

    assert left.wait(DEADLINE)
    assert looks == [7, 1]
