"""What an owner does with whatever workers and clients send: real pipes, and the real core behind them.

An input is a list of steps: bytes that come on one of three connections, and what befalls the owner meanwhile (a load
that ends, a row that is written, a deadline). Declared: nothing. A peer's nonsense ends its own pipe. Numbers only
grow, and stay small enough for the journal; all that is sent can be read by whom it is for.
"""

from __future__ import annotations

import os
import selectors
import socket

from confcast.errors import ProtocolError
from confcast.owner.core import effects as fx
from confcast.owner.core.machine import ProposalState
from confcast.owner.loop.connections import Pipes
from confcast.owner.store import entries
from confcast.wire.canary import Canary
from confcast.wire.framing import Deframer, frame
from confcast.wire.messages import (
    PROTOCOL,
    Applied,
    Confirm,
    Hello,
    Reload,
    ReloadResult,
    Set,
    Tried,
    Unhealthy,
    Vote,
    decode_to_client,
    decode_to_worker,
    encode,
)
from tests.core.world import SCHEMA, WHY, Owner
from tests.fuzz.bounds import Cut, joined
from tests.unit.wire.test_framing import TO_OWNER

FORM = "msgpack"
PEERS = 3
MOST_STEPS = 60
MOST_NUMBER = 2**63 - 1  # SQLite's

SENDS, TEARS, ENDS, LOADS, FAILS, CHECKS, RECORDS, LOSES, WAKES, DIES, TRIGGERS, ACCEPTS = range(12)
KINDS = 12


def sends(peer: int, *messages: object) -> bytes:
    """The steps in which a peer sends these."""
    return b"".join(bytes([SENDS, peer]) + joined(encode(each)) for each in messages)


def hello(peer: int, version: int = 0, content: bytes = b"", role: str = "replica") -> bytes:
    return sends(peer, Hello(PROTOCOL, 7, role, "app", SCHEMA, version, content, True, 0, True))


def seeds():
    begin = b"\0" + hello(0, 1, b"A") + sends(0, Applied(1)) + hello(1, role="client")
    reload = sends(1, Reload(1, "call", confirm_within=5.0)) + bytes([LOADS, 1])
    yield begin + reload + sends(0, Vote(1, True)) + bytes([RECORDS]) + sends(0, Applied(2)) + sends(1, Confirm(2))
    yield begin + reload + sends(0, Vote(1, False)) + bytes([FAILS, WAKES, 0, TRIGGERS, LOADS, 2, CHECKS, 0])
    yield (
        b"\1" + begin[1:] + reload + sends(0, Vote(1, True)) + bytes([RECORDS]) + sends(0, Tried(2), Unhealthy(2, "x"))
    )
    for each in TO_OWNER:
        yield begin + sends(0, each) + sends(1, each, Set(3, {"a": 1}, ttl=5.0)) + reload


def one(data: bytes) -> None:
    cut = Cut(data)
    scene = Scene(Canary("50%", seconds=60.0, by="entity") if cut.byte() % 2 else None)
    try:
        for _ in range(MOST_STEPS):
            if not cut:
                break
            scene.step(cut)
    finally:
        scene.close()


