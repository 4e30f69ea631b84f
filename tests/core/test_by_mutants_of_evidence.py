"""What `scripts/mutate` has asked for, of evidence: as `test_by_mutants.py`."""

from __future__ import annotations

import pytest

from confcast.owner.core.evidence import (
    _LONGEST_REASON,
    _MOST_DEATHS,
    _MOST_VERSIONS,
    Evidence,
    Requests,
    chance,
    cut,
)
from confcast.owner.core.rules import Rules
from confcast.wire.messages import Counts
from tests.core.world import SCHEMA

KILLED = "was killed by signal 9"


def evidence(**rules: object) -> Evidence:
    return Evidence(Rules(schema=SCHEMA, **{"probation": 20.0, "max_error_rate": 0.2, "max_deaths": 2, **rules}))


def counted(seen: Evidence, version: int, answered: int, failed: int = 0, pid: int = 1) -> None:
    seen.counted(version, pid, Counts(version, answered, failed, 0))


def test_how_often_anything_was_said_is_counted_by_kind():
    seen = evidence()
    for pid in (1, 2):
        seen.died(1, pid, KILLED, 100.0)
        seen.spoke(1, pid, "slow", 100.0)
        seen.probed(1, "503", 100.0)
    assert seen.total == {"death": 2, "unhealthy": 2, "probe": 2}


def test_who_died_at_once_had_it_for_no_time():
    assert evidence().died(2, 1, KILLED, 100.0, 100.0) == f"worker 1 {KILLED}, 0 s after it had version 2"


def test_who_gives_no_reason_gave_none():
    text = "worker 1 says that version 2 is unhealthy: no reason was given"
    assert evidence().spoke(2, 1, "  ", 100.0) == text


def test_of_deaths_no_more_are_kept_than_some():
    seen = evidence()
    for number in range(_MOST_DEATHS + 5):
        seen.died(1, number, KILLED, 100.0)
    assert len(seen._deaths) == _MOST_DEATHS
    seen.renumbered(1, 2)
    seen.died(2, 1, KILLED, 100.0)
    assert len(seen._deaths) == _MOST_DEATHS


def test_what_is_said_twice_is_counted_once():
    seen = evidence()
    for _ in range(2):
        counted(seen, 2, 10, 1)
    assert seen.requests(2) == Requests(10, 1, 0)


def test_of_as_many_renumbered_versions_as_are_known_each_is_found_under_its_number():
    seen = evidence()
    for version in range(1, _MOST_VERSIONS + 1):
        seen.renumbered(version, version + 100)
    for version in range(1, _MOST_VERSIONS + 1):
        counted(seen, version, version)
    assert [seen.requests(version + 100).answered for version in range(1, _MOST_VERSIONS + 1)] == [*range(1, 9)]


def test_where_nothing_has_failed_nothing_is_found():
    seen = evidence()
    counted(seen, 2, 10)
    assert seen.found(2) == ()
    counted(seen, 2, 10, 1)
    assert seen.found(2) == ("1 of 10 requests (10 %) failed with version 2",)


def test_deaths_of_another_version_since_its_commit_do_not_speak_against_it():
    seen = evidence()
    seen.begins(2, 100.0)
    seen.died(2, 1, KILLED, 101.0)
    for pid in (2, 3):
        seen.died(1, pid, KILLED, 101.0)
    assert seen.against(2, now=102.0, other=1) == ()


@pytest.mark.parametrize(
    ("answered", "failed", "speaks"), [(1000, 100, False), (1000, 200, False), (1000, 210, True), (20, 20, True)]
)
def test_no_fewer_errors_than_the_rate_speak_though_the_other_version_has_none(
    answered: int, failed: int, speaks: bool
):
    seen = evidence()
    counted(seen, 1, 1000)
    counted(seen, 2, answered, failed)
    assert bool(seen.against(2, now=100.0, other=1)) is speaks


def test_of_versions_that_need_not_be_kept_no_more_are_than_some():
    seen = evidence()
    for version in range(1, 30):
        seen.begins(version, 100.0)
    assert len(seen._seen) == _MOST_VERSIONS


def test_of_two_that_are_as_good_neither_is_worse():
    assert chance(Requests(100, 10), Requests(100, 10)) == 1.0
    assert chance(Requests(200, 20), Requests(100, 10)) == 1.0


def test_words_are_cut_where_they_are_too_long_and_on_one_line():
    assert cut("x" * _LONGEST_REASON) == "x" * _LONGEST_REASON
    assert cut("x" * (_LONGEST_REASON + 1)) == "x" * (_LONGEST_REASON - 1) + "…"
    assert cut("a\n" + " " * 2 * _LONGEST_REASON + "b") == "a"
    assert cut("a\n" + " " * (2 * _LONGEST_REASON - 3) + "bc") == "a b"
