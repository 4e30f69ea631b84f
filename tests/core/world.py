"""Words in which the tests of the owner's core are written: an owner without a process, and its peers.

A content is one letter: its payload and its digest are that letter's bytes. Every frame that is sent counts as drained
at once, but for pipes that are `stuffed`. Time moves only when a deadline is let pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from confcast.errors import Problem
from confcast.owner.core import effects as fx
from confcast.owner.core.machine import Committed, Core, OperatorState, ProposalState, Rules
from confcast.wire.messages import (
    PROTOCOL,
    Applied,
    Change,
    Declined,
    Goodbye,
    Hello,
    Install,
    Observe,
    Observed,
    Reload,
    ReloadEvent,
    ReloadResult,
    Vote,
    Who,
)
from confcast.wire.options import Options
from confcast.worker.connection.machine import DoesNotFit

A, B, C, D = b"A", b"B", b"C", b"D"
SCHEMA = b"schema"
WHY = Problem("", "no")


def installed(version: int, digest: bytes, payload: bytes, **other) -> Install:
    """As an owner with the usual options sends it."""
    usual = {"answers_within": Options().answers_within, "precommit_timeout": Options().precommit_timeout}
    return Install(version, digest, payload, **usual | other)


@dataclass(frozen=True)
class Peer:
    pid: int
    pipe: int


def patch(base: bytes, content: bytes) -> bytes:
    """What makes the one content of the other; a worker that holds anything else can do nothing with it."""
    return base + b">" + content


def patched(held: bytes, change: bytes) -> bytes:
    """As a worker applies it."""
    base, content = change.split(b">")
    if base != held:
        raise DoesNotFit
    return content


def hello(pid: int, version: int = 0, content: bytes = b"", *, role="replica", schema=SCHEMA, **other) -> Hello:
    return Hello(
        **{"protocol": PROTOCOL, "pid": pid, "role": role, "name": "app", "schema": schema}
        | other
        | {"version": version, "digest": content}
    )


class Owner:
    """A core, what it has said so far, and the pipes to it. No version is on probation, unless `probation` is given."""

    def __init__(
        self,
        committed: tuple[int, bytes] | None = (1, A),
        *,
        high_water=0,
        roster=(),
        undo=False,
        values=b"",
        refused=b"",
        operator=OperatorState(),  # noqa: B008 - immutable
        gathering=False,
        former_workers=None,
        fallback=None,
        starts_anew=False,
        last_good=False,
        still_set=None,
        report=None,
        **rules,
    ):
        mine = Committed(committed[0], committed[1], committed[1], undo, values) if committed else None
        self.core = Core(
            Rules(schema=SCHEMA, fields={"a": "int"}, **{"probation": 0.0, **rules}),
            committed=mine,
            high_water=high_water,
            roster=roster,
            refused=refused,
            operator=operator,
            fallback=fallback,
            starts_anew=starts_anew,
            gathering=gathering,
            former_workers=former_workers,
            last_good=last_good,
            still_set=still_set,
            now=100.0,
            report=report,
        )
        self.now = 100.0
        self.stuffed: set[int] = set()
        self.accepts = True  # nobody waits to be taken in, before a barrier is closed
        self.log: list[fx.Effect] = self.core.begin()
        self.all: list[fx.Effect] = list(self.log)
        self._pipes = count(1)
        self._calls = count(1)

    @property
    def state(self) -> ProposalState:
        return self.core.state

    # ---- what happens to it

    def feed(self, given: fx.Input) -> None:
        effects = self.core.handle(given, self.now)
        self.log += effects
        self.all += effects
        for effect in effects:
            if isinstance(effect, fx.Send) and effect.pipe not in self.stuffed:
                self.feed(fx.Drained((effect.pipe,)))
        if fx.Accept() in effects and self.accepts:
            self.feed(fx.Accepted())

    def orders(self) -> list[fx.Record]:
        """The journal writes, by what is written: not by what has caused them."""
        content = ("version", "digest", "payload", "undo", "refused")
        return [fx.Record(*(getattr(each, name) for name in content)) for each in self.did(fx.Record)]

    def receives(self, peer: Peer, message) -> None:
        self.feed(fx.Received(peer.pipe, peer.pid, message))

    def meets(self, pid: int, version: int = 0, content: bytes = b"", **other) -> Peer:
        """A process opens a pipe and says Hello on it."""
        peer = Peer(pid, next(self._pipes))
        self.receives(peer, hello(pid, version, content, **other))
        return peer

    def has(self, pid: int) -> Peer:
        """A worker that holds and has applied what is committed."""
        version = self.core.committed.version
        peer = self.meets(pid, version, self.core.committed.digest)
        if version:
            self.receives(peer, Applied(version))
        return peer

    def is_asked(self, wait_observers: float | None = None) -> fx.Call:
        """A client calls reload()."""
        call = (next(self._pipes), next(self._calls))
        self.feed(fx.Received(call[0], 9000 + call[0], Reload(call[1], wait_observers=wait_observers)))
        return call

    def is_asked_for(self, kind: type, who: Who | None = None, **asked) -> fx.Call:
        """A client asks for an operation."""
        call = (next(self._pipes), next(self._calls))
        self.feed(fx.Received(call[0], 9000 + call[0], kind(call[1], **asked), who))
        return call

    def restores(self, content: bytes, version: int, *, layer: bytes = b"", values: bytes = b"") -> None:
        """The journal gives the content of this kept version."""
        order = self.did(fx.Restore)[-1]
        differs = content != self.core.committed.payload
        self.feed(fx.Loaded(order.number, content, content, differs, layer=layer, values=values, restores=version))

    def loads_of(self, content: bytes, sources: bytes, layer: bytes = b"") -> None:
        """The load gives this content, made of what the sources gave, and these overrides."""
        differs = content != self.core.committed.payload
        self.feed(fx.Loaded(self.last_load, content, content, differs, layer=layer, values=sources))

    def loads_with(self, content: bytes, layer: bytes, expires: float = 0.0) -> None:
        """The load gives this content, made with these overrides."""
        differs = content != self.core.committed.payload
        self.feed(fx.Loaded(self.last_load, content, content, differs, layer=layer, expires=expires))

    def is_triggered(self, origin: str = "signal") -> None:
        self.feed(fx.Trigger(origin))

    def loads(self, content: bytes, *, base: bytes = b"") -> None:
        """The load gives this content; `base`: and a patch that makes it of that one."""
        differs, change = content != self.core.committed.payload, patch(base, content) if base else b""
        self.feed(fx.Loaded(self.last_load, content, content, differs, base=base, patch=change))

    def proposes(self, content: bytes) -> None:
        """The load gives its candidate, which is still to be checked."""
        self.feed(fx.Loaded(self.last_load, content, content, differs=True, checked=False))

    def checks(self, *problems: Problem, changes: tuple[Change, ...] = ()) -> None:
        """The check of the last load ends."""
        self.feed(fx.Checked(self.last_load, changes, problems=problems))

    def fails_to_load(self, result: ReloadResult = ReloadResult.VALIDATION_FAILED) -> None:
        self.feed(fx.LoadFailed(self.last_load, result, (WHY,)))

    def records(self) -> None:
        self.feed(fx.Recorded())

    def fails_to_record(self, row: fx.RowState) -> None:
        self.feed(fx.RecordFailed(row, WHY))

    def loses_pipe(self, peer: Peer) -> None:
        self.feed(fx.PipeEnded(peer.pipe))

    def loses(self, peer: Peer) -> None:
        """The process is dead, by its pidfd."""
        self.feed(fx.ProcessGone(peer.pid))

    def waits_out(self, timer: fx.Timer) -> None:
        """The last deadline of this kind comes."""
        last = [effect for effect in self.all if isinstance(effect, fx.WakeAt) and effect.timer is timer][-1]
        self.now = max(self.now, last.when)
        self.feed(fx.Wake(timer, last.token))

    def unblocks(self, peer: Peer) -> None:
        self.stuffed.discard(peer.pipe)
        self.feed(fx.Drained((peer.pipe,)))

    def observes(self, peer: Peer) -> int:
        """The number of the Observe that this peer was sent last."""
        sent = [effect.message for effect in self.all if isinstance(effect, fx.Send) and effect.pipe == peer.pipe]
        return [frame.number for frame in sent if isinstance(frame, Observe)][-1]

    # ---- what it did about it

    @property
    def last_load(self) -> int:
        return [effect.number for effect in self.all if isinstance(effect, fx.Load)][-1]

    @property
    def version(self) -> int:
        return self.core.committed.version

    def did(self, kind: type) -> list:
        """The effects of this kind since the last `forget()`."""
        return [effect for effect in self.log if isinstance(effect, kind)]

    def sent(self, peer: Peer) -> list:
        """The frames for this peer since the last `forget()`."""
        return [effect.message for effect in self.did(fx.Send) if effect.pipe == peer.pipe]

    def forget(self) -> Owner:
        self.log = []
        return self

    def answers(self, call: fx.Call) -> list[ReloadEvent]:
        return [effect.event for effect in self.all if isinstance(effect, fx.Answer) and effect.call == call]

    def answer(self, call: fx.Call) -> ReloadEvent:
        (event,) = self.answers(call)
        return event

    def events(self) -> list[ReloadEvent]:
        return [effect.event for effect in self.did(fx.RecordEvent)]

    def names(self) -> list[int]:
        """Whom the last event names."""
        return [status.pid for status in self.events()[-1].lagging]


def all_vote(owner: Owner, *peers: Peer, ok: bool = True) -> None:
    """Each of them answers the round that is under way."""
    for peer in peers:
        owner.receives(peer, Vote(owner.core.round, ok, () if ok else (WHY,)))


def all_apply(owner: Owner, *peers: Peer) -> None:
    """Each of them reports the committed version."""
    for peer in peers:
        owner.receives(peer, Applied(owner.version))


def all_decline(owner: Owner, *peers: Peer) -> None:
    """Each of them refuses the committed version."""
    version = owner.version
    for peer in peers:
        owner.receives(peer, Declined(version, (WHY,)))


def commits(owner: Owner, *peers: Peer) -> None:
    """A candidate for which all vote, to its end."""
    all_vote(owner, *peers)
    owner.records()
    all_apply(owner, *peers)


@dataclass
class Scene:
    """An owner that serves A as version 1 to two workers, brought to a state; `call` is served by the load."""

    owner: Owner
    w1: Peer
    w2: Peer
    call: fx.Call | None = None

    def both_send(self, message) -> None:
        """First w1, then w2."""
        for peer in (self.w1, self.w2):
            self.owner.receives(peer, message)


def scene(state: ProposalState, *, unchanged: bool = False, workers: int = 2, waiting: bool = False, **rules) -> Scene:
    """`waiting`: a caller of an earlier reload still waits for the first worker's observers."""
    owner = Owner(**rules)
    it = Scene(owner, owner.has(1), owner.has(2))
    if waiting:
        owner.is_asked(wait_observers=60.0)
        owner.loads(A)
        owner.receives(it.w2, Observed(owner.observes(it.w2)))
    if workers == 0:
        it.both_send(Goodbye())
    if state is not ProposalState.IDLE:
        it.call = owner.is_asked()
    if state.value >= ProposalState.STAGING.value:
        if unchanged:
            stuff(owner, it)
        owner.loads(A if unchanged else B)
    if state.value >= ProposalState.RECORDING.value and not unchanged:
        it.both_send(Vote(owner.core.round, True))
    if state is ProposalState.COMMITTING and not unchanged:
        owner.records()
    assert owner.state is state
    owner.forget()
    return it


def stuff(owner: Owner, it: Scene) -> None:
    """Somebody must be waited for, or UNCHANGED is answered at once: w2 has a new pipe and has not applied on it."""
    it.w2 = owner.meets(2, 1, A)
