"""Peers that misbehave: closed when a bound is passed, counted by kind, said once; and nobody else notices."""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from confcast.owner.core.effects import PipeEnded
from confcast.owner.store.allowed_uids import AllowedUids
from confcast.wire.framing import Deframer, frame
from confcast.wire.listener import Peer
from confcast.wire.messages import (
    PROTOCOL,
    Applied,
    Done,
    Hello,
    History,
    Install,
    Refused,
    Reload,
    ReloadEvent,
    ReloadResult,
    Settled,
    StatsRequest,
    decode_to_worker,
    encode,
)
from tests.support.pipes import HELLO, Bench

CLIENT = Hello(PROTOCOL, 0, "client", "app")
PATIENCE = 1000.0  # never over by itself: the test says how late it is


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, AllowedUids().uids(), PATIENCE)
    yield made
    made.close()


def deadline(bench: Bench) -> float:
    found = bench.pipes.deadline()
    assert found is not None
    return found


def test_who_never_says_hello_is_closed_at_the_deadline_and_nobody_is_awaited_any_more(bench: Bench) -> None:
    with bench.connect(HELLO) as worker, bench.connect() as silent:
        until = deadline(bench)
        bench.pipes.close_timed_out(until - 1)
        assert len(bench.pipes._open) == 2

        bench.pipes.close_timed_out(until)

        assert silent.recv(1) == b""
        assert bench.messages() == [HELLO, PipeEnded(2)]
        assert bench.pipes.refused == {"silent": 1}
        assert bench.pipes.deadline() is None
        assert bench.rests()
        worker.sendall(frame(encode(Applied(1))))
        bench.turn()
        assert bench.messages()[-1] == Applied(1)


def test_half_a_frame_and_silence_is_closed_at_the_deadline_of_its_first_byte(bench: Bench) -> None:
    whole = frame(encode(Applied(1)))
    with bench.connect(HELLO) as peer:
        assert bench.pipes.deadline() is None
        peer.sendall(whole[:1])
        bench.turn()
        until = deadline(bench)
        peer.sendall(whole[1:-1])  # a byte now and then gains nothing
        bench.turn()
        assert deadline(bench) == until

        bench.pipes.close_timed_out(until)

        assert peer.recv(1) == b""
        assert bench.messages() == [HELLO, PipeEnded(1)]


def test_a_frame_that_comes_whole_after_all_is_a_frame_like_any_other(bench: Bench) -> None:
    whole = frame(encode(Applied(1)))
    with bench.connect(HELLO) as peer:
        peer.sendall(whole[:3])
        bench.turn()
        first = deadline(bench)
        peer.sendall(whole[3:] + whole[:3])  # and the next has begun: its time begins anew
        bench.turn()
        assert deadline(bench) > first
        peer.sendall(whole[3:])
        bench.turn()
        assert bench.pipes.deadline() is None
        assert bench.messages() == [HELLO, Applied(1), Applied(1)]


def test_past_the_bound_the_oldest_guest_of_the_greatest_crowd_is_closed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a worker, nor a client of another process, nor the newest of the crowd."""
    monkeypatch.setattr("confcast.owner.loop.connections._MOST_UNATTACHED", 3)
    pids = iter([10, 11, 12, 12, 12])
    monkeypatch.setattr("confcast.owner.loop.connections.peer_of", lambda connection: Peer(next(pids), os.geteuid()))
    with ExitStack() as open_:
        _worker, _client, oldest, *others = [
            open_.enter_context(peer)
            for peer in (
                bench.connect(HELLO),
                bench.connect(CLIENT),
                bench.connect(),
                bench.connect(CLIENT),
                bench.connect(),
            )
        ]
        assert oldest.recv(1) == b""
        assert bench.messages() == [HELLO, CLIENT, CLIENT, PipeEnded(3)]
        assert bench.pipes.refused == {"crowd": 1}
        others[-1].sendall(frame(encode(CLIENT)))
        bench.turn()
        assert bench.messages()[-1] == CLIENT


def test_a_thousand_connections_leave_room_for_a_worker_and_are_said_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    with ExitStack() as open_:
        crowd = deque(open_.enter_context(bench.connect()) for _ in range(300))
        for _ in range(700):
            crowd.popleft().close()  # whose other end is closed already
            crowd.append(open_.enter_context(bench.connect()))
        worker = open_.enter_context(bench.connect(HELLO))
        assert bench.messages()[-1] == HELLO
        assert len(bench.pipes._open) <= 257
        assert bench.pipes.refused["crowd"] == 1000 + 1 - 257
        assert [record.message for record in caplog.records if "to have room" in record.message] == [
            f"process {os.getpid()} has 257 pipes open: the oldest are closed, to have room"
        ]
        bench.pipes.send(1001, Settled(1), from_core=True)
        assert received(worker) == [Settled(1)]


def test_who_asks_a_thousand_times_without_waiting_for_an_answer_is_closed(bench: Bench) -> None:
    with bench.connect(CLIENT) as peer:
        peer.sendall(b"".join(frame(encode(Reload(number))) for number in range(1100)))
        while len(bench.posted) <= 1024 + 1:  # its Hello, and as many as may wait
            bench.turn()
        assert bench.posted[-1] == PipeEnded(1)
        assert bench.pipes.refused == {"malformed": 1}
        assert bench.rests()


def history(number: int, size: int) -> History:
    event = ReloadEvent(timestamp=1.0, result=ReloadResult.IO_ERROR, error_message="x" * size)
    return History(number, [event])


def test_who_leaves_more_than_its_share_of_bytes_unread_is_closed(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    with bench.connect(CLIENT), bench.connect(HELLO) as worker:
        for number in range(100):
            if len(bench.pipes._open) < 2:
                break
            bench.pipes.send(1, history(number, 100_000), from_core=False)
        assert number < 20
        assert bench.pipes.refused == {"never reads": 1}
        assert f"process {os.getpid()} asks and never reads" in caplog.text
        bench.pipes.send(2, Settled(1), from_core=True)
        assert received(worker) == [Settled(1)]


def test_one_answer_may_be_as_long_as_a_frame_and_is_read_whole(bench: Bench) -> None:
    deframer, bodies = Deframer(), []
    with bench.connect(CLIENT) as peer:
        bench.pipes.send(1, history(7, 5_000_000), from_core=False)
        while not bodies:
            if bench.rests():
                bodies = deframer.feed(peer.recv(65536))
            else:
                bench.turn()
        assert decode_to_worker(bodies[0]) == history(7, 5_000_000)
        for number in range(30):  # and what was read is not counted any more
            bench.pipes.send(1, history(number, 100_000), from_core=False)
            while len(bodies := deframer.feed(peer.recv(65536))) < 1:
                bench.rests() or bench.turn()
        assert bench.pipes.refused == {}


def test_small_answers_cost_what_it_takes_to_keep_them(bench: Bench) -> None:
    with bench.connect(CLIENT):
        for number in range(10_000):
            bench.pipes.send(1, Done(number), from_core=False)
        assert bench.pipes.refused == {"never reads": 1}


def test_of_all_together_who_left_the_most_unread_is_closed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("confcast.owner.loop.connections._MOST_UNREAD_BY_ALL", 3_000_000)
    with ExitStack() as open_:
        for number in range(1, 6):
            open_.enter_context(bench.connect(CLIENT))
            bench.pipes.send(number, history(1, 800_000 + 100_000 * (number == 2)), from_core=False)
        assert bench.pipes.refused == {"never reads": 1}
        assert PipeEnded(2) in bench.posted


def test_who_waits_for_its_answers_may_ask_for_ever(bench: Bench) -> None:
    with bench.connect(CLIENT) as peer:
        for number in range(1100):
            peer.sendall(frame(encode(StatsRequest(number))))
            bench.turn()
            bench.pipes.send(1, Done(number), from_core=False)
            assert received(peer) == [Done(number)]
        assert bench.pipes.refused == {}


def test_a_flood_is_read_in_turns_with_the_others(bench: Bench) -> None:
    """A worker's answer, sent after ten thousand requests of another process, is received after a handful of them."""
    with bench.connect(CLIENT) as flood, bench.connect(HELLO) as worker:
        flood.settimeout(0)
        _ = flood.send(b"".join(frame(encode(Reload(number))) for number in range(10_000)))
        worker.sendall(frame(encode(Applied(7))))
        bench.turn()
        heard = bench.messages()
        assert Applied(7) in heard
        assert len(heard) < 200


