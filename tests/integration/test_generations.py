"""One manager takes another's place: what is paused, what goes on, and what is as before when it is called off."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from confcast import ConfigError, ConfigLoader, OwnerUnavailable, ReloadResult
from confcast.master.embedded import EmbeddedManager
from confcast.master.start import launch
from confcast.owner.store.handover import NUMBER
from confcast.wire.options import Options
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.gate import Gate
from tests.support.leaks import is_running
from tests.support.programs import Program
from tests.support.settings import SCHEMA, write
from tests.support.stopping import stop
from tests.support.waiting import eventually, history_of, in_thread

WORDS = "another config owner loads in place of this one, since a full reload"


def successor(manager: Manager, config: Path, **options: object) -> Manager:
    """The manager of the next generation, not started yet."""
    how: dict[str, Any] = {"watch": False, "vote_timeout": 10.0, **options}
    following: Manager = EmbeddedManager(ConfigLoader(SCHEMA, config), **how)
    return following.succeed(manager)


def test_a_paused_owner_refuses_in_words_and_goes_on_with_what_it_missed(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager(watch=True)
    worker = start_worker(manager)
    manager.pause()
    write(config, 2)

    event = manager.reload()
    assert (event.result, event.version) == (ReloadResult.VALIDATION_FAILED, 1)
    assert WORDS in str(event.error_message)
    assert worker.ask("read") == (1, 1)

    manager.unpause()
    eventually(lambda: worker.ask("read") == (2, 2), "what was missed")
    assert manager.reload_config() is ReloadResult.UNCHANGED


def test_what_a_paused_owner_has_refused_is_loaded_when_it_goes_on(manager: Manager, config: Path) -> None:
    """Also of one that does not watch: a HUP may overtake the message to go on, and nothing shows who has sent it."""
    manager.pause()
    write(config, 2)
    manager.request_reload()
    eventually(lambda: WORDS in str(manager.get_event_history()[0].error_message), "that it refuses")

    manager.unpause()

    eventually(lambda: manager.version == 2, "that it is loaded")


def test_what_is_under_way_gets_its_end_and_goes_over(manager: Manager, config: Path, gate: Gate) -> None:
    write(config, 1, gate=str(gate.path))
    manager.reload()
    outcome = gate.hold_load(config, 2, lambda: in_thread(manager.reload))
    paused = in_thread(manager.pause)
    gate.open()
    gate.let_go()
    assert outcome().version == 3
    paused()

    with successor(manager, config).start() as following:
        assert following.version == 3
        assert [event.version for event in following.get_event_history()] == [3, 3, 2, 1]
        write(config, 4)
        assert following.reload().version == 4
        assert manager.reload().version == 3


@pytest.fixture
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who pauses an owner waits for a tenth of a second; the owner's own deadlines (10 s each) stay long."""
    monkeypatch.setattr(launch, "_SLACK", 0.1 - Options(vote_timeout=10.0).answers_within)


def test_an_owner_that_does_not_answer_is_not_followed(manager: Manager, config: Path, impatience: None) -> None:
    stop(manager.owner_pid)

    with pytest.raises(OwnerUnavailable, match="is not idle in time"):
        manager.pause()

    os.kill(manager.owner_pid, signal.SIGCONT)
    write(config, 2)
    eventually(lambda: WORDS not in str(manager.reload().error_message), "that it loads again")


def test_an_answer_to_a_pause_that_was_called_off_is_not_taken_for_that_to_the_next(
    manager: Manager, config: Path, gate: Gate, impatience: None
) -> None:
    stop(manager.owner_pid)
    with pytest.raises(OwnerUnavailable):
        manager.pause()
    os.kill(manager.owner_pid, signal.SIGCONT)
    manager.get_stats()  # it has received the first pause before, and was idle: the late answer is under way
    eventually(manager.reload, "that it loads again")
    outcome = gate.hold_load(config, 2, lambda: in_thread(manager.reload))

    with pytest.raises(OwnerUnavailable, match="is not idle in time"):
        manager.pause()

    gate.open()
    gate.let_go()
    assert outcome().version == 2


def test_a_dead_owner_s_successors_are_paused_too(manager: Manager, config: Path) -> None:
    os.kill(manager.owner_pid, signal.SIGKILL)

    manager.pause()

    write(config, 2)
    assert WORDS in str(manager.reload().error_message)
    manager.unpause()
    eventually(lambda: manager.reload().version == 2, "that it loads again")


def test_a_successor_that_is_called_off_gives_the_address_back(manager: Manager, config: Path) -> None:
    """A worker that starts afterwards finds the owner that goes on."""
    manager.pause()
    following = successor(manager, config).start()
    assert os.environ["CONFCAST_ADDRESS_APP"] == following.address

    following.close()
    manager.unpause()

    assert os.environ["CONFCAST_ADDRESS_APP"] == manager.address
    manager.close()
    assert "CONFCAST_ADDRESS_APP" not in os.environ


@pytest.fixture
def durable(start_manager: StartManager, tmp_path: Path) -> Manager:
    """A manager that keeps its journal."""
    return start_manager(state_dir=tmp_path / "state")


