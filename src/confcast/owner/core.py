"""The owner's state machine: what is committed, what is proposed, who must still answer.

Pure: `handle(input, now)` returns effects, and nothing in here knows a clock, a file or a socket. It is a table,
states by inputs, giving a handler, with one lookup and one error. The rules it keeps:

- A proposal has a round, a commit has a version. The version is given out when the journal write is ordered;
  the journal write is the commit point. While it runs nothing is sent to anyone new and no vote counts.
- What a pipe gets next is a function of what it was sent and what is true (`_outbox`), never a queue: nothing can
  overtake or be overwritten.
- Every wait has one deadline, fixed when the wait begins. Who is silent past it is named, and not waited for again
  until it has answered what is committed.
- One proposal at a time; whoever asks meanwhile is served by the next load, which begins after the asking.

Rejected, each for the trace that broke it in a searched model: versions given out at Prepare (a late yes counts for
another candidate), an outbox where the latest frame wins (a commit is lost), the end of a pipe taken for a death
(SUCCESS while a worker serves the old version), a barrier without a deadline (one stopped worker, a caller for ever).
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from confcast.errors import ImpossibleMessage, Problem
from confcast.owner.effects import (
    Answer,
    Burn,
    Call,
    ClosePipe,
    Drained,
    Effect,
    Enroll,
    Exit,
    Input,
    Load,
    Loaded,
    LoadFailed,
    MasterGone,
    PipeEnded,
    ProcessGone,
    Received,
    Record,
    Recorded,
    RecordEvent,
    RecordFailed,
    RowState,
    Send,
    Strike,
    Timer,
    Trigger,
    Wake,
    WakeAt,
    WriteSnapshot,
)
from confcast.owner.proposal import Proposal
from confcast.owner.roster import Member, Roster
from confcast.wire.messages import (
    PROTOCOL,
    Abort,
    Applied,
    Commit,
    Declined,
    Goodbye,
    Hello,
    Install,
    Prepare,
    Refused,
    Reload,
    ReloadEvent,
    ReloadResult,
    Settled,
    ToWorker,
    Vote,
    WorkerStatus,
)


class State(enum.Enum):
    """Where the one proposal is."""

    IDLE = 0
    LOADING = 1
    STAGING = 2
    RECORDING = 3
    COMMITTING = 4


@dataclass(frozen=True, slots=True)
class Rules:
    """What does not change in an owner's life: the configuration it serves, and durations in seconds."""

    name: str = "app"
    schema: bytes = b""
    fields: dict[str, str] = field(default_factory=dict)
    vote_timeout: float = 2.0
    load_timeout: float = 10.0
    gather_timeout: float = 2.5
    silent: Literal["proceed", "refuse"] = "proceed"


@dataclass(frozen=True, slots=True)
class Committed:
    """A version and its content; version 0 is none."""

    version: int
    digest: bytes
    payload: bytes


