"""Loads of a schema with marks: which files are watched, what counts as attempted, and what waits for a restart."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from pydantic import BaseModel

from confcast import ConfigLoader, NeedsRestart, Watched
from confcast.config.codec import codec_of
from confcast.owner.core.effects import Checked, Load, Loaded, LoadFailed
from confcast.owner.loop.load_thread import LoadThread
from confcast.owner.store.attempts import Attempts
from confcast.owner.store.journal import VersionRow
from confcast.wire.messages import Check, ReloadResult, Set, Who

OWN = Who(os.geteuid(), 7, "confcast set")


class Settings(BaseModel):
    number: int = 0
    certificate: Annotated[Path | None, Watched] = None
    key: Annotated[Path, Watched] = Path("key.pem")
    workers: Annotated[int, NeedsRestart("forked", grow=True)] = 4


class Bench:
    """Loads in the test's own thread."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.file = folder / "app.toml"
        self.loader = ConfigLoader(Settings, self.file)
        self.attempts = Attempts(folder / "loading")
        self.loading = LoadThread(self.loader, self.attempts, lambda result: None, **options)
        self.number = 0

    def load(self, text: str, **order: Any) -> Loaded | LoadFailed:
        self.file.write_text(text)
        self.number += 1
        first, *more = self.loading.load(Load(self.number, insist=True, **order))
        assert isinstance(first, Loaded | LoadFailed)
        for checked in more:
            assert isinstance(checked, Checked)
            assert not checked.problems
            found = {"changes": checked.changes, "values": checked.values, "checked": True}
            first = msgspec.structs.replace(first, **found)
        return first

    def commit(self, text: str, **order: Any) -> Settings:
        loaded = self.load(text, **order)
        assert isinstance(loaded, Loaded), loaded
        self.loading.committed(loaded.digest, loaded.payload, loaded.values)
        return self.config(loaded)

    def config(self, loaded: Loaded | LoadFailed) -> Settings:
        assert isinstance(loaded, Loaded), loaded
        return codec_of(Settings).decode(loaded.payload)

    def triggers(self) -> int:
        """How often the watcher would request a load now."""
        found: list[int] = []
        assert self.attempts.compare(self.loader._fingerprint(), self.attempts.reads, lambda: found.append(1))
        return len(found)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key.pem").write_text("key")
    bench = Bench(tmp_path, takes_up=True)
    yield bench
    bench.attempts.close()


# ---- watched contents


def test_the_files_are_watched_from_the_first_load_on_and_are_not_loaded_twice(bench: Bench, tmp_path: Path) -> None:
    assert bench.loader._watched() == (bench.file,)
    bench.commit("number = 1\n")
    assert bench.loader._watched() == (bench.file, tmp_path / "key.pem")
    assert bench.triggers() == 0
    (tmp_path / "key.pem").write_text("another")
    assert bench.triggers() == 1
    loaded = bench.load("number = 1\n")
    assert isinstance(loaded, Loaded)
    assert loaded.differs
    assert [(change.key, change.note) for change in loaded.changes] == [("key", "content changed")]
    assert bench.triggers() == 0


def test_a_missing_file_is_watched_though_the_load_is_refused(bench: Bench, tmp_path: Path) -> None:
    bench.commit("number = 1\n")
    assert isinstance(bench.load("key = 'later.pem'\n"), LoadFailed)
    assert bench.triggers() == 0
    (tmp_path / "later.pem").write_text("here")
    assert bench.triggers() == 1
    assert bench.config(bench.load("key = 'later.pem'\n")).key == Path("later.pem")


def test_bad_sources_leave_the_files_watched(bench: Bench, tmp_path: Path) -> None:
    bench.commit("number = 1\n")
    assert isinstance(bench.load("number = 'x'\n"), LoadFailed)
    assert (tmp_path / "key.pem") in bench.loader._watched()
    assert bench.triggers() == 0


def test_a_file_that_is_set_is_watched_beside_the_others_and_one_of_a_dry_run_is_not(
    bench: Bench, tmp_path: Path
) -> None:
    bench.commit("number = 1\n")
    (tmp_path / "c.pem").write_text("c")
    assert isinstance(bench.load("number = 1\n", dry=True, edit=Check(1, {"certificate": "c.pem"}), who=OWN), Loaded)
    assert (tmp_path / "c.pem") not in bench.loader._watched()
    bench.commit("number = 1\n", edit=Set(1, {"certificate": "c.pem"}), who=OWN)
    assert bench.loader._watched() == (bench.file, tmp_path / "key.pem", tmp_path / "c.pem")
    assert bench.triggers() == 0
    (tmp_path / "c.pem").write_text("another")
    assert bench.triggers() == 1


@pytest.mark.parametrize(
    "edit", [Set(1, {"certificate": "c.pem"}), Check(1, {"certificate": "c.pem"})], ids=["set", "check"]
)
def test_a_path_that_another_user_sets_is_not_read_nor_watched(bench: Bench, tmp_path: Path, edit: Set | Check) -> None:
    bench.commit("number = 1\n")
    (tmp_path / "c.pem").write_text("c")
    who = Who(os.geteuid() + 1, 7, "a worker")
    for text in ("number = 1\n", "number = 2\n"):
        given = bench.load(text, dry=isinstance(edit, Check), edit=edit, who=who)
        assert isinstance(given, LoadFailed)
        assert given.problems[0].key == "certificate"
        assert "the file is not named by the sources now" in given.problems[0].message
        assert bench.loader._watched() == (bench.file, tmp_path / "key.pem")
    text = 'certificate = "c.pem"\n'
    given = bench.load("", dry=True, edit=Check(1, files={"app.toml": text.encode()}), who=who)
    assert "the file is not named by the sources now" in str(given)
    assert isinstance(bench.load(text, dry=isinstance(edit, Check), edit=edit, who=who), Loaded)


