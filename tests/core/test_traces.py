"""What goes wrong without a rule: the shortest trace for each rule of the protocol, with real machines at both ends."""

from __future__ import annotations

import pytest

from confcast.owner.core import effects as fx
from confcast.owner.core.machine import ProposalState
from confcast.wire.messages import Abort, Applied, Commit, Goodbye, Prepare, ReloadResult, Settled, Vote
from confcast.worker.connection.machine import Held, Machine, Reply, Settle
from tests.core.world import WHY, A, B, C, Owner, installed


class Worker:
    """The worker's machine at the end of a pipe that holds frames back until they are read, and answers until said."""

    def __init__(self, owner: Owner, pid: int, *, refuses: bytes = b"", held: Held | None = None) -> None:
        self.owner, self.pid, self.refuses = owner, pid, refuses
        self.machine = Machine(bytes, lambda number, old, new: (WHY,) if new == self.refuses else (), lambda: True)
        if held:
            self.machine.adopt(held)
        self.connects()

    def connects(self) -> None:
        held = self.machine.held
        self.peer = self.owner.meets(self.pid, held.version if held else 0, held.digest if held else b"")
        self.machine.connected()
        self._read = 0
        self.unsaid: list = []
        self.saw: list = []

    def loses_pipe(self) -> None:
        self.machine.ended()
        self.owner.loses_pipe(self.peer)

    def reads(self) -> Worker:
        """Everything that was sent to it; the answers stay unsaid."""
        frames = self.owner.sent(self.peer)[self._read :]
        self._read += len(frames)
        for frame in frames:
            self.saw += self.machine.handle(frame)
        self.unsaid = [*self.unsaid, *(effect.message for effect in self.saw if isinstance(effect, Reply))]
        self.saw = [effect for effect in self.saw if not isinstance(effect, Reply)]
        return self

    def says(self) -> Worker:
        unsaid, self.unsaid = self.unsaid, []
        for message in unsaid:
            self.owner.receives(self.peer, message)
        return self

    def works(self) -> None:
        while len(self.owner.sent(self.peer)) > self._read or self.unsaid:
            self.reads().says()

    @property
    def serves(self) -> tuple[int, bytes] | None:
        held = self.machine.held
        return (held.version, held.config) if held else None


def all_work(*workers: Worker) -> None:
    for _ in range(4):
        for worker in workers:
            worker.works()


def two_workers(**rules) -> tuple[Owner, Worker, Worker]:
    owner = Owner(**rules)
    w0, w1 = Worker(owner, 10), Worker(owner, 11)
    all_work(w0, w1)
    return owner, w0, w1


def propose(owner: Owner, content: bytes) -> fx.Call:
    call = owner.is_asked()
    owner.loads(content)
    return call


class TestRounds:
    def test_a_late_yes_does_not_count_for_the_next_proposal(self):
        owner, w0, w1 = two_workers()
        propose(owner, C)
        w0.reads()  # its yes to C is on its way
        w1.refuses = C
        w1.works()
        propose(owner, B)
        w1.works()
        w0.says()
        assert owner.state is ProposalState.STAGING
        all_work(w0, w1)
        owner.records()
        all_work(w0, w1)
        assert w0.serves == w1.serves == (2, B)

    def test_a_commit_does_not_swap_in_what_was_prepared_before(self):
        owner, w0, w1 = two_workers()
        w1.refuses = C
        propose(owner, C)
        w0.works()
        owner.stuffed.add(w0.peer.pipe)
        w1.works()  # C is refused; the Abort to w0 is stuck
        propose(owner, B)
        w1.works()
        owner.waits_out(fx.Timer.STAGE)
        owner.records()
        owner.unblocks(w0.peer)
        all_work(w0, w1)
        assert w0.serves == w1.serves == (2, B)


