"""Where an owner lives: the lock and who may break it, what is made anew, and what is taken away."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from confcast.errors import ConfcastError
from confcast.owner.store import runtime_dir as module
from confcast.owner.store.runtime_dir import LockHolder, RuntimeDir
from confcast.wire import processes
from tests.support.stopping import stop

_HOLD = """
import os, sys
from pathlib import Path
from confcast.owner.store.runtime_dir import LockHolder, RuntimeDir
from confcast.wire.processes import started
home, master, since, name = sys.argv[1:]
holder = LockHolder(os.getpid(), started(os.getpid()), int(master), int(since), name)
listener = RuntimeDir(Path(home), Path(home), holder).acquire()
print("ready", flush=True)
sys.stdin.read()
"""

Hold = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def hold(home: Path) -> Iterator[Hold]:
    """Another owner that lives there, of the master that is named."""
    made: list[subprocess.Popen[str]] = []

    def start(master: int, since: int, name: str = "app") -> subprocess.Popen[str]:
        command = [sys.executable, "-c", _HOLD, str(home), str(master), str(since), name]
        made.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        assert made[-1].stdout is not None
        assert made[-1].stdout.readline() == "ready\n"
        return made[-1]

    yield start
    for process in made:
        process.kill()
        process.communicate()


@pytest.fixture
def enter(home: Path) -> Iterator[Callable[..., RuntimeDir]]:
    """Moves in; what it listens on is closed at the end."""
    sockets: list[socket.socket] = []
    runtime_dirs: list[RuntimeDir] = []

    def move_in(state: Path | None = None) -> RuntimeDir:
        runtime_dirs.append(RuntimeDir(home, state or home, me()))
        sockets.append(runtime_dirs[-1].acquire())
        return runtime_dirs[-1]

    yield move_in
    for made in sockets:
        made.close()
    for runtime_dir in runtime_dirs:
        runtime_dir.unlock()


def me(name: str = "app") -> LockHolder:
    """This process, as an owner whose master it is itself."""
    pid = os.getpid()
    return LockHolder(pid, processes.started(pid), pid, processes.started(pid), name)


def a_dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_all_that_is_missing_is_made_and_for_this_user_alone(enter: Callable[..., RuntimeDir], home: Path) -> None:
    runtime_dir = enter()

    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert names(home) == {"lock", "control.sock", "notes"}
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()}
    assert modes == {"lock": 0o600, "control.sock": 0o600, "notes": 0o700}
    assert runtime_dir.missing() is None


def test_while_the_holder_s_master_lives_it_is_named_and_left_alone(hold: Hold, home: Path) -> None:
    parent = os.getppid()
    other = hold(parent, processes.started(parent))

    with pytest.raises(ConfcastError, match=f"in use by the config owner {other.pid} of the master {parent}"):
        RuntimeDir(home, home, me()).acquire()
    assert other.poll() is None


def test_another_configuration_s_owner_of_the_same_master_is_left_alone(hold: Hold, home: Path) -> None:
    other = hold(os.getpid(), processes.started(os.getpid()), "other")

    with pytest.raises(ConfcastError, match=r"\(other\); two managers need a state_dir each"):
        RuntimeDir(home, home, me()).acquire()
    assert other.poll() is None


@pytest.mark.parametrize("stopped", [False, True])
def test_the_holder_of_a_dead_master_is_killed_even_if_it_is_stopped(
    hold: Hold, enter: Callable[..., RuntimeDir], stopped: bool
) -> None:
    other = hold(a_dead_pid(), 0)
    if stopped:
        stop(other.pid)

    assert enter().missing() is None
    assert other.wait() == -signal.SIGKILL


def test_the_former_owner_of_the_same_master_and_name_is_killed(hold: Hold, enter: Callable[..., RuntimeDir]) -> None:
    other = hold(os.getpid(), processes.started(os.getpid()))

    assert enter().missing() is None
    assert other.wait() == -signal.SIGKILL


def test_nobody_is_killed_for_a_pid_that_was_used_again(
    hold: Hold, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock may be held by what a dead owner has started; its pid may be a stranger's by now."""
    monkeypatch.setattr(module, "_PATIENCE", 0.1)
    other = hold(a_dead_pid(), 0)
    text = (home / "lock").read_text()
    (home / "lock").write_text(text.replace(str(processes.started(other.pid)), "1"))

    with pytest.raises(ConfcastError, match="held, but not by whom it names"):
        RuntimeDir(home, home, me()).acquire()
    assert other.poll() is None


