"""The worker's table, row by row: every frame in every state."""

from __future__ import annotations

import pytest

from confcast.errors import ImpossibleMessage, Problem
from confcast.wire.messages import (
    Abort,
    Applied,
    Commit,
    Declined,
    Done,
    Goodbye,
    History,
    Install,
    Outcome,
    Prepare,
    Refused,
    ReloadEvent,
    ReloadResult,
    Settled,
    Stats,
    Vote,
    Workers,
)
from confcast.worker.connection.machine import (
    CannotBuild,
    Deliver,
    Disconnect,
    DoesNotFit,
    Held,
    Machine,
    Renumber,
    ReplicaState,
    Reply,
    Settle,
    Swap,
    Terminate,
    Warn,
)

DETACHED, GREETED, READY, STAGED, REFUSED, CLOSED = ReplicaState
A, B, C, BROKEN, HATED = b"A", b"B", b"C", b"broken", b"hated"
NO_BUILD, NO_CHECK = Problem("", "does not build"), Problem("", "hated")
ROUND = 4


class Worker(Machine):
    """A machine whose configurations are objects of their own, and that records what was asked of it."""

    def __init__(self, version: int = 3, content: bytes = A) -> None:
        super().__init__(self._make_config, self._ask, lambda: True)
        self.asked: list = []
        if version:
            self.adopt(Held(version, content, [content]))

    def _make_config(self, payload: bytes):
        if payload == BROKEN:
            raise CannotBuild(NO_BUILD)
        return [payload]

    def _ask(self, number, old, new):
        self.asked.append((old, new))
        return (NO_CHECK,) if new == [HATED] else ()

    def gets(self, *frames) -> list:
        """The effects of the last of these frames."""
        effects: list = []
        for frame in frames:
            effects = self.handle(frame)
        return effects


def worker_in(state: ReplicaState, version: int = 3) -> Worker:
    """Holds A as version 3; what is staged or refused is round 4, content B."""
    worker = Worker(version)
    if state is DETACHED:
        return worker
    worker.connected()
    if state is READY:
        worker.gets(Install(version or 3, A, A))
    elif state is STAGED:
        worker.gets(Prepare(ROUND, B, B))
    elif state is REFUSED:
        worker.gets(Prepare(ROUND, HATED, HATED))
    elif state is CLOSED:
        worker.close()
    assert worker.state is state
    worker.asked.clear()
    return worker


def states(*those: ReplicaState):
    return pytest.mark.parametrize("state", those, ids=lambda state: state.name)


PIPED = states(GREETED, READY, STAGED, REFUSED)


class TestPipes:
    def test_connected_when_detached(self):
        worker = Worker()
        worker.connected()
        assert worker.state is GREETED

    @states(GREETED, READY, STAGED, REFUSED, CLOSED)
    def test_connected_can_not_occur_elsewhere(self, state):
        with pytest.raises(ImpossibleMessage):
            worker_in(state).connected()

    @states(DETACHED, CLOSED)
    @pytest.mark.parametrize(
        "frame", [Install(3, A, A), Prepare(1, B, B), Commit(1, 2), Abort(1), Settled(3), Refused("", True), Done(1)]
    )
    def test_no_frame_can_come_without_a_pipe(self, state, frame):
        with pytest.raises(ImpossibleMessage):
            worker_in(state).gets(frame)

    @PIPED
    def test_the_end_of_the_pipe_drops_what_was_staged_and_keeps_what_is_held(self, state):
        worker = worker_in(state)
        held = worker.held
        worker.ended()
        assert (worker.state, worker.held) == (DETACHED, held)
        worker.connected()
        assert isinstance(worker.gets(Commit(ROUND, 9))[0], Disconnect)

    @PIPED
    def test_close_keeps_what_is_held_and_a_new_attach_begins_detached(self, state):
        worker = worker_in(state)
        held = worker.held
        worker.close()
        assert (worker.state, worker.held) == (CLOSED, held)
        worker.ended()
        assert worker.state is DETACHED

    @states(DETACHED, GREETED)
    def test_the_snapshot_file_is_adopted_when_nothing_is_held(self, state):
        worker = worker_in(state, version=0)
        saved = Held(2, C, [C])
        assert worker.adopt(saved) is saved
        assert (worker.held, worker.asked) == (saved, [])

    def test_what_was_staged_as_the_first_value_is_dropped_when_the_snapshot_file_is_adopted(self):
        """G1: staged while nothing was held, it was put to no function; and here it would follow another version."""
        worker = worker_in(STAGED, version=0)
        worker.adopt(Held(2, HATED, [HATED]))
        assert worker.state is READY
        assert worker.gets(Install(7, B, B))[-1] == Reply(Applied(7))
        assert worker.asked == [([HATED], [B])]

    def test_a_commit_of_what_was_staged_before_the_snapshot_file_was_adopted_ends_the_pipe(self):
        worker = worker_in(STAGED, version=0)
        worker.adopt(Held(2, C, [C]))
        assert isinstance(worker.gets(Commit(ROUND, 7))[0], Disconnect)
        assert worker.held == Held(2, C, [C])

    def test_the_snapshot_file_does_not_replace_what_is_held(self):
        worker = worker_in(READY)
        held = worker.held
        assert worker.adopt(Held(9, C, [C])) is held