def test_the_outbox_is_a_function():
    owner, w0, w1 = two_workers()
    propose(owner, B)
    w0.works()
    owner.core.roster.on(w0.peer.pipe).busy = True  # the pipe to w0 is full
    w1.works()
    owner.records()
    w1.works()
    owner.waits_out(fx.Timer.BARRIER)
    w1.refuses = C
    propose(owner, C)
    w1.works()
    owner.unblocks(w0.peer)
    w0.works()
    assert w0.serves == (2, B)


def test_every_commit_and_every_install_gets_one_answer():
    owner, w0, w1 = two_workers()
    w1.refuses = B
    call = propose(owner, B)
    w0.works()
    owner.waits_out(fx.Timer.STAGE)
    w1.works()  # its no comes while the journal writes
    owner.records()
    all_work(w0, w1)
    event = owner.answer(call)
    assert (event.result, [s.pid for s in event.lagging]) == (ReloadResult.PARTIAL, [11])
    assert (w0.serves, w1.serves) == ((2, B), (1, A))
    w1.refuses = b""
    call = propose(owner, B)
    all_work(w0, w1)
    assert owner.answer(call).lagging == []
    assert w1.serves == (2, B), "UNCHANGED installs once more"


def test_precommit_at_install():
    owner, w0, w1 = two_workers()
    w1.refuses = B
    w1.loses_pipe()
    propose(owner, B)
    w0.works()
    owner.waits_out(fx.Timer.STAGE)
    owner.records()
    w1.connects()
    all_work(w0, w1)
    assert w1.serves == (1, A)
    assert {s.pid: s.state for s in owner.core.statuses()}[11] == "declined"


def test_nothing_for_newcomers_while_the_journal_writes():
    owner, w0, w1 = two_workers()
    call = propose(owner, B)
    all_work(w0, w1)
    w2 = Worker(owner, 12)
    assert owner.sent(w2.peer) == []
    owner.records()
    all_work(w0, w1, w2)
    assert [s.pid for s in owner.answer(call).lagging] == [12]
    assert w2.serves == (2, B)


def test_who_attaches_during_staging_joins_the_vote():
    owner, w0, w1 = two_workers()
    call = propose(owner, B)
    w2 = Worker(owner, 12, refuses=B)
    all_work(w0, w1, w2)
    assert owner.answer(call).result is ReloadResult.REJECTED
    assert w2.serves == w0.serves == (1, A)


class TestTheRoster:
    def test_a_broken_pipe_is_no_death(self):
        owner, w0, w1 = two_workers()
        w1.loses_pipe()
        call = propose(owner, B)
        w0.works()
        assert owner.state is ProposalState.STAGING
        owner.waits_out(fx.Timer.STAGE)
        owner.records()
        w0.works()
        event = owner.answer(call)
        assert (event.result, [s.pid for s in event.lagging]) == (ReloadResult.PARTIAL, [11])
        assert w1.serves == (1, A)

    def test_a_restarted_owner_waits_for_those_who_are_not_connected_yet(self):
        owner = Owner((1, A), roster=(10, 11))
        call = propose(owner, B)
        assert owner.state is ProposalState.STAGING
        owner.waits_out(fx.Timer.STAGE)
        event = owner.answer(call)
        assert (event.result, [s.pid for s in event.lagging]) == (ReloadResult.REJECTED, [10, 11])

    def test_a_worker_is_in_the_journal_before_its_first_install_can_be_read(self):
        owner = Owner()
        Worker(owner, 10)
        assert [type(effect) for effect in owner.log] == [fx.AddMember, fx.Send]

    def test_an_install_that_lies_unread_does_not_escape_the_next_owner(self):
        first = Owner()
        w0 = Worker(first, 10)
        second = Owner((1, A), roster=(10,))  # the first one died; its Install is still in the socket
        call = propose(second, B)
        second.waits_out(fx.Timer.STAGE)
        w0.reads()
        assert w0.serves == (1, A)
        event = second.answer(call)
        assert (event.result, [s.pid for s in event.lagging]) == (ReloadResult.REJECTED, [10])


