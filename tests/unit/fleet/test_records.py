"""What lies in an engine may be anybody's: heads, reports and entries that are none are refused in words."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcast.fleet import head, reports
from confcast.fleet.head import BadHead
from confcast.fleet.reports import BadReport

DEEP = b'{"of":"host","x":' + b"[" * 9000
NONE = [
    b"",
    b"\0",
    b"\xff",
    b"[]",
    b"{}",
    b"null",
    b'{"of":"host"}',
    b'{"of":"other","host":"a"}',
    b'{"host":"\xff"}',
    DEEP,
]


@pytest.mark.parametrize("content", [*NONE, b'{"stable":"' + b"0" * 63 + b'"}', b'{"stable":1}'])
def test_what_is_no_head_is_refused(content: bytes):
    with pytest.raises(BadHead):
        head.decode(content)


@pytest.mark.parametrize("content", NONE)
def test_what_is_no_report_and_no_entry_is_refused(content: bytes):
    with pytest.raises(BadReport):
        reports.decode_reports(content, 1.0)
    with pytest.raises(BadReport):
        reports.decode_entry(content)


@given(st.binary(max_size=200) | st.text(max_size=60).map(str.encode))
def test_no_bytes_raise_another_error(content: bytes):
    for decode in (head.decode, reports.decode_entry, lambda given: reports.decode_reports(given, 1.0)):
        with pytest.raises((BadHead, BadReport)):
            decode(content)


WHOLE = {
    "head": head.Head("0" * 64, "1" * 64, 10.0, ("ring=canary",), "s", 3, 1.0, "me", "why", 1.0, head.Rollout(("1",))),
    "report": reports.Report("a", "0" * 64, "s", "refused", "name", {"ring": "canary"}, "reason", 1.0, 3),
    "summary": reports.Summary("gw", (reports.Seen(reports.Report("a"), 1.0, True),)),
}
WHOLE["entry"] = reports.Entry("publish", WHOLE["head"], "1-abc", "detail")
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["\ud800", 10**400, -1, 1e308]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=4,
)


@given(st.sampled_from(sorted(WHOLE)), st.integers(0, 10), VALUES)
def test_a_record_with_one_field_of_somebody_elses_is_refused_or_can_be_used(kind: str, at: int, value: object):
    record = json.loads(msgspec.json.encode(WHOLE[kind]))
    record[sorted(record)[at % len(record)]] = value
    content = json.dumps(record).encode()
    try:
        if kind == "head":
            found = head.decode(content)
            assert len(head.id_of(content)) > 8
            assert head.chosen(found, "one", {"ring": "canary"}) in (found.stable, found.next)
        elif kind == "entry":
            entry = reports.decode_entry(content)
            assert head.id_of(head.encode(entry.head))
        else:
            for seen in reports.decode_reports(content, 1.0):
                assert reports.encode(seen.report)
    except (BadHead, BadReport):
        pass


def test_a_head_of_too_many_bytes_is_none_though_it_could_be_read():
    content = head.encode(head.Head("a" * 64))
    assert head.decode(content + b" " * (head.MOST_BYTES - len(content))) == head.Head("a" * 64)
    with pytest.raises(BadHead, match="which has 1000 at most"):
        head.decode(content + b" " * (head.MOST_BYTES + 1 - len(content)))
