"""Loading, in the loop's thread and beside it: the mark, content that an owner died of, verdicts, comparisons."""

from __future__ import annotations

import gc
import os
import queue
import shutil
import stat
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import msgspec
import pytest
from pydantic import BaseModel, BeforeValidator

from confcast import ConfigError, ConfigLoader, Environment, Secret
from confcast.config.sources import disk
from confcast.config.sources.layer import Layer
from confcast.errors import Problem
from confcast.owner.core.effects import Checked, Load, Loaded, LoadFailed, Received, Trigger
from confcast.owner.loop.load_thread import LoadResult, LoadThread
from confcast.owner.loop.relief import Relief
from confcast.owner.store.attempts import Attempts
from confcast.wire.messages import Declined, ReloadResult, Vote
from tests.support.settings import SCHEMA, write
from tests.support.waiting import eventually

during: list[Callable[[], None]] = []
"""What the schema's own code does while it is loaded."""


class Settings(msgspec.Struct):
    """A schema whose validation does what the test wants."""

    number: int
    name: str = "one"
    token: Annotated[str, Secret] = ""

    def __post_init__(self) -> None:
        for act in during:
            act()


class Recording(Attempts):
    """With a list of what was added."""

    def __init__(self, path: Path, disabled: Problem | None = None) -> None:
        super().__init__(path, disabled)
        self.added: list[bytes] = []

    def add(self, fingerprint: bytes) -> None:
        self.added.append(fingerprint)
        super().add(fingerprint)


def serving(loading: LoadThread, post: Callable[[LoadResult], object]) -> Callable[[], object]:
    """What loads all that is ordered until the loads are closed. It has no frame that `doing` could show."""
    results = chain.from_iterable(map(loading.load, iter(loading._orders.get, None)))
    return partial(deque, map(post, results), maxlen=0)


class Bench:
    """A loading thread over one file."""

    def __init__(self, folder: Path, *sources: Any, **options: Any) -> None:
        self.path, self.in_progress_file = folder / "app.toml", folder / "home" / "loading"
        self.in_progress_file.parent.mkdir(exist_ok=True)
        self.results: queue.SimpleQueue[LoadResult] = queue.SimpleQueue()
        self.loader = ConfigLoader(Settings, self.path, *sources)
        self.attempts = Recording(self.in_progress_file, **options)
        self.use(LoadThread(self.loader, self.attempts, self.results.put))
        self._number = 0

    def use(self, loading: LoadThread) -> None:
        """From now on these are the loads, in a thread of their own."""
        if hasattr(self, "loading"):
            self.close()
        self.loading = loading
        self.thread = threading.Thread(target=serving(loading, self.results.put))
        self.thread.start()

    def close(self) -> None:
        self.loading.close()
        self.thread.join(10)
        assert not self.thread.is_alive()

    def load(self, text: str, *, insist: bool = False, **order: Any) -> Loaded | LoadFailed:
        self.path.write_text(text)
        self._number += 1
        self.loading.submit(Load(self._number, insist, **order))
        return self.result()

    def result(self) -> Loaded | LoadFailed:
        """Both halves of the load as one: as if it had been checked before it was given."""
        loaded = self.results.get(timeout=10)
        assert not isinstance(loaded, Checked)
        assert loaded.number == self._number
        if isinstance(loaded, LoadFailed) or loaded.checked:
            return loaded
        checked = self.results.get(timeout=10)
        assert isinstance(checked, Checked)
        assert checked.number == self._number
        if checked.problems:
            return LoadFailed(self._number, ReloadResult.VALIDATION_FAILED, checked.problems)
        both = {"changes": checked.changes, "notes": checked.notes, "values": checked.values}
        return msgspec.structs.replace(loaded, checked=True, **both)


Start = Callable[..., Bench]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    made: list[Bench] = []

    def make(*sources: Any, **options: Any) -> Bench:
        made.append(Bench(tmp_path, *sources, **options))
        return made[-1]

    yield make
    during.clear()
    for bench in made:
        bench.close()
        bench.attempts.close()