class TestInstall:
    @PIPED
    def test_of_what_is_held_is_applied_already(self, state):
        worker = worker_in(state)
        held = worker.held
        assert worker.gets(Install(3, A, A)) == [Reply(Applied(3))]
        assert (worker.state, worker.held, worker.asked) == (READY, held, [])

    @PIPED
    def test_of_what_is_held_under_a_higher_number_only_renumbers(self, state):
        worker = worker_in(state)
        config = worker.held.config
        renumber, reply = worker.gets(Install(7, A, A))
        assert isinstance(renumber, Renumber)
        assert (reply, worker.held.version) == (Reply(Applied(7)), 7)
        assert worker.held.config is config
        assert (worker.state, worker.asked) == (READY, [])

    @PIPED
    def test_of_something_newer_is_checked_swapped_and_then_answered(self, state):
        worker = worker_in(state)
        old = worker.held
        assert worker.gets(Install(7, C, C)) == [Swap(old, Held(7, C, [C])), Reply(Applied(7))]
        assert (worker.state, worker.asked) == (READY, [([A], [C])])

    def test_of_what_is_staged_reuses_it(self):
        worker = worker_in(STAGED)
        assert worker.gets(Install(7, B, B))[-1] == Reply(Applied(7))
        assert worker.asked == [], "the answer was given in the vote"

    @states(GREETED, STAGED)
    def test_the_first_value_in_a_process_is_no_change_and_asks_nobody(self, state):
        worker = worker_in(state, version=0)
        assert worker.gets(Install(7, C, C)) == [Swap(None, Held(7, C, [C])), Reply(Applied(7))]
        assert (worker.state, worker.asked) == (READY, [])

    @PIPED
    @pytest.mark.parametrize(("content", "why"), [(BROKEN, NO_BUILD), (HATED, NO_CHECK)])
    def test_of_what_is_refused_is_declined_and_changes_nothing(self, state, content, why):
        worker = worker_in(state)
        held = worker.held
        assert worker.gets(Install(7, content, content)) == [Reply(Declined(7, (why,)))]
        assert (worker.state, worker.held) == (READY, held)

    @states(GREETED, STAGED)
    def test_that_can_not_be_built_by_who_holds_nothing_ends_it(self, state):
        worker = worker_in(state, version=0)
        assert worker.gets(Install(7, BROKEN, BROKEN)) == [Reply(Goodbye()), Terminate(None, (NO_BUILD,))]
        assert worker.state is CLOSED

    @PIPED
    @pytest.mark.parametrize(("version", "content"), [(2, A), (2, C), (3, C)])
    def test_never_goes_down_nor_changes_content_under_a_number(self, state, version, content):
        worker = worker_in(state)
        held = worker.held
        (reply,) = worker.gets(Install(version, content, content))
        assert reply.message.version == version
        assert "holds version 3" in reply.message.problems[0].message
        assert (worker.state, worker.held) == (READY, held)

    def test_drops_what_was_staged(self):
        worker = worker_in(STAGED)
        worker.gets(Install(3, A, A))
        assert isinstance(worker.gets(Commit(ROUND, 9))[0], Disconnect)

    @pytest.mark.parametrize(
        "between",
        [[Install(7, C, C)], [Abort(ROUND)], [Prepare(ROUND + 1, C, C), Abort(ROUND + 1)], "a new pipe"],
        ids=["another version", "its abort", "another proposal", "a new pipe"],
    )
    def test_of_what_was_staged_before_that_is_asked_again(self, between):
        """Its precommit spoke of another change, or of a proposal that is over."""
        worker = worker_in(STAGED)
        if between == "a new pipe":
            worker.ended()
            worker.connected()
        else:
            worker.gets(*between)
        old = worker.held.config
        worker.asked.clear()
        worker.gets(Install(8, B, B))
        assert worker.asked == [(old, [B])]

    def test_that_is_declined_leaves_nothing_staged(self):
        worker = worker_in(STAGED)
        assert isinstance(worker.gets(Install(7, HATED, HATED))[0].message, Declined)
        worker.gets(Install(8, B, B))
        assert worker.asked == [([A], [HATED]), ([A], [B])]


