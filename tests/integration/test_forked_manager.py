"""Managers that could be taken for another: one that a fork has inherited, and two of one name in one process."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

from confcast import ConfcastError, Replica
from tests.support.fixtures import Manager, StartManager
from tests.support.leaks import is_running
from tests.support.settings import Settings, write


def in_a_fork(act: Callable[[], object]) -> str:
    """What `act` gives, or what it raises, in a process forked from this one."""
    ear, mouth = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # this process has threads; the child uses none of them
        pid = os.fork()
    if pid == 0:
        try:
            said = str(act())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(mouth, said.encode())
        os._exit(0)
    os.close(mouth)
    with os.fdopen(ear) as file:
        said = file.read()
    os.waitpid(pid, 0)
    return said


@pytest.mark.parametrize("name", ["reload", "get_stats", "workers", "clear_history", "get_event_history"])
def test_a_manager_that_a_fork_has_inherited_answers_no_verb(name: str, shared_manager: Manager) -> None:
    said = in_a_fork(getattr(shared_manager, name))

    assert said.startswith(f"NotAttached: this manager belongs to the process {os.getpid()}")


def test_a_manager_that_a_fork_has_inherited_is_inert(shared_manager: Manager) -> None:
    manager, owner = shared_manager, shared_manager.owner_pid
    reloads = manager.get_stats()["total_reloads"]

    assert in_a_fork(lambda: manager.version).startswith("NotAttached")
    assert in_a_fork(lambda: (manager.request_reload(), manager.ensure_owner(), manager.close())) == str((None,) * 3)

    assert manager.owner_pid == owner
    assert is_running(owner)
    assert os.environ["CONFCAST_ADDRESS_APP"] == manager.address
    assert manager.get_stats()["total_reloads"] == reloads


def test_of_two_managers_of_one_name_each_speaks_to_its_own_owner(
    shared_manager: Manager, start_manager: StartManager, config: Path
) -> None:
    write(config, 7)
    second = start_manager()
    write(config, 8)

    event = second.reload()

    assert [(change.old, change.new) for change in event.changes] == [(7, 8), (7, 8)]
    assert second.get_stats()["owner_pid"] == second.owner_pid != shared_manager.owner_pid
    replica = Replica(Settings, name="app").attach(shared_manager.address)
    with pytest.raises(ConfcastError, match="another replica named 'app' is attached"):
        _ = second.current
    assert (replica.latest.number, second.reload().changes) == (1, [])
    replica.close()