class Sealed(msgspec.Struct):
    """A source of a user's own, which refuses in its own way: with a text, for a reason that no result is called."""

    def read(self) -> Any:
        raise ConfigError(["the vault is sealed"], "vault_sealed")  # type: ignore[list-item]


def commit(bench: Bench, loaded: Loaded | LoadFailed) -> Loaded:
    assert isinstance(loaded, Loaded)
    bench.loading.committed(loaded.digest, loaded.payload, loaded.values)
    return loaded


def refusal(result: Loaded | LoadFailed) -> tuple[ReloadResult, str]:
    assert isinstance(result, LoadFailed)
    return result.result, "; ".join(map(str, result.problems))


def test_the_content_stands_marked_while_it_is_validated_and_only_then(start: Start) -> None:
    bench, seen = start(), []
    during.append(lambda: seen.append(bench.in_progress_file.read_bytes()))

    assert isinstance(bench.load("number = 1"), Loaded)

    assert seen
    assert set(seen) == {bench.loader._fingerprint()} == set(bench.attempts.added)
    assert not any(bench.in_progress_file.read_bytes())
    assert stat.S_IMODE(bench.in_progress_file.stat().st_mode) == 0o600


def test_what_is_refused_is_unmarked_too(start: Start) -> None:
    bench = start()

    assert refusal(bench.load("number = 'one'"))[0] is ReloadResult.VALIDATION_FAILED
    assert not any(bench.in_progress_file.read_bytes())


def test_content_that_an_owner_died_of_is_skipped_until_someone_insists(start: Start) -> None:
    first = start()
    first.path.write_text("number = 1")
    first.attempts.begin(first.loader._fingerprint())

    bench = start()
    result, text = refusal(bench.load("number = 1"))
    assert result is ReloadResult.VALIDATION_FAILED
    assert "an owner died while it loaded exactly this content" in text
    assert bench.in_progress_file.read_bytes() == bench.loader._fingerprint()  # the next owner must know it, too

    assert isinstance(bench.load("number = 2"), Loaded)
    assert isinstance(bench.load("number = 1"), LoadFailed)
    assert isinstance(bench.load("number = 1", insist=True), Loaded)
    assert isinstance(bench.load("number = 1"), Loaded)  # it did not kill: it is content like any other


@pytest.mark.parametrize("raised", [SystemExit(3), KeyboardInterrupt(), RecursionError("deep"), OSError("no")])
def test_whatever_a_schema_s_code_raises_is_a_refusal_and_the_next_load_works(
    start: Start, raised: BaseException
) -> None:
    bench = start()

    def fail() -> None:
        raise raised

    during.append(fail)
    result, text = refusal(bench.load("number = 1"))
    assert result is ReloadResult.VALIDATION_FAILED
    assert type(raised).__name__ in text

    during.clear()
    assert isinstance(bench.load("number = 1"), Loaded)


