"""What lies in an engine may be anybody's: heads, reports and entries that are none are refused in words."""

from __future__ import annotations

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
