"""The table of a gateway's hosts, and its summary: bounded, whatever hosts say."""

from __future__ import annotations

import msgspec

from confcast.fleet.engines.gateway_lines import Caller
from confcast.fleet.gateway.hosts import Hosts
from confcast.fleet.reports import SEEN_WITHIN, Report, Seen, decode_reports

DIGEST = "d" * 64


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def caller(name: str, **labels: str) -> Caller:
    return Caller(name, f"host {name}", labels)


def summary(hosts: Hosts, age: float = 0.0) -> dict[str, Seen]:
    return {seen.report.host: seen for seen in decode_reports(hosts.summary("gw"), age)}


def test_a_host_with_a_stream_is_there_before_it_has_reported():
    hosts = Hosts(10, 10_000)
    hosts.opened(caller("a", ring="canary"))
    assert hosts.news.is_set()
    found = summary(hosts)["a"]
    assert (found.report, found.connected) == (Report("a", name="host a", labels={"ring": "canary"}), True)
    assert not hosts.news.is_set()


def test_what_says_nothing_new_is_no_news():
    hosts = Hosts(10, 10_000)
    hosts.opened(caller("a"))
    report = Report("a", DIGEST, state="good", name="host a")
    hosts.reported(caller("a"), report)
    summary(hosts)
    hosts.reported(caller("a"), report)
    hosts.seen(caller("a"))
    assert not hosts.news.is_set()
    hosts.reported(caller("a"), msgspec.structs.replace(report, state="undone"))
    assert hosts.news.is_set()


def test_a_stream_that_is_opened_anew_before_the_old_one_has_ended_leaves_the_host_connected():
    hosts = Hosts(10, 10_000)
    hosts.opened(caller("a"))
    hosts.opened(caller("a"))
    hosts.closed(caller("a"))
    assert summary(hosts)["a"].connected
    hosts.closed(caller("a"))
    assert not summary(hosts)["a"].connected


def test_an_age_is_counted_by_the_gateways_clock_and_that_of_the_engine():
    clock = Clock()
    hosts = Hosts(10, 10_000, clock)
    hosts.opened(caller("a"))
    hosts.closed(caller("a"))
    clock.now += 7
    assert summary(hosts, age=5)["a"].age == 12


def test_a_summary_that_is_old_says_of_nobody_that_he_is_connected():
    hosts = Hosts(10, 10_000)
    hosts.opened(caller("a"))
    assert not summary(hosts, age=SEEN_WITHIN + 1)["a"].connected


def test_the_host_that_was_silent_for_the_longest_makes_room_and_one_with_a_stream_does_not():
    clock = Clock()
    hosts = Hosts(2, 10_000, clock)
    hosts.opened(caller("stays"))
    hosts.seen(caller("old"))
    clock.now += 1
    assert hosts.seen(caller("new"))
    assert set(summary(hosts)) == {"stays", "new"}
    hosts.opened(caller("new"))
    assert not hosts.opened(caller("one too many"))
    assert (len(hosts), hosts.refused) == (2, 1)


def test_hosts_that_have_gone_for_good_are_forgotten():
    clock = Clock()
    hosts = Hosts(10, 10_000, clock)
    hosts.seen(caller("gone"))
    hosts.opened(caller("a"))
    clock.now += 3600
    assert set(summary(hosts)) == {"a"}


def test_a_full_table_of_long_reports_fits_into_a_summary_and_keeps_all_who_are_connected():
    hosts = Hosts(4000, 900 * 1024)
    for number in range(4000):
        name = f"host-{number:05}-0123456789abcdef"
        reason = f"{number} " + "r" * 290
        labels = {f"label-{each}": "v" * 40 for each in range(16)}
        hosts.opened(caller(name, **labels))
        hosts.reported(caller(name, **labels), Report(name, DIGEST, "salt", "refused", "n" * 64, labels, reason))
    record = hosts.summary("gw")
    assert len(record) <= 900 * 1024
    found = decode_reports(record, 0.0)
    assert len(found) == 4000
    assert {seen.report.state for seen in found} == {"refused"}


def test_reasons_are_shortened_before_anything_else_goes():
    hosts = Hosts(100, 20_000)
    for number in range(100):
        hosts.reported(caller(f"{number}"), Report(f"{number}", DIGEST, reason="why " * 50))
    (reasons,) = {seen.report.reason for seen in summary(hosts).values()}
    assert reasons == ("why " * 50)[:30]


def test_names_go_before_labels_since_those_are_what_rings_are_made_of():
    hosts = Hosts(100, 14_000)
    for number in range(100):
        hosts.opened(Caller(f"{number}", "n" * 64, {"ring": "canary"}))
    found = summary(hosts).values()
    assert {(seen.report.name, seen.report.labels["ring"]) for seen in found} == {("", "canary")}


def test_of_too_many_hosts_those_who_are_away_go_first():
    hosts = Hosts(100, 5_000)
    for number in range(100):
        hosts.seen(caller(f"away-{number}"))
    for number in range(20):
        hosts.opened(caller(f"here-{number}"))
    found = summary(hosts)
    assert {name for name in found if name.startswith("here")} == {f"here-{number}" for number in range(20)}
    assert len(found) < 100
