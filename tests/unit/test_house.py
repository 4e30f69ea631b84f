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
from confcast.owner import house as module
from confcast.owner.house import Holder, House
from confcast.wire import processes
from tests.support.stopping import stop

_HOLD = """
import os, sys
from pathlib import Path
from confcast.owner.house import Holder, House
from confcast.wire.processes import started
home, master, since, name = sys.argv[1:]
holder = Holder(os.getpid(), started(os.getpid()), int(master), int(since), name)
listener = House(Path(home), Path(home), holder).enter()
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
def enter(home: Path) -> Iterator[Callable[..., House]]:
    """Moves in; what it listens on is closed at the end."""
    sockets: list[socket.socket] = []
    houses: list[House] = []

    def move_in(state: Path | None = None) -> House:
        houses.append(House(home, state or home, me()))
        sockets.append(houses[-1].enter())
        return houses[-1]

    yield move_in
    for made in sockets:
        made.close()
    for house in houses:
        house.unlock()


def me(name: str = "app") -> Holder:
    """This process, as an owner whose master it is itself."""
    pid = os.getpid()
    return Holder(pid, processes.started(pid), pid, processes.started(pid), name)


def a_dead_pid() -> int:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_all_that_is_missing_is_made_and_for_this_user_alone(enter: Callable[..., House], home: Path) -> None:
    house = enter()

    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert names(home) == {"lock", "control.sock", "notes"}
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()}
    assert modes == {"lock": 0o600, "control.sock": 0o600, "notes": 0o700}
    assert house.missing() is None


def test_while_the_holder_s_master_lives_it_is_named_and_left_alone(hold: Hold, home: Path) -> None:
    parent = os.getppid()
    other = hold(parent, processes.started(parent))

    with pytest.raises(ConfcastError, match=f"in use by the config owner {other.pid} of the master {parent}"):
        House(home, home, me()).enter()
    assert other.poll() is None


def test_another_configuration_s_owner_of_the_same_master_is_left_alone(hold: Hold, home: Path) -> None:
    other = hold(os.getpid(), processes.started(os.getpid()), "other")

    with pytest.raises(ConfcastError, match=r"\(other\); two managers need a state_dir each"):
        House(home, home, me()).enter()
    assert other.poll() is None


@pytest.mark.parametrize("stopped", [False, True])
def test_the_holder_of_a_dead_master_is_killed_even_if_it_is_stopped(
    hold: Hold, enter: Callable[..., House], stopped: bool
) -> None:
    other = hold(a_dead_pid(), 0)
    if stopped:
        stop(other.pid)

    assert enter().missing() is None
    assert other.wait() == -signal.SIGKILL


def test_the_former_owner_of_the_same_master_and_name_is_killed(hold: Hold, enter: Callable[..., House]) -> None:
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
        House(home, home, me()).enter()
    assert other.poll() is None


def test_a_lock_that_nobody_holds_says_nothing(enter: Callable[..., House], home: Path) -> None:
    home.mkdir(mode=0o700)
    (home / "lock").write_text("x" * 1000)

    assert enter().missing() is None
    assert (home / "lock").read_text().startswith('{"owner":')
    assert "x" not in (home / "lock").read_text()


def test_leaving_takes_away_all_that_is_its_own(enter: Callable[..., House], home: Path) -> None:
    house = enter()
    for name in ("journal", "journal-wal", "snapshot", "loading", "notes/left-1-2", "notes/here-1-2"):
        (home / name).touch()

    house.leave()

    assert not home.exists()


def test_leaving_leaves_a_state_folder_and_what_is_not_its_own(
    enter: Callable[..., House], home: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    house = enter(state)
    (state / "journal").touch()
    (home / "of-somebody-else").touch()

    house.leave()

    assert names(home) == {"of-somebody-else"}
    assert names(state) == {"journal", "lock"}


def test_leaving_takes_nothing_away_once_another_lives_there(enter: Callable[..., House], home: Path) -> None:
    first = enter()
    (home / "lock").unlink()
    enter()

    first.leave()

    assert names(home) == {"lock", "control.sock", "notes"}


def test_who_could_not_enter_takes_nothing_away(hold: Hold, home: Path) -> None:
    parent = os.getppid()
    hold(parent, processes.started(parent))
    late = House(home, home, me())
    with pytest.raises(ConfcastError):
        late.enter()

    late.leave()

    assert names(home) == {"lock", "control.sock", "notes"}


def test_what_was_deleted_is_made_anew_and_the_lock_is_held_all_the_time(
    enter: Callable[..., House], home: Path
) -> None:
    house = enter()
    house.address.unlink()
    assert house.missing() == house.address
    house.enter().close()
    assert house.missing() is None

    shutil.rmtree(home)
    house.enter().close()
    assert house.missing() is None
    assert names(home) == {"lock", "control.sock", "notes"}
    assert_is_locked(home)


def test_a_state_folder_that_was_deleted_alone_is_missed_and_made_anew_with_its_lock(
    enter: Callable[..., House], home: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    house = enter(state)
    shutil.rmtree(state)
    assert house.missing() == state / "lock"

    house.enter().close()

    assert house.missing() is None
    assert_is_locked(state)


def assert_is_locked(folder: Path) -> None:
    with pytest.raises(BlockingIOError), (folder / "lock").open() as lock:
        module.fcntl.flock(lock, module.fcntl.LOCK_EX | module.fcntl.LOCK_NB)


def test_a_folder_of_somebody_else_is_not_moved_into(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir(mode=0o777)
    monkeypatch.setattr(os, "geteuid", lambda: home.stat().st_uid + 1)

    with pytest.raises(ConfcastError, match="belongs to another user"):
        House(home, home, me()).enter()
    assert names(home) == set()


def test_a_folder_that_can_t_be_made_is_an_os_error(home: Path) -> None:
    home.touch()

    with pytest.raises(FileExistsError) as raised:
        House(home, home, me()).enter()
    assert raised.value.errno == errno.EEXIST
