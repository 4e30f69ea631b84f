"""Watching when something is wrong: links that lead nowhere, writers without end, clocks that jump, no watches."""

from __future__ import annotations

import itertools
import os
import queue
import time
from pathlib import Path

import pytest

from confcast.config.sources import disk
from confcast.config.sources.file import File
from confcast.owner.store import recovery
from confcast.owner.store.attempts import Attempts
from confcast.owner.store.journal import Journal, VersionRow
from confcast.owner.watch import watcher as watch
from confcast.wire.files import snapshot_file
from tests.support.watching import NO_FILE, SOON


def by_rename(path: Path, content: bytes) -> None:
    path.with_name("new").write_bytes(content)
    path.with_name("new").replace(path)


# ---- links


def test_a_file_that_becomes_a_loop_of_links_is_missing_content_and_its_return_is_noticed(make):
    bench = make()
    bench.start()
    loop = bench.path.with_name("loop")
    loop.symlink_to(bench.path.name)
    (bench.path.parent / "next").symlink_to("loop")
    (bench.path.parent / "next").replace(bench.path)
    bench.expect(b"missing")
    bench.expect_nothing()


def test_a_directory_that_becomes_a_loop_of_links_does_not_end_the_watching(make, folder):
    bench = make()
    bench.start()
    real = folder.with_name("real")
    folder.with_name("other").symlink_to("folder")
    folder.rename(real)
    folder.symlink_to("other")
    bench.expect(b"missing")
    folder.with_name("next").symlink_to("real")
    (real / "app.toml").write_bytes(b"second")
    folder.with_name("next").replace(folder)
    bench.expect_only(b"second")


# ---- writers


