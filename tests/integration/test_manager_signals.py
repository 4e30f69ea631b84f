"""Whose handler SIGHUP has, from a manager's start to its end, and what a client's end leaves alone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from confcast import ConfigLoader, Replica, initialize_reload_manager
from confcast.master.embedded import EmbeddedManager
from confcast.master.start import launch
from confcast.master.start.execute import execute
from tests.support.fixtures import Manager, StartManager
from tests.support.settings import SCHEMA, Settings, write
from tests.support.waiting import eventually, in_thread


def own(number: int, frame: FrameType | None) -> None:
    """The program's handler."""


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.signal(signal.SIGHUP, own)
    yield
    signal.signal(signal.SIGHUP, before)


def test_the_program_s_handler_is_back_after_the_end(manager: Manager, config: Path) -> None:
    assert signal.getsignal(signal.SIGHUP) is not own
    write(config, 2)
    os.kill(os.getpid(), signal.SIGHUP)
    eventually(lambda: manager.current.number == 2, "the reload")
    manager.close()
    assert signal.getsignal(signal.SIGHUP) is own


def test_a_handler_that_somebody_set_since_is_left_alone(manager: Manager) -> None:
    def theirs(number: int, frame: FrameType | None) -> None:
        """A server's."""

    signal.signal(signal.SIGHUP, theirs)
    manager.close()
    assert signal.getsignal(signal.SIGHUP) is theirs


def test_a_close_in_another_thread_ends_everything_and_leaves_a_handler_that_does_nothing(
    manager: Manager, caplog: pytest.LogCaptureFixture
) -> None:
    owner = manager.owner_pid
    in_thread(manager.close)()
    with pytest.raises(ProcessLookupError):
        os.kill(owner, 0)
    assert "only the main thread" in caplog.text
    os.kill(os.getpid(), signal.SIGHUP)


def test_a_client_in_a_with_statement_sets_the_handler_once_and_puts_it_back(
    start_manager: StartManager, config: Path
) -> None:
    start_manager(enable_signal_handler=False)
    with initialize_reload_manager(ConfigLoader(SCHEMA, config)) as client:
        assert client.current.number == 1
        assert signal.getsignal(signal.SIGHUP) is not own
    assert signal.getsignal(signal.SIGHUP) is own


def test_a_client_s_end_detaches_no_replica_that_was_attached_before(settings: Replica[Settings], config: Path) -> None:
    with initialize_reload_manager(ConfigLoader(SCHEMA, config)) as client:
        assert client.current is settings.current
    assert settings.connected
    assert settings.reload()


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGRTMIN])
def test_an_owner_outlives_what_every_process_of_a_service_is_sent(manager: Manager, number: int) -> None:
    """By `systemctl kill -s USR1`, for logs to be opened anew, or RTMIN, for a full reload."""
    os.kill(manager.owner_pid, number)

    assert manager.get_stats()["owner_restarts"] == 0


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGRTMIN])
def test_an_owner_that_is_sent_usr1_for_a_rotation_while_it_starts_lives(
    number: int, start_manager: StartManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    def execute_and_signal(*given: Any) -> int:
        pid = execute(*given)
        os.kill(pid, number)
        return pid

    monkeypatch.setattr(launch, "execute", execute_and_signal)

    assert start_manager().version == 1


def test_an_owner_goes_on_in_the_next_log_file_at_once(config: Path, tmp_path: Path) -> None:
    """Without a line of its own: else it would keep the rotated file, and its space, for as long as it is silent."""
    log = tmp_path / "log"
    manager = EmbeddedManager(ConfigLoader(SCHEMA, config), watch=False)
    with log.open("ab") as file:
        manager.send_output_to(file.fileno, lambda: str(log))
        with manager:
            log.rename(tmp_path / "log.1")
            log.touch()

            manager.log_was_rotated()

            streams = [Path(f"/proc/{manager.owner_pid}/fd/{stream}") for stream in (1, 2)]
            eventually(lambda: {stream.readlink() for stream in streams} == {log}, "the next file")
            assert manager.get_stats()["owner_restarts"] == 0