class TestPrepare:
    @PIPED
    def test_is_built_checked_and_voted_for(self, state):
        worker = worker_in(state)
        held = worker.held
        assert worker.gets(Prepare(9, C, C)) == [Reply(Vote(9, True))]
        assert (worker.state, worker.held, worker.asked) == (STAGED, held, [([A], [C])])
        assert worker.gets(Commit(9, 10))[0] == Swap(held, Held(10, C, [C]))

    @PIPED
    @pytest.mark.parametrize(("content", "why"), [(BROKEN, NO_BUILD), (HATED, NO_CHECK)])
    def test_is_voted_against_with_the_reason(self, state, content, why):
        worker = worker_in(state)
        held = worker.held
        assert worker.gets(Prepare(9, content, content)) == [Reply(Vote(9, False, (why,)))]
        assert (worker.state, worker.held) == (REFUSED, held)

    def test_before_the_first_value_asks_nobody(self):
        worker = worker_in(GREETED, version=0)
        assert worker.gets(Prepare(9, HATED, HATED)) == [Reply(Vote(9, True))]

    def test_drops_what_was_staged_before(self):
        worker = worker_in(STAGED)
        worker.gets(Prepare(9, C, C))
        assert isinstance(worker.gets(Commit(ROUND, 10))[0], Disconnect)


class TestPrepareOfWhatIsHeld:
    def test_is_voted_for_unasked_and_only_renumbered(self):
        worker = worker_in(READY)
        assert worker.gets(Prepare(9, A, A)) == [Reply(Vote(9, True))]
        held = worker.held
        effects = worker.gets(Commit(9, 5))
        assert [type(effect) for effect in effects] == [Renumber, Reply]
        assert (worker.held.version, worker.held.config, worker.asked) == (5, held.config, [])


class TestPatch:
    """A worker that holds A as version 3, and can apply what makes another content of the list that it holds."""

    def patching(self, state=READY, version=3, *, fits=True):
        def apply(held, change):
            if not fits:
                raise DoesNotFit
            return [*held, change]

        worker = worker_in(state, version)
        worker._patch, worker.patches = apply, True
        return worker

    @states(GREETED, READY, STAGED, REFUSED)
    def test_of_what_is_held_is_built_of_it_and_asked_for_like_any_other(self, state):
        worker = self.patching(state)
        assert worker.gets(Prepare(9, C, b"more", base=A)) == [Reply(Vote(9, True))]
        worker.gets(Commit(9, 5))
        assert (worker.held.digest, worker.held.config, worker.asked) == (C, [A, b"more"], [([A], [A, b"more"])])

    def test_comes_with_an_install_too(self):
        worker = self.patching()
        assert worker.gets(Install(7, C, b"more", base=A))[-1] == Reply(Applied(7))
        assert (worker.held.version, worker.held.config, worker.patches) == (7, [A, b"more"], True)

    @PIPED
    @pytest.mark.parametrize("frame", [Prepare(9, C, b"more", base=B), Install(7, C, b"more", base=B)])
    def test_of_anything_else_ends_the_pipe_and_the_next_one_is_for_payloads(self, state, frame):
        worker = self.patching(state)
        held = worker.held
        (effect,) = worker.gets(frame)
        assert isinstance(effect, Disconnect)
        assert (worker.state, worker.held, worker.patches) == (DETACHED, held, False)

    def test_before_the_first_value_does_so_too(self):
        worker = self.patching(GREETED, 0)
        assert isinstance(worker.gets(Prepare(9, C, b"more", base=B))[0], Disconnect)

    @pytest.mark.parametrize("frame", [Prepare(9, C, b"more", base=A), Install(7, C, b"more", base=A)])
    def test_that_does_not_fit_refuses_nothing(self, frame):
        worker = self.patching(fits=False)
        (effect,) = worker.gets(frame)
        assert isinstance(effect, Disconnect)
        assert not worker.patches
        worker.connected()
        worker.gets(Install(3, A, A))
        assert not worker.patches  # nothing was built
        worker.gets(Prepare(9, C, C))
        assert worker.patches
        worker.gets(Commit(9, 5))
        assert worker.held.config == [C]

    def test_a_worker_without_a_codec_takes_none(self):
        worker = worker_in(READY)
        assert not worker.patches
        assert isinstance(worker.gets(Prepare(9, C, b"more", base=A))[0], Disconnect)
        worker.connected()
        worker.gets(Prepare(9, C, C))
        assert not worker.patches


