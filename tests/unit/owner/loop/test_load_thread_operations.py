"""Loads that operations ask for: under overrides, without a source, as a comparison, as a dry run; and ways back."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec
import pytest

from confcast import File
from confcast.config.overrides import Overrides
from confcast.errors import Problem
from confcast.owner.core.effects import Loaded, LoadFailed, Received
from confcast.owner.core.version_numbers import Committed, Proven
from confcast.owner.loop.core_clock import date_of, time_of
from confcast.owner.loop.restoring import still_set
from confcast.owner.store.journal import VersionRow
from confcast.wire.messages import Check, ReloadResult, Set, Unset, Vote, Who
from tests.unit.owner.loop.test_load_thread import Bench, Start, commit, refusal, start

__all__ = ["start"]  # a fixture

ME = Who(1000, 7, "confcast set")
OWN = Who(os.geteuid(), 7, "confcast check")


def config(bench: Bench, loaded: Loaded | LoadFailed) -> tuple[int, str]:
    assert isinstance(loaded, Loaded), loaded
    found = bench.loader._codec.decode(loaded.payload)
    return found.number, found.name


def row(version: int, loaded: Loaded) -> VersionRow:
    """As the journal keeps it."""
    values, layer = loaded.values, loaded.layer or b""
    return VersionRow(version, loaded.digest, b"s", loaded.payload, 1.0, values=values, layer=layer)


def test_values_are_set_above_the_sources_and_unset_again(start: Start) -> None:
    bench = start()
    commit(bench, bench.load("number = 1"))
    given = bench.load("number = 1", edit=Set(1, {"number": "7", "name": "seven"}, reason="why"), who=ME)
    assert config(bench, given) == (7, "seven")
    assert isinstance(given, Loaded)
    assert [(each.path, each.who, each.reason) for each in Overrides.decode(given.layer or b"").values] == [
        (("number",), ME, "why"),
        (("name",), ME, "why"),
    ]
    commit(bench, given)
    left = bench.load("number = 1", layer=given.layer, edit=Unset(1, ("number",)))
    assert config(bench, left) == (1, "seven")
    assert config(bench, bench.load("number = 3", layer=given.layer)) == (7, "seven")


def test_what_can_not_be_set_or_unset_is_refused(start: Start) -> None:
    bench = start()
    assert "nummber" in refusal(bench.load("number = 1", edit=Set(1, {"nummber": 7})))[1]
    assert "number" in refusal(bench.load("number = 1", edit=Set(1, {"number": "x"})))[1]
    assert "is not overridden" in refusal(bench.load("number = 1", edit=Unset(1, ("number",))))[1]


@pytest.mark.parametrize("ttl", [0.0, -1.0, float("nan"), float("inf"), 1e300])
def test_a_time_without_a_date_is_refused_whoever_asks(start: Start, ttl: float) -> None:
    """A program that speaks the protocol by itself may send any number."""
    bench = start()
    assert "at most ten years" in refusal(bench.load("number = 1", edit=Set(1, {"number": 7}, ttl=ttl)))[1]


def test_no_more_is_kept_of_a_reason_than_is_said(start: Start) -> None:
    """It would be in each version's row, and in each answer that says what is set."""
    given = start().load("number = 1", edit=Set(1, {"number": 7}, reason="r" * 100_000))
    assert isinstance(given, Loaded)
    assert [each.reason for each in Overrides.decode(given.layer or b"").values] == ["r" * 500]


def test_what_is_set_is_listed_once_for_each_change(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop asks for it for each query that it answers, and keys take time to show."""
    bench, listed = start(), Recorded()
    monkeypatch.setattr(Overrides, "listed", listed)
    commit(bench, bench.load("number = 1"))
    given = bench.load("number = 1", edit=Set(1, {"number": 7}))
    assert isinstance(given, Loaded)
    assert given.layer
    assert [bench.loading.overrides(given.layer) for _ in range(3)] == [[1], [1], [1]]
    commit(bench, bench.load("number = 7"))
    assert bench.loading.overrides(given.layer) == [2], "what is below decides whether it is needed"
    assert bench.loading.overrides(b"") == []


class Recorded:
    """Gives how often it was called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, *given: object) -> list[int]:
        self.calls += 1
        return [self.calls]


def test_values_that_an_owner_dies_of_are_not_laid_to_the_sources(start: Start, tmp_path: Path) -> None:
    bench, marks = start(), []
    from tests.unit.owner.loop.test_load_thread import during

    during.append(lambda: marks.append(bench.in_progress_file.read_bytes()))
    bench.load("number = 1", edit=Set(1, {"number": 7}))
    assert marks
    assert bench.loader._fingerprint() not in marks
    assert not any(bench.in_progress_file.read_bytes())


