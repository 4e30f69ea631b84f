"""Which hosts there are, by what hosts and gateways have written."""

from __future__ import annotations

import msgspec

from confcast.fleet.reports import BEAT, SEEN_WITHIN, STREAMS_WITHIN, Report, Seen, Summary, encode
from confcast.fleet.rollout.hosts import called, hosts_of, is_alive, is_there


def summary(gateway: str, *hosts: Seen) -> bytes:
    return encode(Summary(gateway, hosts))


def test_a_host_that_has_moved_is_where_it_has_a_stream_or_was_heard_last():
    before, now = Report("h", "a" * 64, state="applied"), Report("h", "b" * 64, state="good")
    old = summary("one", Seen(before, 0.0, connected=False))
    for age in (0.0, 9.0):  # the stream was closed, and the next one opened, at the same moment
        records = [(old, age), (summary("two", Seen(now, 1.0, connected=True)), 2.0)]
        for order in (records, records[::-1]):
            assert hosts_of(order) == {"h": Seen(now, 3.0, connected=True)}
    for order in ([(old, 1.0), (encode(now), 0.5)], [(encode(now), 0.5), (old, 1.0)]):
        assert hosts_of(order)["h"].report == now


def test_what_a_host_has_said_counts_while_a_gateway_has_its_stream_and_no_report_yet():
    said, nothing = Report("h", "a" * 64, "17-x", "good", "web", {"ring": "a"}), Report("h", name="web")
    records = [(summary("one", Seen(said, 5.0, connected=True)), 1.0), (summary("two", Seen(nothing, 0.0, True)), 0.1)]
    for order in (records, records[::-1]):
        assert hosts_of(order) == {"h": Seen(msgspec.structs.replace(said, labels={}), 0.1, connected=True)}
    fault = Report("h", state="fault")
    assert hosts_of([(encode(said), 9.0), (encode(fault), 1.0)]) == {"h": Seen(fault, 1.0)}
    records[0] = (encode(said), SEEN_WITHIN + 1)
    for order in (records, records[::-1]):
        assert hosts_of(order) == {"h": Seen(nothing, 0.1, connected=True)}, "it was away"


def test_a_stream_counts_for_as_long_as_the_gateway_can_be_heard():
    for age, connected in ((0.0, True), (STREAMS_WITHIN - 1, True), (STREAMS_WITHIN, False)):
        [seen] = hosts_of([(summary("one", Seen(Report("h"), 100.0, connected=True)), age)]).values()
        assert (seen.connected, is_alive(seen)) == (connected, connected)


def test_a_host_is_there_for_minutes_and_alive_while_it_misses_no_report():
    ages = (0.0, BEAT, 2 * BEAT, SEEN_WITHIN, SEEN_WITHIN + 1)
    seen = [Seen(Report("h"), age) for age in ages]
    assert list(map(is_alive, seen)) == [True, True, False, False, False]
    assert list(map(is_there, seen)) == [True, True, True, True, False]


def test_what_can_not_be_read_is_left_out():
    assert list(hosts_of([(b"", 0.0), (b"{}", 0.0), (b"\xff", 0.0), (encode(Report("h")), 0.0)])) == ["h"]


def test_a_host_is_called_by_its_name_or_else_by_the_beginning_of_its_id():
    assert called(Report("0123456789abcdef", name="web-1")) == "web-1"
    assert called(Report("0123456789abcdef")) == "0123456789ab"
