"""What speaks against a version, and what does not: deaths, words, probes, and shares of failed requests."""

from __future__ import annotations

import itertools
import math

import pytest

from confcast.owner.core.evidence import LEVEL, Evidence, Requests, chance
from confcast.owner.core.rules import Rules
from confcast.wire.messages import Counts

COMMITTED = 1000.0


def seen(**rules: object) -> Evidence:
    evidence = Evidence(Rules(**rules))
    evidence.begins(2, COMMITTED)
    return evidence


def against(evidence: Evidence, version: int = 2, *, later: float = 5.0) -> tuple[str, ...]:
    return evidence.against(version, now=COMMITTED + later, other=1)


def dies(evidence: Evidence, *times: float, version: int = 2, first: int = 70) -> None:
    for pid, when in enumerate(times, first):
        evidence.died(version, pid, "was killed by signal 9", COMMITTED + when, COMMITTED)


# ---- deaths


def test_deaths_since_its_commit_are_too_many():
    evidence = seen(max_deaths=2)
    dies(evidence, 3.0)
    assert against(evidence) == ()
    dies(evidence, 4.0, first=80)
    assert against(evidence) == (
        "worker 70 was killed by signal 9, 3 s after it had version 2",
        "worker 80 was killed by signal 9, 4 s after it had version 2",
    )


def test_one_death_of_a_canary_is_enough():
    evidence = seen()
    dies(evidence, 3.0)
    assert len(evidence.against_trial(2, other=1)) == 1
    assert against(evidence) == ()


@pytest.mark.parametrize(("before", "enough"), [((-19.0,), True), ((-19.0, -1.0), False), ((-21.0, -20.5), True)])
def test_as_many_as_usual_are_not_too_many(before: tuple[float, ...], enough: bool):
    evidence = seen(max_deaths=2, probation=20.0)
    dies(evidence, *before, version=1, first=10)
    dies(evidence, 1.0, 2.0)
    assert bool(against(evidence)) is enough


def test_a_version_that_has_run_for_long_is_compared_with_as_long_a_time_before():
    """In a window that is longer than a probation; else the usual deaths would be too many some day."""
    evidence = seen(max_deaths=2, probation=20.0)
    dies(evidence, -90.0, -50.0, -30.0, version=1, first=10)
    dies(evidence, 10.0, 40.0, 80.0)
    assert against(evidence, later=89.0) != ()
    assert against(evidence, later=90.0) == ()


def test_deaths_of_workers_that_still_ran_another_version_say_nothing():
    evidence = seen()
    dies(evidence, 1.0, 2.0, 3.0, version=1)
    assert against(evidence) == ()


def test_a_worker_that_died_before_it_had_applied_the_version():
    assert seen().died(2, 77, "left with status 1", 1.0) == "worker 77 left with status 1 with version 2"


# ---- words, probes


def test_one_word_is_enough_and_is_told_once():
    evidence = seen()
    text = evidence.spoke(2, 77, "the pool\nis empty ", 1.0)
    assert text == "worker 77 says that version 2 is unhealthy: the pool is empty"
    assert evidence.spoke(2, 77, "the pool is empty", 2.0) == ""
    assert (against(evidence), evidence.total["unhealthy"]) == ((text,), 2)
    assert against(evidence, 3) == ()


def test_a_probes_no_is_enough_and_is_told_once():
    evidence = seen()
    text = evidence.probed(2, "GET /health gave 503", 1.0)
    assert (text, evidence.probed(2, "no answer", 2.0)) == ("a probe says no to version 2: GET /health gave 503", "")
    assert against(evidence) == (text,)


# ---- errors


def counts(evidence: Evidence, version: int, answered: int, failed: int, pid: int = 1) -> None:
    evidence.counted(version, pid, Counts(version, answered, failed))


@pytest.mark.parametrize(
    ("mine", "others", "enough"),
    [
        ((240, 12), (900, 1), True),
        ((19, 19), (900, 1), False),  # too few
        ((240, 12), (900, 45), False),  # as many as before
        ((20, 3), (20, 1), False),  # may be by chance
        ((1000, 9), (1000, 0), False),  # not above the rate, however improbable
        ((240, 12), (0, 0), False),  # nothing is known of the other version
    ],
)
def test_errors_above_the_rate_and_significantly_more_than_before(
    mine: tuple[int, int], others: tuple[int, int], enough: bool
):
    evidence = seen(max_error_rate=0.01)
    counts(evidence, 1, *others)
    counts(evidence, 2, *mine)
    assert bool(against(evidence)) is enough
    assert bool(evidence.against_trial(2, other=1)) is enough


