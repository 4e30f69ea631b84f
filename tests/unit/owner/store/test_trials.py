"""A trial in the journal: it stands beside the committed version, with times that no change of the date moves."""

from __future__ import annotations

import logging
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from confcast.owner.core.operator_state import OperatorState, Trial
from confcast.owner.loop import core_clock
from confcast.owner.loop.core_clock import with_dates, with_times
from confcast.owner.loop.falling_back import falls_back
from confcast.owner.store.entries import VersionRow
from confcast.owner.store.journal import Journal, StateRow
from confcast.wire.canary import Canary
from confcast.wire.messages import Who

TRIAL = Trial(
    2,
    b"digest",
    b"sources",
    Canary("25%", seconds=60.0),
    100.0,
    160.0,
    who=Who(1000, 7, "confcast reload --canary 25%"),
    reason="a new pool",
)


def test_it_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    with closing(Journal(tmp_path / "journal")) as journal:
        journal.record(VersionRow(1, b"content 1", b"s" * 16, b"content 1", 1.0))
        journal.record_state(StateRow(operator=OperatorState(1, trial=TRIAL)))
    with closing(Journal(tmp_path / "journal")) as journal:
        assert journal.state.operator.trial == TRIAL


def test_its_deadline_is_the_same_time_whatever_the_date_is(monkeypatch: pytest.MonkeyPatch) -> None:
    written = with_dates(OperatorState(trial=TRIAL)).trial
    assert written is not None
    assert (written.by, written.opened) == (
        pytest.approx(core_clock.date_of(160.0), abs=1.0),
        pytest.approx(core_clock.date_of(100.0), abs=1.0),
    )
    true_date = core_clock.time.time
    monkeypatch.setattr(core_clock.time, "time", lambda: true_date() + 30 * 86400.0)
    read = with_times(OperatorState(trial=written)).trial
    assert read is not None
    assert read.deadline == pytest.approx(160.0, abs=1.0)
    assert (read.version, read.canary, read.by, read.boot) == (2, TRIAL.canary, 0.0, "")


def test_after_a_boot_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    written = with_dates(OperatorState(trial=msgspec.structs.replace(TRIAL, deadline=1e12)))
    monkeypatch.setattr(core_clock, "_boot", lambda: "another boot")
    read = with_times(written).trial
    assert read is not None
    assert read.deadline < 0.0


def test_without_the_version_beside_it_there_is_none_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its undo would write a version of nothing."""
    with closing(Journal(tmp_path / "journal")) as journal, caplog.at_level(logging.ERROR):
        operator, fallback = falls_back(OperatorState(trial=TRIAL), None, journal)
    assert (operator.trial, fallback) == (None, None)
    assert "version 2 was on trial, and this server's schema is not that" in caplog.text
