"""Events are counted once each, whenever an owner dies and whatever becomes of the history."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from confcast.owner.store import handover
from confcast.owner.store.event_counts import counted
from confcast.owner.store.journal import Journal
from confcast.wire.files.owner_dirs import HANDOVER
from confcast.wire.measured import BOUNDS, PHASES, EventCounts
from confcast.wire.messages import ReloadEvent, ReloadResult

R = ReloadResult


def event(result: ReloadResult, origin: str = "watch", at: float = 0.0, **ms: float) -> ReloadEvent:
    return ReloadEvent(timestamp=1700000000.0 + at, result=result, origin=origin, **ms)


def version(result: ReloadResult, origin: str, number: int, before: int | None = None) -> ReloadEvent:
    previous = number - 1 if before is None else before
    return ReloadEvent(timestamp=1700000000.0, result=result, origin=origin, version=number, previous_version=previous)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home" / "journal"


def killed(path: Path, to: str) -> Path:
    """What the next owner finds if this one dies now."""
    return shutil.copytree(path.parent, path.parent.with_name(to)) / path.name


# ---- what is counted


def test_events_are_counted_by_origin_and_result() -> None:
    events = [event(R.SUCCESS, "start"), event(R.REJECTED), event(R.REJECTED), event(R.UNDONE, "undo")]
    assert counted(events, EventCounts()).results == {
        "start": {"success": 1},
        "watch": {"rejected": 2},
        "undo": {"undone": 1},
    }


def test_a_duration_is_in_the_bucket_whose_bound_it_does_not_exceed() -> None:
    bounds_in_ms = [1000 * bound for bound in BOUNDS]
    events = [event(R.SUCCESS, duration_ms=ms) for ms in (0.001, *bounds_in_ms, 30_001.0, 1e9)]
    total = counted(events, EventCounts()).durations["total"]
    assert total.counts == (2, *[1] * (len(BOUNDS) - 1), 2)
    assert total.seconds == pytest.approx(sum(BOUNDS) + 0.000001 + 30.001 + 1e6)


def test_a_phase_that_did_not_take_place_is_not_counted() -> None:
    refused = event(R.VALIDATION_FAILED, duration_ms=3.0, load_ms=2.0)
    assert sorted(counted([refused], EventCounts()).durations) == ["load", "total"]
    applied = event(R.SUCCESS, duration_ms=9.0, load_ms=2.0, stage_ms=1.0, journal_ms=1.0, commit_ms=1.0)
    found = counted([refused, applied], EventCounts()).durations
    assert {phase: sum(each.counts) for phase, each in found.items()} == {
        phase: 2 if phase in ("load", "total") else 1 for phase in PHASES
    }


@pytest.mark.parametrize(
    ("last", "good", "when"),
    [
        (event(R.UNCHANGED, at=9), True, 9),
        (event(R.PARTIAL, "command", at=9), True, 9),
        (event(R.PARTIAL, "rollback", at=9), True, 1),
        (event(R.VALIDATION_FAILED, "set", at=9), True, 1),
        (event(R.REJECTED, "expiry", at=9), True, 1),
        (event(R.IO_ERROR, at=9), False, 9),
        (event(R.HELD, at=9), True, 1),
        (event(R.CONFLICT, "call", at=9), True, 1),
        (event(R.ON_TRIAL, "call", at=9), True, 1),
        (event(R.PARTIAL, "late", at=9), True, 1),
        (event(R.REJECTED, "reissue", at=9), True, 1),
    ],
    ids=lambda value: f"{value.origin} {value.result}" if isinstance(value, ReloadEvent) else "",
)
def test_the_last_reload_was_good_or_not_unless_it_says_neither(last: ReloadEvent, good: bool, when: int) -> None:
    counts = counted([event(R.SUCCESS, "start", at=1), last], EventCounts())
    assert (counts.good, counts.last) == (good, 1700000000.0 + when)
    assert counts.last_good == 1700000000.0 + (when if good else 1)


def test_a_value_that_is_set_hides_no_refused_load():
    refused = event(R.VALIDATION_FAILED, at=1)
    counts = counted([refused, version(R.SUCCESS, "set", 2), version(R.SUCCESS, "rollback", 3)], EventCounts())
    assert not counts.good
    assert (counts.last, counts.last_good) == (refused.timestamp, 0.0)


@pytest.mark.parametrize(
    ("between", "undone", "good"),
    [
        ([], 2, False),
        ([version(R.UNCHANGED, "watch", 2, before=2)], 2, False),
        ([version(R.SUCCESS, "set", 3), version(R.UNCHANGED, "watch", 3, before=3)], 3, True),
        ([version(R.ON_TRIAL, "watch", 3)], 3, False),
        ([version(R.ON_TRIAL, "set", 3)], 3, True),
    ],
)
def test_an_undo_is_of_a_load_if_that_has_made_the_version(between: list[ReloadEvent], undone: int, good: bool):
    undo = version(R.UNDONE, "undo", undone + 1, before=undone)
    assert counted([version(R.SUCCESS, "watch", 2), *between, undo], EventCounts()).good is good


def test_a_trial_of_a_load_that_is_confirmed_was_applied():
    refused, tried = version(R.REJECTED, "watch", 1, before=1), version(R.ON_TRIAL, "watch", 2)
    assert counted([refused, tried, version(R.SUCCESS, "confirm", 2)], EventCounts()).good
    assert not counted([refused, version(R.ON_TRIAL, "set", 2), version(R.SUCCESS, "confirm", 2)], EventCounts()).good


# ---- how it is kept


def test_counts_outlive_the_history_and_every_death(path: Path) -> None:
    with closing(Journal(path, history_limit=1)) as journal:
        for result in (R.SUCCESS, R.UNCHANGED, R.IO_ERROR):
            journal.add_event(event(result, duration_ms=2.0))
        before = journal.counts()
        assert before.results == {"watch": {"success": 1, "unchanged": 1, "io_error": 1}}
        waiting = killed(path, "waiting")
        journal.fold()
        folded = killed(path, "folded")
        journal.clear_events()
        assert journal.counts() == before
        journal.add_event(event(R.SUCCESS))
        assert journal.counts().results["watch"]["success"] == 2
    for found in (waiting, folded):
        with closing(Journal(found)) as journal:
            assert journal.counts() == before
            journal.fold()
            assert journal.counts() == before


def test_a_next_generation_counts_on(path: Path) -> None:
    with closing(Journal(path)) as journal:
        journal.add_event(event(R.SUCCESS, duration_ms=2.0))
        handover.write_copy(journal, 1, path.parent)
        with closing(Journal(path.parent / HANDOVER)) as other:
            assert other.counts() == journal.counts() != EventCounts()


def test_a_journal_of_before_begins_at_nought_and_counts_from_then_on(path: Path) -> None:
    with closing(Journal(path)) as journal:
        journal.add_event(event(R.SUCCESS))
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("DROP TABLE event_counts")
    with closing(Journal(path)) as journal:
        assert journal.counts() == EventCounts()
        journal.add_event(event(R.SUCCESS))
        journal.fold()
        assert journal.counts().results == {"watch": {"success": 1}}


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x93\x01\x02\x03", "text", 7], ids=repr)
def test_a_damaged_row_counts_as_none(path: Path, body: object) -> None:
    with closing(Journal(path)) as journal:
        journal.add_event(event(R.SUCCESS))
        journal.fold()
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE event_counts SET body = ?", (body,))
    with closing(Journal(path)) as journal:
        assert journal.counts() == EventCounts()


def test_histograms_of_other_bounds_begin_anew_and_counts_go_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Journal(path)) as journal:
        journal.add_event(event(R.SUCCESS, duration_ms=2.0))
    monkeypatch.setattr("confcast.owner.store.event_counts.BOUNDS", (1.0, 2.0))
    with closing(Journal(path)) as journal:
        found = journal.counts()
    assert (found.results, found.durations) == ({"watch": {"success": 1}}, {})


def test_the_mark_changes_with_all_that_answers_are_made_of(path: Path) -> None:
    with closing(Journal(path)) as journal:
        marks = [journal.mark]
        for change in (lambda: journal.add_event(event(R.SUCCESS)), journal.clear_events):
            change()
            marks.append(journal.mark)
        journal.fold()
        assert journal.mark == marks[-1]
    assert len(set(marks)) == 3