def test_what_reads_no_source_keeps_the_contents_of_the_version_that_runs(bench: Bench, tmp_path: Path) -> None:
    """An override ends, or a value is set on what is held: a file that is gone by now does not matter."""
    before = bench.commit("number = 1\n")
    (tmp_path / "key.pem").unlink()
    loaded = bench.load("broken", rebuild=True, edit=Set(1, {"number": 2}))
    codec = codec_of(Settings)
    assert codec.comparable(bench.config(loaded).key) == codec.comparable(before.key)
    assert bench.config(loaded).number == 2


# ---- values that need a restart


def test_what_runs_stays_and_what_waits_is_told(bench: Bench) -> None:
    bench.commit("workers = 4\n")
    loaded = bench.load("workers = 2\nnumber = 1\n")
    assert isinstance(loaded, Loaded)
    assert (bench.config(loaded).workers, bench.config(loaded).number) == (4, 1)
    assert [(each.key, each.old, each.new, each.note) for each in loaded.pending] == [
        ("workers", 4, 2, "needs a restart: forked")
    ]
    assert [change.key for change in loaded.changes] == ["number"]
    same = bench.load("workers = 3\n")
    assert isinstance(same, Loaded)
    assert not same.differs
    assert [each.new for each in same.pending] == [3]


def test_the_first_load_of_a_server_takes_it_up_and_that_of_a_restarted_owner_does_not(
    bench: Bench, tmp_path: Path
) -> None:
    first = bench.load("workers = 4\n")
    assert isinstance(first, Loaded)
    for takes_up, workers in ((True, 2), (False, 4)):
        other = Bench(tmp_path, takes_up=takes_up)
        other.loading.committed(first.digest, first.payload, first.values)
        assert bench.config(other.load("workers = 2\n")).workers == workers
        other.attempts.close()


def test_a_first_load_that_is_refused_leaves_it_to_the_next(bench: Bench, tmp_path: Path) -> None:
    first = bench.load("workers = 4\n")
    assert isinstance(first, Loaded)
    other = Bench(tmp_path, takes_up=True)
    other.loading.committed(first.digest, first.payload, first.values)
    assert isinstance(other.load("workers = 'x'\n"), LoadFailed)
    assert other.config(other.load("workers = 2\n")).workers == 2
    other.attempts.close()


def test_what_is_held_at_the_start_of_a_server_runs_in_it(bench: Bench, tmp_path: Path) -> None:
    first = bench.load("workers = 4\n")
    assert isinstance(first, Loaded)
    other = Bench(tmp_path, takes_up=True)
    other.loading.committed(first.digest, first.payload, first.values)
    other.loading.serves()
    compared = other.load("workers = 2\n", compare=True)
    assert isinstance(compared, Loaded)
    assert [each.new for each in compared.pending] == [2]
    assert other.config(other.load("workers = 2\n")).workers == 4
    other.attempts.close()


def test_it_is_refused_where_the_option_says_so(bench: Bench, tmp_path: Path) -> None:
    other = Bench(tmp_path, refuses_restart=True, takes_up=True)
    other.commit("workers = 4\n")
    refused = other.load("number = 1\nworkers = 2\n")
    assert isinstance(refused, LoadFailed)
    assert refused.result is ReloadResult.VALIDATION_FAILED
    (problem,) = refused.problems
    assert (problem.key, problem.location.rpartition("/")[2]) == ("workers", "app.toml:2:11")
    assert problem.message == (
        "needs a restart: forked, so a reload may not change it (needs_restart='refuse'): start the server anew, or "
        "put it back"
    )
    assert other.commit("workers = 5\n").workers == 5, "it may rise"
    other.attempts.close()


def test_an_override_of_it_waits_too_and_what_is_set_on_it_stays(bench: Bench) -> None:
    bench.commit("workers = 4\n")
    loaded = bench.load("workers = 4\n", edit=Set(1, {"workers": "2", "number": "7"}))
    assert isinstance(loaded, Loaded)
    assert (bench.config(loaded).workers, bench.config(loaded).number) == (4, 7)
    assert [each.new for each in loaded.pending] == [2]
    bench.loading.committed(loaded.digest, loaded.payload, loaded.values)
    after = bench.load("workers = 3\nnumber = 1\n", layer=loaded.layer)
    assert (bench.config(after).workers, bench.config(after).number) == (4, 7)


def test_a_version_of_another_start_is_not_put_back_into_this_one(bench: Bench, tmp_path: Path) -> None:
    """Nobody has validated its content with what runs here."""
    former = bench.load("workers = 8\nnumber = 1\n")
    assert isinstance(former, Loaded)
    other = Bench(tmp_path)
    other.commit("workers = 9\n")
    row = VersionRow(3, former.digest, b"s", former.payload, 1.0, values=former.values, layer=b"")
    refused = other.loading.restore(7, row)
    assert isinstance(refused, LoadFailed)
    assert str(refused.problems[0]).startswith("workers: needs a restart: forked, and version 3 has another value")
    grown = Bench(tmp_path)
    grown.commit("workers = 7\n")
    assert grown.config(grown.loading.restore(7, row)).workers == 8
    for each in (other, grown):
        each.attempts.close()