def one_is_late() -> tuple[Owner, Worker, Worker, fx.Call]:
    """Of two workers that have voted for B, the second applies it only after the deadline."""
    owner, w0, w1 = two_workers()
    call = propose(owner, B)
    all_work(w0, w1)
    owner.records()
    w0.works()
    assert owner.answers(call) == []
    owner.waits_out(fx.Timer.BARRIER)
    return owner, w0, w1, call


def test_the_barrier_has_a_deadline():
    owner, _, _, call = one_is_late()
    event = owner.answer(call)
    assert (event.result, event.applied, [s.pid for s in event.lagging]) == (ReloadResult.PARTIAL, [10], [11])


def test_unchanged_passes_the_barrier():
    owner, _, w1, _ = one_is_late()
    call = propose(owner, B)
    assert [s.pid for s in owner.answer(call).lagging] == [11], "it serves A still"
    w1.works()
    assert owner.answers(propose(owner, B))[0].lagging == []


class TestTheFloor:
    def test_a_number_from_a_hello_is_not_given_out_again(self):
        owner = Owner(None)
        w0 = Worker(owner, 10, held=Held(1, B, B))
        propose(owner, C)
        w0.works()
        owner.records()
        w0.works()
        assert w0.serves == (2, C)

    def test_an_owner_without_its_journal_counts_on_from_the_number_that_it_is_given(self):
        owner = Owner(None, high_water=1_700_000_000, gathering=True)
        owner.is_triggered("restart")
        owner.loads(C)
        owner.waits_out(fx.Timer.GATHER)
        owner.waits_out(fx.Timer.STAGE) if owner.state is ProposalState.STAGING else None
        assert [record.version for record in owner.did(fx.Record)] == [1_700_000_001]

    def test_a_number_from_a_hello_outlives_the_owner_that_received_it(self):
        """w0 is stopped when the next owner gives numbers out, and nobody else knows of version 6."""
        first = Owner((1, A))
        Worker(first, 10, held=Held(6, B, B))
        assert [effect.version for effect in first.did(fx.Retire)] == [6]
        second = Owner((1, A), high_water=6, roster=(10, 11))
        Worker(second, 11, held=Held(3, C, C))
        assert [record.version for record in second.did(fx.Record)] == [7]

    def test_what_the_worker_holds_never_goes_down(self):
        owner = Owner((1, A))
        w0 = Worker(owner, 10, held=Held(5, B, B))
        owner.records()
        w0.works()
        assert w0.serves == (6, A)


def test_a_failed_write_is_read_back():
    owner, w0, w1 = two_workers()
    call = propose(owner, B)
    all_work(w0, w1)
    owner.fails_to_record(fx.RowState.PRESENT)
    all_work(w0, w1)
    assert owner.answer(call).result is ReloadResult.SUCCESS
    assert w0.serves == (2, B)


def test_every_start_of_an_owner_loads_once():
    owner = Owner((1, A), roster=(10,))
    owner.is_triggered("restart")
    assert owner.did(fx.Load) == [fx.Load(1, insist=False, guarding=fx.Guarding.WARN)]


def test_a_load_has_a_deadline_and_a_number():
    owner, w0, w1 = two_workers()
    hung = owner.is_asked()
    owner.waits_out(fx.Timer.LOAD)
    assert owner.answer(hung).result is ReloadResult.IO_ERROR
    call = owner.is_asked()
    owner.feed(fx.Loaded(1, C, C, differs=True))
    assert owner.state is ProposalState.LOADING, "what the hung load read was there before the second call"
    owner.loads(B)
    all_work(w0, w1)
    owner.records()
    all_work(w0, w1)
    assert owner.answer(call).result is ReloadResult.SUCCESS
    assert w0.serves == (2, B)