class Core:
    """One owner's truth. Not thread-safe: one loop feeds it.

    Args:
        rules: What does not change.
        committed: What the journal holds; None in an owner that never committed.
        floor: The highest number ever given out.
        roster: The living processes that a former owner knew.
        gathering: This owner was restarted and found no journal: it commits nothing until everyone who lives has
            had the time to knock.
        now: The clock, as in `handle`.
    """

    def __init__(
        self,
        rules: Rules,
        *,
        committed: Committed | None = None,
        floor: int = 0,
        roster: tuple[int, ...] = (),
        gathering: bool = False,
        now: float = 0.0,
    ) -> None:
        self.rules = rules
        self.state = State.IDLE
        self.committed = committed or Committed(0, b"", b"")
        self.committed_round = 0
        self.settled = 0
        self.floor = max(floor, self.committed.version)
        self.floor_digests = {self.committed.digest} if self.floor == self.committed.version else set[bytes]()
        self.gathering = gathering
        self.gathered_at = now + rules.gather_timeout if gathering else now
        self.round = 0
        self.load_number = 0
        self.roster = Roster(roster)
        self.dropped: Counter[str] = Counter()
        self._silence = f"did not answer within {rules.vote_timeout:g} s"
        self._waiting: list[tuple[Call, str]] = []
        self._pending: list[str] = []
        self._serving: list[Call] = []
        self._proposal = Proposal("start", now, 0)
        self._abandoned_load = 0
        self._reissue_failed = False
        self._leaving = False
        self._token = 0
        self._now = now
        self._effects: list[Effect] = []
        self._touched: set[Member] | None = set()
        self._prepare = Prepare(0, b"", b"")
        self._commit = Commit(0, 0)
        self._install = Install(self.committed.version, self.committed.digest, self.committed.payload)
        self._settlement = Settled(0)

    def begin(self) -> list[Effect]:
        """What must be done before the first input."""
        return [WakeAt(Timer.GATHER, 0, self.gathered_at)] if self.gathering else []

    def handle(self, given: Input, now: float) -> list[Effect]:
        """One input in, the effects out, in the order in which they must be carried out.

        Raises:
            ImpossibleMessage: The table has no entry for this input in this state.
        """
        self._now = now
        kind = type(given.message) if isinstance(given, Received) else type(given)
        row = _TABLE.get(kind)
        handler = row[self.state.value] if row else None
        if handler is None:
            raise ImpossibleMessage(self.state.name, given)
        handler(self, given)
        self._pump()
        effects, self._effects = self._effects, []
        return effects

    def statuses(self) -> list[WorkerStatus]:
        """Everyone on the roster, by pid."""
        return self.roster.statuses(self.committed.version)

    # ---- asking for a load

    def _ask(self, given: Received) -> None:
        assert isinstance(given.message, Reload)
        self._waiting.append(((given.pipe, given.message.id), given.message.origin))

    def _ask_idle(self, given: Received) -> None:
        self._ask(given)
        self._next()

    def _trigger(self, given: Trigger) -> None:
        if given.origin not in self._pending:
            self._pending.append(given.origin)

    def _trigger_idle(self, given: Trigger) -> None:
        self._trigger(given)
        self._next()

    # ---- what a load gave

    def _loaded(self, given: Loaded) -> None:
        if not self._is_present_load(given.number):
            return
        proposal = self._proposal
        proposal.loaded = self._now
        self.roster.name_the_late(self._silence)
        if not given.differs:
            self._pass_unchanged()
        elif self.rules.silent == "refuse" and self.roster.named:
            self._refuse_silence()
        else:
            proposal.digest, proposal.payload, proposal.changes = given.digest, given.payload, given.changes
            self._stage()

    def _load_failed(self, given: LoadFailed) -> None:
        if self._is_present_load(given.number):
            self._fail(given.result, given.problems)

    def _late_load(self, given: Loaded | LoadFailed) -> None:
        if self._is_present_load(given.number):
            raise ImpossibleMessage(self.state.name, given)

    def _is_present_load(self, number: int) -> bool:
        if number == self._abandoned_load:
            self._abandoned_load = 0
        if number != self.load_number:
            self.dropped["late load"] += 1
        return number == self.load_number

    def _load_deadline(self) -> None:
        """Gives the load up. The second in a row ends the owner: its one loading thread is lost to the first."""
        hangs = (
            f"load took longer than {self.rules.load_timeout:g} s: a source or a validator hangs; nothing was changed"
        )
        hung_before = self._abandoned_load != 0
        self._abandoned_load = self._abandoned_load or self.load_number
        self.load_number += 1
        event = self._proposal.failed(ReloadResult.IO_ERROR, (Problem("", hangs),), self.committed.version, self._now)
        if hung_before:
            self._tell(event)
            self._effects.append(Exit("a load that was given up still runs, and holds up every further one"))
        else:
            self._close(event)

    # ---- staging: everyone builds the candidate, and votes

    def _stage(self) -> None:
        self.round += 1
        for member in self.roster:
            member.vote = False
        self._prepare = Prepare(self.round, self._proposal.digest, self._proposal.payload)
        self._enter(State.STAGING)
        self._wake_at(Timer.STAGE, max(self._now + self.rules.vote_timeout, self._end_of_gathering()))
        self._test_all_in()

    def _vote(self, given: Received) -> None:
        vote, member = given.message, self._sender(given)
        assert isinstance(vote, Vote)
        if member is None or vote.round != self.round or member.pid in self.roster.named:
            self.dropped["late vote"] += 1
        elif vote.ok:
            member.vote = True
            self._test_all_in()
        else:
            self._fail(ReloadResult.REJECTED, _said_by(member, vote.problems))

    def _late_vote(self, given: Received) -> None:
        if self._sender(given) is not None:
            self.dropped["late vote"] += 1

    def _test_all_in(self) -> None:
        if not self.gathering and all(member.vote and member.pipe is not None for member in self.roster.waited_for()):
            self._order_write(max(self.committed.version, self.floor) + 1)

    def _stage_deadline(self) -> None:
        self.roster.mark_late((member for member in self.roster.waited_for() if not member.vote), self._silence)
        if self.rules.silent == "refuse" and self.roster.named:
            self._refuse_silence()
        else:
            self._order_write(max(self.committed.version, self.floor) + 1)

    def _refuse_silence(self) -> None:
        named = sorted(self.roster.named.items())
        self._fail(ReloadResult.REJECTED, tuple(Problem("", why, f"worker {pid}") for pid, why in named))

    # ---- the journal write: the commit point

    def _order_write(self, version: int) -> None:
        proposal = self._proposal
        proposal.version, proposal.ordered = version, self._now
        self._enter(State.RECORDING)
        self._effects.append(Record(version, proposal.digest, proposal.payload))

    def _recorded(self, given: Recorded | RecordFailed) -> None:
        proposal = self._proposal
        version, digest, payload = proposal.version, proposal.digest, proposal.payload
        self.committed = Committed(version, digest, payload)
        self.committed_round = 0 if proposal.reissue else self.round
        self._raise_floor(version, digest)
        for member in self.roster:
            member.declined = None
        self._install, self._commit = Install(version, digest, payload), Commit(self.round, version)
        self._effects.append(WriteSnapshot(version, digest, payload))
        self._begin_barrier()
        self._leave_if_asked()

    def _record_failed(self, given: RecordFailed) -> None:
        if given.row is RowState.PRESENT:
            self._recorded(given)
        elif given.row is RowState.UNREADABLE:
            self._effects.append(Exit(f"the journal can be neither written nor read: {given.problem}"))
        else:
            self._raise_floor(self._proposal.version, b"")
            self._effects.append(Burn(self._proposal.version))
            self._reissue_failed = self._proposal.reissue
            self._fail(ReloadResult.IO_ERROR, (given.problem,))
            self._leave_if_asked()

    # ---- the barrier: everyone who is not named has answered

    def _pass_unchanged(self) -> None:
        """UNCHANGED passes the barrier too, and gives those who declined what runs another chance."""
        self._proposal.unchanged = True
        for member in self.roster:
            if member.declined is not None:
                member.sent, member.declined = 0, None
        self._begin_barrier()

    def _begin_barrier(self) -> None:
        self._proposal.recorded = self._now
        self._enter(State.COMMITTING)
        self._wake_at(Timer.BARRIER, max(self._now + self.rules.vote_timeout, self._end_of_gathering()))
        self._test_barrier()

    def _test_barrier(self) -> None:
        version = self.committed.version
        if not self.gathering and all(member.answered(version) for member in self.roster.waited_for()):
            self.settled = version
            self._settlement = Settled(version, tuple(self.roster.named))
            self._close(self._proposal.applied(self.roster, version, self._now))

    def _barrier_deadline(self) -> None:
        version = self.committed.version
        silent = (member for member in self.roster.waited_for() if not member.answered(version))
        self.roster.mark_late(silent, self._silence)
        self._test_barrier()

    # ---- what a process says

    def _hello(self, given: Received) -> None:
        hello = given.message
        assert isinstance(hello, Hello)
        refused = _refusal(self.rules, hello)
        if refused is not None:
            self.dropped["refused hello"] += 1
            self._effects += [Send(given.pipe, refused), ClosePipe(given.pipe)]
        elif hello.role == "replica":
            self._welcome(given, hello)

    def _hello_idle(self, given: Received) -> None:
        self._hello(given)
        self._next()

    def _hello_recording(self, given: Received) -> None:
        self._hello(given)
        if self.roster.on(given.pipe) is not None:
            self.roster.named.setdefault(given.pid, "attached while the journal was written: it had no vote")

    def _welcome(self, given: Received, hello: Hello) -> None:
        known = self.roster.of(given.pid)
        if known is not None and known.pipe is not None:
            self._effects.append(ClosePipe(known.pipe))
        self._effects.append(Enroll(given.pid))
        self._touch(self.roster.greet(given.pid, given.pipe, hello.version, hello.digest))
        if hello.version:
            self._raise_floor(hello.version, hello.digest)
        self._reissue_failed = False

    def _applied(self, given: Received) -> None:
        applied, member = given.message, self._sender(given)
        assert isinstance(applied, Applied)
        if member is None:
            return
        member.acked = max(member.acked, applied.version)
        if applied.version == self.committed.version:
            member.declined = None
            self.roster.answered_at_last(member)

    def _applied_committing(self, given: Received) -> None:
        self._applied(given)
        self._test_barrier()

    def _declined(self, given: Received) -> None:
        declined, member = given.message, self._sender(given)
        assert isinstance(declined, Declined)
        if member is None or declined.version != self.committed.version:
            self.dropped["declined another version"] += 1
            return
        member.declined = _said_by(member, declined.problems)
        self.roster.answered_at_last(member)
        if self.state is not State.COMMITTING:
            self._effects.append(RecordEvent(self._late_refusal(member)))

    def _declined_committing(self, given: Received) -> None:
        self._declined(given)
        self._test_barrier()

    def _late_refusal(self, member: Member) -> ReloadEvent:
        """What no outcome can tell any more: somebody declined what was committed before it woke or attached."""
        version, problems = self.committed.version, list(member.declined or ())
        return ReloadEvent(
            timestamp=self._now,
            result=ReloadResult.PARTIAL,
            origin="late",
            version=version,
            previous_version=version,
            problems=problems,
            error_message="\n".join(map(str, problems)) or None,
            lagging=[self.roster.status(member, version)],
        )

    def _sender(self, given: Received) -> Member | None:
        member = self.roster.on(given.pipe)
        if member is None:
            self.dropped["message without Hello"] += 1
            self._effects.append(ClosePipe(given.pipe))
        else:
            self._touch(member)
        return member

    # ---- pipes and processes that end

    def _drained(self, given: Drained) -> None:
        member = self.roster.on(given.pipe)
        if member is not None:
            member.busy = False
            self._touch(member)

    def _pipe_ended(self, given: PipeEnded) -> None:
        member = self.roster.on(given.pipe)
        if member is not None:
            self.roster.lose_pipe(member)

    def _pipe_ended_recording(self, given: PipeEnded) -> None:
        member = self.roster.on(given.pipe)
        if member is not None:
            self.roster.lose_pipe(member)
            self.roster.named.setdefault(member.pid, "lost its pipe while the journal was written")

    def _gone(self, given: ProcessGone) -> None:
        member = self.roster.of(given.pid)
        if member is not None:
            self.roster.remove(member)
            self._effects.append(Strike(member.pid))

    def _gone_staging(self, given: ProcessGone) -> None:
        self._gone(given)
        self._test_all_in()

    def _gone_committing(self, given: ProcessGone) -> None:
        self._gone(given)
        self._test_barrier()

    def _goodbye(self, given: Received) -> None:
        """A Goodbye on an older pipe of a process ends that pipe, and not the membership."""
        self._effects.append(ClosePipe(given.pipe))
        if self.roster.on(given.pipe) is not None:
            handler = _TABLE[ProcessGone][self.state.value]
            assert handler is not None
            handler(self, ProcessGone(given.pid))

    def _leave(self, given: MasterGone) -> None:
        calls = [*self._serving, *(call for call, _ in self._waiting)]
        self._serving, self._waiting = [], []
        problem = (Problem("", "the owner is leaving: its master is gone, or closed it"),)
        event = self._proposal.failed(ReloadResult.OWNER_UNAVAILABLE, problem, self.committed.version, self._now)
        self._pump()
        self._effects += [Answer(call, event) for call in calls]
        self._effects.append(Exit(""))

    def _leave_after_write(self, given: MasterGone) -> None:
        self._leaving = True

    def _leave_if_asked(self) -> None:
        if self._leaving:
            self._leave(MasterGone())

    # ---- deadlines

    def _wake(self, given: Wake) -> None:
        if given.timer is Timer.GATHER:
            self._gathering_over(given)
        elif given.token == self._token:
            _DEADLINES[given.timer](self)

    def _gathering_over(self, given: Wake) -> None:
        if given.timer is not Timer.GATHER:
            return
        self.gathering = False
        if self.state is State.STAGING:
            self._test_all_in()
        elif self.state is State.COMMITTING:
            self._test_barrier()

    def _wake_at(self, timer: Timer, when: float) -> None:
        self._token += 1
        self._effects.append(WakeAt(timer, self._token, when))

    def _end_of_gathering(self) -> float:
        return self.gathered_at if self.gathering else self._now

    # ---- from one proposal to the next

    def _fail(self, result: ReloadResult, problems: tuple[Problem, ...]) -> None:
        self._close(self._proposal.failed(result, problems, self.committed.version, self._now))

    def _close(self, event: ReloadEvent) -> None:
        self._tell(event)
        self._next()

    def _tell(self, event: ReloadEvent) -> None:
        self._effects += [Answer(call, event) for call in self._serving]
        self._effects.append(RecordEvent(event))
        self._serving = []

    def _next(self) -> None:
        self._enter(State.IDLE)
        if self._leaving:
            return
        if self._must_reissue():
            self._reissue()
        elif self._waiting or self._pending:
            self._load()

    def _must_reissue(self) -> bool:
        """Whether somebody holds a newer number, or other content under ours. A failed one waits for a Hello."""
        version, digest = self.committed.version, self.committed.digest
        if not version or self._reissue_failed:
            return False
        return any(held > version or (held == version and of != digest) for held, of in self._holdings())

    def _holdings(self) -> list[tuple[int, bytes]]:
        return [member.held for member in self.roster]

    def _reissue(self) -> None:
        """Our content goes out again under the number that was seen, or above it where that has other content."""
        mine = self.committed
        self.roster.name_the_late(self._silence)
        self._proposal = Proposal("reissue", self._now, mine.version, mine.digest, mine.payload, loaded=self._now)
        self._order_write(self.floor if self.floor_digests == {mine.digest} else self.floor + 1)

    def _load(self) -> None:
        origins = [*(origin for _, origin in self._waiting), *self._pending]
        self._serving = [call for call, _ in self._waiting]
        self._waiting, self._pending = [], []
        self.load_number += 1
        self._proposal = Proposal(origins[0], self._now, self.committed.version)
        self._enter(State.LOADING)
        self._effects.append(Load(self.load_number, insist=not _UNASKED.issuperset(origins)))
        self._wake_at(Timer.LOAD, self._now + self.rules.load_timeout)

    def _enter(self, state: State) -> None:
        self.state = state
        self._token += 1
        self._touched = None

    def _raise_floor(self, version: int, digest: bytes) -> None:
        if version > self.floor:
            self.floor, self.floor_digests = version, set()
        if version == self.floor:
            self.floor_digests.add(digest)

    # ---- the outbox

    def _touch(self, member: Member) -> None:
        if self._touched is not None:
            self._touched.add(member)

    def _pump(self) -> None:
        """Give every pipe that may want one its next frame: all of them when the state moved, else the sender."""
        members = list(self.roster) if self._touched is None else self._touched
        self._touched = set()
        for member in members:
            if member.pipe is not None and not member.busy:
                frame = self._outbox(member)
                if frame is not None:
                    member.busy = True
                    self._effects.append(Send(member.pipe, frame))

    def _outbox(self, member: Member) -> ToWorker | None:
        """The next frame for this pipe, computed from what it was sent and what is true now."""
        state, version = self.state, self.committed.version
        if state is State.RECORDING and not member.sent and not member.prepared:
            return None
        if member.sent < version:
            voted = member.prepared != 0 and member.prepared == self.committed_round
            member.sent, member.prepared = version, 0
            return self._commit if voted else self._install
        if state is State.STAGING and member.prepared != self.round and member.pid not in self.roster.named:
            member.prepared = self.round
            return self._prepare
        if member.prepared and not (state in _OPEN and member.prepared == self.round):
            aborted, member.prepared = member.prepared, 0
            return Abort(aborted)
        if member.told < self.settled == member.acked:
            member.told = self.settled
            return self._settlement
        return None