def test_neither_a_dry_run_nor_a_change_of_values_counts_as_an_attempt(start: Start) -> None:
    """Else the watcher never loads an edit that was tried before it had noticed it."""
    bench = start()
    commit(bench, bench.load("number = 1"))
    count = len(bench.attempts.added)
    bench.load("number = 2", dry=True)
    bench.load("number = 2", dry=True, edit=Check(1, {"number": 3}))
    bench.load("number = 2", edit=Set(1, {"number": 4}))
    bench.load("number = 2", rebuild=True)
    assert len(bench.attempts.added) == count
    bench.load("number = 2")
    assert len(bench.attempts.added) > count


def test_what_has_ended_and_is_set_all_the_same_can_be_unset(start: Start) -> None:
    """Its end was refused, or undone. Without: it is listed as set, and to unset it is refused, as it is not set."""
    bench = start()
    commit(bench, bench.load("number = 1"))
    both = bench.load("number = 1", edit=Set(1, {"number": 7, "name": "seven"}, ttl=1e-6))
    assert isinstance(both, Loaded)
    commit(bench, both)
    left = bench.load("number = 1", rebuild=True, layer=both.layer, edit=Unset(2, ("number",)))
    assert isinstance(left, Loaded)
    assert (config(bench, left), left.layer) == ((1, "one"), b""), "the other has ended, and ends with any load"
    assert "is not overridden" in refusal(bench.load("number = 1", layer=both.layer, edit=Unset(2, ("token",))))[1]


def test_what_the_sources_gave_is_built_on_though_the_file_is_broken(start: Start) -> None:
    bench = start()
    commit(bench, bench.load("number = 1"))
    given = bench.load("number = ", rebuild=True, edit=Set(1, {"name": "seven"}))
    assert config(bench, given) == (1, "seven")
    commit(bench, given)
    again = bench.load("number = ", rebuild=True, layer=given.layer, edit=Unset(1, ("name",)))
    assert config(bench, again) == (1, "one")


def test_where_that_is_not_known_it_says_what_to_do(start: Start) -> None:
    bench = start()
    loaded = bench.load("number = 1")
    assert isinstance(loaded, Loaded)
    bench.loading.committed(loaded.digest, loaded.payload)
    assert "resume first" in refusal(bench.load("number = 1", rebuild=True, edit=Set(1, {"number": 2})))[1]


def test_the_end_of_a_value_goes_by_the_clock_that_called_it(start: Start) -> None:
    """The date may have been set back meanwhile."""
    bench = start()
    commit(bench, bench.load("number = 1"))
    given = bench.load("number = 1", edit=Set(1, {"number": 7}, ttl=3600.0))
    assert isinstance(given, Loaded)
    assert given.expires == pytest.approx(time.monotonic() + 3600, abs=60)
    commit(bench, given)
    assert config(bench, bench.load("number = 1", layer=given.layer)) == (7, "one")
    ended = bench.load("number = 2", rebuild=True, layer=given.layer)
    assert config(bench, ended) == (1, "one")
    assert isinstance(ended, Loaded)
    assert (ended.layer, ended.expires) == (b"", 0.0)


def test_a_value_whose_time_is_over_ends_with_any_load(start: Start) -> None:
    bench = start()
    commit(bench, bench.load("number = 1"))
    given = bench.load("number = 1", edit=Set(1, {"number": 7}, ttl=1e-6))
    assert isinstance(given, Loaded)
    assert config(bench, bench.load("number = 2", layer=given.layer)) == (2, "one")


def test_a_comparison_gives_one_result_with_what_differs(start: Start) -> None:
    bench = start()
    commit(bench, bench.load("number = 1"))
    compared = bench.load("number = 2", compare=True)
    assert isinstance(compared, Loaded)
    assert compared.checked
    assert [(change.key, change.new) for change in compared.changes] == [("number", 2)]
    assert bench.results.empty()


def test_a_way_back_has_what_differs_and_reads_nothing(start: Start) -> None:
    bench = start()
    first = commit(bench, bench.load("number = 1"))
    commit(bench, bench.load("number = 2"))
    bench.path.unlink()
    back = bench.loading.restore(9, row(1, first))
    assert config(bench, back) == (1, "one")
    assert isinstance(back, Loaded)
    assert (back.number, back.checked, back.differs, back.restores) == (9, True, True, 1)
    assert [(change.key, change.old, change.new) for change in back.changes] == [("number", 2, 1)]
    assert back.values == first.values
    same = bench.loading.restore(9, msgspec.structs.replace(row(3, first), payload=commit_payload(bench)))
    assert isinstance(same, Loaded)
    assert not same.differs