class TestTheLate:
    def test_a_stopped_worker_costs_one_deadline_and_withholds_no_settling(self):
        owner, w0, _, _ = one_is_late()
        w0.works()
        assert Settle(Held(2, B, B)) in w0.saw
        owner.forget()
        w0._read = 0
        call = propose(owner, C)
        w0.works()
        owner.records()
        w0.works()
        event = owner.answer(call)
        assert (event.result, [s.pid for s in event.lagging]) == (ReloadResult.PARTIAL, [11])

    def test_it_gets_the_newest_version_first_thing_when_it_wakes(self):
        owner, w0, w1 = two_workers()
        propose(owner, B)
        w0.works()
        owner.waits_out(fx.Timer.STAGE)
        owner.records()
        w0.works()
        owner.waits_out(fx.Timer.BARRIER)
        w1.works()
        assert w1.serves == (2, B)
        call = propose(owner, C)
        all_work(w0, w1)
        owner.records()
        all_work(w0, w1)
        assert owner.answer(call).result is ReloadResult.SUCCESS

    @pytest.mark.parametrize("silent", ["proceed", "refuse"])
    def test_who_was_late_for_nothing_is_not_late_for_ever(self, silent):
        owner, w0, w1 = two_workers(silent=silent)
        owner.stuffed.add(w1.peer.pipe)
        owner.core.roster.on(w1.peer.pipe).busy = True  # w1 is stopped, and its pipe full
        propose(owner, B)
        w0.works()
        owner.waits_out(fx.Timer.STAGE)
        if silent == "proceed":
            owner.fails_to_record(fx.RowState.ABSENT)
        owner.unblocks(w1.peer)
        all_work(w0, w1)
        if silent == "refuse":
            owner.loads(A)  # what was owed; the source has changed back
        call = propose(owner, A)
        assert owner.answer(call).lagging == []


def test_a_death_counts_before_the_end_of_the_pipe():
    owner, w0, w1 = two_workers()
    call = propose(owner, B)
    w0.works()
    owner.loses(w1.peer)  # its child holds the pipe open
    owner.records()
    w0.works()
    assert owner.answer(call).result is ReloadResult.SUCCESS


def test_the_newest_hello_of_a_process_wins():
    owner, w0, w1 = two_workers()
    old = w1.peer
    w1.machine.ended()
    w1.connects()
    owner.receives(old, Applied(1))
    owner.receives(old, Vote(1, False))
    owner.receives(old, Goodbye())
    owner.feed(fx.PipeEnded(old.pipe))
    call = propose(owner, B)
    all_work(w0, w1)
    owner.records()
    all_work(w0, w1)
    event = owner.answer(call)
    assert (event.result, event.applied) == (ReloadResult.SUCCESS, [10, 11])


def test_a_refused_proposal_never_was():
    owner, w0, w1 = two_workers()
    w1.refuses = B
    call = propose(owner, B)
    all_work(w0, w1)
    assert owner.answer(call).result is ReloadResult.REJECTED
    assert w0.serves == w1.serves == (1, A)
    assert owner.sent(w0.peer)[-2:] == [Prepare(1, B, B), Abort(1)]


def test_the_whole_way_of_a_version():
    owner, w0, w1 = two_workers()
    propose(owner, B)
    all_work(w0, w1)
    owner.records()
    all_work(w0, w1)
    frames = [installed(1, A, A), Prepare(1, B, B), Commit(1, 2), Settled(2)]
    assert owner.sent(w0.peer) == owner.sent(w1.peer) == frames


def test_an_outcome_is_in_the_history_before_it_is_sent():
    """An owner killed in between would have answered a caller with an event that nobody else ever sees."""
    owner = Owner()
    owner.is_asked()
    owner.forget()
    owner.fails_to_load()
    told = [type(effect) for effect in owner.log if isinstance(effect, fx.RecordEvent | fx.Answer)]
    assert told == [fx.RecordEvent, fx.Answer]
