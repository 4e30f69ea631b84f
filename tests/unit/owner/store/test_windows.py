"""A window in the journal: its fallback is kept beyond the limit, and what came in it is proven once it has closed."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from confcast.owner.core import effects as fx
from confcast.owner.core.operator_state import Hold, OperatorState, Unconfirmed, Window
from confcast.owner.loop import core_clock
from confcast.owner.loop.core_clock import with_dates, with_times
from confcast.owner.loop.falling_back import falls_back
from confcast.owner.store.entries import VersionRow
from confcast.owner.store.journal import Journal, JournalError, StateRow
from confcast.owner.store.kept_versions import before
from confcast.wire.messages import ReloadEvent, ReloadResult, Who

WINDOW = Window(1, 700.0, 0.0, 600.0, 100.0, Who(1000, 7, "confcast reload"), "another database", layer=b"layer 1")
OPEN, CLOSED = StateRow(operator=OperatorState(5, window=WINDOW)), StateRow(operator=OperatorState(6))


def row(version: int, *, provisional: bool = False, schema: bytes = b"s" * 16) -> VersionRow:
    payload = b"content %d" % version
    values = b"sources %d" % version
    return VersionRow(
        version, payload, schema, payload, 1.0, values=values, layer=b"layer %d" % version, provisional=provisional
    )


def settled(journal: Journal, version: int) -> None:
    journal.add_event(
        ReloadEvent(timestamp=1.0, result=ReloadResult.SUCCESS, version=version, previous_version=version - 1)
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.mark.parametrize("folds", [True, False])
def test_the_fallback_is_kept_beyond_the_limit_while_the_window_is_open(path: Path, *, folds: bool) -> None:
    journal = Journal(path, keep_versions=1)
    journal.record(row(1))
    for version in range(2, 6):
        if folds:
            journal.fold()
        journal.record(row(version, provisional=True), OPEN)
    for _ in range(2):
        with closing(journal):
            assert [each.version for each in journal.versions()] == [5]
            with pytest.raises(JournalError, match="is not kept"):
                journal.version(1)
            found = journal.fallback(1)
            assert (found.payload, found.values, found.layer) == (b"content 1", b"sources 1", b"layer 1")
        journal = Journal(path, keep_versions=1)
    with closing(journal):
        journal.record(row(6), CLOSED)
        journal.fold()
        with pytest.raises(JournalError, match="gone"):
            journal.fallback(1)


def test_a_fold_of_events_alone_leaves_the_fallback(path: Path) -> None:
    with closing(Journal(path, keep_versions=1)) as journal:
        journal.record(row(1))
        journal.record(row(2, provisional=True), OPEN)
        journal.fold()
        settled(journal, 2)
        journal.fold()
        assert journal.fallback(1).version == 1


@pytest.mark.parametrize("folds", [True, False])
def test_what_came_in_a_window_is_proven_once_a_state_without_it_is_written(path: Path, *, folds: bool) -> None:
    """Whether or not the owner lives to tell it, and whether or not the version has been taken into SQLite."""
    with closing(Journal(path)) as journal:
        journal.record(row(1))
        settled(journal, 1)
        journal.record(row(2, provisional=True), OPEN)
        settled(journal, 2)
        journal.record(row(3, provisional=True), OPEN)
        settled(journal, 3)
        assert [(each.version, each.good, each.proven) for each in journal.versions()] == [
            (3, True, False),
            (2, True, False),
            (1, True, True),
        ]
        if folds:
            journal.fold()
        journal.record_state(CLOSED)
        proven = [(3, True), (2, False), (1, True)]
        assert [(each.version, each.proven) for each in journal.versions()] == proven
    with closing(Journal(path)) as journal:
        assert [(each.version, each.proven) for each in journal.versions()] == proven
        journal.record(row(4), CLOSED)
        assert before(journal.versions()) == 3


def test_a_state_that_still_has_the_window_confirms_nothing(path: Path) -> None:
    with closing(Journal(path)) as journal:
        journal.record(row(1))
        journal.record(row(2, provisional=True), OPEN)
        journal.record_state(OPEN)
        settled(journal, 2)
        assert not journal.versions()[0].proven


class FormerState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What people have set, as the build before windows wrote and read it."""

    serial: int = 0
    hold: Hold | None = None
    tried: bytes = b""
    layer: bytes = b""
    expires: float = 0.0


def test_the_build_before_windows_reads_what_this_one_writes_and_the_other_way_round() -> None:
    encode, hold = msgspec.msgpack.encode, Hold(1, 5.0, None, "a bad night")
    former = FormerState(3, hold, b"t", b"l", 9.0)
    assert msgspec.msgpack.decode(encode(former), type=OperatorState) == OperatorState(3, hold, b"t", b"l", 9.0)
    present = OperatorState(3, hold, b"t", b"l", 9.0, window=WINDOW, unconfirmed=Unconfirmed(2, b"x"))
    assert msgspec.msgpack.decode(encode(present), type=FormerState) == former