def test_a_lock_that_nobody_holds_says_nothing(enter: Callable[..., RuntimeDir], home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "lock").write_text("x" * 1000)

    assert enter().missing() is None
    assert (home / "lock").read_text().startswith('{"owner":')
    assert "x" not in (home / "lock").read_text()


def test_leaving_takes_away_all_that_is_its_own(enter: Callable[..., RuntimeDir], home: Path) -> None:
    runtime_dir = enter()
    for name in ("journal", "journal-wal", "snapshot", "loading", "notes/left-1-2", "notes/here-1-2"):
        (home / name).touch()

    runtime_dir.release()

    assert not home.exists()


def test_leaving_leaves_a_state_folder_and_what_is_not_its_own(
    enter: Callable[..., RuntimeDir], home: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    runtime_dir = enter(state)
    (state / "journal").touch()
    (home / "of-somebody-else").touch()

    runtime_dir.release()

    assert names(home) == {"of-somebody-else"}
    assert names(state) == {"journal", "lock"}


def test_leaving_takes_nothing_away_once_another_lives_there(enter: Callable[..., RuntimeDir], home: Path) -> None:
    first = enter()
    (home / "lock").unlink()
    enter()

    first.release()

    assert names(home) == {"lock", "control.sock", "notes"}


def test_who_could_not_enter_takes_nothing_away(hold: Hold, home: Path) -> None:
    parent = os.getppid()
    hold(parent, processes.started(parent))
    late = RuntimeDir(home, home, me())
    with pytest.raises(ConfcastError):
        late.acquire()

    late.release()

    assert names(home) == {"lock", "control.sock", "notes"}


def test_what_was_deleted_is_made_anew_and_the_lock_is_held_all_the_time(
    enter: Callable[..., RuntimeDir], home: Path
) -> None:
    runtime_dir = enter()
    runtime_dir.address.unlink()
    assert runtime_dir.missing() == runtime_dir.address
    runtime_dir.acquire().close()
    assert runtime_dir.missing() is None

    shutil.rmtree(home)
    runtime_dir.acquire().close()
    assert runtime_dir.missing() is None
    assert names(home) == {"lock", "control.sock", "notes"}
    assert_is_locked(home)


def test_a_state_folder_that_was_deleted_alone_is_missed_and_made_anew_with_its_lock(
    enter: Callable[..., RuntimeDir], home: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    runtime_dir = enter(state)
    shutil.rmtree(state)
    assert runtime_dir.missing() == state / "lock"

    runtime_dir.acquire().close()

    assert runtime_dir.missing() is None
    assert_is_locked(state)


def assert_is_locked(folder: Path) -> None:
    with pytest.raises(BlockingIOError), (folder / "lock").open() as lock:
        module.fcntl.flock(lock, module.fcntl.LOCK_EX | module.fcntl.LOCK_NB)


def test_a_folder_of_somebody_else_is_not_moved_into(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir(mode=0o777)
    monkeypatch.setattr(os, "geteuid", lambda: home.stat().st_uid + 1)

    with pytest.raises(ConfcastError, match="belongs to another user"):
        RuntimeDir(home, home, me()).acquire()
    assert names(home) == set()


def test_a_folder_that_can_t_be_made_is_an_os_error(home: Path) -> None:
    home.touch()

    with pytest.raises(FileExistsError) as raised:
        RuntimeDir(home, home, me()).acquire()
    assert raised.value.errno == errno.EEXIST
