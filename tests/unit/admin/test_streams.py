"""What waits for one listener is bounded, and a listener knows when something was left out."""

from __future__ import annotations

import asyncio

from confcast.admin.streams import GAP, HEARTBEAT, Stream, frame


def taken(stream: Stream) -> bytes:
    """All frames until a heartbeat, or the end."""

    async def run() -> bytes:
        found = b""
        while (frame := await stream.next(0.0)) not in (HEARTBEAT, b""):
            found += frame
        stream._news = asyncio.Event()  # of the next call's loop
        return found

    return asyncio.run(run())


def test_what_waits_comes_at_once_events_before_the_status() -> None:
    stream = Stream(8)
    stream.put_status(b"S1")
    stream.put_event(b"E1")
    stream.put_event(b"E2")
    assert taken(stream) == b"E1E2S1"


def test_of_statuses_only_the_newest_waits() -> None:
    stream = Stream(8)
    for number in range(1000):
        stream.put_status(b"%d." % number)
    assert taken(stream) == b"999."


def test_past_the_bound_events_are_left_out_and_that_is_told() -> None:
    stream = Stream(3)
    for number in range(5):
        stream.put_event(b"%d." % number)
    assert taken(stream) == GAP + b"3.4."
    stream.put_event(b"5.")
    assert taken(stream) == b"5."


def test_without_news_a_heartbeat_comes() -> None:
    assert asyncio.run(Stream(3).next(0.0)) == HEARTBEAT
    assert HEARTBEAT.startswith(b":")


def test_an_end_ends_it_whatever_waits() -> None:
    stream = Stream(3)
    stream.put_event(b"E")
    stream.end()
    assert asyncio.run(stream.next(5.0)) == b""


def test_a_frame_is_an_event_of_one_line_each_whatever_is_in_it() -> None:
    assert frame("reload", {"text": "a\nb\r\nevent: x"}, "17") == (
        b'event: reload\nid: 17\ndata: {"text":"a\\nb\\r\\nevent: x"}\n\n'
    )
    assert frame("owner", {"state": "gone"}) == b'event: owner\ndata: {"state":"gone"}\n\n'
