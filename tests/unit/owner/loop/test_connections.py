"""The owner's end of a pipe: what is received, sent, and closed."""

from __future__ import annotations

import os
import resource
import select
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from confcast.config.codec.masked_header import with_masked
from confcast.owner.core.effects import PipeEnded, Received
from confcast.owner.loop import connections
from confcast.owner.store.allowed_uids import AllowedUids
from confcast.wire import processes
from confcast.wire.canary import Canary
from confcast.wire.framing import Deframer, frame
from confcast.wire.messages import (
    PROTOCOL,
    Applied,
    Commit,
    Goodbye,
    Hello,
    Install,
    OnTrial,
    Prepare,
    Refused,
    Reload,
    Settled,
    StatsRequest,
    Who,
    decode_to_worker,
    encode,
)
from tests.support.pipes import HELLO, Bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path, AllowedUids().uids())
    yield made
    made.close()


def test_what_was_sent_before_the_end_is_received_though_a_send_fails_first(bench: Bench) -> None:
    peer = bench.connect(HELLO)
    peer.sendall(frame(encode(Goodbye())))
    peer.close()
    bench.pipes.send(1, Settled(1), from_core=True)
    bench.turn()
    assert bench.messages() == [HELLO, Goodbye()]
    bench.turn()
    assert bench.messages()[2:] == [PipeEnded(1)]
    assert len(bench.pipes._open) == 0


def test_a_hello_that_waits_is_read_as_soon_as_it_is_accepted(bench: Bench) -> None:
    with bench.connect(HELLO, Applied(1)):
        assert bench.messages() == [HELLO, Applied(1)]


