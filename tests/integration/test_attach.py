"""How processes attach: by every start method, after a fork, again after closing; and what is said when they can't."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from confcast import ConfcastError, NotAttached, OwnerUnavailable, Replica, SchemaMismatch, attach, current, declared
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.programs import ROOT, Program
from tests.support.settings import Settings, write
from tests.support.slow import slow
from tests.support.waiting import eventually
from tests.support.workers import Raised


@pytest.fixture
def replica(nothing_is_left: None) -> Iterator[Replica[Settings]]:
    """Declared, and closed at the end."""
    replica = Replica(Settings, name="app")
    yield replica
    replica.close()


@pytest.mark.parametrize("method", ["spawn", slow("fork"), slow("forkserver")])
def test_workers_of_every_start_method_find_their_owner_by_the_environment(method: str, config: Path) -> None:
    master = Program("-m", "tests.support.master", str(config), method)
    try:
        master.ask("start", True)
        master.ask("start", True)
        assert [master.ask("ask", index, "read") for index in (0, 1)] == [[1, 1]] * 2
        write(config, 2)
        assert master.ask("reload") == "success"
        assert [master.ask("ask", index, "read") for index in (0, 1)] == [[2, 2]] * 2
    finally:
        assert master.end() == 0


def test_a_fork_of_an_attached_replica_keeps_the_value_and_attaches_the_same_object_again(config: Path) -> None:
    master = Program("-m", "tests.support.master", str(config), "fork", "attached")
    try:
        master.ask("start", False)
        assert master.ask("ask", 0, "read") == [1, 1]
        assert master.ask("ask", 0, "connected") is False

        write(config, 2)
        assert master.ask("reload") == "success"
        assert master.ask("ask", 0, "read") == [1, 1]

        assert master.ask("ask", 0, "attach") == 2  # it serves nothing before it has the newest
        assert master.ask("ask", 0, "read") == [2, 2]
        assert master.ask("ask", 0, "connected") is True
        write(config, 3)
        assert master.ask("reload") == "success"
        assert master.ask("ask", 0, "read") == [3, 3]
    finally:
        assert master.end() == 0


def test_an_executed_program_finds_its_owner_by_the_environment(manager: Manager) -> None:
    program = "from confcast import attach; from tests.support.settings import Settings; print(attach(Settings).latest)"

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stdout.startswith("number=1 twin=1")


@pytest.mark.parametrize("name", ["latest", "current", "snapshot", "version", "pin", "reload", "get_stats", "workers"])
def test_before_attaching_nothing_can_be_read_and_the_error_says_what_to_do(name: str) -> None:
    replica = Replica(Settings, name="billing")

    with pytest.raises(NotAttached, match=r"'billing'.*attach\(\)"):
        getattr(replica, name)()


def test_attaching_where_no_manager_was_started_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONFCAST_ADDRESS_BILLING", raising=False)

    with pytest.raises(NotAttached, match=r"'billing'.*CONFCAST_ADDRESS_BILLING is not set.*ConfigReloadManager"):
        Replica(Settings, name="billing").attach()


def test_attaching_where_nobody_listens_ends_in_time_and_may_be_tried_again(
    replica: Replica[Settings], runtime_folder: Path, manager: Manager
) -> None:
    with pytest.raises(OwnerUnavailable, match=r"'app'.*within 0\.2 s"):
        replica.attach(str(runtime_folder / "nobody"), timeout=0.2)
    with pytest.raises(NotAttached):
        _ = replica.latest

    assert replica.attach().latest.number == 1


def test_a_second_replica_of_the_same_name_is_refused_until_the_first_is_closed(
    manager: Manager, replica: Replica[Settings]
) -> None:
    replica.attach()
    second = Replica(Settings, name="app")
    with pytest.raises(ConfcastError, match="another replica named 'app' is attached"):
        second.attach()
    replica.close()

    second.attach()

    assert second.latest.number == 1
    second.close()


def test_attaching_again_while_attached_changes_nothing(manager: Manager, replica: Replica[Settings]) -> None:
    assert replica.attach() is replica.attach() is replica
    assert [status.version for status in manager.workers()] == [1]


def test_after_closing_the_value_stays_and_attaching_again_brings_the_newest(
    manager: Manager, start_worker: StartWorker, config: Path
) -> None:
    worker = start_worker(manager)
    worker.ask("close")
    assert (worker.ask("read"), worker.ask("connected")) == ((1, 1), False)
    write(config, 2)
    event = manager.reload()
    assert (event.applied, event.lagging) == ([], [])
    assert worker.ask("read") == (1, 1)

    assert worker.ask("attach", manager.address) == 2

    assert worker.ask("read") == (2, 2)
    assert worker.ask("connected") is True


def test_another_schema_is_refused_and_the_fields_that_differ_are_named(manager: Manager) -> None:
    class Other(BaseModel):
        number: str
        added: int = 1

    with pytest.raises(SchemaMismatch, match="number: str here, int there") as caught:
        attach(Other)

    assert caught.value.fields["number"] == ("str", "int")
    assert caught.value.fields["added"] == ("int", None)
    assert caught.value.fields["twin"] == (None, "int")


def test_a_replica_of_another_name_is_refused_in_words(manager: Manager) -> None:
    with pytest.raises(ConfcastError, match="'billing'"):
        attach(Settings, address=manager.address, name="billing")


def test_a_worker_survives_a_hup_for_the_whole_process_group(manager: Manager, start_worker: StartWorker) -> None:
    worker = start_worker(manager)

    worker.signal(signal.SIGHUP)

    assert worker.ask("read") == (1, 1)
    assert "SIG_IGN" not in worker.ask("sighup_handler")


def test_the_one_replica_of_a_schema_is_found_by_it(settings: Replica[Settings]) -> None:
    assert settings in declared()
    assert current(Settings) is settings.latest


def test_an_address_that_is_no_socket_is_an_error_that_a_worker_survives(start_worker: StartWorker) -> None:
    worker = start_worker()

    with pytest.raises(Raised, match="OwnerUnavailable"):
        worker.ask("attach", "/dev/null", 0.1)
    with pytest.raises(Raised, match="NotAttached"):
        worker.ask("read")


def test_attaching_again_where_no_owner_answers_goes_on_with_what_is_held(
    manager: Manager, start_worker: StartWorker
) -> None:
    worker = start_worker(manager)
    worker.ask("close")
    manager.close()

    assert worker.ask("attach", "/nobody", 0.2) == 1
    assert worker.ask("connected") is False


def test_whoever_closes_leaves_the_roster_even_while_something_is_on_its_way_to_it(
    manager: Manager, replica: Replica[Settings], config: Path
) -> None:
    """The news of a version's settling follows the outcome of the call that this thread was waiting for."""
    for number in range(2, 52):
        replica.attach()
        write(config, number)
        assert replica.reload()
        replica.close()
        eventually(lambda: manager.workers() == [], "its Goodbye")