def test_what_is_said_of_errors():
    evidence = seen(max_error_rate=0.01)
    counts(evidence, 1, 900, 1)
    counts(evidence, 2, 240, 12)
    assert against(evidence) == (
        "12 of 240 requests (5 %) failed with version 2, 1 of 900 requests (0.111 %) with version 1",
    )


def test_without_a_rate_errors_are_no_evidence():
    evidence = seen()
    counts(evidence, 1, 900, 0)
    counts(evidence, 2, 240, 240)
    assert against(evidence) == ()
    assert evidence.found(2) == ("240 of 240 requests (100 %) failed with version 2",)


def test_counts_are_summed_over_workers_and_stay_when_those_have_gone():
    evidence = seen()
    counts(evidence, 2, 5, 1, pid=1)
    counts(evidence, 2, 10, 2, pid=1)
    counts(evidence, 2, 3, 3, pid=2)
    evidence.left(1)
    assert evidence.requests(2) == (13, 5, 0)
    counts(evidence, 2, 4, 0, pid=1)  # another process has the number
    counts(evidence, 2, 1, 0, pid=1)  # it has begun anew
    assert evidence.requests(2) == (18, 5, 0)


def test_counts_that_make_no_sense_are_bent():
    evidence = seen()
    evidence.counted(2, 1, Counts(2, -5, 7, 9))
    evidence.counted(2, 2, Counts(2, 2**63 - 1, 2**63 - 1, -1))
    assert evidence.requests(2) == (2**53, 2**53, 0)


@pytest.mark.parametrize("mine", [(20, 5), (40, 1), (7, 7)])
@pytest.mark.parametrize("others", [(20, 0), (50, 3)])
def test_the_chance_is_that_of_all_ways_to_choose(mine: tuple[int, int], others: tuple[int, int]):
    """Against the definition, by whole numbers."""
    total, failed, answered = mine[0] + others[0], mine[1] + others[1], mine[0]
    ways = [
        math.comb(failed, each) * math.comb(total - failed, answered - each)
        for each in range(min(failed, answered) + 1)
    ]
    expected = sum(ways[mine[1] :]) / math.comb(total, answered)
    more = mine[1] / mine[0] > others[1] / others[0]
    assert chance(Requests(*mine), Requests(*others)) == pytest.approx(expected if more else 1.0)


def test_many_requests_are_compared_too():
    half = Requests(10**7, 5 * 10**6)
    assert chance(Requests(10**7, 5 * 10**6 + 40_000), half) < LEVEL
    assert chance(Requests(10**7, 5 * 10**6 + 400), half) == pytest.approx(0.43, abs=0.01)


# ---- one content under two numbers, bounds


def test_what_was_seen_goes_on_under_another_number():
    evidence = seen(max_deaths=2, max_error_rate=0.5)
    dies(evidence, 1.0)
    counts(evidence, 2, 10, 10)
    evidence.renumbered(2, 3)
    dies(evidence, 2.0, version=2, first=80)
    dies(evidence, 2.0, version=3, first=90)
    assert len(against(evidence, 3)) == 3
    assert evidence.requests(2) == evidence.requests(3) == (10, 10, 0)
    evidence.renumbered(3, 4)
    assert evidence.requests(2) == (10, 10, 0)


def test_nothing_of_it_grows_without_end():
    evidence = seen(max_deaths=2)
    evidence.retain(1)
    evidence.spoke(1, 1, "no", 0.0)
    for version, pid in itertools.product(range(2, 40), range(40)):
        evidence.spoke(version, pid, "x" * 10_000, 0.0)
    texts = against(evidence, 39)
    assert (len(texts), max(map(len, texts))) < (21, 600)
    assert (against(evidence, 1), against(evidence, 2)) == (("worker 1 says that version 1 is unhealthy: no",), ())
    assert evidence.total["unhealthy"] == 1 + 38 * 40
    for pid in range(3000):
        evidence.renumbered(pid + 100, pid + 101)
        evidence.died(39, pid, "was killed", COMMITTED)
    assert len(against(evidence, 39)) == 40


def test_of_more_requests_than_can_be_a_part_is_compared():
    """All of them would take the loop a minute, and more digits than a float has."""
    most = 2**53
    assert chance(Requests(most, most // 2 + 2**30), Requests(most, most // 2)) == pytest.approx(0.5, abs=0.01)
    assert chance(Requests(most, most // 2 + most // 1000), Requests(most, most // 2)) < 1e-9
    assert chance(Requests(20, 20), Requests(most, most // 1000)) < 1e-9