class Clock:
    """In the place of watch.time and of the watcher's ears: time passes by looking and by waiting, and no other way.

    Args:
        look: Seconds that a look takes.
        work: Whether it keeps a processor busy; else it is held up for so long.
    """

    def __init__(
        self, watcher: watch.Watcher, look: float, monkeypatch: pytest.MonkeyPatch, *, work: bool = True
    ) -> None:
        self.now = 100.0
        self.looks = 0
        self._look, self._work = look, work
        monkeypatch.setattr(watch, "time", self)
        monkeypatch.setattr(watcher, "_stats", self._stats)
        monkeypatch.setattr(watcher._watches, "wait", self._receive)
        monkeypatch.setattr(watch._DirectoryWatches, "watching", True)

    def monotonic(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return self.looks * self._look if self._work else 0.0

    def _stats(self) -> watch.Stats:
        self.looks += 1
        self.now += self._look
        return []

    def _receive(self, seconds: float) -> bool:
        self.now += seconds
        return False


@pytest.mark.parametrize("look", [0.001, 0.1])
def test_what_is_open_for_writing_is_looked_at_as_seldom_as_a_look_is_dear(look, monkeypatch):
    def busy() -> tuple[Path, ...]:
        return (Path("app.toml"),) if clock.now < 700 else ()

    watcher = watch.Watcher(lambda: (), lambda: b"", busy, lambda: None, Attempts(NO_FILE))
    clock = Clock(watcher, look, monkeypatch)
    watcher._settle(100.0)
    assert clock.now >= 700
    assert clock.looks * look <= (clock.now - 100) / watch._SHARE + watch._FREE * look


def test_a_look_that_was_held_up_puts_off_the_next_ones_by_two_seconds_at_most(monkeypatch):
    """A second without a turn of its thread: without that limit, each change after it was noticed 20 s late."""

    def busy() -> tuple[Path, ...]:
        return (Path("app.toml"),) if clock.looks < 20 else ()

    watcher = watch.Watcher(lambda: (), lambda: b"", busy, lambda: None, Attempts(NO_FILE))
    clock = Clock(watcher, 1.0, monkeypatch, work=False)
    watcher._look(True)
    assert clock.now <= 100.0 + clock.looks * 3.1
    assert watcher._not_before - clock.now <= 2.0


def test_files_that_rest_are_read_after_few_looks_however_dear_one_is(monkeypatch):
    watcher = watch.Watcher(lambda: (), lambda: b"", lambda: (), lambda: None, Attempts(NO_FILE))
    clock = Clock(watcher, 0.1, monkeypatch)
    watcher._settle(100.0)
    assert clock.looks <= 3
    assert clock.now < 100.5


def test_while_a_source_names_no_file_the_others_are_looked_at_as_seldom_as_a_look_is_dear(monkeypatch):
    attempts = Attempts(NO_FILE)
    watcher = watch.Watcher(
        lambda: (), lambda: b"", lambda: (), lambda: None, attempts, nowhere=lambda: True, recheck=600.0
    )
    clock = Clock(watcher, 0.1, monkeypatch)
    watcher._wait()
    assert clock.now >= 700
    assert clock.looks * 0.1 <= 600 / watch._SHARE + 0.1


def test_a_file_that_never_rests_is_read_all_the_same_when_patience_ends_and_that_is_said_once(
    make, monkeypatch, caplog
):
    monkeypatch.setattr(watch, "_REST_WITHIN", 0.1)
    monkeypatch.setattr(watch, "_SHARE", 0)
    bench = make(quiet=SOON)  # it would take this long else
    numbers = itertools.count()
    bench.on_watched = lambda: by_rename(bench.path, b"whole %d" % next(numbers))
    bench.start()
    found = [bench.calls.get(timeout=SOON) for _ in range(4)]
    assert len(set(found)) == 4
    assert {content.split()[0] for content in found} == {b"whole"}
    assert [record.message for record in caplog.records] == [
        "the files do not rest: they are read as they are between two changes"
    ]


def test_that_files_do_not_rest_is_said_again_when_they_have_rested_in_between(make, monkeypatch, caplog):
    monkeypatch.setattr(watch, "_SHARE", 0)
    bench = make()
    bench.start()

    def change(content: bytes, patience: float) -> None:
        monkeypatch.setattr(watch, "_REST_WITHIN", patience)
        by_rename(bench.path, content)
        bench.expect(content)

    change(b"one", -1.0)  # not even the first look at the file is in time
    change(b"two", -1.0)
    change(b"three", 60.0)
    for _ in range(2):  # the first may be the end of a look that began before
        looks = bench.looks
        bench.path.touch()
        bench.wait_for_looks(looks + 1)
    change(b"four", -1.0)
    change(b"five", -1.0)  # the one before may have been found by a look that was patient still
    assert [record.message for record in caplog.records] == [
        "the files do not rest: they are read as they are between two changes"
    ] * 2


def test_after_a_look_that_took_longer_than_patience_files_at_rest_are_not_taken_for_restless(make):
    watcher = make().watcher
    now = time.monotonic()
    watcher._rest_until, watcher._not_before = now - 1, now + 0.2
    watcher._settle(now - 1)
    assert not watcher._restless
    watcher.start()  # so that it can be closed


def test_no_prefix_of_a_file_is_compared_while_its_writer_has_it_open(make):
    """With the leases of the system itself, each prefix long enough for the watcher to find it at rest."""
    bench = make(quiet=0.0)
    held: queue.Queue[bytes] = queue.Queue()

    def busy() -> tuple[Path, ...]:
        prefix = bench.path.read_bytes()
        writing = File(bench.path).still_being_written()
        if writing:
            held.put(prefix)
        return (bench.path,) if writing else ()

    bench.watcher._busy = busy
    bench.start()
    whole = b"number = 2\ntwin = 2\n"
    with bench.path.open("wb", buffering=0) as file:
        looks = bench.looks
        for length in range(1, len(whole) + 1):
            file.write(whole[length - 1 : length])
            while held.get(timeout=SOON) != whole[:length]:
                pass
        assert bench.looks == looks
    bench.expect_only(whole)


# ---- clocks


@pytest.fixture(params=[-86_400.0, 86_400.0], ids=["back", "forward"])
def jumping(request, monkeypatch) -> None:
    """The time of day is another day's each time that somebody asks for it."""
    days, now = [0], time.time

    def jump() -> float:
        days[0] += 1
        return now() + days[0] * request.param

    monkeypatch.setattr(time, "time", jump)
    monkeypatch.setattr(time, "time_ns", lambda: int(jump() * 1e9))


@pytest.mark.usefixtures("jumping")
def test_the_quiet_period_is_kept_whatever_the_time_of_day_does(make):
    bench = make()
    bench.start()
    bench.expect_one_look_at_many_changes()


@pytest.mark.usefixtures("jumping")
def test_comparing_on_suspicion_goes_on_whatever_the_time_of_day_does(make):
    bench = make(recheck=0.05, watched=False)
    bench.start()
    for content in (b"second", b"third"):
        bench.put(content)
        while (found := bench.calls.get(timeout=SOON)) != content:
            assert found == b""  # the file is emptied before it is written


@pytest.mark.usefixtures("jumping")
def test_a_reader_waits_for_a_writer_whatever_the_time_of_day_does(tmp_path, monkeypatch):
    path = tmp_path / "app.toml"
    path.write_text("a = 1\n")
    writer = path.open("a")
    waits = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            writer.close()

    monkeypatch.setattr(disk.time, "sleep", wait)
    monkeypatch.setattr(disk, "WRITER_GRACE", 60.0)
    assert disk.read_whole(path) == b"a = 1\n"
    assert len(waits) == 3


@pytest.mark.usefixtures("jumping")
def test_a_reader_gives_a_writer_up_whatever_the_time_of_day_does(tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "WRITER_GRACE", 0.02)
    with (tmp_path / "app.toml").open("a"), pytest.raises(disk.StillChanging):
        disk.read_whole(tmp_path / "app.toml")


@pytest.mark.parametrize("seconds", [0, -3600, 3600, -(10**9)])
@pytest.mark.parametrize("way", ["in place", "by rename"])
def test_content_is_noticed_whatever_time_its_file_claims_to_be_from(make, way, seconds):
    """As `rsync --times` and `tar` write it, or a clock that was put back: even the very time that it was from."""
    bench = make(quiet=0.15)  # longer than a busy machine takes from one step of a change to the next
    bench.start()
    stamp = bench.path.stat().st_mtime_ns + seconds * 10**9
    fresh = bench.path if way == "in place" else bench.path.with_name("new")
    fresh.touch()
    with fresh.open("r+b", buffering=0) as file:
        file.write(b"other")  # as long as the one before
    os.utime(fresh, ns=(stamp, stamp))
    fresh.replace(bench.path)
    bench.expect_only(b"other")


@pytest.mark.parametrize("clock", [1000.0, 3_000_000_000.0], ids=["back", "forward"])
def test_after_a_lost_journal_versions_rise_though_the_clock_was_put_back(tmp_path, monkeypatch, clock):
    from confcast.config.codec import digest

    given = int(time.time() * 1000) + 50  # from the clock, too, when a journal was lost before
    payload = b"payload"
    snapshot_file.save(tmp_path, b"s" * 16, given, digest(payload), payload)
    monkeypatch.setattr(recovery.time, "time", lambda: clock)
    journal = Journal(tmp_path / "journal.sqlite3", history_limit=10, durable=False)
    recovery.restore_from_snapshot_file(journal, tmp_path, restarted=True)
    row = journal.latest()
    assert row is not None
    assert (row.version, row.payload) == (given, payload)
    highest = journal.high_water
    assert highest >= int(clock)
    assert highest > given + 1, "that one may have been on trial"
    journal.record(VersionRow(journal.high_water + 1, b"d" * 16, b"s" * 16, b"next", clock))
    monkeypatch.setattr(recovery.time, "time", lambda: clock - 500)
    recovery.restore_from_snapshot_file(journal, tmp_path, restarted=False)
    assert journal.high_water == highest + 1
    journal.close()


@pytest.mark.parametrize("raised", [SystemExit, GeneratorExit])
def test_what_a_source_raises_to_end_the_process_does_not_end_the_watching(make, monkeypatch, caplog, raised):
    monkeypatch.setattr(watch, "_POLL_EVERY", 0.01)
    bench = make()
    bench.start()

    def leave() -> None:
        bench.on_watched = lambda: None
        raise raised("no more")

    bench.on_watched = leave
    bench.put(b"second")

    bench.expect_only(b"second")
    assert bench.watcher.failures == 1
    assert "goes on trying" in caplog.text
