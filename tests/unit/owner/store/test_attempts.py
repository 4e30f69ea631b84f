"""What loading attempted, quarantined or disabled: what the loading thread and the watcher see of each other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast.errors import Problem
from confcast.owner.store.attempts import Attempts

KILLS, OTHER = b"kills".ljust(16), b"other".ljust(16)  # a fingerprint has 16 bytes
OTHER_CODE, NOT_NOW = Problem("", "other code"), Problem("", "not now")


@pytest.fixture
def attempts(tmp_path: Path) -> Iterator[Attempts]:
    made = Attempts(tmp_path / "loading")
    yield made
    made.close()


def test_an_owner_that_is_disabled_for_good_is_never_enabled(attempts: Attempts, tmp_path: Path) -> None:
    other = Attempts(tmp_path / "other", OTHER_CODE)
    for each in (attempts, other):
        each.disable(NOT_NOW)
        assert each.disabled == NOT_NOW
        each.enable()
    assert (attempts.disabled, other.disabled) == (None, OTHER_CODE)
    assert (attempts.disabled_for_good, other.disabled_for_good) == (False, True)
    other.close()


def test_what_a_dead_owner_left_is_quarantined_until_it_was_survived(attempts: Attempts) -> None:
    attempts.begin(KILLS)

    following = Attempts(attempts.path)
    assert following.is_quarantined(KILLS)
    assert not following.is_quarantined(OTHER)
    following.end(OTHER)
    assert following.is_quarantined(KILLS)
    following.end(KILLS)
    assert not following.is_quarantined(KILLS)
    assert not any(attempts.path.read_bytes())
    following.close()


def test_what_stands_in_the_file_is_replaced_by_what_is_loaded_next(attempts: Attempts) -> None:
    attempts.begin(OTHER)
    attempts.end(OTHER)
    attempts.begin(KILLS)

    following = Attempts(attempts.path)
    assert following.is_quarantined(KILLS)
    assert attempts.path.stat().st_size == len(KILLS)  # a disk that is full by now has room for it
    following.close()


@pytest.mark.parametrize("left", [b"", KILLS], ids=["survived", "killed"])
def test_a_file_of_an_earlier_confcast_which_emptied_it_is_read(tmp_path: Path, left: bytes) -> None:
    (tmp_path / "loading").write_bytes(left)
    attempts = Attempts(tmp_path / "loading")
    assert attempts.is_quarantined(KILLS) is bool(left)
    attempts.close()


def test_a_file_that_was_deleted_or_replaced_is_made_anew_before_it_is_needed(attempts: Attempts) -> None:
    for lose in (attempts.path.unlink, lambda: attempts.path.with_name("another").replace(attempts.path)):
        attempts.path.with_name("another").touch()
        lose()
        attempts.begin(KILLS)
        assert attempts.path.read_bytes() == KILLS
        attempts.end(KILLS)


def test_a_load_looks_once_and_writes_twice(attempts: Attempts, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("stat", "fstat", "pwrite", "ftruncate", "open"):
        call = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *given, name=name, call=call: (calls.append(name), call(*given))[1])
    attempts.begin(OTHER)
    attempts.end(OTHER)
    assert calls == ["stat", "pwrite", "pwrite"]


def test_the_watcher_reports_content_that_no_load_has_read(attempts: Attempts) -> None:
    calls: list[str] = []
    assert attempts.compare(b"first", attempts.reads, lambda: calls.append("first"))  # what is found first
    assert attempts.compare(b"second", attempts.reads, lambda: calls.append("second"))
    assert attempts.compare(b"second", attempts.reads, lambda: calls.append("again"))
    attempts.add(b"third")
    assert attempts.compare(b"third", attempts.reads, lambda: calls.append("third"))
    attempts.forget()
    assert attempts.compare(b"third", attempts.reads, lambda: calls.append("forgotten"))
    assert calls == ["second", "forgotten"]


def test_a_comparison_that_a_load_overtook_counts_nothing(attempts: Attempts) -> None:
    reads = attempts.reads
    attempts.add(b"newer")
    assert not attempts.compare(b"older", reads, lambda: None)
    assert attempts.compare(b"newer", attempts.reads, pytest.fail)


def test_content_whose_report_failed_is_reported_again(attempts: Attempts) -> None:
    def fail() -> None:
        raise OSError("no")

    calls: list[str] = []
    attempts.add(b"first")
    with pytest.raises(OSError, match="no"):
        attempts.compare(b"second", attempts.reads, fail)
    attempts.compare(b"second", attempts.reads, lambda: calls.append("second"))
    assert calls == ["second"]


def test_each_load_calls_the_watcher_with_whether_the_content_is_another(attempts: Attempts) -> None:
    others: list[bool] = []
    attempts.when_read(others.append)
    for content in (b"first", b"first", b"second"):
        attempts.add(content)
    assert others == [True, False, True]


def test_what_tells_of_a_content_is_exchanged_and_only_where_that_was_attempted(attempts: Attempts) -> None:
    """A load has found other files whose contents count: the same content has another fingerprint from then on."""
    woken: list[bool] = []
    attempts.when_read(woken.append)
    attempts.add(OTHER)
    before = attempts.reads
    attempts.exchange(KILLS, bytes(16), lambda: None)
    assert attempts.compare(OTHER, attempts.reads, lambda: pytest.fail("other content was counted"))
    followed: list[int] = []
    attempts.exchange(OTHER, KILLS, lambda: followed.append(attempts.reads))
    assert followed == [before + 1]
    assert not attempts.compare(OTHER, before, lambda: pytest.fail("of the former files")), "it began before"
    assert attempts.compare(KILLS, attempts.reads, lambda: pytest.fail("nothing has changed"))
    assert woken == [True, True, True]
