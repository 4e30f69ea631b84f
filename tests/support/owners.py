"""Owners that are killed, and the folder that one owner leaves to the next."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from confcast import ConfigReloadManager, ReloadEvent
from tests.support.gate import Gate
from tests.support.leaks import is_running
from tests.support.waiting import eventually, history_of


def kill_the_owner(manager: ConfigReloadManager[Any]) -> int:
    """With -9; returns its pid when it is dead."""
    owner = manager.owner_pid
    os.kill(owner, signal.SIGKILL)
    eventually(lambda: not is_running(owner), "the owner's end")
    return owner


def await_the_next(manager: ConfigReloadManager[Any], dead: int) -> int:
    """Have a manager that the caller supervises start the next owner; its pid."""
    eventually(lambda: manager.ensure_owner() or manager.owner_pid not in (0, dead), "the next owner")
    return manager.owner_pid


def await_one_that_can_t_start(manager: ConfigReloadManager[Any], dead: int) -> int:
    """The same of an owner that ends at once; its pid when it has ended."""
    owner = await_the_next(manager, dead)
    eventually(lambda: not is_running(owner), "the end of the owner that can't start")
    return owner


def kill_it_while_it_loads(manager: ConfigReloadManager[Any], config: Path, gate: Gate, number: int) -> ReloadEvent:
    """The owner, by this number's content, which the next one meets in its own first load: the event of that."""
    gate.hold_load(config, number, manager.request_reload)
    kill_the_owner(manager)
    gate.open()
    refused = eventually(
        lambda: [event for event in history_of(manager) if event.origin == "restart"], "the restart's load"
    )
    return refused[0]


def await_fold(manager: ConfigReloadManager[Any]) -> None:
    """Until SQLite has all that its owner's journal was given."""
    eventually(lambda: (home_of(manager) / "journal-ahead").stat().st_size == 0, "SQLite has all of it")


def home_of(manager: ConfigReloadManager[Any]) -> Path:
    """The runtime directory of its owners."""
    return Path(manager.address).parent