class Scene:
    """An owner that serves A as version 1, its pipes, and the far ends of them."""

    def __init__(self, canary: Canary | None) -> None:
        self.owner = Owner(canary=canary, probation=1.0)
        self.owner.feed = self.feed  # so that what a test's owner does by itself comes here, too
        self.selector = selectors.SelectSelector()
        self.pipes = Pipes(self.selector, self.feed, frozenset({os.getuid()}), 1.0)
        self.peers: list[socket.socket | None] = [None] * PEERS
        self.read = [Deframer() for _ in range(PEERS)]
        self.is_client = [True] * PEERS
        self.timers: dict[fx.Timer, fx.WakeAt] = {}
        self.load: fx.Load | fx.Restore | None = None
        self.loaded = 0  # the number of the load, or of what is put back, that has ended last
        self.inputs: list[fx.Input] = []
        self.busy = False

    def close(self) -> None:
        self.pipes.close_all()
        self.selector.close()
        for peer in self.peers:
            if peer is not None:
                peer.close()

    # ---- steps

    def step(self, cut: Cut) -> None:
        kind, state = cut.byte() % KINDS, self.owner.core.state
        if kind in (SENDS, TEARS, ENDS):
            self._peer_acts(kind, cut)
        elif kind == LOADS and self.load is not None:
            content = b"ABCD"[cut.byte() % 4 :][:1]
            self.feed(fx.Loaded(self._ended(), content, content, content != self.owner.core.committed.payload))
        elif kind == FAILS and self.load is not None:
            self.feed(fx.LoadFailed(self._ended(), ReloadResult.VALIDATION_FAILED, (WHY,)))
        elif kind == CHECKS and state is ProposalState.STAGING:
            self.feed(fx.Checked(self.loaded, problems=(WHY,) * (cut.byte() % 2)))
        elif kind == RECORDS and state is ProposalState.RECORDING:
            self.feed(fx.Recorded())
        elif kind == LOSES and state is ProposalState.RECORDING:
            self.feed(fx.RecordFailed(list(fx.RowState)[cut.byte() % 2], WHY))
        elif kind == WAKES and self.timers:
            timer = sorted(self.timers, key=lambda each: each.value)[cut.byte() % len(self.timers)]
            wake = self.timers.pop(timer)
            self.owner.now = max(self.owner.now, wake.when)
            self.feed(fx.Wake(timer, wake.token))
        elif kind == DIES:
            self.feed(fx.ProcessGone(os.getpid(), "killed by SIGKILL" * (cut.byte() % 2)))
        elif kind == TRIGGERS:
            self.feed(fx.Trigger(("signal", "watch")[cut.byte() % 2]))
        self._check()

    def _ended(self) -> int:
        assert self.load is not None
        self.loaded, self.load = self.load.number, None
        return self.loaded

    def _peer_acts(self, kind: int, cut: Cut) -> None:
        number = cut.byte() % PEERS
        if kind == ENDS:
            self._hang_up(number)
            return
        body = cut.chunk()
        stream = frame(body) if kind == SENDS else body
        if self.peers[number] is None:
            ours, its = socket.socketpair()
            self.peers[number], self.read[number] = its, Deframer()
            its.setblocking(False)
            its.send(stream)
            self.is_client[number] = b"client" in body
            self.pipes._admit(ours)
        else:
            try:
                self.peers[number].send(stream)
            except OSError:
                self._hang_up(number)
        self._turn()

    def _hang_up(self, number: int) -> None:
        if (peer := self.peers[number]) is not None:
            peer.close()
            self.peers[number] = None
            self._turn()

    def _turn(self) -> None:
        """What the owner reads of it, and what each peer reads of the owner."""
        for _ in range(8):
            for key, mask in (ready := self.selector.select(0)):
                key.data(mask)
            if not ready:
                break
        for number, peer in enumerate(self.peers):
            if peer is not None:
                self._answers(number, peer)

    def _answers(self, number: int, peer: socket.socket) -> None:
        try:
            content = peer.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            content = b""
        if not content:
            peer.close()
            self.peers[number] = None
        for body in self.read[number].feed(content):
            try:
                decode_to_worker(body)
            except ProtocolError:
                decode_to_client(body)

    # ---- the loop's part

    def feed(self, given: fx.Input) -> None:
        """As the event loop does it: one input after the other."""
        self.inputs.append(given)
        if self.busy:
            return
        self.busy = True
        try:
            while self.inputs:
                given = self.inputs.pop(0)
                if self._is_the_cores(given):
                    self._perform(self.owner.core.handle(given, self.owner.now))
        finally:
            self.busy = False

    def _is_the_cores(self, given: fx.Input) -> bool:
        from confcast.owner.loop.event_loop import _ANSWERED_HERE

        return not (isinstance(given, fx.Received) and type(given.message) in _ANSWERED_HERE)

    def _perform(self, effects: list[fx.Effect]) -> None:
        drained = []
        for effect in effects:
            self.owner.all.append(effect)
            if isinstance(effect, fx.Send):
                drained += [effect.pipe] if self.pipes.send(effect.pipe, effect.message, from_core=True) else []
            elif isinstance(effect, fx.ClosePipe):
                self.pipes.close(effect.pipe)
            elif isinstance(effect, fx.WakeAt):
                assert effect.when == effect.when, "a deadline is no number"
                self.timers[effect.timer] = effect
            elif isinstance(effect, fx.Load | fx.Restore):
                self.load = effect
            elif isinstance(effect, fx.Answer | fx.RecordEvent):
                entries.decode_event(entries.encode(effect.event))
            elif isinstance(effect, fx.Record | fx.Retire):
                assert 0 < effect.version <= MOST_NUMBER, "the journal can't write this number"
            elif isinstance(effect, fx.Accept):
                self.inputs.append(fx.Accepted())
        if drained:
            self.inputs.append(fx.Drained(tuple(drained)))

    def _check(self) -> None:
        version = self.owner.core.committed.version
        assert version >= getattr(self, "_version", 0), "the number went down"
        self._version = version
