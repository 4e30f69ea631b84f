"""What loads have read of followed sources, and which changes ask for a load."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from confcast import ConfigError, ConfigLoader, Layer, Problem
from confcast.config.sources import polled
from confcast.config.sources.layer import fingerprint_of
from confcast.config.sources.one_load import asked_once, takes_what_is_known
from confcast.owner.core.effects import Load
from confcast.owner.watch.followed_reads import FollowedReads
from confcast.wire.messages import Set

CONTENT: dict[str, Any] = {}
"""By a source's name: its number, or what its read raises."""


class Settings(BaseModel):
    number: int = 0
    other: int = 0


class Followed(msgspec.Struct, frozen=True):
    """Has what CONTENT says."""

    name: str

    def read(self) -> Layer:
        found = CONTENT[self.name]
        if isinstance(found, BaseException):
            raise found
        return Layer(self.name, {self.name: found}, self.content_fingerprint())

    def content_fingerprint(self) -> bytes:
        return fingerprint_of(repr(CONTENT[self.name]).encode())

    async def follow(self, host: Any) -> None:
        raise NotImplementedError


class Silent(msgspec.Struct, frozen=True):
    """Does not say what it has."""

    def read(self) -> Layer:
        return Layer("silent", {})

    async def follow(self, host: Any) -> None:
        raise NotImplementedError


class Bench:
    """Reads of one loader, and what they ask for."""

    def __init__(self, *sources: Any) -> None:
        self.asked: list[str] = []
        self.loader = ConfigLoader(Settings, *sources)
        self.reads = FollowedReads(self.loader, lambda: self.asked.append("load"), lambda: self.asked.append("look"))
        self._number = 0

    def load(self, amid: Any = lambda: None, **order: Any) -> int:
        """As the thread that loads does; the load's number. `amid`: called once the sources are read."""
        self._number += 1
        with self.reads.during(Load(self._number, **{"insist": False, **order})):
            with contextlib.suppress(ConfigError):
                self.loader._read()
            amid()
        return self._number

    def contents(self, load: int) -> dict[int, bytes]:
        return dict(self.reads.of(load).contents)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """One source, between files, that has the number 1; the first load is over."""
    CONTENT["number"] = 1
    for name in ("low.toml", "high.toml"):
        (tmp_path / name).write_text("other = 1\n")
    bench = Bench(tmp_path / "low.toml", Followed("number"), tmp_path / "high.toml")
    bench.load()
    return bench


def now() -> bytes:
    return Followed("number").content_fingerprint()


def test_a_load_is_known_by_its_number_for_a_while(bench: Bench) -> None:
    first = now()
    CONTENT["number"] = 2
    second = bench.load()
    assert (bench.contents(1), bench.contents(second)) == ({-2: first}, {-2: now()})
    for _ in range(16):
        bench.load()
    assert bench.contents(second) == {}


def test_a_change_asks_for_one_load_until_it_begins(bench: Bench) -> None:
    CONTENT["number"] = 2
    for _ in range(1000):
        bench.reads.changed(-2)
    assert bench.asked == ["load"]
    CONTENT["number"] = 3
    bench.reads.changed(-2)
    assert bench.asked == ["load"] * 2
    bench.load()
    bench.reads.changed(-2)
    assert bench.asked == ["load"] * 2


def test_a_load_is_due_from_the_change_until_the_sources_are_read(bench: Bench) -> None:
    """So the watcher, which compares meanwhile, need not ask for another one."""
    seen: list[bool] = []
    assert not bench.reads.is_due
    CONTENT["number"] = 2
    bench.reads.changed(-2)
    assert bench.reads.is_due
    bench.load(lambda: seen.append(bench.reads.is_due))
    assert (seen, bench.reads.is_due) == ([True], False)


def test_what_was_tried_asks_for_none_whatever_came_of_it(bench: Bench) -> None:
    bench.reads.changed(-2)
    CONTENT["number"] = ConfigError([Problem("", "no document")])
    refused = bench.load()
    bench.reads.changed(-2)
    assert bench.asked == []
    assert bench.contents(refused) == {-2: now()}


