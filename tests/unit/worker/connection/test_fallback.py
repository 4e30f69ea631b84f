"""When a process serves without an owner, and what becomes of the note of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from confcast.wire.files import goodbye_files
from confcast.worker.connection.fallback import FALLBACK_AFTER, Fallback
from tests.support.waiting import eventually


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    goodbye_files.make_folder(tmp_path)
    return tmp_path


def notes(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def test_it_is_due_before_the_patience_of_the_caller_is_over() -> None:
    fallback = Fallback(0.1)
    assert not fallback.is_due
    assert 0 < (fallback.limit(None) or 0) <= 0.08
    eventually(lambda: fallback.is_due, "the time")
    assert 0 < (fallback.limit(5.0) or 0) < FALLBACK_AFTER  # never 0, which would make a socket non-blocking


def test_once_it_is_over_it_limits_no_other_wait() -> None:
    fallback = Fallback(0.0)
    fallback.finish()
    assert not fallback.is_due
    assert (fallback.limit(None), fallback.limit(5.0)) == (None, 5.0)


def test_a_note_that_is_taken_back_at_a_close_ends_no_limit(folder: Path) -> None:
    """The Goodbye that follows must not wait longer for an owner that takes nothing."""
    fallback = Fallback(10.0)
    fallback.begin(folder)
    assert notes(folder) == 1
    fallback.take_note_back(folder)
    assert notes(folder) == 0
    assert (fallback.limit(5.0) or 0) <= FALLBACK_AFTER