def test_no_repr_shows_what_was_set_or_what_the_sources_gave() -> None:
    window = msgspec.structs.replace(WINDOW, layer=b"hunter2", sources=b"hunter2")
    shown = repr(OperatorState(window=window, unconfirmed=Unconfirmed(2, b"hunter2"))) + repr(window)
    assert "hunter2" not in shown + repr(Unconfirmed(2, b"hunter2"))


# ---- its times


def test_a_deadline_is_the_same_time_for_the_next_owner_whatever_the_date_is(monkeypatch: pytest.MonkeyPatch) -> None:
    state = OperatorState(window=WINDOW)
    written = with_dates(state)
    assert written.window is not None
    assert written.window.by == pytest.approx(core_clock.date_of(700.0), abs=1.0)
    true_date = core_clock.time.time
    monkeypatch.setattr(core_clock.time, "time", lambda: true_date() + 30 * 86400.0)
    read = with_times(written).window
    assert read is not None
    assert read.deadline == pytest.approx(700.0, abs=1.0)
    assert (read.fallback, read.within, read.by, read.boot) == (1, 600.0, 0.0, "")


def test_after_a_boot_a_window_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    written = with_dates(OperatorState(window=msgspec.structs.replace(WINDOW, deadline=1e12)))
    monkeypatch.setattr(core_clock, "_boot", lambda: "another boot")
    read = with_times(written).window
    assert read is not None
    assert read.deadline < 0.0


def test_the_hold_and_the_end_of_overrides_that_it_puts_back_have_dates_too() -> None:
    window = msgspec.structs.replace(WINDOW, hold=Hold(1, 50.0), expires=800.0)
    written = with_dates(OperatorState(window=window))
    assert written.window is not None
    assert written.window.hold is not None
    assert min(written.window.hold.since, written.window.expires, written.window.opened) > 1e9
    read = with_times(written).window
    assert read is not None
    assert read.hold is not None
    assert (read.hold.since, read.expires) == (pytest.approx(50.0, abs=1.0), pytest.approx(800.0, abs=1.0))


# ---- what an owner that starts falls back to


def test_an_owner_takes_the_fallback_from_the_journal(path: Path) -> None:
    with closing(Journal(path)) as journal:
        journal.record(row(1))
        journal.record(row(2, provisional=True), OPEN)
        operator, fallback = falls_back(OPEN.operator, row(2), journal)
    assert operator == OPEN.operator
    assert fallback is not None
    assert (fallback.committed.version, fallback.committed.payload, fallback.layer) == (1, b"content 1", b"layer 1")
    assert fallback.committed.values == b"sources 1"


@pytest.mark.parametrize("why", ["gone", "another schema"])
def test_a_fallback_that_can_not_be_had_closes_the_window_loudly(
    path: Path, caplog: pytest.LogCaptureFixture, why: str
) -> None:
    with closing(Journal(path)) as journal, caplog.at_level(logging.ERROR):
        if why != "gone":
            journal.record(row(1, schema=b"t" * 16))
        journal.record(row(2, provisional=True), OPEN)
        operator, fallback = falls_back(OPEN.operator, row(2), journal)
    assert (operator.window, fallback) == (None, None)
    assert why in caplog.text
    assert "version 2 waits to be confirmed" in caplog.text


def test_without_a_window_it_is_the_newest_proven_version(path: Path) -> None:
    with closing(Journal(path)) as journal:
        for version in (1, 2, 3):
            journal.record(msgspec.structs.replace(row(version), layer=b""))
            if version < 3:
                settled(journal, version)
        _, fallback = falls_back(OperatorState(), row(3), journal)
        assert fallback is not None
        assert fallback.committed.version == 2
        settled(journal, 3)
        assert falls_back(OperatorState(), row(3), journal)[1] is None, "what runs is proven"
        assert falls_back(OperatorState(), None, journal)[1] is None


# ---- probations

LATER = 4e9
"""A date that no test lives to see."""


def on_probation(version: int, *, until: float = LATER, digest: bytes = b"", **other: object) -> VersionRow:
    made = msgspec.structs.replace(row(version), proves=until, **other)
    return msgspec.structs.replace(made, digest=digest, payload=digest) if digest else made


def good(journal: Journal) -> list[tuple[int, bool]]:
    return [(each.version, each.proven) for each in journal.versions()]


@pytest.fixture(params=[True, False], ids=["folded", "waiting"])
def folds(request: pytest.FixtureRequest) -> bool:
    """Whether SQLite has taken in what was written before."""
    return bool(request.param)


def test_a_version_is_proven_once_its_time_is_over_superseded_or_not(path: Path, *, folds: bool) -> None:
    with closing(Journal(path)) as journal:
        for version, until in ((1, 0.0), (2, 5.0), (3, 6.0), (4, LATER), (5, LATER)):
            journal.record(on_probation(version, until=until))
            settled(journal, version)
        if folds:
            journal.fold()
        assert good(journal) == [(5, False), (4, False), (3, True), (2, True), (1, True)]
        assert before(journal.versions()) == 3


