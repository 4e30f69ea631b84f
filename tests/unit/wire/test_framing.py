"""Frames: every message, whole and cut anywhere; what a stranger may claim; and a real Connection at the other end."""

from __future__ import annotations

import io
import socket
import struct
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcast.errors import ProtocolError
from confcast.wire import framing, messages
from confcast.wire.canary import Canary
from confcast.wire.framing import Deframer, frame
from confcast.wire.measured import EventCounts, Histogram
from confcast.wire.messages import (
    Abort,
    Applied,
    Change,
    Check,
    ClearHistory,
    Commit,
    ConfigRequest,
    Configuration,
    Confirm,
    Counts,
    Declined,
    Described,
    Differences,
    DiffRequest,
    Done,
    Explained,
    ExplainRequest,
    Explanation,
    Goodbye,
    Hello,
    History,
    HistoryRequest,
    Install,
    Measured,
    Message,
    MetricsRequest,
    News,
    NewsRequest,
    Observe,
    Observed,
    ObserverError,
    OnTrial,
    Outcome,
    Prepare,
    Problem,
    Provisional,
    Refused,
    Reload,
    ReloadEvent,
    ReloadResult,
    Resume,
    Rollback,
    SchemaKey,
    SchemaRequest,
    Set,
    Settled,
    Shadowed,
    Shown,
    ShowRequest,
    Stats,
    StatsRequest,
    ToOwner,
    ToWorker,
    Tried,
    Try,
    Unhealthy,
    Unset,
    ValueInfo,
    VersionInfo,
    Versions,
    VersionsRequest,
    Vote,
    Who,
    Workers,
    WorkersRequest,
    Working,
    decode_to_owner,
    decode_to_worker,
    encode,
)
from tests.support.waiting import in_thread