def test_a_secret_in_what_a_validator_raises_is_masked_in_the_log(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    bench = start()
    during.append(lambda: sys.exit("can't use hunter2 with the number 1234"))
    assert "hunter2" not in refusal(bench.load('number = 1234\ntoken = "hunter2"'))[1]
    assert "SystemExit: can't use ********** with the number 1234" in caplog.text
    assert "hunter2" not in caplog.text
    assert all(record.exc_info is None for record in caplog.records)
    first = next(line for line in caplog.text.splitlines() if line.lstrip().startswith("File "))
    assert __file__ in first, "the application's own frames are enough to find it, and ours stay out"


def test_where_the_schema_can_t_say_what_is_a_secret_nothing_is_said_and_the_next_load_works(
    start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = start()

    def fail(reading: Any) -> Any:
        raise SystemExit("hunter2")

    with monkeypatch.context() as patch:
        patch.setattr(bench.loader, "_merge", fail)
        assert isinstance(bench.load("number = 1"), LoadFailed)
    assert "(the text is left out: what is a secret can't be told, SystemExit)" in caplog.text
    assert "hunter2" not in caplog.text
    assert isinstance(bench.load("number = 1"), Loaded)


def test_a_missing_file_says_so(start: Start) -> None:
    bench = start()
    bench.path.unlink(missing_ok=True)
    bench.loading.submit(Load(1, insist=False))

    assert refusal(bench.results.get(timeout=10))[0] is ReloadResult.FILE_NOT_FOUND
    assert len(bench.attempts.added) == 1


def test_where_the_in_progress_file_can_t_be_written_nothing_is_validated(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    bench = start()
    monkeypatch.setattr(bench.attempts, "forget", lambda: seen.append("forgotten"))
    during.append(lambda: seen.append("validated"))
    shutil.rmtree(bench.in_progress_file.parent)

    result, text = refusal(bench.load("number = 1"))
    assert (result, seen) == (ReloadResult.IO_ERROR, ["forgotten"])
    assert f"{bench.in_progress_file} can't be written (No such file or directory)" in text

    bench.in_progress_file.parent.mkdir()
    assert isinstance(bench.load("number = 1"), Loaded)


def test_a_mark_that_can_t_be_cleared_is_logged_and_the_load_counts(
    start: Start, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.pwrite

    def fail(fd: int, content: bytes, at: int) -> int:
        if not any(content):
            raise OSError("Input/output error")
        return write(fd, content, at)

    bench = start()
    monkeypatch.setattr(os, "pwrite", fail)

    assert isinstance(bench.load("number = 1"), Loaded)
    assert "could not be cleared: Input/output error" in caplog.text


def test_an_owner_under_other_code_reads_nothing(start: Start) -> None:
    bench = start(disabled=Problem("", "the code has changed"))
    bench.loading.committed(b"d" * 16, b"bytes of another class")

    assert refusal(bench.load("number = 1")) == (
        ReloadResult.VALIDATION_FAILED,
        str(Problem("", "the code has changed")),
    )
    assert bench.attempts.added == []


def test_a_load_is_compared_with_what_is_committed_and_not_with_the_load_before(start: Start) -> None:
    bench = start()
    first = bench.load("number = 1")
    assert isinstance(first, Loaded)
    assert first.differs
    commit(bench, first)
    second = bench.load("number = 2")  # and never committed
    assert isinstance(second, Loaded)
    assert [(change.key, change.old, change.new) for change in second.changes] == [("number", 1, 2)]

    again = bench.load("number = 1")
    assert isinstance(again, Loaded)
    assert not again.differs

    commit(bench, bench.load("number = 3"))
    third = bench.load("number = 1")
    assert isinstance(third, Loaded)
    assert [(change.key, change.old, change.new) for change in third.changes] == [("number", 3, 1)]


def test_it_is_compared_with_a_payload_of_the_journal_as_with_a_load_s_own(start: Start) -> None:
    bench = start()
    candidate = bench.load("number = 1")
    other = start()
    commit(other, candidate)

    default = other.load("number = 1\nname = 'one'")
    assert isinstance(default, Loaded)
    assert not default.differs
    changed = other.load("number = 1\nname = 'two'")
    assert isinstance(changed, Loaded)
    assert [change.key for change in changed.changes] == ["name"]


def test_what_a_user_s_source_refuses_with_is_fit_for_an_event_and_does_not_end_the_thread(start: Start) -> None:
    bench = start(Sealed())

    for _ in range(2):
        result = bench.load("number = 1")
        assert isinstance(result, LoadFailed)
        assert result.result is ReloadResult.VALIDATION_FAILED
        assert result.problems == (Problem("", "the vault is sealed"),)


def test_what_is_barred_for_a_while_is_loaded_afterwards(start: Start) -> None:
    bench = start()
    bench.attempts.disable(Problem("", "not now"))
    assert refusal(bench.load("number = 1")) == (ReloadResult.VALIDATION_FAILED, "not now")

    bench.attempts.enable()

    assert isinstance(bench.load("number = 1"), Loaded)


def test_an_owner_under_other_code_stays_barred(start: Start) -> None:
    bench = start(disabled=Problem("", "other code"))
    bench.attempts.disable(Problem("", "not now"))
    bench.attempts.enable()

    assert refusal(bench.load("number = 1")) == (ReloadResult.VALIDATION_FAILED, "other code")


def test_the_mark_follows_to_another_folder(start: Start, tmp_path: Path) -> None:
    bench = start()
    bench.load("number = 1")
    bench.attempts.move_to(tmp_path / "moved")
    bench.load("number = 1")

    assert bench.attempts.path.exists()


# ---- edits that are hidden


@pytest.fixture
def hiding(start: Start, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A variable hides the file's name; the number 1 runs."""
    monkeypatch.setenv("APP_NAME", "of the environment")
    bench = start(Environment("APP_"))
    commit(bench, bench.load("name = 'one'\nnumber = 1"))
    return bench


def notes(result: Loaded | LoadFailed) -> list[str]:
    """By the place of the edit."""
    assert isinstance(result, Loaded)
    assert all(" is hidden by environment variable APP_NAME" in note for note in result.notes)
    return [note.split("(")[1].split(")")[0].rsplit("app.toml:")[1] for note in result.notes]


def test_a_watcher_s_load_reports_a_hidden_edit_once(hiding: Bench) -> None:
    first = hiding.load("name = 'two'\nnumber = 1")
    assert isinstance(first, Loaded)
    assert not first.differs
    assert notes(first) == ["1:8"]
    assert notes(hiding.load("name = 'two'\nnumber = 1 # and a comment")) == []
    assert notes(hiding.load("\nname = 'three'\nnumber = 1")) == ["2:8"]


def test_a_load_that_was_asked_for_reports_it_until_something_else_runs(hiding: Bench) -> None:
    text = "name = 'two'\nnumber = {}"
    assert notes(hiding.load(text.format(1))) == ["1:8"]
    for _ in range(2):
        assert notes(hiding.load(text.format(1), insist=True)) == ["1:8"]
    commit(hiding, hiding.load(text.format(2)))
    assert notes(hiding.load(text.format(2), insist=True)) == []


def test_beside_an_edit_that_changes_something_a_hidden_one_is_reported_too(hiding: Bench) -> None:
    result = hiding.load("number = 2\nname = 'two'")
    assert isinstance(result, Loaded)
    assert [change.key for change in result.changes] == ["number"]
    assert notes(result) == ["2:8"]


def test_what_was_refused_in_between_is_no_load_to_compare_with(hiding: Bench) -> None:
    assert isinstance(hiding.load("name = 'two'\nnumber = 'x'"), LoadFailed)
    assert notes(hiding.load("name = 'two'\nnumber = 1")) == ["1:8"]


@pytest.mark.parametrize("number", [1, 2])
def test_a_dry_run_is_no_load_to_compare_with(hiding: Bench, number: int) -> None:
    assert notes(hiding.load(f"name = 'two'\nnumber = {number}", dry=True)) == ["1:8"]
    assert notes(hiding.load(f"name = 'one'\nnumber = {number}")) == []
    assert notes(hiding.load(f"name = 'two'\nnumber = {number}", dry=True)) == ["1:8"]
    assert notes(hiding.load(f"name = 'two'\nnumber = {number}")) == ["1:8"]


def test_under_a_new_owner_the_first_load_of_what_runs_is_compared_with(hiding: Bench, start: Start) -> None:
    candidate = hiding.load("name = 'one'\nnumber = 1")
    other = start(Environment("APP_"))
    commit(other, candidate)
    assert notes(other.load("name = 'two'\nnumber = 1")) == []
    assert notes(other.load("name = 'three'\nnumber = 1", insist=True)) == ["1:8"]


class Lost(msgspec.Struct):
    """A source of a user's own that can't say where its values stand."""

    number: int = 0

    def read(self) -> Layer:
        def places() -> Any:
            raise KeyError("hunter2")

        self.number += 1
        return Layer("lost", {"name": str(self.number)}, places=places)


def test_a_place_that_can_t_be_found_does_not_fail_the_load(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("APP_NAME", "of the environment")
    bench = start(Lost(), Environment("APP_"))
    bench.load("number = 1")
    assert notes(bench.load("number = 1")) == []
    assert [record.message for record in caplog.records] == ["edits that are hidden can't be told: KeyError"]


# ---- what workers refuse


def said(message: Vote | Declined) -> Received:
    return Received(1, 17, message)


WHY = Problem("number", "no")


def test_a_vote_is_about_the_latest_load_and_what_is_declined_about_what_runs(start: Start) -> None:
    bench = start()
    commit(bench, bench.load("number = 1"))
    bench.load("\n\nnumber = 2")

    vote = bench.loading.located(said(Vote(3, False, (WHY,))))
    declined = bench.loading.located(said(Declined(1, (WHY,))))

    there = str(bench.path)
    assert vote == said(Vote(3, False, (Problem("number", "no", f"{there}:3:10"),)))
    assert declined == said(Declined(1, (Problem("number", "no", f"{there}:1:10"),)))


def test_what_names_no_key_and_what_is_no_refusal_stay_as_they_are(start: Start) -> None:
    bench = start()
    early = said(Declined(1, (WHY,)))
    assert bench.loading.located(early) is early  # an owner that has loaded nothing yet
    commit(bench, bench.load("number = 1"))
    for given in (said(Vote(1, True)), Trigger("watch")):
        assert bench.loading.located(given) is given
    assert bench.loading.located(said(Vote(1, False, (Problem("", "no"),)))) == said(
        Vote(1, False, (Problem("", "no"),))
    )


def test_what_a_load_waits_for_is_reported_however_deep_it_is(tmp_path):
    """In the loop's thread, which has no more frames than the loading thread."""
    path = tmp_path / "app.toml"
    write(path, 1)
    held, reached = threading.Event(), threading.Event()

    def down() -> None:
        try:
            down()
        except RecursionError:
            if not held.is_set():  # the deepest frames have no room for this, and those above try it again
                reached.set()
                held.wait(20)

    loading = LoadThread(ConfigLoader(SCHEMA, path), Attempts(tmp_path / "loading"), lambda given: None)
    thread = threading.Thread(target=down)
    thread.start()
    loading._loads_in = thread.ident or 0
    assert reached.wait(20)
    assert "down" in loading.doing()
    held.set()
    thread.join()
    loading._attempts.close()


def waiting_in_c() -> tuple[queue.SimpleQueue[Any], Callable[..., Any]]:
    """A function without a Python frame that waits until something is put."""
    given: queue.SimpleQueue[Any] = queue.SimpleQueue()
    return given, given.get


def test_a_file_that_hangs_when_it_is_opened_is_reported_by_its_name(start: Start, monkeypatch: pytest.MonkeyPatch):
    """Not by the standard library's function that stands between the source and the system."""
    given, open_ = waiting_in_c()
    bench = start()
    assert isinstance(bench.load("number = 1"), Loaded)
    monkeypatch.setattr(disk, "os", SimpleNamespace(**{**vars(os), "open": open_}))
    bench.loading.submit(Load(2, insist=False))
    eventually(lambda: bench.loading.doing() == str(bench.path), "the file's name")
    monkeypatch.undo()
    given.put(os.open(bench.path, os.O_RDONLY))
    assert isinstance(bench.results.get(timeout=10), Loaded | LoadFailed)


gate = threading.Event()


class Gated(BaseModel, frozen=True):
    """Its validator is a function of the standard library's, which waits for as long as the file says."""

    number: Annotated[int, BeforeValidator(gate.wait)]


def test_a_validator_of_the_standard_library_is_reported_by_its_name(tmp_path: Path):
    path = tmp_path / "app.toml"
    path.write_text("number = 20")
    results: queue.SimpleQueue[Any] = queue.SimpleQueue()
    loading = LoadThread(ConfigLoader(Gated, path), Attempts(tmp_path / "loading"), results.put)
    thread = threading.Thread(target=serving(loading, results.put))
    thread.start()
    loading.submit(Load(1, insist=False))
    eventually(lambda: loading.doing().startswith("threading:Event.wait ("), "the validator's name")
    gate.set()
    assert isinstance(results.get(timeout=10), Loaded)
    loading.close()
    thread.join(10)
    loading._attempts.close()


def test_where_nothing_is_known_of_it_nothing_is_said(tmp_path):
    path = tmp_path / "app.toml"
    write(path, 1)
    loading = LoadThread(ConfigLoader(SCHEMA, path), Attempts(tmp_path / "loading"), lambda given: None)
    assert loading.doing() == ""
    loading._attempts.close()


def test_a_candidate_is_given_before_it_is_compared_and_proven(start: Start) -> None:
    bench = start()
    commit(bench, bench.load("number = 1"))
    bench.path.write_text("number = 2")
    halves = bench.loading.load(Load(2, insist=False))
    proposed = next(halves)
    assert isinstance(proposed, Loaded)
    assert (proposed.differs, proposed.checked, proposed.changes) == (True, False, ())
    assert any(bench.in_progress_file.read_bytes()), "the second half may kill the owner, too"
    checked = next(halves)
    assert isinstance(checked, Checked)
    assert [change.key for change in checked.changes] == ["number"]
    assert not any(bench.in_progress_file.read_bytes())
    assert next(halves, None) is None


def test_what_is_not_exact_is_a_failed_check_and_the_next_load_is_compared_with_the_one_before(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = start()
    commit(bench, bench.load("number = 1"))
    before = bench.loading._latest
    with monkeypatch.context() as patch:
        patch.setattr(bench.loader._codec, "decode", lambda payload: Settings(3))
        text = refusal(bench.load("number = 2"))[1]
    assert text == "can't be carried to the workers exactly: decoded, it encodes to other bytes"
    assert bench.loading._latest is before
    assert not any(bench.in_progress_file.read_bytes())


def test_an_owner_that_ends_between_the_halves_has_not_died_of_the_content(start: Start) -> None:
    bench = start()
    bench.path.write_text("number = 1")
    halves = bench.loading.load(Load(1, insist=False))
    next(halves)
    del halves
    assert not any(bench.in_progress_file.read_bytes())


def test_in_the_loop_s_thread_results_are_given_and_not_posted(tmp_path: Path) -> None:
    path = tmp_path / "app.toml"
    write(path, 1)
    posted: list[LoadResult] = []
    loading = LoadThread(ConfigLoader(SCHEMA, path), Attempts(tmp_path / "loading"), posted.append)
    loading.submit(Load(1, insist=False))
    assert [type(result) for result in loading.serve_here()] == [Loaded, Checked]
    assert posted == []
    assert list(loading.serve_here()) == []
    loading._attempts.close()


@pytest.mark.parametrize("lost_in", [1, 2])
def test_once_the_loop_was_taken_over_they_are_posted(tmp_path: Path, lost_in: int) -> None:
    path = tmp_path / "app.toml"
    write(path, 1)
    posted: list[LoadResult] = []
    relief = Relief()
    steps = iter([True] * (lost_in - 1))

    def ended() -> bool:
        relief.given = not next(steps, False)
        return not relief.given

    relief.step_ended = ended  # type: ignore[method-assign]
    loading = LoadThread(ConfigLoader(SCHEMA, path), Attempts(tmp_path / "loading"), posted.append, relief)
    for number in (1, 2):
        loading.submit(Load(number, insist=False))
    given = list(loading.serve_here())
    assert [type(result) for result in given + posted] == [Loaded, Checked]
    assert len(given) == lost_in - 1
    assert list(loading.serve_here()) == [], "the other load waits until this thread has the loop again"
    relief.given = False
    del relief.step_ended
    assert [type(result) for result in loading.serve_here()] == [Loaded, Checked]
    loading._attempts.close()


# ---- the garbage collector


@pytest.fixture
def threshold() -> Iterator[tuple[int, int, int]]:
    """The collector's own threshold, which it has again after the test."""
    before, enabled = gc.get_threshold(), gc.isenabled()
    yield before
    gc.set_threshold(*before)
    gc.enable() if enabled else gc.disable()


def makes_garbage() -> None:
    """What would be collected several times over."""
    held = [[n] for n in range(50_000)]
    held.append(held)  # type: ignore[arg-type]


def test_nothing_is_collected_within_a_load(start: Start, threshold: Any) -> None:
    bench, thresholds = start(), list[int]()
    during.append(makes_garbage)
    seen = lambda phase, info: thresholds.append(gc.get_threshold()[0])  # noqa: E731
    gc.callbacks.append(seen)
    try:
        assert isinstance(bench.load("number = 1"), Loaded)
    finally:
        gc.callbacks.remove(seen)

    assert gc.get_threshold() == threshold
    assert set(thresholds) <= {threshold[0]}  # what there was to collect was collected after the load


@pytest.mark.parametrize("raised", [ValueError, SystemExit, KeyboardInterrupt, RecursionError])
def test_whatever_a_load_raises_the_collector_is_as_it_was(start: Start, threshold: Any, raised: Any) -> None:
    bench, within = start(), list[int]()

    def act() -> None:
        within.append(gc.get_threshold()[0])
        raise raised

    during.append(act)
    assert isinstance(bench.load("number = 1"), LoadFailed)
    assert within[0] > 500_000
    assert gc.get_threshold() == threshold
    assert isinstance(bench.load("number = ["), LoadFailed)
    assert gc.get_threshold() == threshold


def test_what_the_schema_says_of_the_collector_stays(start: Start, threshold: Any) -> None:
    bench = start()
    during.append(lambda: gc.set_threshold(50_000, 20, 20))
    bench.load("number = 1")
    assert gc.get_threshold() == (50_000, 20, 20)

    during[:] = [gc.disable]
    bench.load("number = 2")
    assert not gc.isenabled()
    assert gc.get_threshold() == (50_000, 20, 20)


@pytest.mark.parametrize("first", [0, 2_000_000])
def test_a_collector_that_runs_more_seldom_or_never_is_left_alone(start: Start, threshold: Any, first: int) -> None:
    bench, within = start(), list[int]()
    gc.set_threshold(first, 10, 10)
    during.append(lambda: within.append(gc.get_threshold()[0]))
    bench.load("number = 1")
    assert within == [first]
    assert gc.get_threshold() == (first, 10, 10)


def test_a_load_that_never_ends_does_not_end_collecting(start: Start, threshold: Any) -> None:
    """A validator may make circles without end: the collector runs, if seldom."""
    bench, generations = start(), list[int]()
    seen = lambda phase, info: generations.append(info["generation"])  # noqa: E731

    def act() -> None:
        held = [[n] for n in range(1_100_000)]
        assert held

    during.append(act)
    gc.callbacks.append(seen)
    try:
        bench.load("number = 1")
    finally:
        gc.callbacks.remove(seen)
    assert generations


# ---- the patch


class Server(msgspec.Struct, frozen=True):
    """A part of the frozen schema."""

    host: str = ""
    port: int = 80


class Frozen(msgspec.Struct, frozen=True):
    """A schema that two versions may share parts of."""

    number: int
    servers: dict[str, Server] = {}


SERVERS = "".join(f'[servers.s{number}]\nhost = "10.0.0.{number}"\n' for number in range(200))


@pytest.fixture
def frozen(start: Start) -> Bench:
    bench = start()
    bench.loader = ConfigLoader(Frozen, bench.path)
    bench.use(LoadThread(bench.loader, bench.attempts, bench.results.put))
    return bench


def test_a_load_after_a_commit_gives_the_patch_of_what_was_committed(frozen: Bench) -> None:
    codec = frozen.loader._codec
    first = commit(frozen, frozen.load(f"number = 1\n{SERVERS}"))
    assert (first.base, first.patch) == (b"", b"")
    held = codec.decode(first.payload)
    for number in (2, 3):
        before, loaded = first, frozen.load(f"number = {number}\n{SERVERS}")
        assert isinstance(loaded, Loaded)
        assert loaded.base == before.digest
        new = codec.patched(held, loaded.patch)
        assert (codec.encode(new), new.number) == (loaded.payload, number)
        assert new.servers is held.servers
        assert len(loaded.patch) < 50


def test_the_patch_has_the_proof_and_what_differs_without_a_look_at_the_rest(
    frozen: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = commit(frozen, frozen.load(f"number = 1\n{SERVERS}"))
    assert frozen.loading._committed is not None
    before = frozen.loading._committed.config
    edited = SERVERS.replace('"10.0.0.7"', '"10.0.1.7"')
    asked: list[str] = []
    for name in ("encode", "decode", "comparable"):
        _record(monkeypatch, frozen.loader._codec, name, asked)
    loaded = commit(frozen, frozen.load(f"number = 1\n{edited}"))
    assert loaded.base == held.digest
    assert [(change.key, change.new) for change in loaded.changes] == [("servers.s7.host", "10.0.1.7")]
    assert asked == ["encode", "encode"], "the candidate for its payload, the patched copy for the proof"
    after = frozen.loading._committed.config
    assert [name for name in before.servers if after.servers[name] is not before.servers[name]] == ["s7"]


def _record(monkeypatch: pytest.MonkeyPatch, codec: Any, name: str, asked: list[str]) -> None:
    method = getattr(codec, name)
    monkeypatch.setattr(codec, name, lambda *given: (asked.append(name), method(*given))[1])


def test_what_no_patch_proves_is_decoded_whole(frozen: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(frozen, frozen.load(f"number = 1\n{SERVERS}"))
    monkeypatch.setattr(frozen.loader._codec, "patched", lambda held, patch: Frozen(3))
    loaded = frozen.load(f"number = 2\n{SERVERS}")
    assert isinstance(loaded, Loaded)
    assert (loaded.differs, loaded.base, loaded.patch) == (True, b"", b"")
    monkeypatch.setattr(frozen.loader._codec, "decode", lambda payload: Frozen(3))
    text = refusal(frozen.load(f"number = 3\n{SERVERS}"))[1]
    assert text == "can't be carried to the workers exactly: decoded, it encodes to other bytes"


def test_another_order_of_keys_is_no_difference_with_a_patch_either(frozen: Bench) -> None:
    one, two = '[servers.s900]\nhost = "a"\n', '[servers.s901]\nhost = "b"\n'
    commit(frozen, frozen.load(f"number = 1\n{one}{two}{SERVERS}"))
    turned = frozen.load(f"number = 1\n{two}{one}{SERVERS}")
    assert isinstance(turned, Loaded)
    assert (turned.differs, turned.changes) == (False, ())


def test_what_an_owner_finds_in_the_journal_is_a_base_too(frozen: Bench) -> None:
    codec = frozen.loader._codec
    payload = codec.encode(Frozen(1, {f"s{number}": Server(f"10.0.0.{number}") for number in range(200)}))
    frozen.loading.committed(b"of the journal", payload)
    loaded = frozen.load(f"number = 2\n{SERVERS}")
    assert isinstance(loaded, Loaded)
    assert loaded.base == b"of the journal"
    assert codec.encode(codec.patched(codec.decode(payload), loaded.patch)) == loaded.payload


def test_what_does_not_differ_or_may_be_written_to_has_no_patch(frozen: Bench, start: Start) -> None:
    commit(frozen, frozen.load(f"number = 1\n{SERVERS}"))
    same = frozen.load(f"number = 1\n\n{SERVERS}")
    assert isinstance(same, Loaded)
    assert (same.differs, same.base, same.patch) == (False, b"", b"")
    bench = start()
    name = "x" * 5000
    commit(bench, bench.load(f'number = 1\nname = "{name}"'))
    loaded = bench.load(f'number = 2\nname = "{name}"')
    assert isinstance(loaded, Loaded)
    assert (loaded.differs, loaded.base, loaded.patch) == (True, b"", b"")