class TestUndo:
    def test_no_function_is_asked(self):
        worker = worker_in(READY)
        worker.gets(Install(7, HATED, HATED, undo=True))
        assert (worker.held.version, worker.held.config, worker.asked) == (7, [HATED], [])

    def test_what_is_held_already_stays_the_object_that_it_is(self):
        worker = worker_in(STAGED)
        before = worker.held.config
        assert [type(effect) for effect in worker.gets(Install(7, A, A, undo=True))] == [Renumber, Reply]
        assert worker.held.config is before

    def test_what_can_not_be_built_is_declined(self):
        assert worker_in(READY).gets(Install(7, BROKEN, BROKEN, undo=True)) == [Reply(Declined(7, (NO_BUILD,)))]


class TestWhatOthersRefuse:
    @pytest.mark.parametrize(("declined", "words"), [(1, "which a worker refuses"), (3, "which 3 workers refuse")])
    def test_a_worker_that_starts_on_it_says_so(self, declined, words):
        worker = worker_in(GREETED, version=0)
        warning, swap, _ = worker.gets(Install(7, B, B, declined=declined))
        assert [type(warning), type(swap)] == [Warn, Swap]
        assert words in warning.text

    def test_one_that_holds_something_does_not(self):
        assert not any(isinstance(effect, Warn) for effect in worker_in(READY).gets(Install(7, B, B, declined=1)))


class TestCommit:
    def test_of_what_is_staged_swaps_before_it_answers(self):
        worker = worker_in(STAGED)
        assert worker.gets(Commit(ROUND, 9)) == [Swap(Held(3, A, [A]), Held(9, B, [B])), Reply(Applied(9))]
        assert worker.state is READY

    def test_is_the_first_value_of_who_holds_nothing(self):
        worker = worker_in(STAGED, version=0)
        assert worker.gets(Commit(ROUND, 1)) == [Swap(None, Held(1, B, [B])), Reply(Applied(1))]

    def test_of_what_was_refused_is_declined_with_the_reason_of_the_vote(self):
        worker = worker_in(REFUSED)
        assert worker.gets(Commit(ROUND, 9)) == [Reply(Declined(9, (NO_CHECK,)))]
        assert (worker.state, worker.held.version) == (READY, 3)

    @pytest.mark.parametrize("version", [2, 3])
    def test_never_goes_down(self, version):
        worker = worker_in(STAGED)
        assert isinstance(worker.gets(Commit(ROUND, version))[0], Disconnect)
        assert worker.held.version == 3

    @PIPED
    def test_of_another_round_closes_the_pipe(self, state):
        worker = worker_in(state)
        (hang,) = worker.gets(Commit(ROUND + 1, 9))
        assert isinstance(hang, Disconnect)
        assert (worker.state, worker.held.version) == (DETACHED, 3)

    @states(GREETED, READY)
    def test_of_nothing_closes_the_pipe(self, state):
        assert isinstance(worker_in(state).gets(Commit(ROUND, 9))[0], Disconnect)