def commit_payload(bench: Bench) -> bytes:
    """That of the version that runs."""
    committed = bench.loading._committed
    assert committed is not None
    return committed.payload


def test_an_override_that_has_ended_since_comes_back_as_a_value_of_its_version(start: Start) -> None:
    bench = start()
    commit(bench, bench.load("number = 1"))
    short = commit(bench, bench.load("number = 1", edit=Set(1, {"number": 7}, ttl=1e-6)))
    commit(bench, bench.load("number = 2"))
    back = bench.loading.restore(9, row(2, short))
    assert config(bench, back) == (7, "one")
    assert isinstance(back, Loaded)
    assert (back.layer, back.expires) == (b"", 0.0)
    bench.loading.committed(back.digest, back.payload, back.values)
    assert config(bench, bench.load("", rebuild=True, edit=Set(1, {"name": "seven"}))) == (7, "seven")


def test_so_does_one_of_what_a_person_takes_back_to(start: Start) -> None:
    bench = start()
    commit(bench, bench.load("number = 1"))
    short = row(2, commit(bench, bench.load("number = 1", edit=Set(1, {"number": 7}, ttl=1e-6))))
    version = Committed(2, short.digest, short.payload, values=short.values)
    kept = still_set(Proven(version, short.layer, 1.0), bench.loading)
    assert (kept.committed.version, kept.committed.payload, kept.layer, kept.expires) == (2, short.payload, b"", 0.0)
    bench.loading.committed(short.digest, short.payload, kept.committed.values)
    assert config(bench, bench.load("", rebuild=True, edit=Set(1, {"name": "seven"}))) == (7, "seven")


def test_overrides_that_can_not_be_read_stay_as_they_are(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    damaged = Proven(Committed(2, b"d", b"payload"), b"damaged", 1.0)
    assert still_set(damaged, start().loading) is damaged
    assert "what was set for a time in version 2 ends again" in caplog.text


def test_what_can_not_be_decoded_is_not_put_back(start: Start) -> None:
    bench = start()
    first = commit(bench, bench.load("number = 1"))
    torn = bench.loading.restore(9, msgspec.structs.replace(row(1, first), payload=b"torn"))
    assert isinstance(torn, LoadFailed)
    assert torn.result is ReloadResult.VALIDATION_FAILED
    assert "version 1 can't be put back" in str(torn.problems[0])


def test_a_worker_that_refuses_a_way_back_is_given_no_place_in_today_s_file(start: Start) -> None:
    """The key may stand there with another value."""
    bench = start()
    first = commit(bench, bench.load("number = 1"))
    commit(bench, bench.load("number = 2"))
    vote = Received(1, 7, Vote(3, False, (Problem("number", "too few"),)))
    assert "app.toml" in str(bench.loading.located(vote))
    bench.loading.restore(9, row(1, first))
    assert bench.loading.located(vote) == vote
    bench.load("number = 3")
    assert "app.toml" in str(bench.loading.located(vote))


def test_a_time_of_the_core_s_clock_becomes_a_date_and_comes_back() -> None:
    assert date_of(time.monotonic() + 5.0) == pytest.approx(time.time() + 5.0, abs=1.0)
    assert time_of(date_of(1234.5)) == pytest.approx(1234.5, abs=1.0)
    assert (date_of(0.0), time_of(0.0)) == (0.0, 0.0)
    assert time_of(1.0) < 0.0, "a date before this machine's start is no time that never comes"


@pytest.mark.parametrize(
    "who",
    [Who(os.geteuid() + 1, 7, "a worker"), Who(os.geteuid(), 7, "confcast admin", "admin token ops")],
    ids=["another user", "for somebody else"],
)
def test_a_text_that_somebody_else_gives_leads_the_owner_to_no_file(
    who: Who, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "private.toml").write_text("name = 'sentinel-41f7'\n")
    bench = start(File("more.toml", includes="include", allow_empty=True))
    (tmp_path / "more.toml").write_text("")
    commit(bench, bench.load("number = 1"))
    tried = Check(1, files={"more.toml": b"include = 'private.toml'\n"})
    given = bench.load("number = 1", dry=True, edit=tried, who=who)
    assert "is not named by the sources now" in refusal(given)[1]
    assert "sentinel" not in repr(given)
    assert config(bench, bench.load("number = 1", dry=True, edit=tried, who=OWN)) == (1, "sentinel-41f7")
