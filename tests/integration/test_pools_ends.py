"""How pools and their children come to an end: after a few tasks each, and with a master that is killed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.leaks import children_of, is_running
from tests.support.pooled import Pooled
from tests.support.slow import slow
from tests.support.waiting import eventually

StartPool = Callable[..., Pooled]


@pytest.fixture
def start_pool(tmp_path: Path, nothing_is_left: None) -> Iterator[StartPool]:
    """Starts a master with a pool, and ends what is left of it."""
    started: list[Pooled] = []

    def start(*arguments: str) -> Pooled:
        started.append(Pooled(tmp_path / "app.toml", *arguments))
        return started[-1]

    yield start
    for pooled in started:
        pooled.program.end()


@pytest.mark.parametrize("method", ["fork", slow("spawn")])
def test_children_that_end_after_a_task_are_replaced_by_ones_with_the_newest(
    method: str, start_pool: StartPool
) -> None:
    pooled = start_pool("pool", method, "1")
    pids = set()
    for _ in range(3):
        number = pooled.reloaded()
        pid, read = pooled.ask("one")
        assert read == number
        pids.add(pid)
    assert len(pids) == 3
    eventually(lambda: len(pooled.ask("roster")) >= 2, "the children that replace them")
    assert pooled.ask("reload")[0] == "unchanged"  # nobody is waited for who has ended


@pytest.mark.parametrize(("kind", "method"), [("pool", "fork"), slow("pool", "spawn"), slow("executor", "spawn")])
def test_a_master_that_is_killed_leaves_no_owner_and_no_folder(
    kind: str, method: str, start_pool: StartPool, runtime_folder: Path
) -> None:
    pooled = start_pool(kind, method)
    children, owner = pooled.everyone(), pooled.ask("owner")

    pooled.program.kill()

    eventually(lambda: not is_running(owner), "the owner's end")
    eventually(lambda: list(runtime_folder.iterdir()) == [], "the end of its folder")
    if kind == "pool":  # those of an executor wait for ever: each has the pipe open that it waits on
        eventually(lambda: not any(map(is_running, children)), "the children's end")
    end(children)


def end(pids: Any) -> None:
    """With -9; they are the init process's children."""
    for pid in pids:
        if is_running(pid):
            os.kill(pid, 9)
    eventually(lambda: not any(map(is_running, pids)), "the children's end")
    assert not children_of(os.getpid()) & set(pids)