PROBLEMS = (Problem("a.b", "Input should be less", "worker 7"),)
TO_OWNER: list[Any] = [
    Hello(messages.PROTOCOL, 7, "replica", "app", b"s" * 16, 3, b"d" * 16),
    Hello(messages.PROTOCOL, 7, "replica", "app", b"s" * 16, 3, b"d" * 16, patches=True),
    Working(4, "app:check"),
    Vote(4, True),
    Vote(4, False, PROBLEMS),
    Applied(3),
    Declined(3, PROBLEMS),
    Reload(1, "call"),
    Observed(2, 3, "greet: no room", (ObserverError(0, "greet", "no room", 2),), ("sing",)),
    Tried(4),
    Unhealthy(4, "no pool"),
    Counts(4, 240, 12, 17),
    Goodbye(),
    StatsRequest(2),
    MetricsRequest(2),
    HistoryRequest(3, None),
    HistoryRequest(3, 10),
    ClearHistory(4),
    WorkersRequest(5),
    VersionsRequest(6, None),
    VersionsRequest(6, 10),
    ExplainRequest(7, "memory.total"),
    DiffRequest(8),
    DiffRequest(8, 3, "running"),
    Reload(1, "command", None, "a new limit"),
    Reload(1, "call", None, "a bad night", True, 3),
    Reload(1, "call", confirm_within=600.0),
    Reload(1, "call", actor="admin token ops"),
    Reload(1, "call", allow=("shrinks:upstreams",), canary=Canary("25%", seconds=60.0, by="entity")),
    Check(1),
    Check(1, {"a.b": 3}),
    Check(1, {}, {"app.toml": b"a = 3"}),
    Rollback(1),
    Rollback(1, 12, 14, "a bad night"),
    Set(1, {"a": {"b": [1, "2", None]}}, 3, 600.0, "a new limit"),
    Set(1, {"a": 3}, confirm_within=60.0, allow=("touches:a",)),
    Unset(1, ("a.b",), 3, "a new limit"),
    Resume(1, 3, "mended"),
    Confirm(1, 12, "looked at it"),
    ShowRequest(1, "a.b"),
    SchemaRequest(1, "a[].b"),
    ConfigRequest(1, "a", "limit"),
    NewsRequest(1, "7.1", 25.0),
]
TO_WORKER: list[Any] = [
    Install(3, b"d" * 16, b"payload"),
    Prepare(4, b"d" * 16, b"payload"),
    Install(3, b"d" * 16, b"patch", base=b"b" * 16),
    Prepare(4, b"d" * 16, b"patch", b"b" * 16),
    Install(3, b"d" * 16, b"payload", trial=OnTrial(4, b"e" * 16, b"other", 0.05, "app/4", begun=True)),
    Commit(4, 3),
    Commit(4, 3, provisional=20.0),
    Try(4, 3),
    Try(4, 3, 0.05, "app/3"),
    Provisional(3, 20.0),
    Abort(4),
    Settled(3, (7, 8)),
    Observe(2),
    Refused("another name", True, {"a": "int"}),
    Stats(2, {"total_reloads": 1}),
    Measured(2, "app", 3, "64" * 16, workers=((3, "current", 2),), counts={"dropped": {"late vote": 1}}),
    Measured(2, "app", 3, "64" * 16, events=EventCounts(durations={"load": Histogram(seconds=0.5)}, last=1e9)),
    History(3, []),
    Workers(5, []),
    Explained(7, Explanation(key="a", value=[1], origin="app.toml:1:5", shadowed=[Shadowed("default", None)])),
    Explained(7, problems=(Problem("a", "the schema has no such key"),)),
    Differences(8, (Change("a", 1, "b"),)),
    Shown(9, (("a.b", [1, "x"]), ("c", None)), (Problem("a", "nothing runs under this key"),)),
    Described(
        10,
        (
            SchemaKey(key="a[].b", type="int", constraints=["> 1"]),
            SchemaKey(key="c", path=("c",), form="value", value=[1]),
        ),
        (Problem("a", "the schema has no such key"),),
    ),
    Configuration(11, 3, (ValueInfo(key="a", value=[1], origin="default", default=[1], type="list"),), 7),
    Configuration(11, problems=(Problem("a", "nothing runs under this key"),)),
    News(12, "7.1"),
    Versions(6, [VersionInfo(3, 1.5, "d" * 32, "call", Who(0, 7, "app"), "a new limit", True, True)]),
    Done(4),
    Outcome(1, ReloadEvent(timestamp=1.5, result=ReloadResult.REJECTED, version=3, problems=list(PROBLEMS))),
]


@pytest.mark.parametrize(
    ("message", "decode"),
    [(message, decode_to_owner) for message in TO_OWNER] + [(message, decode_to_worker) for message in TO_WORKER],
    ids=lambda value: type(value).__name__,
)
def test_every_message_comes_back_whole_and_byte_by_byte(message: Any, decode: Any) -> None:
    stream = frame(encode(message))

    assert [decode(body) for body in Deframer().feed(stream)] == [message]
    deframer, bodies = Deframer(), []
    for index in range(len(stream)):
        assert bodies == []
        bodies += deframer.feed(stream[index : index + 1])
    assert [decode(body) for body in bodies] == [message]


class _Earlier(msgspec.Struct, frozen=True, tag="Hello", array_like=True):
    """Hello, as a build sends and reads it that knows no patches."""

    protocol: int
    pid: int
    role: str
    name: str
    schema: bytes = b""
    version: int = 0
    digest: bytes = b""


def test_a_build_that_knows_no_patches_and_one_that_does_read_each_other() -> None:
    earlier = _Earlier(messages.PROTOCOL, 7, "replica", "app", b"s" * 16, 3, b"d" * 16)
    now = Hello(messages.PROTOCOL, 7, "replica", "app", b"s" * 16, 3, b"d" * 16, True, 4, True, b"t" * 16)
    known = msgspec.structs.replace(now, patches=False, trial=None, masked=False, trial_digest=b"")
    assert decode_to_owner(msgspec.msgpack.encode(earlier)) == known
    assert msgspec.msgpack.decode(encode(now), type=_Earlier) == earlier


