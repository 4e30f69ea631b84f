"""How it all ends: a master that closes, one that is killed; nothing stays."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from confcast import NotAttached, ReloadResult, declared
from tests.support.fixtures import StartManager, StartWorker
from tests.support.gate import Gate
from tests.support.leaks import assert_nothing_left, belongings, is_running, nobody_listens
from tests.support.programs import Program
from tests.support.settings import SCHEMA, write
from tests.support.slow import slow
from tests.support.stopping import stop
from tests.support.waiting import eventually


@pytest.mark.parametrize("method", ["fork", slow("forkserver")])
def test_a_master_killed_with_9_leaves_no_process_socket_or_folder(
    method: str, config: Path, runtime_folder: Path
) -> None:
    master = Program("-m", "tests.support.master", str(config), method)
    ours = [master.ask("start", True), master.ask("start", True), master.ask("owner")]
    assert all(map(is_running, ours))

    master.kill()

    eventually(lambda: not any(map(is_running, ours)), "the end of owner and workers")
    eventually(lambda: not list(runtime_folder.iterdir()), "the end of the owner's folder")


def test_what_a_killed_master_and_owner_left_behind_is_taken_away_by_the_next_start(
    config: Path, runtime_folder: Path, start_manager: StartManager
) -> None:
    master = Program("-m", "tests.support.master", str(config), "fork")
    owner = master.ask("owner")
    stop(owner)
    master.kill()
    os.kill(owner, signal.SIGKILL)
    (left,) = runtime_folder.iterdir()
    eventually(lambda: nobody_listens(str(left / "control.sock")), "the owner's end")

    start_manager()

    assert left not in runtime_folder.iterdir()


def test_closing_ends_the_owner_and_takes_everything_away(
    start_manager: StartManager, start_worker: StartWorker, runtime_folder: Path, config: Path
) -> None:
    before = belongings()
    handler = signal.getsignal(signal.SIGHUP)
    manager = start_manager()
    owner, address = manager.owner_pid, manager.address
    assert manager.version == 1
    assert os.environ["CONFCAST_ADDRESS_APP"] == address
    assert [path.stat().st_mode & 0o777 for path in (Path(address).parent, Path(address))] == [0o700, 0o600]

    manager.close()

    assert not is_running(owner)
    assert "CONFCAST_ADDRESS_APP" not in os.environ
    assert signal.getsignal(signal.SIGHUP) is handler
    assert_nothing_left(before, runtime_folder)
    with pytest.raises(NotAttached):
        manager.reload()
    manager.close()


def test_workers_keep_what_they_have_when_the_manager_closes(
    start_manager: StartManager, start_worker: StartWorker
) -> None:
    manager = start_manager()
    worker = start_worker(manager)

    manager.close()

    worker.ask("await_connected", False)
    assert worker.ask("read") == (1, 1)


@pytest.mark.slow
def test_ten_starts_in_a_row_leave_nothing(start_manager: StartManager, runtime_folder: Path, config: Path) -> None:
    with start_manager() as manager:
        assert manager.version == 1
    before = belongings()
    for number in range(2, 12):
        write(config, number)
        with start_manager() as manager:
            assert manager.current.number == number

    assert_nothing_left(before, runtime_folder)


def test_closing_while_a_new_owner_is_still_starting_makes_it_leave(
    start_manager: StartManager, caplog: pytest.LogCaptureFixture
) -> None:
    manager = start_manager()
    dead = manager.owner_pid
    os.kill(dead, signal.SIGKILL)
    eventually(lambda: manager.owner_pid not in (0, dead), "the next owner")

    manager.close()

    assert not [record for record in caplog.records if "did not leave" in record.getMessage()]


def test_a_manager_after_another_begins_with_its_own_configuration(start_manager: StartManager, config: Path) -> None:
    with start_manager() as first:
        assert first.current.number == 1
        kept = declared()  # the first manager's own replica stays alive
    write(config, 2)
    with start_manager() as second:
        assert (second.version, second.current.number) == (1, 2)
    assert kept


def test_closing_does_not_wait_for_a_load_that_hangs_and_answers_who_waits_for_it(
    start_manager: StartManager, start_worker: StartWorker, config: Path, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    manager = start_manager()
    worker = start_worker(manager)
    gate.hold_load(config, 2, lambda: worker.tell("reload"))

    manager.close()

    event = worker.answer()
    assert event.result is ReloadResult.OWNER_UNAVAILABLE
    assert "the owner is leaving" in str(event.error_message)
    assert not [record for record in caplog.records if "did not leave" in record.getMessage()]


def test_the_owner_of_a_program_that_has_become_another_one_leaves(config: Path, runtime_folder: Path) -> None:
    """`exec` keeps the pid, and closes the master's end of the channel: a server that reloads its code so, for one."""
    program = (
        "import os, sys; from confcast import *\n"
        "manager = ConfigReloadManager(ConfigLoader(sys.argv[1], sys.argv[2])).start()\n"
        "print('\"ready\"', flush=True); input(); print(manager.owner_pid, flush=True)\n"
        "os.execv(sys.executable, [sys.executable, '-c', 'import sys; sys.stdin.read()'])\n"
    )
    master = Program("-c", program, SCHEMA, str(config))
    owner = master.ask("become another")

    try:
        eventually(lambda: not is_running(owner), "the owner's end")
        eventually(lambda: not list(runtime_folder.iterdir()), "the end of its folder")
        assert is_running(master.pid)
    finally:
        master.kill()