class TestAbort:
    @states(STAGED, REFUSED)
    def test_of_this_round_forgets_it(self, state):
        worker = worker_in(state)
        assert worker.gets(Abort(ROUND)) == []
        assert worker.state is READY
        assert isinstance(worker.gets(Commit(ROUND, 9))[0], Disconnect)

    @PIPED
    def test_of_another_round_is_ignored(self, state):
        worker = worker_in(state)
        assert worker.gets(Abort(77)) == []
        assert worker.state is state


class TestSettled:
    @pytest.mark.parametrize("follows", [True, False])
    def test_every_applied_says_whether_anybody_waits_for_it(self, follows):
        asked = [follows]
        machine = Machine(bytes, lambda number, old, new: (), lambda: asked[-1])
        machine.connected()
        frames = [Install(1, A, A), Install(1, A, A), Install(2, A, A), Prepare(1, B, B), Commit(1, 3)]
        answers = [each.message for frame in frames for each in machine.handle(frame) if isinstance(each, Reply)]
        applied = [answer for answer in answers if isinstance(answer, Applied)]
        assert applied == [Applied(version, follows) for version in (1, 1, 2, 3)]
        asked.append(not follows)
        assert machine.handle(Install(4, B, B))[-1] == Reply(Applied(4, not follows))

    @states(READY, STAGED, REFUSED)
    def test_of_what_is_held_is_reported_once(self, state):
        worker = worker_in(READY)
        worker.gets(Install(7, C, C))
        if state is not READY:
            worker.gets(Prepare(8, B, B) if state is STAGED else Prepare(8, HATED, HATED))
        assert worker.gets(Settled(7)) == [Settle(worker.held)]
        assert worker.gets(Settled(7)) == []
        assert worker.state is state

    @PIPED
    @pytest.mark.parametrize("version", [2, 4])
    def test_of_anything_else_is_ignored(self, state, version):
        assert worker_in(state).gets(Settled(version)) == []

    def test_before_anything_was_received_on_this_pipe_is_ignored(self):
        worker = worker_in(READY)
        worker.gets(Install(7, C, C))
        worker.ended()
        worker.connected()
        assert worker.gets(Settled(7)) == []
        assert worker.gets(Install(7, C, C), Settled(7)) == [Settle(worker.held)]

    def test_the_first_value_in_a_process_is_not_announced(self):
        worker = worker_in(GREETED, version=0)
        assert worker.gets(Install(7, C, C), Settled(7)) == []

    def test_a_new_number_is_not_announced_twice(self):
        worker = worker_in(READY)
        assert worker.gets(Install(7, C, C), Settled(7), Install(8, C, C), Settled(8)) == []

    def test_a_new_number_does_not_swallow_what_is_still_to_be_announced(self):
        worker = worker_in(READY)
        assert worker.gets(Install(7, C, C), Install(8, C, C), Settled(8)) == [Settle(Held(8, C, [C]))]


class TestTheRest:
    @PIPED
    @pytest.mark.parametrize(
        "answer",
        [
            Outcome(1, ReloadEvent(timestamp=0.0, result=ReloadResult.SUCCESS)),
            Stats(1, {}),
            History(1, []),
            Workers(1, []),
            Done(1),
        ],
    )
    def test_an_answer_wakes_its_caller_and_moves_nothing(self, state, answer):
        worker = worker_in(state)
        assert worker.gets(answer) == [Deliver(answer)]
        assert worker.state is state

    @PIPED
    def test_refused_for_good_ends_it(self, state):
        worker = worker_in(state)
        refused = Refused("another schema", True, {"a": "int"})
        assert worker.gets(refused) == [Terminate(refused)]
        assert (worker.state, worker.held.version) == (CLOSED, 3)

    @PIPED
    def test_refused_for_now_connects_again(self, state):
        worker = worker_in(state)
        assert worker.gets(Refused("later", False)) == [Disconnect("later")]
        assert worker.state is DETACHED


