"""What the loop does for operations: what people have set is written with dates, and read back if that failed."""

from __future__ import annotations

import os
import time

import msgspec
import pytest

from confcast.owner.core import effects as fx
from confcast.owner.core import steps
from confcast.owner.loop.present_status import waiting_for
from confcast.owner.store.journal import JournalError, StateRow
from confcast.wire.messages import Reload, ReloadResult, Resume, Rollback, ToOwner, Who
from tests.support.shell import Shell, load

OPERATOR = Who(1000, 51, "confcast rollback")


@pytest.fixture
def serving(shell: Shell) -> Shell:
    """An owner that has committed A, and runs B."""
    shell.turns(*load(b"A"), *load(b"B", 2))
    shell.loading.present = b"B"
    return shell


def asked(message: ToOwner) -> fx.Received:
    """By a client that does not wait for the answer."""
    return fx.Received(4711, 51, message, OPERATOR)


def test_a_way_back_is_written_with_its_hold(serving: Shell) -> None:
    serving.turns(asked(Rollback(1, reason="a bad night")))
    assert serving.events[-1].result is ReloadResult.SUCCESS
    newest = serving.journal.latest()
    assert newest is not None
    assert (newest.version, newest.payload, newest.origin, newest.restores) == (3, b"A", "rollback", 1)
    hold = serving.journal.state.operator.hold
    assert hold is not None
    assert (hold.version, hold.who, hold.reason) == (1, OPERATOR, "a bad night")
    assert hold.since == pytest.approx(time.time(), abs=60), "a date, for the next owner"
    assert serving.owner.core.operator.hold is not None
    assert serving.owner.core.operator.hold.since == pytest.approx(time.monotonic(), abs=60)


@pytest.mark.parametrize("written", [True, False])
def test_a_hold_without_a_version_whose_write_failed_is_read_back(serving: Shell, written: bool) -> None:
    record = serving.journal.record_state

    def fail(state: StateRow, *, flush: bool = True) -> None:
        if written:
            record(state, flush=flush)
        raise JournalError("the disk says no")

    serving.journal.record_state = fail  # type: ignore[method-assign]
    serving.turns(asked(Rollback(1, version=2)))
    assert serving.events[-1].result is (ReloadResult.UNCHANGED if written else ReloadResult.IO_ERROR)
    assert (serving.owner.core.operator.hold is not None) == written
    assert (serving.journal.state.operator.hold is not None) == written
    assert serving.owner.core.committed.version == 2


def test_a_hold_that_can_be_neither_written_nor_read_ends_the_owner(
    serving: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise JournalError("the disk says no")

    for name in ("record_state", "holds_state"):
        monkeypatch.setattr(serving.journal, name, fail)
    serving.turns(asked(Rollback(1, version=2)))
    assert "neither written nor read" in str(serving.owner.exit_reason)


def test_an_undo_that_can_not_be_written_is_logged_once_and_counted_and_shown_until_it_is(
    serving: Shell, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without: what nobody confirmed runs on, and the log says each second that a number could not be noted."""
    monkeypatch.setattr(steps, "UNDO_RETRY", 0.001)
    serving.turns(asked(Reload(1, confirm_within=0.1)), fx.Loaded(3, b"C", b"C", differs=True))
    assert serving.owner.core.operator.window is not None

    def full(*arguments: object, **options: object) -> None:
        raise JournalError("no space left")

    with monkeypatch.context() as disk:
        disk.setattr(serving.journal, "record", full)
        disk.setattr(serving.journal, "retire", full)
        serving.turns_until(lambda: serving.owner._failures["undo"] > 2)
        lines = [each for each in caplog.messages if "could not be written" in each]
        shown = waiting_for(serving.owner.core.phase(), "")
    assert [line.partition(" could not")[0] for line in lines] == ["the burnt number", "the undo of version 3"]
    assert "no space left" in lines[-1]
    assert serving.owner._failures["burnt number"] == serving.owner._failures["undo"]
    assert (shown[-1].pid, "no space left" in shown[-1].source) == (os.getpid(), True)

    serving.turns_until(lambda: serving.owner.core.committed.payload == b"A")
    times = serving.owner._failures["undo"]
    assert f"the journal is written again: the undo of version 3 had failed {times} times" in caplog.messages
    assert len([each for each in caplog.messages if "could not be written" in each]) == 2
    assert waiting_for(serving.owner.core.phase(), "") == []


def test_a_journal_that_was_deleted_is_made_anew_with_what_people_have_set(serving: Shell) -> None:
    serving.turns(asked(Rollback(1, version=2)))
    serving.runtime_dir.journal.unlink()
    serving.turns(fx.Trigger("signal"))
    journal = serving.owner._journal
    assert journal is not serving.journal
    assert journal.state.operator.hold is not None
    assert (journal.state.operator.hold.version, journal.state.operator.hold.who) == (2, OPERATOR)
    serving.turns(fx.Loaded(4, b"B", b"B", differs=False), asked(Resume(2)), fx.Loaded(5, b"B", b"B", differs=False))
    assert journal.state.operator.hold is None


def test_what_can_not_be_put_back_is_said_in_words(serving: Shell) -> None:
    serving.turns(asked(Rollback(1, version=99)))
    assert "version 99" in str(serving.events[-1].error_message)
    assert "is not kept" in str(serving.events[-1].error_message)
    serving.turns(asked(Rollback(1)), asked(Rollback(2)))
    assert "no good version before" in str(serving.events[-1].error_message)


def test_of_another_schema_the_fields_that_differ_are_named(serving: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    serving.journal.describe(b"before", {"kept": "int", "gone": "str", "changed": "int"})
    rules = msgspec.structs.replace(serving.owner._rules, fields={"kept": "int", "new": "str", "changed": "str"})
    serving.owner._rules = rules
    row = msgspec.structs.replace(serving.journal.version(1), schema=b"before")
    monkeypatch.setattr(serving.journal, "version", lambda number: row)
    serving.turns(asked(Rollback(1, version=1)))
    text = str(serving.events[-1].error_message)
    assert "under another schema" in text
    assert text.endswith("these fields differ: changed, gone, new")
