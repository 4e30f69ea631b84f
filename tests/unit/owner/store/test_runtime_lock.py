"""The lock of a runtime directory: who holds it, and who may break it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from confcast.errors import ConfcastError
from confcast.owner.store import runtime_lock as module
from confcast.owner.store.runtime_lock import LockHolder, LockTaken, RuntimeLock
from confcast.wire import processes
from tests.support.stopping import stop

_HOLD = """
import os, sys
from pathlib import Path
from confcast.owner.store.runtime_lock import LockHolder, RuntimeLock
from confcast.wire.processes import started
path, master, since, name = sys.argv[1:]
holder = LockHolder(os.getpid(), started(os.getpid()), int(master), int(since), name)
RuntimeLock(holder).acquire(Path(path))
print("ready", flush=True)
sys.stdin.read()
"""

Hold = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.fixture
def hold(path: Path) -> Iterator[Hold]:
    """Another owner that holds the lock, of the master that is named."""
    made: list[subprocess.Popen[str]] = []

    def start(master: int, since: int, name: str = "app") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", _HOLD, str(path), str(master), str(since), name]
        made.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        assert made[-1].stdout is not None
        assert made[-1].stdout.readline() == "ready\n"
        return made[-1]

    yield start
    for process in made:
        process.kill()
        process.communicate()


@pytest.fixture
def lock() -> Iterator[RuntimeLock]:
    """This process's, as an owner whose master it is itself; released at the end."""
    pid = os.getpid()
    made = RuntimeLock(LockHolder(pid, processes.started(pid), pid, processes.started(pid), "app"))
    yield made
    made.release()


def a_dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_while_the_holder_s_master_lives_it_is_named_and_left_alone(hold: Hold, lock: RuntimeLock, path: Path) -> None:
    parent = os.getppid()
    other = hold(parent, processes.started(parent))

    with pytest.raises(LockTaken, match=f"in use by the config owner {other.pid} of the master {parent}"):
        lock.acquire(path)
    assert other.poll() is None


def test_another_configuration_s_owner_of_the_same_master_is_left_alone(
    hold: Hold, lock: RuntimeLock, path: Path
) -> None:
    other = hold(os.getpid(), processes.started(os.getpid()), "other")

    with pytest.raises(ConfcastError, match=r"\(other\); two managers need a state_dir each"):
        lock.acquire(path)
    assert other.poll() is None


@pytest.mark.parametrize("stopped", [False, True])
def test_the_holder_of_a_dead_master_is_killed_even_if_it_is_stopped(
    hold: Hold, lock: RuntimeLock, path: Path, stopped: bool
) -> None:
    other = hold(a_dead_pid(), 0)
    if stopped:
        stop(other.pid)

    lock.acquire(path)

    assert lock.holds(path)
    assert other.wait() == -signal.SIGKILL


def test_the_former_owner_of_the_same_master_and_name_is_killed(hold: Hold, lock: RuntimeLock, path: Path) -> None:
    other = hold(os.getpid(), processes.started(os.getpid()))

    lock.acquire(path)

    assert lock.holds(path)
    assert other.wait() == -signal.SIGKILL


def test_nobody_is_killed_for_a_pid_that_was_used_again(
    hold: Hold, lock: RuntimeLock, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock may be held by what a dead owner has started; its pid may be a stranger's by now."""
    monkeypatch.setattr(module, "_RELEASED_WITHIN", 0.1)
    other = hold(a_dead_pid(), 0)
    text = path.read_text()
    path.write_text(text.replace(str(processes.started(other.pid)), "1"))

    with pytest.raises(ConfcastError, match="held, but not by whom it names"):
        lock.acquire(path)
    assert other.poll() is None


def test_a_lock_whose_text_is_no_utf_8_names_nobody(
    hold: Hold, lock: RuntimeLock, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RELEASED_WITHIN", 0.1)
    hold(os.getpid(), 0, "cafe")
    path.write_bytes(path.read_bytes().replace(b"cafe", b"caf\xe9"))

    with pytest.raises(ConfcastError, match="held, but not by whom it names"):
        lock.acquire(path)


def test_a_lock_that_nobody_holds_says_nothing(lock: RuntimeLock, path: Path) -> None:
    path.write_text("x" * 1000)

    lock.acquire(path)

    assert lock.holds(path)
    assert path.read_text().startswith('{"owner":')
    assert "x" not in path.read_text()


def test_the_file_is_as_long_whoever_holds_it(path: Path) -> None:
    """Without: on a full disk an owner could not start whose pid had one digit more than that of the one before."""
    lengths = set[int]()
    for pid in (999, 1000, 4_194_303):
        lock = RuntimeLock(LockHolder(pid, 1, pid, 1, "app"))
        lock.acquire(path)
        lengths.add(path.stat().st_size)
        lock.release()
    assert len(lengths) == 1
