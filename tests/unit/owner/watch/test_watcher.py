"""Watching real files with real watches: one call for a change of content, none for anything else.

That there was no second call is shown by a further change: the next call has to be for that one.
"""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from watchfiles._rust_notify import WatchfilesRustInternalError

from confcast.owner.watch import watcher
from confcast.owner.watch.watched_dirs import dirs_to_watch
from tests.support.watching import SOON

# ---- ways to change content


def in_place(path: Path) -> None:
    path.write_bytes(b"second")


def by_rename(path: Path, content: bytes = b"second") -> None:
    new = path.with_name("new")
    new.write_bytes(content)
    new.replace(path)


def by_rename_from_elsewhere(path: Path) -> None:
    new = path.parent.parent.parent / "elsewhere"
    new.write_bytes(b"second")
    new.replace(path)


def deleted_and_made_again(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"second")


def in_many_small_writes(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for byte in b"second":
            file.write(bytes([byte]))


def by_replacing_the_parent(path: Path) -> None:
    new = path.parent.with_name("new")
    new.mkdir()
    (new / path.name).write_bytes(b"second")
    path.parent.rename(path.parent.with_name("old"))
    new.rename(path.parent)


def by_making_the_parent_again(path: Path) -> None:
    """Some file systems give the new directory the inode number of the old one."""
    shutil.rmtree(path.parent)
    path.parent.mkdir()
    path.write_bytes(b"second")


def by_replacing_the_grandparent(path: Path) -> None:
    above = path.parent.parent
    new = above.with_name("new")
    (new / path.parent.name).mkdir(parents=True)
    (new / path.parent.name / path.name).write_bytes(b"second")
    above.rename(above.with_name("old"))
    new.rename(above)


WAYS = [
    by_replacing_the_grandparent,
    in_place,
    by_rename,
    by_rename_from_elsewhere,
    deleted_and_made_again,
    in_many_small_writes,
    by_replacing_the_parent,
    by_making_the_parent_again,
]


@pytest.mark.parametrize("change", WAYS, ids=lambda way: way.__name__)
def test_a_change_of_content_is_one_call(make, change):
    bench = make()
    bench.start()
    with bench.changing:
        change(bench.path)
    bench.expect_only(b"second")


@pytest.mark.parametrize("change", [in_place, by_rename], ids=lambda way: way.__name__)
def test_a_link_to_the_file_is_followed_to_the_file(make, folder, tmp_path, change):
    real = tmp_path / "real" / "deeper" / "file.toml"
    real.parent.mkdir(parents=True)
    real.write_bytes(b"first")
    (folder / "app.toml").symlink_to(os.path.relpath(real, folder))
    bench = make()
    bench.start()
    with bench.changing:
        change(real)
    bench.expect_only(b"second")


def kubernetes(folder: Path, content: bytes, number: int) -> None:
    """What the kubelet does: files → ..data/…, ..data → a dated folder, swapped by a rename."""
    dated = folder / f"..2025_{number}"
    dated.mkdir()
    (dated / "app.toml").write_bytes(content)
    data = folder / "..data"
    before = data.resolve() if data.is_symlink() else None
    (folder / "..data_tmp").symlink_to(dated.name)
    (folder / "..data_tmp").rename(data)
    if before:
        shutil.rmtree(before)
    else:
        (folder / "app.toml").symlink_to("..data/app.toml")


def test_each_kubernetes_swap_is_one_call(make, folder):
    kubernetes(folder, b"first", 0)
    bench = make()
    bench.start()
    for number in range(1, 4):
        with bench.changing:
            kubernetes(folder, b"swap %d" % number, number)
        bench.expect(b"swap %d" % number)
    kubernetes(folder, b"swap 3", 4)  # the same content in another folder
    bench.expect_nothing()


def test_a_link_half_way_up_that_is_swapped_is_one_call(make, tmp_path):
    for release in ("one", "two"):
        (tmp_path / release / "etc").mkdir(parents=True)
        (tmp_path / release / "etc" / "app.toml").write_text(release)
    (tmp_path / "current").symlink_to(tmp_path / "one")
    bench = make(tmp_path / "current" / "etc" / "app.toml")
    bench.start()
    (tmp_path / "next").symlink_to(tmp_path / "two")
    (tmp_path / "next").rename(tmp_path / "current")
    bench.expect_only(b"two")


# ---- what is no change


def touched(path: Path) -> None:
    path.touch()


def written_as_it_was(path: Path) -> None:
    path.write_bytes(b"first")


def renamed_over_as_it_was(path: Path) -> None:
    path.with_name("new").write_bytes(b"first")
    path.with_name("new").rename(path)


def made_private(path: Path) -> None:
    path.chmod(0o600)


def beside_it(path: Path) -> None:
    path.with_name("another.toml").write_bytes(b"second")


@pytest.mark.parametrize(
    "act",
    [touched, written_as_it_was, renamed_over_as_it_was, made_private, beside_it],
    ids=lambda way: way.__name__,
)
def test_what_leaves_the_content_as_it_was_is_no_call(make, act):
    bench = make(quiet=0.1)
    bench.start()
    with bench.changing:
        act(bench.path)
    bench.wait_for_looks(2)
    bench.expect_nothing()


def test_going_back_to_the_previous_content_is_one_call(make):
    bench = make()
    bench.start()
    bench.put(b"second")
    bench.expect(b"second")
    bench.attempts.add(b"second")
    bench.put(b"first")
    bench.expect_only(b"first")


def test_content_that_was_asked_for_is_not_asked_for_again_though_nobody_tried_it(make):
    bench = make()
    bench.start()
    bench.put(b"second")
    bench.expect(b"second")
    for _ in range(2):
        looks = bench.looks
        bench.path.touch()
        bench.wait_for_looks(looks + 1)
    bench.expect_nothing()


def test_content_that_could_not_be_kept_is_asked_for_again_by_the_clock(make):
    bench = make(recheck=0.05, watched=False)
    bench.start()
    bench.attempts.add(b"first")
    bench.attempts.forget()
    bench.expect(b"first")
    bench.attempts.add(b"first")
    bench.expect_nothing()


def test_content_that_a_load_has_read_already_is_not_asked_for(make):
    bench = make()
    bench.start()
    with bench.changing:  # woken by add() it would compare before the write
        bench.attempts.add(b"second")
        bench.put(b"second")
        looks = bench.looks
    bench.wait_for_looks(looks + 1)
    bench.expect_nothing()


def test_a_load_that_ends_while_content_is_compared_is_taken_into_account(make):
    """The owner reads and tries newer content between the fingerprint and the verdict on it."""
    bench = make(recheck=0.05, watched=False)
    bench.start()
    original = bench.fingerprint

    def overtaken() -> bytes:
        found = original()
        if found == b"second":
            bench.watcher._fingerprint = original
            by_rename(bench.path, b"third")
            bench.attempts.add(b"third")
        return found

    bench.watcher._fingerprint = overtaken
    by_rename(bench.path)
    bench.wait_for_looks(bench.looks + 3)
    bench.expect_nothing()


def test_content_that_changes_while_it_is_read_is_read_again_when_it_rests(make):
    bench = make()
    bench.start()
    original = bench.fingerprint

    def torn() -> bytes:
        bench.watcher._fingerprint = original
        bench.put(b"sec")
        found = original()
        bench.put(b"second")
        return found

    judged = []
    bench.on_changed = lambda: judged.append(bench.attempts._attempted)
    with bench.changing:
        bench.put(b"begun")
        bench.watcher._fingerprint = torn
    bench.expect_only(b"second")
    assert judged[0] == b"second"


def test_what_a_load_read_in_between_is_asked_for_again_when_the_content_moved_on(make):
    """Content goes first → other → first; the load read the other, and says so after the last was compared."""
    bench = make()
    bench.start()
    bench.attempts.add(b"other")
    bench.expect_only(b"first")


# ---- beginning and end


def test_a_change_before_the_start_is_not_lost(make):
    bench = make()
    bench.attempts.add(b"first")
    bench.put(b"second")
    bench.watcher.start()
    bench.expect_only(b"second")


def test_what_is_found_at_the_start_counts_as_tried_when_nobody_said(make):
    bench = make()
    bench.watcher.start()
    deadline = time.monotonic() + SOON
    while bench.attempts._attempted is None:  # a look alone is not enough: a change that overlaps it is found instead
        assert time.monotonic() < deadline
    bench.expect_nothing()


def test_closing_ends_the_thread_and_gives_everything_back(make):
    bench = make()
    before = len(list(Path("/dev/fd").iterdir()))
    bench.start()
    bench.watcher.close()
    bench.watcher.close()
    assert "confcast-watch" not in {thread.name for thread in threading.enumerate()}
    deadline = time.monotonic() + SOON  # notify's own thread closes its descriptors when it ends
    while len(list(Path("/dev/fd").iterdir())) > before:
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def test_closing_works_before_the_start_and_from_the_callback(make):
    make().watcher.close()
    bench = make()
    bench.on_changed = bench.watcher.close
    bench.start()
    bench.put(b"second")
    bench.expect(b"second")
    bench.watcher._thread.join(SOON)
    assert not bench.watcher._thread.is_alive()


def test_closing_while_it_waits_for_a_file_to_rest_is_not_missed(make):
    bench = make()
    bench.start()
    calls = iter([lambda: None, bench.watcher.close])  # in the midst of waiting
    bench.on_watched = lambda: next(calls, lambda: None)()
    bench.put(b"second")
    bench.watcher._thread.join(SOON)
    assert not bench.watcher._thread.is_alive()
    assert bench.calls.empty()


# ---- resting


def test_a_file_that_keeps_changing_is_read_when_it_rests(make):
    bench = make()
    bench.start()
    bench.expect_one_look_at_many_changes()


def test_a_file_that_is_open_for_writing_is_not_read_until_it_is_closed(make, monkeypatch, caplog):
    monkeypatch.setattr(watcher, "_REST_WITHIN", 0.0)
    monkeypatch.setattr(watcher, "_SHARE", 0)
    bench = make(quiet=0.0)  # so that there is nothing to wait for but the writer
    asked, enough = [0], threading.Event()

    def busy() -> tuple[Path, ...]:
        asked[0] += 1
        if asked[0] == 10:
            enough.set()
        return bench.writers

    bench.watcher._busy = busy
    bench.writers = (bench.path,)
    bench.attempts.add(b"another")  # so that a look would find a change
    bench.watcher.start()
    assert enough.wait(SOON)
    assert bench.looks == 0
    bench.put(b"second")
    complaints = [record.message for record in caplog.records]
    bench.writers = ()
    bench.expect_only(b"second")
    assert complaints == [f"what changed is not read yet (open for writing: {bench.path})"]


# ---- what must not end the watching


def test_a_vanished_directory_is_missing_content_and_its_return_is_noticed(make, folder):
    bench = make()
    bench.start()
    shutil.rmtree(folder.parent)
    bench.expect(b"missing")
    folder.mkdir(parents=True)
    bench.put(b"second")
    while (content := bench.calls.get(timeout=SOON)) != b"second":
        assert content == b""  # a slow machine may have looked between making the file and filling it
    bench.expect_nothing()


def test_a_file_whose_directories_do_not_exist_yet_is_noticed(make, tmp_path):
    bench = make(tmp_path / "not" / "yet" / "there" / "app.toml")
    bench.start()
    for directory in ("not", "not/yet", "not/yet/there"):
        looks = bench.looks
        (tmp_path / directory).mkdir()
        bench.wait_for_looks(looks + 1)
    bench.put(b"second")
    bench.expect_only(b"second")


def test_an_error_in_looking_is_logged_once_and_counted_and_watching_goes_on(make, monkeypatch, caplog):
    monkeypatch.setattr(watcher, "_POLL_EVERY", 0.01)
    bench = make()
    bench.start()
    original, failures = bench.fingerprint, [3]

    def failing() -> bytes:
        if failures[0]:
            failures[0] -= 1
            raise OSError("the mount is dead")
        return original()

    bench.watcher._fingerprint = failing
    bench.put(b"second")
    bench.expect_only(b"second")
    assert bench.watcher.failures == 3
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == [
        "watching failed, and goes on trying every second"
    ]


def test_a_call_that_failed_is_made_again(make, monkeypatch):
    monkeypatch.setattr(watcher, "_POLL_EVERY", 0.01)
    bench = make()
    failures = [2]

    def fail() -> None:
        if failures[0]:
            failures[0] -= 1
            raise RuntimeError("the mailbox is closed")

    bench.on_changed = fail
    bench.start()
    bench.put(b"second")
    bench.expect_only(b"second")
    assert bench.watcher.failures == 2


def test_files_that_are_as_they_were_have_rested_when_the_clock_asks_for_a_look(make):
    """An owner at rest wakes up once for it, and not for each step of a quiet period."""
    bench = make()
    bench.watcher._seen, bench.watcher._seen_at = bench.watcher._stats(), 5.0
    assert bench.watcher._resting_since(100.0) == 5.0
    in_place(bench.path)
    assert bench.watcher._resting_since(100.0) == 100.0


def test_content_is_compared_though_no_event_comes(make):
    bench = make(recheck=0.05, watched=False)
    bench.start()
    by_rename(bench.path)
    bench.expect_only(b"second")


def test_a_watch_that_breaks_is_made_anew(make, monkeypatch):
    class Broken:
        def wait(self, *_: object) -> None:
            raise WatchfilesRustInternalError("the watch broke")

        def close(self) -> None:
            broken.set()

    monkeypatch.setattr(watcher, "_POLL_EVERY", 0.01)
    bench, broken = make(), threading.Event()
    bench.start()
    ears = bench.watcher._watches
    working, ears._events = ears._events, Broken()
    bench.path.touch()  # noticed by the one that still waits
    assert broken.wait(SOON)
    bench.expect_nothing()
    working.close()


@pytest.fixture
def hose(folder: Path) -> Iterator[None]:
    """Somebody who writes other files in the same directory without end."""
    stop = threading.Event()

    def pour() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            (folder / f"other-{number % 50}").write_bytes(b"x")

    thread = threading.Thread(target=pour)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.usefixtures("hose")
def test_others_events_in_a_directory_neither_hide_a_change_nor_make_many_looks(make):
    bench = make()
    bench.start()
    looks, began = bench.looks, time.monotonic()
    for number in range(5):
        by_rename(bench.path, b"change %d" % number)
        bench.expect(b"change %d" % number)
    # A look for each event that is received, at least a quiet period apart but for the step that receiving takes, and
    # one more for each change that was made just while its predecessor was being read.
    assert bench.looks - looks <= (time.monotonic() - began) / 0.03 + 6


@pytest.mark.usefixtures("hose")
def test_a_look_that_costs_much_is_followed_by_a_pause_in_proportion(make):
    bench = make()
    bench.start()
    original, work, looks = bench.fingerprint, threading.Event(), []

    def costly() -> bytes:
        began = time.monotonic()
        work.wait(0.02)
        looks.append((began, time.monotonic()))
        return original()

    bench.watcher._fingerprint = costly
    bench.wait_for_looks(bench.looks + 4)
    assert all(began - ended >= 0.3 for (_, ended), (began, _) in itertools.pairwise(looks[:4]))


def test_without_watches_to_be_had_content_is_compared_instead(folder):
    """What the system says of its own limits is an error of opening files, too."""
    script = """
    import errno, logging, os, queue, sys
    from pathlib import Path
    from confcast.owner.store.attempts import Attempts
    from confcast.owner.watch import watcher as module
    logging.basicConfig(level=logging.WARNING, stream=sys.stdout, format="%(name)s: %(message)s")
    module._POLL_EVERY = 0.05
    path, calls = Path(sys.argv[1]), queue.Queue()
    attempts = Attempts(Path(os.devnull))
    watcher = module.Watcher(lambda: (path,), path.read_bytes, tuple, lambda: calls.put(path.read_bytes()), attempts)
    attempts.add(b"first")
    def refuse(dirs, wakeup):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    events_in, module.events_in = module.events_in, refuse
    def write(content):  # at once: between two steps of this very process a look would find nothing
        path.with_name("new").write_bytes(content)
        path.with_name("new").replace(path)
    watcher.start()
    for content in (b"second", b"third"):
        write(content)
        print(calls.get(timeout=10))
    failures = watcher.failures
    print("failures:", failures > 1)
    module.events_in = events_in
    write(b"fourth")
    print(calls.get(timeout=10))
    watcher.close()
    """
    path = folder / "app.toml"
    path.write_bytes(b"first")
    command = [sys.executable, "-c", textwrap.dedent(script), str(path)]
    outcome = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    lines = outcome.stdout.splitlines()
    assert [line for line in lines if line.startswith("b'")] == ["b'second'", "b'third'", "b'fourth'"], outcome
    assert "failures: True" in lines
    assert [line for line in lines if line.startswith("confcast.watch")] == [
        line for line in lines if "can't listen to" in line
    ]
    assert sum("can't listen to" in line for line in lines) == 1


# ---- which directories


def test_the_directories_of_every_link_and_their_parents_are_listened_to(tmp_path):
    tmp_path = tmp_path.resolve()
    (tmp_path / "etc").mkdir()
    (tmp_path / "a" / "data").mkdir(parents=True)
    (tmp_path / "a" / "data" / "real.toml").touch()
    (tmp_path / "etc" / "app.toml").symlink_to("../links/file")
    (tmp_path / "links").symlink_to("a")
    (tmp_path / "a" / "file").symlink_to(tmp_path / "a" / "data" / "real.toml")
    names = set(dirs_to_watch((tmp_path / "etc" / "app.toml",)))
    own = {name for name in names if Path(name).is_relative_to(tmp_path)}
    assert own == {str(tmp_path / part) for part in ("etc", "", "a", "a/data")}


def test_a_loop_of_links_comes_to_an_end(tmp_path):
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    assert str(tmp_path.resolve()) in dirs_to_watch((tmp_path / "one" / "app.toml",))


def test_a_path_below_a_file_leads_to_the_file_s_directory(tmp_path):
    (tmp_path / "file").touch()
    assert str(tmp_path.resolve()) in dirs_to_watch((tmp_path / "file" / "app.toml",))
