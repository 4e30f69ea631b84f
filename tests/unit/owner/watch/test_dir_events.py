"""Waiting for what happens in directories: by inotify, where there is one, and by watchfiles."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from confcast.owner.watch import dir_events
from confcast.owner.watch.dir_events import DirEvents, Inotify, Polled, Wakeup, events_in
from tests.support.waiting import DEADLINE, in_thread

STEP = 0.01
MEANS = [pytest.param(Inotify, marks=pytest.mark.skipif(sys.platform != "linux", reason="Linux has inotify")), Polled]


@pytest.fixture(params=MEANS)
def means(request: pytest.FixtureRequest) -> Callable[[list[str], Wakeup], DirEvents]:
    return request.param


@pytest.fixture
def wakeup() -> Wakeup:
    return Wakeup()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "folder"
    made.mkdir()
    return made


@pytest.fixture
def events(means, folder: Path, wakeup: Wakeup) -> Iterator[DirEvents]:
    events = means([str(folder.parent), str(folder)], wakeup)
    yield events
    events.close()


def written(folder: Path) -> None:
    (folder / "file").write_bytes(b"second")


def put_in_place(folder: Path) -> None:
    (folder.parent / "new").write_bytes(b"second")
    (folder.parent / "new").rename(folder / "file")


def deleted(folder: Path) -> None:
    (folder / "file").unlink()


def linked(folder: Path) -> None:
    (folder / "link").symlink_to("file")
    (folder / "link").rename(folder / "file")


def made_readable(folder: Path) -> None:
    (folder / "file").chmod(0o644)


@pytest.mark.parametrize("act", [written, put_in_place, deleted, linked, made_readable])
def test_what_happens_to_a_file_ends_the_wait(means, folder: Path, wakeup: Wakeup, act: Callable[[Path], None]) -> None:
    (folder / "file").write_bytes(b"first")
    (folder / "file").chmod(0o600)
    events = means([str(folder)], wakeup)
    act(folder)
    assert str(folder / "file") in events.wait(DEADLINE, STEP)
    events.close()


def test_the_end_of_a_directory_is_an_event_of_its_own_path(events: DirEvents, folder: Path) -> None:
    folder.rmdir()
    assert str(folder) in events.wait(DEADLINE, STEP)


def test_what_moves_a_directory_away_is_an_event_of_its_own_path(events: DirEvents, folder: Path) -> None:
    folder.rename(folder.with_name("other"))
    assert str(folder) in events.wait(DEADLINE, STEP)


def test_a_wait_ends_when_it_is_woken_before_or_meanwhile(events: DirEvents, wakeup: Wakeup) -> None:
    wakeup.set()
    assert events.wait(DEADLINE, STEP) == set()
    wakeup.clear()
    waiting = in_thread(lambda: events.wait(DEADLINE, STEP))
    wakeup.set()
    assert waiting() == set()


def test_where_nothing_happens_a_wait_ends_with_its_time(events: DirEvents) -> None:
    assert events.wait(0.02, STEP) == set()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has inotify")
def test_a_name_of_any_bytes_is_a_path(folder: Path, wakeup: Wakeup) -> None:
    """To watchfiles, it is an error."""
    name = os.fsdecode(b"n\xffme")
    events = Inotify([str(folder)], wakeup)
    (folder / name).touch()
    assert str(folder / name) in events.wait(DEADLINE, STEP)
    events.close()


def test_a_directory_that_is_gone_is_told(means, folder: Path, wakeup: Wakeup) -> None:
    with pytest.raises(FileNotFoundError):
        means([str(folder), str(folder / "none")], wakeup)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has inotify")
def test_a_file_in_the_place_of_a_directory_is_told_and_leaves_no_descriptor(folder: Path, wakeup: Wakeup) -> None:
    (folder / "file").touch()
    before = len(list(Path("/dev/fd").iterdir()))
    with pytest.raises(FileNotFoundError):
        Inotify([str(folder), str(folder / "file")], wakeup)
    assert len(list(Path("/dev/fd").iterdir())) <= before  # other tests' may end meanwhile


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has inotify")
def test_a_wait_wakes_up_for_nothing_else(folder: Path, wakeup: Wakeup, monkeypatch: pytest.MonkeyPatch) -> None:
    """An owner at rest is to sleep."""
    waits: list[float] = []
    wait = dir_events._readable

    def noted(seconds: float, *fds: int) -> list[int]:
        waits.append(seconds)
        return wait(seconds, *fds)

    events = Inotify([str(folder)], wakeup)
    monkeypatch.setattr(dir_events, "_readable", noted)
    assert events.wait(0.1, STEP) == set()
    assert waits == [0.1]
    events.close()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has inotify")
def test_where_events_were_lost_every_directory_may_have_changed(folder: Path, wakeup: Wakeup) -> None:
    events = Inotify([str(folder), str(folder.parent)], wakeup)
    events._dirs = dict(zip((-7, -8), events._dirs.values(), strict=True))  # none is that of what comes
    written(folder)
    assert events.wait(DEADLINE, STEP) == {str(folder), str(folder.parent)}
    events.close()


def without_ctypes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctypes", None)


def without_inotify(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name, use_errno: object())


def linked_statically(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(name: None, use_errno: bool) -> None:
        raise OSError("Dynamic loading not supported")

    monkeypatch.setattr("ctypes.CDLL", refused)


def hardened(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(name: None, use_errno: bool) -> None:
        raise MemoryError

    monkeypatch.setattr("ctypes.CDLL", refused)


@pytest.mark.parametrize("lack", [without_ctypes, without_inotify, linked_statically, hardened])
def test_where_inotify_cannot_be_called_watchfiles_watches(
    folder: Path, wakeup: Wakeup, monkeypatch: pytest.MonkeyPatch, lack: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """Otherwise each look would fail before it compares, and no change would ever be noticed."""
    lack(monkeypatch)
    events = events_in([str(folder)], wakeup)
    assert isinstance(events, Polled)
    written(folder)
    assert str(folder / "file") in events.wait(DEADLINE, STEP)
    events.close()


def test_a_wakeup_is_an_event(wakeup: Wakeup) -> None:
    assert not wakeup.is_set()
    for _ in range(100_000):  # more than a pipe holds
        wakeup.set()
    assert wakeup.is_set()
    assert wakeup.wait(DEADLINE)
    wakeup.clear()
    assert not wakeup.wait(0.0)