@pytest.mark.parametrize(
    "bytes_", [b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", frame(b"garbage"), frame(encode(Applied(1)))]
)
def test_a_malformed_beginning_ends_that_pipe_alone(bench: Bench, bytes_: bytes) -> None:
    with bench.connect(HELLO) as other, bench.connect() as stranger:
        stranger.sendall(bytes_)
        bench.turn()
        assert bench.messages() == [HELLO, PipeEnded(2)]
        assert stranger.recv(1) == b""
        assert bench.pipes.refused["malformed"] == 1
        bench.pipes.send(1, Settled(1), from_core=True)
        assert [decode_to_worker(body) for body in Deframer().feed(other.recv(65536))] == [Settled(1)]


def test_a_process_of_another_uid_is_sent_the_reason_and_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_ROOT", os.geteuid() + 1)
    bench = Bench(tmp_path, frozenset())
    with bench.connect(HELLO) as stranger:
        (body,) = Deframer().feed(stranger.recv(65536))
        refused = decode_to_worker(body)
        assert isinstance(refused, Refused)
        assert refused.final
        with pytest.raises(ConnectionResetError):  # its Hello was never read
            stranger.recv(1)
        assert bench.posted == []
    bench.close()


def test_root_may_ask_the_owner_of_another_user_and_not_attach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_ROOT", os.geteuid())
    bench = Bench(tmp_path, frozenset())
    asks = Hello(PROTOCOL, 0, "client", "app")
    with bench.connect(asks, StatsRequest(1)), bench.connect(HELLO, Applied(1)) as worker:
        (body,) = Deframer().feed(worker.recv(65536))
        refused = decode_to_worker(body)
        assert isinstance(refused, Refused)
        assert refused.final
        assert worker.recv(1) == b""
        assert bench.messages() == [asks, StatsRequest(1)]
        assert (len(bench.pipes._open), bench.pipes.refused) == (1, {"stranger": 1})
    bench.close()


def test_a_client_that_asks_and_never_reads_is_closed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("confcast.owner.loop.connections._LONGEST_QUEUE", 3)
    with bench.connect(HELLO):
        for _ in range(10):
            bench.pipes.send(1, Settled(1, tuple(range(60_000))), from_core=False)
        assert bench.posted[-1] == PipeEnded(1)
        assert bench.pipes.refused["never reads"] == 1


def test_a_slow_reader_gets_every_byte_in_order(bench: Bench) -> None:
    frames = [Settled(number, tuple(range(60_000))) for number in range(1, 5)]
    with bench.connect(HELLO) as peer:
        for settled in frames:
            bench.pipes.send(1, settled, from_core=False)
        deframer, bodies = Deframer(), []
        while len(bodies) < len(frames):
            bodies += deframer.feed(peer.recv(65536))
            for key, mask in bench.selector.select(0):
                key.data(mask)
        assert [decode_to_worker(body) for body in bodies] == frames


def test_who_can_t_be_accepted_waits_on(bench: Bench) -> None:
    before, spares = resource.getrlimit(resource.RLIMIT_NOFILE), list[int]()
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with peer:
        peer.connect(str(bench.address))
        peer.sendall(frame(encode(HELLO)))
        resource.setrlimit(resource.RLIMIT_NOFILE, (peer.fileno() + 1, before[1]))
        try:
            while (spare := _spare()) is not None:
                spares.append(spare)
            assert not bench.pipes.accept(bench.listener)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
            for spare in spares:
                os.close(spare)
        assert bench.posted == []
        assert bench.pipes.refused["accept"] == 1
        assert bench.pipes.accept(bench.listener)
        assert bench.messages() == [HELLO]


def test_after_a_failed_send_nothing_is_half_open(bench: Bench) -> None:
    """Whatever the reason was: a peer that lives sees the end, and connects again."""
    with bench.connect(HELLO) as peer:
        peer.shutdown(socket.SHUT_RD)
        bench.pipes.send(1, Settled(1), from_core=True)
        poller = select.poll()
        poller.register(peer, select.POLLIN | select.POLLRDHUP)
        assert poller.poll(10_000)[0][1] & select.POLLRDHUP


def _spare() -> int | None:
    try:
        return os.open("/dev/null", os.O_RDONLY)
    except OSError:
        return None


def test_a_worker_of_a_build_from_before_the_keys_of_secrets_is_sent_payloads_without_them(bench: Bench) -> None:
    """It would veto every version: it takes such a payload for another schema's."""
    plain = b"s" * 8 + b"content"
    masked = with_masked(plain, [("password",)])
    prepare, trial = Prepare(1, b"d", masked), OnTrial(3, b"d", masked, 0.5, "")
    messages = [prepare, Install(2, b"d", masked), Install(2, b"d", masked, trial=trial), Commit(1, 2)]
    knows = msgspec.structs.replace(HELLO, masked=True)
    with bench.connect(HELLO) as earlier, bench.connect(knows) as now:
        for message in messages:
            for number in (1, 2):
                assert bench.pipes.send(number, message, from_core=True)
        received = [[decode_to_worker(body) for body in Deframer().feed(peer.recv(65536))] for peer in (earlier, now)]
    alone = OnTrial(3, b"d", plain, 0.5, "")
    assert received[1] == messages
    assert received[0] == [
        Prepare(1, b"d", plain), Install(2, b"d", plain), Install(2, b"d", plain, trial=alone), Commit(1, 2),
    ]  # fmt: skip


# ---- who calls


def callers(bench: Bench) -> list[Who | None]:
    return [each.who for each in bench.posted if isinstance(each, Received) and isinstance(each.message, Reload)]


def test_a_caller_is_named_as_the_kernel_knows_it_and_its_command_is_read_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def command(pid: int) -> str:
        asked.append(pid)
        return "serve " + "x" * 5000

    monkeypatch.setattr(processes, "command", command)
    with bench.connect(HELLO, Reload(1), Reload(2, "command")):
        mine = Who(os.geteuid(), os.getpid(), "serve " + "x" * 193 + "…")
        assert callers(bench) == [mine, mine]
        assert asked == [os.getpid()]


def test_the_command_is_the_caller_s_own(bench: Bench) -> None:
    with bench.connect(HELLO, Reload(1)):
        (who,) = callers(bench)
        assert who is not None
        assert who.command
        arguments = processes.command(os.getpid()).split()
        assert who.command.split()[:2] == arguments[:2]


def test_for_whom_a_caller_calls_is_what_it_says_bounded_and_printable(bench: Bench) -> None:
    with bench.connect(HELLO, Reload(1, actor="admin token ops\x1b[2J" + "x" * 200), Reload(2)):
        said, silent = callers(bench)
        assert said is not None
        assert silent is not None
        assert said.actor.startswith("admin token ops\\x1b[2Jxx")
        assert len(said.actor) == 100
        assert (silent.actor, silent.pid) == ("", said.pid)


def test_who_sent_a_signal_is_not_the_master_that_passes_it_on(bench: Bench) -> None:
    with bench.connect(HELLO, Reload(1, "signal"), Applied(1)):
        assert callers(bench) == [None]


@pytest.mark.parametrize(
    "options",
    [
        {"reason": "nobody did it", "force": True},
        {"allow": ("empties:flags",)},
        {"expect": 3},
        {"confirm_within": 60.0},
        {"canary": Canary(1)},
        {"reason": "x"},
        {"actor": "admin token ops"},
        {"wait_observers": 1.0},
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_no_signal_can_say_has_a_caller_though_it_says_that_it_is_one(bench: Bench, options: Any) -> None:
    """Else any worker could have a guard passed, or a hold ended, by nobody."""
    with bench.connect(HELLO, Reload(1, "signal", **options)):
        (who,) = callers(bench)
        assert who is not None
        assert who.pid == os.getpid()