def test_a_fault_in_the_middle_of_a_frame_leaves_no_effect_of_it_to_the_next(monkeypatch):
    worker = worker_in(READY)
    with monkeypatch.context() as broken:
        broken.setattr(worker, "_follows", lambda: 1 // 0)
        with pytest.raises(ZeroDivisionError):
            worker.gets(Install(4, A, A))
    assert worker.gets(Abort(ROUND)) == []


NO_POOL = Problem("database", "no pool")


class Deriving(Machine):
    """A machine that records what is derived and dropped. Nothing can be derived of HATED."""

    def __init__(self, version: int = 3) -> None:
        self.calls: list = []
        parts = {"derive": self._build_pool, "drop": self._close, "derived": ["pool"]}
        super().__init__(lambda payload: payload, self._ask, lambda: True, **parts)
        if version:
            self.adopt(Held(version, A, A))
        self.connected()

    def _ask(self, number, old, new):
        self.calls.append("asked")
        return (NO_CHECK,) if new == BROKEN else ()

    def _build_pool(self, number, config):
        self.calls.append((number, config))
        return (NO_POOL,) if config == HATED else ()

    def _close(self):
        self.calls.append("dropped")

    def gets(self, *frames) -> list:
        """The effects of the last of these frames."""
        return [self.handle(frame) for frame in frames][-1]


class TestDerived:
    def test_it_is_built_after_the_functions_have_agreed_and_stays_for_the_commit(self):
        worker = Deriving()
        assert worker.gets(Prepare(ROUND, B, B)) == [Reply(Vote(ROUND, True))]
        assert worker.calls == ["asked", (ROUND, B)]
        worker.gets(Commit(ROUND, 4))
        assert worker.calls == ["asked", (ROUND, B)]

    def test_what_functions_refuse_is_not_built(self):
        worker = Deriving()
        worker.gets(Prepare(ROUND, BROKEN, BROKEN))
        assert worker.calls == ["asked"]

    def test_what_can_not_be_built_is_a_veto(self):
        worker = Deriving()
        assert worker.gets(Prepare(ROUND, HATED, HATED)) == [Reply(Vote(ROUND, False, (NO_POOL,)))]
        assert worker.gets(Commit(ROUND, 4)) == [Reply(Declined(4, (NO_POOL,)))]

    def test_an_installed_version_that_can_not_be_built_is_declined_and_so_is_an_undo(self):
        worker = Deriving()
        for undo in (False, True):
            assert worker.gets(Install(7, HATED, HATED, undo=undo)) == [Reply(Declined(7, (NO_POOL,)))]
        assert worker.calls == ["asked", (0, HATED), (0, HATED)]

    def test_nothing_is_built_for_the_first_value(self):
        worker = Deriving(version=0)
        worker.gets(Install(3, HATED, HATED))
        assert worker.calls == []

    def test_what_was_staged_is_swapped_in_by_an_install_of_it(self):
        worker = Deriving()
        worker.gets(Prepare(ROUND, B, B), Install(4, B, B))
        assert worker.calls == ["asked", (ROUND, B)]

    @pytest.mark.parametrize(
        "end",
        [
            lambda worker: worker.gets(Abort(ROUND)),
            lambda worker: worker.ended(),
            lambda worker: worker.close(),
            lambda worker: worker.gets(Commit(ROUND + 1, 4)),
            lambda worker: worker.gets(Install(4, A, A)),
            lambda worker: worker.gets(Prepare(ROUND + 1, A, A)),
            lambda worker: worker.gets(Refused("another schema", True)),
        ],
        ids=["abort", "end of the pipe", "close", "another commit", "renumbered", "another vote", "refused"],
    )
    def test_what_is_not_swapped_in_is_dropped_once(self, end):
        worker = Deriving()
        worker.gets(Prepare(ROUND, B, B))
        worker.calls.clear()
        end(worker)
        assert worker.calls == ["dropped"]

    def test_an_abort_of_another_round_drops_nothing(self):
        worker = Deriving()
        worker.gets(Prepare(ROUND, B, B), Abort(ROUND - 1))
        assert worker.calls == ["asked", (ROUND, B)]

    def test_another_vote_s_candidate_replaces_it(self):
        worker = Deriving()
        worker.gets(Prepare(ROUND, B, B), Prepare(ROUND + 1, C, C))
        assert worker.calls == ["asked", (ROUND, B), "dropped", "asked", (ROUND + 1, C)]