def test_an_undo_takes_back_all_that_was_on_probation_when_it_came(path: Path, *, folds: bool) -> None:
    """v2 had stood its own by then, v3 had not, though nothing was said against it; v4 is what was undone."""
    with closing(Journal(path)) as journal:
        journal.record(row(1))
        settled(journal, 1)
        for version, until in ((2, 50.0), (3, 70.0), (4, 80.0)):
            journal.record(on_probation(version, until=until, timestamp=40.0))
            settled(journal, version)
        if folds:
            journal.fold()
        journal.record(on_probation(5, until=0.0, timestamp=60.0, undoes=4, takes_back=1))
        settled(journal, 5)
        expected = [(5, True), (4, False), (3, False), (2, True), (1, True)]
        assert good(journal) == expected
        journal.fold()
        assert good(journal) == expected
    with closing(Journal(path)) as journal:
        assert good(journal) == expected


def test_a_confirmation_ends_it(path: Path, *, folds: bool) -> None:
    with closing(Journal(path)) as journal:
        journal.record(row(1))
        settled(journal, 1)
        journal.record(on_probation(2), OPEN)
        settled(journal, 2)
        if folds:
            journal.fold()
        assert good(journal) == [(2, False), (1, True)]
        journal.record_state(CLOSED)
        assert good(journal) == [(2, True), (1, True)]


def test_a_window_that_is_opened_on_it_must_be_confirmed_too(path: Path, *, folds: bool) -> None:
    """Else its own time passes, and it counts as good while the window's end would undo it."""
    window = msgspec.structs.replace(WINDOW, opened=40.0)
    with closing(Journal(path)) as journal:
        journal.record(row(1))
        settled(journal, 1)
        journal.record(on_probation(2, until=50.0))
        settled(journal, 2)
        if folds:
            journal.fold()
        journal.record_state(StateRow(operator=OperatorState(5, window=window)))
        assert good(journal) == [(2, False), (1, True)]
        if folds:
            journal.fold()
        journal.record_state(CLOSED)
        assert good(journal) == [(2, True), (1, True)]


def test_content_was_good_if_any_kept_version_with_it_was(path: Path, *, folds: bool) -> None:
    with closing(Journal(path)) as journal:
        for version, content, until in ((1, b"a", 0.0), (2, b"b", LATER), (3, b"a", LATER), (4, b"c", 0.0)):
            journal.record(on_probation(version, until=until, digest=content))
            if version < 4:
                settled(journal, version)
        if folds:
            journal.fold()
        assert [journal.was_good(content) for content in (b"a", b"b", b"c", b"d")] == [True, False, False, False]


def test_its_end_is_the_same_time_for_the_next_owner_and_a_boot_is_beyond_it(monkeypatch: pytest.MonkeyPatch) -> None:
    now = core_clock.time.monotonic()
    written = with_dates(OperatorState(window=Window(1, proves=now + 20.0)))
    probation = written.probation
    assert probation is not None
    assert (probation.deadline, probation.by) == (0.0, pytest.approx(core_clock.date_of(now + 20.0), abs=1.0))
    read = with_times(written).window
    assert read is not None
    assert (read.deadline, read.proves) == (0.0, pytest.approx(now + 20.0, abs=1.0))
    monkeypatch.setattr(core_clock, "_boot", lambda: "another boot")
    assert with_times(written).window is None


def test_a_build_from_before_probations_sees_no_window_in_its_row_and_one_with_a_deadline_as_before() -> None:
    """It would take one without a deadline for over, and undo what has been good for long."""
    probation, both = Window(1, proves=1e9), Window(1, deadline=1e9, proves=1e9)
    assert with_dates(OperatorState(window=probation)).window is None
    written = with_dates(OperatorState(window=both))
    assert written.window is not None
    assert written.probation is None
    assert StateRow(operator=with_dates(OperatorState(window=probation))).needed == 1


def test_one_that_is_over_is_none_for_the_next_owner() -> None:
    over = core_clock.time.monotonic() - 1.0
    assert with_times(with_dates(OperatorState(window=Window(1, proves=over)))).window is None
    open_yet = with_times(with_dates(OperatorState(window=Window(1, over + 100.0, over)))).window
    assert open_yet is not None
    assert open_yet.proves == pytest.approx(over, abs=1.0)


def test_the_row_has_the_date_and_what_is_taken_back() -> None:
    now = core_clock.time.monotonic()
    given = fx.Record(3, b"d", b"p", operator=OperatorState(window=Window(1, proves=now + 20.0)), takes_back=1)
    made, _ = core_clock.rows_of(given, b"s")
    assert (made.provisional, made.takes_back) == (False, 1)
    assert made.proves == pytest.approx(core_clock.date_of(now + 20.0), abs=1.0)


def test_a_probation_whose_fallback_is_gone_undoes_nothing_and_that_is_said(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = OperatorState(window=Window(1, proves=1e12))
    with closing(Journal(path)) as journal, caplog.at_level(logging.ERROR):
        journal.record(on_probation(2), StateRow(operator=state))
        operator, fallback = falls_back(state, row(2), journal)
    assert (operator.window, fallback) == (None, None)
    assert "version 2 is on probation" in caplog.text
    assert falls_back(state, None, journal)[0].window is None
