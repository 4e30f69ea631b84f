"""`multiprocessing.Pool`, and `ProcessPoolExecutor`, with `initializer=settings.attach`.

One master of each kind serves all tests of it, one after the other: only numbers go on from test to test. Executors
by fork and fork server are in test_processes.py, in shorter programs.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gate import Gate
from tests.support.leaks import is_running
from tests.support.pooled import Pooled
from tests.support.slow import slow
from tests.support.waiting import eventually

KINDS = [("pool", "fork"), slow(("pool", "spawn")), slow(("pool", "forkserver")), ("executor", "spawn")]


@pytest.fixture(scope="module", params=KINDS, ids="-".join)
def pooled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pooled]:
    with tempfile.TemporaryDirectory(prefix="cc-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONFCAST_RUNTIME_DIR", folder)
        pooled = Pooled(tmp_path_factory.mktemp("pool") / "app.toml", *request.param)
        try:
            yield pooled
        finally:
            assert pooled.program.end() == 0
        assert list(Path(folder).iterdir()) == []


def test_every_child_reads_the_newest_after_a_reload_and_none_is_replaced(pooled: Pooled) -> None:
    before = pooled.everyone()
    assert len(before) == 2
    for _ in range(3):
        number = pooled.change()
        result, _, applied = pooled.ask("reload")
        assert (result, set(applied) >= set(before)) == ("success", True)
        assert pooled.everyone() == dict.fromkeys(before, number)


def test_a_task_sees_one_version_from_its_begin_to_its_end(pooled: Pooled, tmp_path: Path) -> None:
    old, gate = pooled.reloaded(), Gate(tmp_path / "gate")
    gate.shut()
    pooled.ask("hold", str(tmp_path / "begun"), str(gate.path))
    eventually((tmp_path / "begun").exists, "the task's begin")
    gate.await_load()
    new = pooled.reloaded()
    gate.let_go()
    assert pooled.ask("held") == [old, old, new]


def test_a_replica_that_is_a_task_s_argument_is_the_one_of_its_process(pooled: Pooled) -> None:
    assert pooled.ask("argument") is True


def test_a_hup_for_the_master_reloads_and_leaves_every_child(pooled: Pooled) -> None:
    before, number = pooled.everyone(), pooled.change()
    pooled.hup(group=False)
    assert pooled.everyone() == dict.fromkeys(before, number)


def test_a_hup_for_the_whole_group_leaves_every_child(pooled: Pooled) -> None:
    if pooled.method == "forkserver":
        pytest.skip("multiprocessing's own fork server dies of it")
    before, number = pooled.everyone(), pooled.change()
    pooled.hup(group=True)
    assert pooled.everyone() == dict.fromkeys(before, number)


def test_a_hup_for_a_child_does_nothing(pooled: Pooled) -> None:
    before, version = pooled.everyone(), pooled.ask("version")
    for pid in before:
        os.kill(pid, signal.SIGHUP)
    assert set(pooled.everyone()) == set(before)
    assert pooled.ask("version") == version


def test_after_the_owner_was_killed_the_children_go_on_and_follow_the_next_one(pooled: Pooled) -> None:
    before, owner = pooled.everyone(), pooled.ask("owner")
    os.kill(owner, signal.SIGKILL)
    assert set(pooled.everyone()) == set(before)
    eventually(lambda: pooled.ask("owner") not in (0, owner), "the next owner")
    eventually(lambda: set(pooled.ask("roster")) >= set(before), "every child back on the roster")
    eventually(lambda: pooled.ask("newest") == "restart", "its own first load")
    number = pooled.reloaded()
    assert pooled.everyone() == dict.fromkeys(before, number)


def test_a_child_that_was_killed_is_replaced_and_the_next_has_the_newest(pooled: Pooled) -> None:
    before, number = pooled.everyone(), pooled.reloaded()
    assert pooled.ask("kill_one") == ("replaced" if pooled.kind == "pool" else "broken")
    eventually(lambda: sum(map(is_running, before)) <= 1, "the end of the child")
    after = pooled.everyone()
    assert after == dict.fromkeys(after, number)
    assert set(after) != set(before)
    number = pooled.reloaded()
    assert pooled.everyone() == dict.fromkeys(after, number)
    eventually(lambda: set(pooled.ask("roster")) == set(after), "a roster of those that live")


def test_with_the_manager_closed_first_the_children_keep_what_they_have(pooled: Pooled) -> None:
    """The last of a master's tests: its manager is not started again."""
    number = pooled.reloaded()
    before = pooled.everyone()
    pooled.ask("close_manager")
    assert pooled.everyone() == dict.fromkeys(before, number)
