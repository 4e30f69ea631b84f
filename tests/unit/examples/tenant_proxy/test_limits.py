"""What tenants may use, with a clock of the test's own."""

from __future__ import annotations

import pytest

from confcast.examples.tenant_proxy.limits import Counters, TooMany
from confcast.examples.tenant_proxy.schema import Limits


class Site:
    def __init__(self) -> None:
        self.now = 100.0
        self.counters = Counters(lambda: self.now)

    def ask(self, limits: Limits, tenant: str = "acme") -> int:
        """Seconds to wait; 0 for a request that passes."""
        try:
            with self.counters.request(tenant, limits, {"acme", "bolt"}):
                return 0
        except TooMany as error:
            return error.retry_after


def test_a_burst_passes_then_so_many_a_second() -> None:
    site, limits = Site(), Limits(per_second=2, burst=3)
    assert [site.ask(limits) for _ in range(5)] == [0, 0, 0, 1, 1]
    site.now += 0.5
    assert [site.ask(limits) for _ in range(2)] == [0, 1]
    site.now += 1000
    assert [site.ask(limits) for _ in range(4)] == [0, 0, 0, 1]


def test_a_slow_rate_says_how_long_to_wait() -> None:
    site, limits = Site(), Limits(per_second=0.1, burst=1)
    assert [site.ask(limits) for _ in range(2)] == [0, 10]
    site.now += 7.5
    assert site.ask(limits) == 3


def test_what_was_used_counts_against_new_limits() -> None:
    site = Site()
    assert [site.ask(Limits(per_second=1, burst=10)) for _ in range(10)] == [0] * 10
    assert site.ask(Limits(per_second=1, burst=5)) == 6
    assert [site.ask(Limits(per_second=1, burst=12)) for _ in range(3)] == [0, 0, 1]


def test_tenants_do_not_count_for_each_other() -> None:
    site, limits = Site(), Limits(per_second=1, burst=1)
    assert [site.ask(limits, name) for name in ("acme", "bolt", "acme")] == [0, 0, 1]


def test_a_request_that_is_under_way_counts_across_versions_until_it_ends() -> None:
    site, one, two = Site(), Limits(at_once=1), Limits(at_once=2)
    with site.counters.request("acme", one, {"acme"}):
        assert site.ask(one) == 1
        with site.counters.request("acme", two, {"acme"}):
            assert site.ask(two) == 1
            assert site.ask(one) == 1
        assert site.ask(two) == 0
    assert site.ask(one) == 0


def test_a_request_that_fails_is_under_way_no_more() -> None:
    site, one = Site(), Limits(at_once=1)
    with pytest.raises(OSError, match="gone"), site.counters.request("acme", one, {"acme"}):
        raise OSError("gone")
    assert site.ask(one) == 0


def test_nothing_is_kept_of_tenants_that_have_left_but_for_what_still_runs() -> None:
    site, limits = Site(), Limits(per_second=1, burst=1)
    with site.counters.request("streams", limits, {"streams"}):
        for number in range(100):
            with site.counters.request(f"t{number}", limits, {f"t{number}"}):
                pass
        assert set(vars(site.counters)["_used"]) == {"streams", "t99"}
    assert site.ask(limits, "acme") == 0
    assert set(vars(site.counters)["_used"]) == {"acme"}
