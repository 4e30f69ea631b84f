"""Watching a directory, and files that nobody can name yet: what appears there is noticed as a change is.

The content of the files below the directory is its own fingerprint. No test compares on suspicion.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import pytest

from confcast.owner.watch import watched_dirs, watcher
from confcast.owner.watch.watched_dirs import dirs_to_watch
from tests.support.interning import interned
from tests.support.waiting import eventually
from tests.support.watching import Bench


class Folder(Bench):
    """A watcher on a directory."""

    def content(self) -> bytes:
        """Every file below it, with its name, as a source that reads them all would."""
        files = sorted(path for path in self.path.rglob("*") if path.is_file())
        return b" ".join(os.fsencode(path.relative_to(self.path)) + b"=" + path.read_bytes() for path in files)

    def write(self, name: str, content: bytes) -> None:
        """A file somewhere below it, with the directories that it needs."""
        path = self.path / name
        with self.changing:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


class Listed(Folder):
    """A watcher on the files that are in a directory now, and on none when there are none."""

    def files(self) -> tuple[Path, ...]:
        return tuple(sorted(self.path.glob("*.yaml")))

    def watched(self) -> tuple[Path, ...]:
        self.paths = self.files()
        return super().watched()


@pytest.fixture
def folder(tmp_path: Path, benches: list[Bench]) -> Folder:
    path = tmp_path / "etc" / "conf.d"
    path.mkdir(parents=True)
    benches.append(bench := Folder(path))
    return bench


def test_files_that_appear_change_and_go_in_a_watched_directory_are_one_call_each(folder: Folder) -> None:
    folder.start()
    folder.write("10.yaml", b"first")
    folder.expect(b"10.yaml=first")
    folder.write("20.yaml", b"other")
    folder.expect(b"10.yaml=first 20.yaml=other")
    folder.write("10.yaml", b"second")  # in place, of which the directory itself knows nothing
    folder.expect(b"10.yaml=second 20.yaml=other")
    (folder.path / "20.yaml").rename(folder.path / "30.yaml")
    folder.expect(b"10.yaml=second 30.yaml=other")
    (folder.path / "10.yaml").unlink()
    folder.expect(b"30.yaml=other")
    assert folder.calls.empty()


def test_directories_in_it_are_noticed_too_however_deep_and_new(folder: Folder) -> None:
    folder.write("here/from/the_start", b"1")
    folder.start()
    folder.write("here/from/the_start", b"2")
    folder.expect(b"here/from/the_start=2")
    folder.write("new/and/deep/file", b"3")
    folder.expect(b"here/from/the_start=2 new/and/deep/file=3")
    folder.write("new/and/deep/file", b"4")
    folder.expect(b"here/from/the_start=2 new/and/deep/file=4")
    shutil.rmtree(folder.path / "here")
    while (content := folder.calls.get(timeout=10)) != b"new/and/deep/file=4":
        assert content == b"here/from/the_start=2 new/and/deep/file=4"


def test_directories_that_are_made_empty_first_are_listened_to(folder: Folder) -> None:
    folder.start()
    for name in ("a", "a/b", "a/b/c"):
        looks = folder.looks
        (folder.path / name).mkdir()
        folder.wait_for_looks(looks + 1)
    folder.write("a/b/c/file", b"1")
    folder.expect(b"a/b/c/file=1")


def test_a_directory_that_is_deleted_and_made_again_is_noticed(folder: Folder) -> None:
    folder.write("10.yaml", b"first")
    folder.start()
    for number in range(3):
        with folder.changing:
            shutil.rmtree(folder.path.parent if number == 1 else folder.path)
        folder.expect(b"")
        folder.write("10.yaml", b"again %d" % number)
        folder.expect(b"10.yaml=again %d" % number)
        folder.write("sub/file", b"%d" % number)
        folder.expect(b"10.yaml=again %d sub/file=%d" % (number, number))
    assert folder.calls.empty()


def test_a_directory_that_another_one_replaces_is_noticed(folder: Folder) -> None:
    folder.write("10.yaml", b"first")
    folder.start()
    fresh = folder.path.with_name("fresh")
    fresh.mkdir()
    (fresh / "10.yaml").write_bytes(b"second")
    with folder.changing:
        folder.path.rename(folder.path.with_name("old"))
        fresh.rename(folder.path)
    folder.expect(b"10.yaml=second")
    folder.write("10.yaml", b"third")
    folder.expect(b"10.yaml=third")


def test_a_directory_that_is_not_there_yet_is_noticed_when_it_appears(tmp_path: Path, benches: list[Bench]) -> None:
    folder = Folder(tmp_path / "not" / "yet" / "conf.d")
    benches.append(folder)
    folder.start()
    for path in (*reversed(folder.path.parents[:2]), folder.path):
        looks = folder.looks
        path.mkdir()
        folder.wait_for_looks(looks + 1)
    folder.write("10.yaml", b"first")
    folder.expect(b"10.yaml=first")


def test_what_links_in_it_lead_to_is_noticed(folder: Folder, tmp_path: Path) -> None:
    """`conf.d/10.yaml -> ../available/10.yaml`, and a directory by a link."""
    for name in ("available", "elsewhere", "elsewhere/deeper"):
        (tmp_path / name).mkdir()
    (tmp_path / "available" / "10.yaml").write_bytes(b"first")
    (folder.path / "10.yaml").symlink_to(tmp_path / "available" / "10.yaml")
    (folder.path / "site").symlink_to(tmp_path / "elsewhere")
    read = [folder.path / "10.yaml", folder.path / "site" / "deeper" / "file"]
    folder.content = lambda: b" ".join(path.read_bytes() for path in read if path.exists())  # type: ignore[method-assign]
    folder.start()
    with folder.changing:
        (tmp_path / "available" / "10.yaml").write_bytes(b"second")
    folder.expect(b"second")
    with folder.changing:
        (tmp_path / "elsewhere" / "deeper" / "file").write_bytes(b"third")
    folder.expect(b"second third")


def test_each_kubernetes_swap_of_a_mounted_directory_is_one_call(folder: Folder) -> None:
    def swap(content: bytes, number: int) -> None:
        dated = folder.path / f"..2025_{number}"
        dated.mkdir()
        (dated / "app.yaml").write_bytes(content)
        (folder.path / "..data_tmp").symlink_to(dated.name)
        (folder.path / "..data_tmp").rename(folder.path / "..data")

    swap(b"first", 0)
    (folder.path / "app.yaml").symlink_to("..data/app.yaml")
    folder.content = (folder.path / "app.yaml").read_bytes  # type: ignore[method-assign]
    folder.start()
    for number in range(1, 4):
        with folder.changing:
            swap(b"swap %d" % number, number)
            shutil.rmtree(folder.path / f"..2025_{number - 1}")
        folder.expect(b"swap %d" % number)
    assert folder.calls.empty()


# ---- other paths, and none


@pytest.fixture
def listed(tmp_path: Path, benches: list[Bench]) -> Listed:
    path = tmp_path / "etc" / "conf.d"
    path.mkdir(parents=True)
    benches.append(bench := Listed(path))
    bench.watcher._nowhere = lambda: not bench.files()
    return bench


def test_a_source_that_names_no_file_is_asked_for_its_files_again(
    listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "_POLL_EVERY", 0.05)
    listed.start()
    looks, asked = listed.looks, [0]

    def count() -> None:
        asked[0] += 1

    listed.on_watched = count
    eventually(lambda: asked[0] >= 5, "questions")
    assert listed.looks == looks  # it is asked for its files only: nothing is read
    listed.write("10.yaml", b"first")
    listed.expect(b"10.yaml=first")
    listed.write("20.yaml", b"second")  # from now on it is noticed
    listed.expect(b"10.yaml=first 20.yaml=second")
    with listed.changing:
        shutil.rmtree(listed.path)
    listed.expect(b"")
    listed.write("30.yaml", b"third")
    listed.expect(b"30.yaml=third")


def test_a_file_that_appears_between_a_look_and_listening_is_not_missed(listed: Listed) -> None:
    """It is named when it is asked whether any is, and nobody listens to where it is."""
    pending = [b"first"]

    def appears() -> bool:
        if pending:
            listed.write("10.yaml", pending.pop())
        return not listed.files()

    listed.watcher._nowhere = appears
    listed.start()
    listed.expect(b"10.yaml=first")
    listed.write("10.yaml", b"second")
    listed.expect(b"10.yaml=second")


def test_a_load_ends_the_waiting_for_a_source_that_names_no_file(listed: Listed) -> None:
    listed.start()
    listed.attempts.add(b"something else")
    listed.expect(b"")


@pytest.mark.parametrize("fingerprint", [b"", b"something else"], ids=["the same", "another"])
def test_other_paths_after_a_load_are_listened_to_though_no_event_came(
    folder: Folder, tmp_path: Path, fingerprint: bytes
) -> None:
    """What a source has read may name others: the files that it includes."""
    included = tmp_path / "far" / "far" / "away" / "included.yaml"
    included.parent.mkdir(parents=True)
    folder.start()
    folder.content = lambda: included.read_bytes() if included.exists() else b""  # type: ignore[method-assign]
    looks = folder.looks
    folder.paths = (included,)
    folder.attempts.add(fingerprint)
    folder.wait_for_looks(looks + 1)
    if fingerprint:
        folder.expect(b"")
    with folder.changing:
        included.write_bytes(b"first")
    folder.expect(b"first")


def test_a_source_that_can_t_be_asked_after_a_load_does_not_fail_it(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(watcher, "_POLL_EVERY", 0.01)
    folder.start()
    failures = [2]

    def fail() -> None:
        if failures[0]:
            failures[0] -= 1
            raise OSError("the mount is dead")

    folder.on_watched = fail
    folder.attempts.add(b"")
    folder.write("10.yaml", b"first")
    folder.expect(b"10.yaml=first")
    said = [record.message for record in caplog.records if record.levelno > logging.DEBUG]  # another test may set it
    assert said == ["watching failed, and goes on trying every second"]


# ---- which directories, and how many


def test_all_directories_below_it_are_listened_to_and_each_is_entered_once(tmp_path: Path) -> None:
    here = tmp_path.resolve()
    (here / "conf.d" / "a" / "b").mkdir(parents=True)
    (here / "conf.d" / "a" / "b" / "round").symlink_to(here / "conf.d")
    (here / "conf.d" / "dangling").symlink_to("nowhere/at/all")
    (here / "conf.d" / "itself").symlink_to("itself")
    own = {name for name in dirs_to_watch((here / "conf.d",)) if Path(name).is_relative_to(here)}
    assert own == {str(here / part) for part in ("", "conf.d", "conf.d/a", "conf.d/a/b")}


def test_a_directory_without_end_is_looked_at_in_part_and_that_is_said_once(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for module in (watched_dirs, watcher):
        monkeypatch.setattr(module, "MOST", 3)
    for number in range(5):
        folder.write(f"{number}/file", b"x")
    folder.start()
    folder.write("new", b"y")
    assert b"new=y" in folder.calls.get(timeout=10)
    said = f"{folder.path} holds more than 3 files: a change of the others is noticed when content is compared"
    assert [record.message for record in caplog.records] == [f"{said}, every 3600 s"]


def test_a_directory_that_has_just_as_many_entries_is_looked_at_whole(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for module in (watched_dirs, watcher):
        monkeypatch.setattr(module, "MOST", 3)
    for number in range(3):
        folder.write(f"{number}", b"x")
    folder.start()
    folder.write("2", b"y")
    assert b"2=y" in folder.calls.get(timeout=10)
    assert caplog.records == []


def test_a_directory_that_may_not_be_read_is_watched_from_outside(tmp_path: Path) -> None:
    closed = tmp_path.resolve() / "closed"
    closed.mkdir(mode=0o300)
    assert {str(closed), str(closed.parent)} <= set(dirs_to_watch((closed,)))


def test_of_a_kubernetes_volume_s_contents_the_interpreter_keeps_no_name(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    dated = folder.path / "..2026_11_30_06_00_00.123456789"
    folder.write(f"{dated.name}/app.yaml", b"first")
    (folder.path / "..data").symlink_to(dated.name)
    (folder.path / "app.yaml").symlink_to("..data/app.yaml")
    kept = interned(monkeypatch)

    assert str(dated) in dirs_to_watch((folder.path, folder.path / "app.yaml"))
    assert len(folder.watcher._stats()) == 5

    assert dated.name not in kept