def test_what_a_flooding_process_does_wrong_is_said_once_and_counted_each_time(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(20):
        with bench.connect() as peer:
            peer.sendall(b"\xff" * 64)
            bench.turn()
            assert peer.recv(1) == b""
    assert bench.pipes.refused == {"malformed": 20}
    assert len(caplog.records) == 1
    assert f"process {os.getpid()} sent what the protocol does not allow" in caplog.text


def test_who_is_refused_by_the_core_is_said_once_and_counted_too(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(1, 4):
        with bench.connect(HELLO) as peer:
            bench.pipes.send(number, Refused("protocol 99 is not spoken here", final=True), from_core=True)
            bench.pipes.close(number)
            assert received(peer) == [Refused("protocol 99 is not spoken here", final=True)]
    assert bench.pipes.refused == {"hello": 3}
    assert [record.message for record in caplog.records] == [
        f"process {os.getpid()} is refused: protocol 99 is not spoken here"
    ]


def test_what_a_closing_pipe_ends_with_is_read_in_time_or_never(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    with bench.connect(HELLO) as peer, bench.connect(HELLO) as reader:
        for number in (1, 2):
            bench.pipes.send(number, Install(1, b"", b"x" * 1_000_000), from_core=True)
            bench.pipes.close(number)
        peer.sendall(frame(encode(Applied(1))))  # nor does it gain anything by talking
        bench.turn()
        until = deadline(bench)
        bench.pipes.close(1)
        assert deadline(bench) == until, "its time is fixed when the pipe begins to close"
        while len(bench.pipes._open) == 2:
            if bench.rests():
                reader.recv(65536)
            else:
                bench.turn()
        assert len(bench.pipes._open) == 1, "who reads has its frame, and its pipe is closed then"

        bench.pipes.close_timed_out(until)

        assert len(bench.pipes._open) == 0
        assert bench.pipes.refused == {"never reads": 1}
        assert bench.pipes.deadline() is None
        assert PipeEnded(1) not in bench.posted
        assert "has not read in 1000 s what its pipe ends with" in caplog.text


def test_a_process_that_attaches_over_and_over_and_never_reads_has_one_pipe_and_a_guests_room(bench: Bench) -> None:
    """Whether the core has closed its older pipes already, or not."""
    with ExitStack() as open_:
        peers = [open_.enter_context(bench.connect(HELLO)) for _ in range(600)]
        assert len(bench.pipes._open) == 257
        for number in range(601 - 257, 600):  # the core, which hears of it a turn later
            bench.pipes.send(number, Install(1, b"", b"x" * 1_000_000), from_core=True)
            bench.pipes.close(number)
        peers += [open_.enter_context(bench.connect(HELLO)) for _ in range(300)]
        assert len(bench.pipes._open) == 257
        bench.pipes.send(900, Settled(1), from_core=True)
        assert received(peers[-1]) == [Settled(1)]


def received(peer: socket.socket) -> list[object]:
    return [decode_to_worker(body) for body in Deframer().feed(peer.recv(65536))]