@pytest.mark.parametrize(
    ("message", "decode"),
    [
        (Hello(messages.PROTOCOL, 7, "replica", "text"), decode_to_owner),
        (Reload(1, "text"), decode_to_owner),
        (Vote(4, False, (Problem("a", "text"),)), decode_to_owner),
        (Refused("text", True), decode_to_worker),
        (Stats(2, {"text": 1}), decode_to_worker),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_text_that_is_no_utf_8_is_a_protocol_error(message: Message, decode: Callable[[bytes], Any]) -> None:
    body = encode(message).replace(b"text", b"\xff\xfe\xfd\xfc")

    with pytest.raises(ProtocolError):
        decode(body)


def test_every_message_is_in_one_of_the_unions_and_above() -> None:
    assert {*get_args(ToOwner), *get_args(ToWorker)} == set(Message.__subclasses__())
    assert {type(message) for message in TO_OWNER} == set(get_args(ToOwner))
    assert {type(message) for message in TO_WORKER} == set(get_args(ToWorker))


@given(st.lists(st.binary(max_size=300), max_size=8), st.lists(st.integers(1, 400), min_size=1))
def test_however_the_stream_is_cut_the_same_bodies_come_out(bodies: list[bytes], cuts: list[int]) -> None:
    stream, deframer, found, begin, turn = b"".join(map(frame, bodies)), Deframer(), [], 0, 0
    while begin < len(stream):
        end = begin + cuts[turn % len(cuts)]
        found += deframer.feed(stream[begin:end])
        begin, turn = end, turn + 1

    assert found == bodies


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_who_reads_no_more_than_is_missing_reads_one_frame(first: bytes, second: bytes) -> None:
    stream, deframer = io.BytesIO(frame(first) + frame(second)), Deframer()

    assert deframer.next_body(stream.read) == first
    assert stream.tell() == len(frame(first))
    assert (deframer.next_body(stream.read), deframer.next_body(stream.read)) == (second, None)


def test_a_body_of_the_limit_passes_and_one_byte_more_does_not() -> None:
    deframer = Deframer(limit=10)
    assert deframer.feed(frame(b"x" * 10)) == [b"x" * 10]

    with pytest.raises(ProtocolError, match="claims 11 bytes; the limit is 10"):
        deframer.feed(frame(b"x" * 11))


@pytest.mark.parametrize("length", [-1, -(2**31), 2**31 - 1])
def test_a_length_that_nobody_may_claim_is_refused_at_once(length: int) -> None:
    with pytest.raises(ProtocolError, match=f"claims {length} bytes"):
        Deframer().feed(struct.pack("!i", length))


def test_a_bad_length_behind_good_frames_is_refused() -> None:
    with pytest.raises(ProtocolError):
        Deframer().feed(frame(b"good") + b"\xff\xff\xff\xff")


def test_nobody_sends_more_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "MAX_FRAME", 10)

    with pytest.raises(ProtocolError, match="11 bytes is over the limit of 10"):
        frame(b"x" * 11)


@pytest.mark.parametrize("size", [0, 1, 16_384, 16_385, 300_000])
def test_a_connection_of_multiprocessing_understands_it_and_is_understood(size: int) -> None:
    """It sends a header and a long body in two writes."""
    body = (b"0123456789" * size)[:size]
    ours, its = socket.socketpair()
    with ours, Connection(its.detach()) as connection:
        sent = in_thread(lambda: ours.sendall(frame(body)))
        assert connection.recv_bytes() == body
        sent()

        sent = in_thread(lambda: connection.send_bytes(body))
        deframer, bodies = Deframer(), []
        while not bodies:
            bodies = deframer.feed(ours.recv(65536))
        sent()

    assert bodies == [body]
