"""Wrong tokens: some are answered at once, then their address waits; the memory of addresses is bounded."""

from __future__ import annotations

from confcast.admin.authentication import Failures


class Clock:
    """A clock that a test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_past_a_burst_an_address_waits_and_is_forgiven_one_by_one() -> None:
    clock = Clock()
    failures = Failures(3, 6.0, 10, clock)
    assert [failures.failed("a") for _ in range(5)] == [0, 0, 0, 6, 12]
    assert failures.failed("b") == 0
    clock.now += 12.0
    assert failures.failed("a") == 0
    clock.now += 3600.0
    assert [failures.failed("a") for _ in range(4)] == [0, 0, 0, 6]


def test_who_tries_for_ever_waits_no_longer_than_who_has_just_begun() -> None:
    failures = Failures(3, 6.0, 10, Clock())
    assert max(failures.failed("a") for _ in range(1000)) == 12


def test_the_address_that_has_failed_least_recently_is_forgotten() -> None:
    failures = Failures(1, 6.0, 2, Clock())
    failures.failed("a")
    failures.failed("b")
    assert failures.failed("a") == 6
    failures.failed("c")
    assert failures.failed("a") > 0
    assert failures.failed("b") == 0