_OPEN = (State.STAGING, State.RECORDING)
_UNASKED = frozenset({"start", "restart", "watch"})
_FINAL = True

_DEADLINES: dict[Timer, Callable[[Core], None]] = {
    Timer.LOAD: Core._load_deadline,
    Timer.STAGE: Core._stage_deadline,
    Timer.BARRIER: Core._barrier_deadline,
}

Handler = Callable[[Core, Any], None]
# States:        IDLE                 LOADING             STAGING              RECORDING                    COMMITTING
_TABLE: dict[type, tuple[Handler | None, ...]] = {
    Reload: (Core._ask_idle, Core._ask, Core._ask, Core._ask, Core._ask),
    Trigger: (Core._trigger_idle, Core._trigger, Core._trigger, Core._trigger, Core._trigger),
    Loaded: (Core._late_load, Core._loaded, Core._late_load, Core._late_load, Core._late_load),
    LoadFailed: (Core._late_load, Core._load_failed, Core._late_load, Core._late_load, Core._late_load),
    Wake: (Core._gathering_over, Core._wake, Core._wake, Core._gathering_over, Core._wake),
    Vote: (Core._late_vote, Core._late_vote, Core._vote, Core._late_vote, Core._late_vote),
    Recorded: (None, None, None, Core._recorded, None),
    RecordFailed: (None, None, None, Core._record_failed, None),
    Hello: (Core._hello_idle, Core._hello, Core._hello, Core._hello_recording, Core._hello),
    Applied: (Core._applied, Core._applied, Core._applied, Core._applied, Core._applied_committing),
    Declined: (Core._declined, Core._declined, Core._declined, Core._declined, Core._declined_committing),
    Drained: (Core._drained, Core._drained, Core._drained, Core._drained, Core._drained),
    PipeEnded: (
        Core._pipe_ended,
        Core._pipe_ended,
        Core._pipe_ended,
        Core._pipe_ended_recording,
        Core._pipe_ended,
    ),
    ProcessGone: (Core._gone, Core._gone, Core._gone_staging, Core._gone, Core._gone_committing),
    Goodbye: (Core._goodbye, Core._goodbye, Core._goodbye, Core._goodbye, Core._goodbye),
    MasterGone: (Core._leave, Core._leave, Core._leave, Core._leave_after_write, Core._leave),
}


def _refusal(rules: Rules, hello: Hello) -> Refused | None:
    if hello.protocol != PROTOCOL:
        text = f"this owner speaks protocol {PROTOCOL}, not {hello.protocol}: both ends need the same confcast"
        return Refused(text, _FINAL)
    if hello.role == "client":
        return None
    if hello.name != rules.name:
        return Refused(f"this owner serves the configuration {rules.name!r}, not {hello.name!r}", _FINAL)
    if hello.schema != rules.schema:
        return Refused("the owner's configuration was made with another schema", _FINAL, rules.fields)
    return None


def _said_by(member: Member, problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """The problems of a vote, each with its worker; a refusal without words is still a refusal."""
    given = problems or (Problem("", "refused without a reason"),)
    return tuple(Problem(p.key, p.message, p.location or f"worker {member.pid}") for p in given)
