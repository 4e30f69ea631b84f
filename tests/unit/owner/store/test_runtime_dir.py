"""The runtime directory: what is made, made anew, and taken away."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from confcast.errors import ConfcastError
from confcast.owner.store import handover
from confcast.owner.store.runtime_dir import RuntimeDir
from confcast.owner.store.runtime_lock import LockHolder, LockTaken, RuntimeLock
from confcast.wire import processes
from confcast.wire.files import goodbye_files


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def enter(home: Path) -> Iterator[Callable[..., RuntimeDir]]:
    """Takes the directory; what it listens on is closed at the end, and the lock released."""
    sockets: list[socket.socket] = []
    locks: list[RuntimeLock] = []

    def take(state: Path | None = None) -> RuntimeDir:
        locks.append(mine())
        runtime_dir = RuntimeDir(home, state or home, locks[-1])
        sockets.append(runtime_dir.listen())
        return runtime_dir

    yield take
    for made in sockets:
        made.close()
    for lock in locks:
        lock.release()


def mine(name: str = "app") -> RuntimeLock:
    """The lock of this process, as an owner whose master it is itself."""
    pid = os.getpid()
    return RuntimeLock(LockHolder(pid, processes.started(pid), pid, processes.started(pid), name))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_all_that_is_missing_is_made_and_for_this_user_alone(enter: Callable[..., RuntimeDir], home: Path) -> None:
    runtime_dir = enter()

    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert names(home) == {"lock", "control.sock", "notes"}
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()}
    assert modes == {"lock": 0o600, "control.sock": 0o600, "notes": 0o700}
    assert runtime_dir.missing() is None


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda path: path.write_text("x"), "it is no folder"),
        (lambda path: path.symlink_to(path), "it is no folder"),
        (lambda path: path.symlink_to("nowhere"), "it is no folder"),
        (lambda path: (path.mkdir(), (path / "lock").mkdir()), "Is a directory"),
    ],
)
def test_a_state_folder_that_can_not_be_used_is_named_with_what_to_do(
    make: Callable[[Path], object], why: str, enter: Callable[..., RuntimeDir], tmp_path: Path
) -> None:
    make(state := tmp_path / "state")
    with pytest.raises(ConfcastError) as caught:
        enter(state)
    uid = os.geteuid()
    assert str(caught.value) == f"the state_dir {state} can't be used: {why}; give a folder that uid {uid} may write"


@pytest.mark.parametrize("below", ["/proc/state", "/dev/null/state"])
def test_a_state_folder_that_can_not_be_made_is_named_with_what_to_do(
    below: str, enter: Callable[..., RuntimeDir]
) -> None:
    with pytest.raises(ConfcastError, match=f"^the state_dir {below} can't be used: N.*; give a folder that uid "):
        enter(Path(below))


def test_of_a_full_disk_it_is_not_said_to_be_another_users(
    enter: Callable[..., RuntimeDir], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: RuntimeLock, path: Path) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(RuntimeLock, "acquire", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*/state/lock'$"):
        enter(tmp_path / "state")


def test_leaving_takes_away_all_that_is_its_own(enter: Callable[..., RuntimeDir], home: Path) -> None:
    runtime_dir = enter()
    for name in ("journal", "journal-wal", "snapshot", "loading", "last_known-1", "notes/left-1-2", "notes/here-1-2"):
        (home / name).touch()

    runtime_dir.remove_files()

    assert not home.exists()


def test_what_a_next_owner_writes_meanwhile_is_removed_too(
    enter: Callable[..., RuntimeDir], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tells its number to an owner that leaves just now."""
    runtime_dir = enter(tmp_path / "state")
    tells, remove = iter([2]), goodbye_files.remove_folder

    def told(folder: Path) -> None:
        remove(folder)
        for number in tells:
            handover.write_number(home, number)

    monkeypatch.setattr(goodbye_files, "remove_folder", told)
    runtime_dir.remove_files()
    assert list(tells) == []
    assert not home.exists()


def test_leaving_leaves_a_state_folder_and_what_is_not_its_own(
    enter: Callable[..., RuntimeDir], home: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    runtime_dir = enter(state)
    (state / "journal").touch()
    (state / "last_known-1").touch()
    (home / "of-somebody-else").touch()

    runtime_dir.remove_files()

    assert names(home) == {"of-somebody-else"}
    assert names(state) == {"journal", "lock", "last_known-1"}


def test_leaving_takes_nothing_away_once_another_lives_there(enter: Callable[..., RuntimeDir], home: Path) -> None:
    first = enter()
    (home / "lock").unlink()
    enter()

    first.remove_files()

    assert names(home) == {"lock", "control.sock", "notes"}


def test_an_owner_that_could_not_start_takes_nothing_away(enter: Callable[..., RuntimeDir], home: Path) -> None:
    enter()
    parent = os.getppid()
    holder = LockHolder(os.getpid(), processes.started(os.getpid()), parent, processes.started(parent), "app")
    (home / "lock").write_bytes(msgspec.json.encode(holder))
    late = RuntimeDir(home, home, mine())
    with pytest.raises(LockTaken):
        late.listen()

    late.remove_files()

    assert names(home) == {"lock", "control.sock", "notes"}


def test_what_was_deleted_is_made_anew_and_the_lock_is_held_all_the_time(
    enter: Callable[..., RuntimeDir], home: Path
) -> None:
    runtime_dir = enter()
    runtime_dir.address.unlink()
    assert runtime_dir.missing() == runtime_dir.address
    runtime_dir.listen().close()
    assert runtime_dir.missing() is None

    shutil.rmtree(home)
    runtime_dir.listen().close()
    assert runtime_dir.missing() is None
    assert names(home) == {"lock", "control.sock", "notes"}
    assert_is_locked(home)


def test_notes_of_workers_that_no_roster_has_are_made_anew_too(enter: Callable[..., RuntimeDir], home: Path) -> None:
    """Without: the next owner does not know them, and answers a success while they serve the version before."""
    runtime_dir = enter()
    runtime_dir.note((4711, 1))
    runtime_dir.note((4712, 1))
    shutil.rmtree(home)
    runtime_dir.take_note_back(4712)
    runtime_dir.listen().close()
    assert goodbye_files.read(home, "member") == {(4711, 1)}
    runtime_dir.take_note_back(4711)
    runtime_dir.take_note_back(4713)
    assert goodbye_files.read(home, "member") == set()


def test_a_state_folder_that_was_deleted_alone_is_missed_and_made_anew_with_its_lock(
    enter: Callable[..., RuntimeDir], home: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    runtime_dir = enter(state)
    shutil.rmtree(state)
    assert runtime_dir.missing() == state / "lock"

    runtime_dir.listen().close()

    assert runtime_dir.missing() is None
    assert_is_locked(state)


def assert_is_locked(folder: Path) -> None:
    with pytest.raises(BlockingIOError), (folder / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_folder_of_somebody_else_is_not_moved_into(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home.mkdir(mode=0o777)
    monkeypatch.setattr(os, "geteuid", lambda: home.stat().st_uid + 1)

    with pytest.raises(ConfcastError, match="belongs to another user"):
        RuntimeDir(home, home, mine()).listen()
    assert names(home) == set()


def test_a_folder_that_can_t_be_made_is_an_os_error(home: Path) -> None:
    home.touch()

    with pytest.raises(FileExistsError) as raised:
        RuntimeDir(home, home, mine()).listen()
    assert raised.value.errno == errno.EEXIST