def test_a_change_amid_a_load_waits_for_what_it_reads(bench: Bench) -> None:
    def newer() -> None:
        CONTENT["number"] = 3
        bench.reads.changed(-2)
        assert bench.asked == []

    CONTENT["number"] = 2
    bench.load(lambda: bench.reads.changed(-2))
    assert bench.asked == []
    bench.load(newer)
    assert bench.asked == ["load"]


def test_before_the_first_load_nothing_is_asked_for() -> None:
    CONTENT["number"] = 1
    bench = Bench(Followed("number"))
    CONTENT["number"] = 2
    bench.reads.changed(-1)
    assert bench.asked == []
    bench.load()
    assert bench.asked == []


def test_another_source_that_can_not_be_read_leaves_what_was_read(bench: Bench, tmp_path: Path) -> None:
    CONTENT["number"] = 2
    (tmp_path / "low.toml").write_text("other = \n")
    assert bench.contents(bench.load()) == {-2: now()}


def test_of_a_source_that_failed_and_changed_meanwhile_nothing_is_said(bench: Bench) -> None:
    def mend() -> None:
        CONTENT["number"] = 2

    CONTENT["number"] = ValueError("broken")
    assert bench.contents(bench.load(mend)) == {}


class Asked(msgspec.Struct, frozen=True):
    """Knows nothing before it has asked, and gets an answer that is no document."""

    def _asked_now(self) -> polled.Told:
        return polled.parsed(b"number = [", "toml", "asked", allow_empty=False)

    def read(self) -> Layer:
        return polled.ask(self, 60.0, lambda before: self._asked_now()).given()

    def content_fingerprint(self) -> bytes:
        return polled.fingerprint(self)

    async def follow(self, host: Any) -> None:
        raise NotImplementedError


def test_an_answer_that_is_no_document_was_read_also_by_the_first_load() -> None:
    """A restarted owner would else not say that it refuses what it finds."""
    bench = Bench(Asked())
    with asked_once():
        first = bench.load()
    assert bench.contents(first) == {-1: polled.mark_of(b"number = [", "toml")}
    bench.reads.changed(-1)
    assert bench.asked == []


def test_a_dry_run_and_a_rebuild_count_for_nothing(bench: Bench) -> None:
    CONTENT["number"] = 2
    assert bench.contents(bench.load(dry=True)) == {}
    assert bench.contents(bench.load(rebuild=True)) == {}
    bench.reads.changed(-2)
    assert bench.asked == ["load"]


def test_what_is_set_above_the_sources_is_no_try_of_theirs(bench: Bench) -> None:
    CONTENT["number"] = 2
    load = bench.load(edit=Set(1, {}))
    assert (bench.contents(load), bench.reads.of(load).counts) == ({-2: now()}, False)
    bench.reads.changed(-2)
    assert bench.asked == ["load"]


def test_a_source_that_does_not_say_what_it_has_is_left_to_the_watcher() -> None:
    bench = Bench(Silent())
    bench.load()
    bench.reads.changed(-1)
    assert bench.asked == ["look"]


def test_a_source_that_can_not_say_what_it_has_is_loaded(bench: Bench) -> None:
    del CONTENT["number"]
    bench.reads.changed(-2)
    assert bench.asked == ["load"]


def test_sources_of_the_class_itself_come_before(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of a BaseSettings class are read below the given ones."""
    settings = pytest.importorskip("pydantic_settings")

    class Own(settings.BaseSettings):  # type: ignore[misc, name-defined]
        number: int = 0

    monkeypatch.setattr(bench, "loader", ConfigLoader(Own, Followed("number")))
    reads = FollowedReads(bench.loader, lambda: None, lambda: None)
    with reads.during(Load(1, insist=False)):
        bench.loader._read()
    assert dict(reads.of(1).contents) == {-1: now()}


@pytest.mark.parametrize("insist", [True, False])
def test_only_a_load_that_nobody_has_asked_for_may_take_what_is_known(insist: bool) -> None:
    reads = FollowedReads(ConfigLoader(Settings, Silent()), lambda: None, lambda: None)
    with reads.during(Load(1, insist)):
        assert takes_what_is_known.get() is not insist
    assert not takes_what_is_known.get()