def test_who_closes_while_no_owner_lives_is_neither_waited_for_nor_named_by_the_next(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager(supervise="caller")  # no next one before it says so
    closing, other = start_worker(manager), start_worker(manager)
    os.kill(manager.owner_pid, signal.SIGKILL)
    closing.ask("await_connected", False)
    closing.ask("close")
    write(config, 2)

    event = manager.reload()

    assert (bool(event), event.version, event.lagging) == (True, 2, [])
    assert [status.pid for status in manager.workers()] == [other.pid]
    assert (closing.ask("read"), other.ask("read")) == ((1, 1), (2, 2))
    assert not list(Path(manager.address).parent.glob("left-*"))


def test_who_attaches_again_while_no_owner_lives_is_waited_for_by_the_next(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager(supervise="caller")
    worker = start_worker(manager)
    os.kill(manager.owner_pid, signal.SIGKILL)
    worker.ask("await_connected", False)
    worker.ask("close")
    assert worker.ask("attach", manager.address) == 1
    write(config, 2)

    event = manager.reload()

    assert (bool(event), event.version, event.lagging) == (True, 2, [])
    assert worker.ask("read") == (2, 2)


RELOADED = """
from confcast import Replica
from tests.support.settings import Settings

settings = Replica(Settings)
"""


@pytest.mark.parametrize("again", ["reloaded", slow("imported anew")])
def test_for_a_module_that_is_executed_again_while_its_replica_is_attached_the_error_says_the_way_out(
    again: str, start_manager: StartManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_manager()
    (tmp_path / "declaring.py").write_text(RELOADED, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    module: Any = importlib.import_module("declaring")
    former = module.settings.attach()

    if again == "imported anew":
        del sys.modules["declaring"]
        module = importlib.import_module("declaring")
    else:
        importlib.reload(module)
    try:
        with pytest.raises(ConfcastError) as caught:
            module.settings.attach()
        said = str(caught.value)
        assert "the module 'declaring' has been executed again (importlib.reload does), and the replica 'app'" in said
        assert "Close that one before the module is reloaded; by now it is among confcast.declared()" in said

        [found] = [each for each in declared() if each.name == "app" and each.connected]
        assert found is former
        found.close()  # the way out
        assert module.settings.attach().latest.number == 1
    finally:
        former.close()
        module.settings.close()
        sys.modules.pop("declaring", None)