def test_the_state_folder_stays_until_it_is_free(durable: Manager, config: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    durable.pause()
    write(config, 2)
    with successor(durable, config, state_dir=state).start() as following:
        assert following.version == 2
        (home,) = Path(following.address).parent.glob("journal")

        durable.close()
        eventually(lambda: not home.exists(), "the move")
        write(config, 3)
        assert following.reload().version == 3

    with EmbeddedManager(ConfigLoader(SCHEMA, config), watch=False, state_dir=state) as later:
        assert later.version == 3
        assert [event.version for event in later.get_event_history()] == [3, 3, 2, 1]


@pytest.mark.slow
def test_what_is_committed_before_the_move_is_kept_though_all_end_at_once(
    durable: Manager, config: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    durable.pause()
    following = successor(durable, config, state_dir=state).start()
    write(config, 2)
    assert following.reload().version == 2

    durable.close()
    following.close()

    with EmbeddedManager(ConfigLoader(SCHEMA, config), watch=False, state_dir=state) as later:
        assert [event.version for event in later.get_event_history()] == [2, 2, 1, 1]


TWO_GENERATIONS = """
import json, sys
from pathlib import Path
from confcast import ConfigLoader
from confcast.master.embedded import EmbeddedManager
from tests.support.settings import SCHEMA, write
config, state = map(Path, sys.argv[1:])
first, second = (
    EmbeddedManager(ConfigLoader(SCHEMA, config), watch=False, supervise="caller", state_dir=state) for _ in "12"
)
first.start().pause()
second.succeed(first).start()
print(json.dumps("ready"), flush=True)
sys.stdin.readline()
write(config, 2)
print(json.dumps([second.reload().version, first.owner_pid, second.owner_pid]), flush=True)
sys.stdin.read()
"""


def test_what_is_committed_before_the_move_is_kept_though_the_master_is_killed(
    start_manager: StartManager, config: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    master = Program("-c", TWO_GENERATIONS, str(config), str(state))
    version, *owners = master.ask("reload")
    assert version == 2

    master.kill()
    eventually(lambda: not any(map(is_running, owners)), "the end of both owners")

    assert [event.version for event in start_manager(state_dir=state).get_event_history()] == [2, 2, 1, 1]


@pytest.mark.slow
def test_who_is_not_followed_after_all_keeps_its_state_folder(durable: Manager, config: Path, tmp_path: Path) -> None:
    durable.pause()
    write(config, 2, name="broken", high=1)
    with pytest.raises(ConfigError):
        successor(durable, config, state_dir=tmp_path / "state").start()
    write(config, 2)

    durable.unpause()

    eventually(lambda: durable.reload().version == 2, "that it loads again")
    durable.close()
    with EmbeddedManager(ConfigLoader(SCHEMA, config), watch=False, state_dir=tmp_path / "state") as later:
        assert later.version == 2


@pytest.mark.slow
def test_a_paused_owner_that_dies_leaves_the_state_folder_to_the_next_and_gets_it_back_when_that_is_gone(
    durable: Manager, config: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    durable.pause()
    following = successor(durable, config, state_dir=state).start()
    (home,) = Path(following.address).parent.glob("journal")
    os.kill(durable.owner_pid, signal.SIGKILL)
    eventually(lambda: not home.exists(), "the move")
    assert (Path(durable.address).parent / NUMBER).exists(), "by it, the paused one knows whose the journal there is"
    write(config, 2)
    assert following.reload().version == 2
    assert eventually(lambda: history_of(durable), "the paused one's successor")[0].version == 1
    following.close()

    durable.unpause()

    eventually(lambda: durable.reload().version == 3, "what was missed, under a number of its own")
    durable.close()
    with EmbeddedManager(ConfigLoader(SCHEMA, config), watch=False, state_dir=state) as later:
        assert later.version == 3


@pytest.mark.slow  # seconds of waiting: for workers that may connect, and for the one that does not answer
def test_who_is_served_by_an_owner_that_dies_in_its_pause_is_named_by_the_one_that_goes_on(
    start_manager: StartManager, start_worker: StartWorker, config: Path, tmp_path: Path
) -> None:
    """Without: that one goes on from the next one's journal, whose roster has nobody: a success, and nobody named."""
    state = tmp_path / "state"
    manager = start_manager(state_dir=state, supervise="caller")
    worker = start_worker(manager)
    manager.pause()
    following = successor(manager, config, state_dir=state).start()
    (home,) = Path(following.address).parent.glob("journal")
    os.kill(manager.owner_pid, signal.SIGKILL)
    eventually(lambda: not home.exists(), "the move")
    following.close()
    stop(worker.pid)

    manager.unpause()
    manager.ensure_owner()

    write(config, 2)
    event = manager.reload(timeout=20.0)
    os.kill(worker.pid, signal.SIGCONT)
    assert (event.result, [each.pid for each in event.lagging]) == (ReloadResult.REJECTED, [worker.pid])
    eventually(lambda: (manager.reload().version, worker.ask("read")[1]) == (2, 2), "that it has the change")
