"""The worker's table, the rows of trials and of what may be undone: the slot, what is kept, and the privileged undo."""

from __future__ import annotations

import pytest

from confcast.wire.messages import (
    Abort,
    Applied,
    Commit,
    Declined,
    Install,
    OnTrial,
    Prepare,
    Provisional,
    Settled,
    Tried,
    Try,
    Unhealthy,
    Vote,
)
from confcast.worker.connection.machine import (
    UNDO_TAKES,
    Disconnect,
    Held,
    Keep,
    Renumber,
    ReplicaState,
    Reply,
    Settle,
    Slot,
    Swap,
)
from tests.core.test_worker_table import (
    BROKEN,
    DETACHED,
    GREETED,
    HATED,
    NO_BUILD,
    NO_CHECK,
    PIPED,
    READY,
    REFUSED,
    ROUND,
    STAGED,
    A,
    B,
    C,
    Deriving,
    Worker,
    states,
    worker_in,
)


def trying(state: ReplicaState = READY, share: float = 0.0) -> Worker:
    """Holds A as version 3, and B on trial as version 5; what is staged or refused is round 6, content C."""
    worker = worker_in(STAGED)
    worker.gets(Try(ROUND, 5, share, "salt"))
    if state is GREETED:
        worker.ended()
        worker.connected()
    elif state is STAGED:
        worker.gets(Prepare(6, C, C))
    elif state is REFUSED:
        worker.gets(Prepare(6, HATED, HATED))
    assert worker.state is state
    worker.asked.clear()
    return worker


def kinds(effects) -> list[type]:
    return [type(each.message) if isinstance(each, Reply) else type(each) for each in effects]


class TestTry:
    def test_of_what_is_staged_puts_it_beside_what_is_held(self):
        worker = worker_in(STAGED)
        held, built = worker.held, worker._staged.config
        slot, reply = worker.gets(Try(ROUND, 5))
        assert (slot, reply) == (Slot(Held(5, B, [B]), begun=True), Reply(Tried(5)))
        assert slot.held.config is built
        assert (worker.state, worker.held, worker.trial) == (READY, held, 5)

    def test_of_one_by_entity_is_not_used_before_it_is_settled(self):
        worker = worker_in(STAGED)
        slot, _ = worker.gets(Try(ROUND, 5, 0.25, "salt"))
        assert (slot.share, slot.salt, slot.begun) == (0.25, "salt", False)
        assert worker.gets(Settled(5)) == [Slot(slot.held, 0.25, "salt", begun=True)]
        assert worker.gets(Settled(5)) == []

    @PIPED
    @pytest.mark.parametrize("version", [2, 3])
    def test_never_goes_down(self, state, version):
        worker = worker_in(state)
        assert kinds(worker.gets(Try(ROUND, version))) == [Disconnect]
        assert (worker.state, worker.trial) == (DETACHED, 0)

    @states(GREETED, READY, REFUSED)
    def test_of_what_is_not_staged_closes_the_pipe(self, state):
        assert kinds(worker_in(state).gets(Try(ROUND, 5))) == [Disconnect]

    def test_of_another_round_closes_the_pipe(self):
        assert kinds(worker_in(STAGED).gets(Try(ROUND + 1, 5))) == [Disconnect]

    def test_beside_nothing_closes_the_pipe(self):
        assert kinds(worker_in(STAGED, version=0).gets(Try(ROUND, 5))) == [Disconnect]

    def test_of_a_number_below_the_last_trial_s_closes_the_pipe(self):
        worker = trying()
        assert kinds(worker.gets(Prepare(9, C, C), Try(9, 4))) == [Disconnect]
        assert worker.trial == 5

    def test_of_the_trial_s_number_with_other_content_closes_the_pipe(self):
        worker = trying()
        assert kinds(worker.gets(Prepare(9, C, C), Try(9, 5))) == [Disconnect]

    def test_the_next_trial_takes_the_slot(self):
        worker = trying()
        assert worker.gets(Prepare(9, C, C), Try(9, 7))[0].held.config == [C]
        assert worker.trial == 7


class TestTheEndOfThePipe:
    @states(READY, STAGED, REFUSED)
    def test_leaves_the_slot_and_over_the_next_one_it_is_taken_up_without_a_build(self, state):
        worker = trying(state)
        built = worker.slot.held.config
        worker.ended()
        assert worker.trial == 5
        worker.connected()
        worker.gets(Install(3, A, A))
        assert worker.gets(Prepare(8, B, B)) == [Reply(Vote(8, True))]
        slot, reply = worker.gets(Try(8, 5))
        assert (slot.held.config is built, reply, worker.asked) == (True, Reply(Tried(5)), [])

    def test_one_by_entity_that_has_begun_goes_on(self):
        worker = trying(share=0.25)
        worker.gets(Settled(5))
        worker.ended()
        worker.connected()
        assert worker.gets(Prepare(8, B, B), Try(8, 5, 0.25, "salt"))[0].begun


class TestPromotion:
    @states(GREETED, READY, STAGED, REFUSED)
    def test_votes_at_once_and_swaps_the_object_in_under_the_trial_s_number(self, state):
        worker = trying(state)
        old, built = worker.held, worker.slot.held.config
        assert worker.gets(Prepare(9, B, B)) == [Reply(Vote(9, True))]
        effects = worker.gets(Commit(9, 5))
        assert effects == [Swap(old, Held(5, B, [B])), Slot(), Reply(Applied(5))]
        assert worker.held.config is built
        assert (worker.slot, worker.asked) == (None, [])

    def test_comes_to_one_that_was_late_by_an_install(self):
        worker = trying()
        built = worker.slot.held.config
        assert kinds(worker.gets(Install(5, B, B))) == [Swap, Slot, Applied]
        assert (worker.held.config is built, worker.asked) == (True, [])

    def test_of_one_whose_pipe_and_slot_are_gone_is_built(self):
        worker = worker_in(READY)
        assert kinds(worker.gets(Install(5, B, B))) == [Swap, Applied]

    def test_settles_as_any_version(self):
        worker = trying()
        worker.gets(Prepare(9, B, B), Commit(9, 5))
        assert worker.gets(Settled(5)) == [Settle(worker.held)]

    def test_keeps_what_was_held_while_it_is_provisional(self):
        worker = trying()
        old = worker.held
        assert worker.gets(Prepare(9, B, B), Commit(9, 5, 20.0))[0] == Keep(5, 20.0, old)


class TestTheEndOfATrial:
    @states(GREETED, READY, STAGED, REFUSED)
    def test_as_an_undo_only_renumbers_what_is_held_before_the_slot_is_dropped(self, state):
        worker = trying(state)
        held = worker.held.config
        assert worker.gets(Install(6, A, A, undo=True)) == [Renumber(Held(6, A, [A])), Slot(), Reply(Applied(6))]
        assert (worker.held.config is held, worker.slot) == (True, None)

    @pytest.mark.parametrize(
        "frames", [[Install(7, C, C)], [Prepare(9, C, C), Commit(9, 7)]], ids=["install", "commit"]
    )
    def test_comes_with_any_other_version(self, frames):
        worker = trying()
        assert kinds(worker.gets(*frames)) == [Swap, Slot, Applied]
        assert worker.slot is None

    @pytest.mark.parametrize(
        "frames",
        [
            [Install(3, A, A)],
            [Install(7, BROKEN, BROKEN)],
            [Install(4, C, C)],
            [Prepare(9, C, C), Abort(9)],
            [Prepare(9, HATED, HATED), Commit(9, 7)],
            [Provisional(3, 0.0)],
            [Settled(3)],
        ],
        ids=["of what is held", "declined", "below the trial", "aborted", "refused", "provisional", "settled"],
    )
    def test_does_not_come_with_what_changes_no_number(self, frames):
        worker = trying()
        worker.gets(*frames)
        assert worker.trial == 5

    def test_a_number_between_is_declined(self):
        (reply,) = trying().gets(Install(4, C, C))
        assert "holds version 5 already" in reply.message.problems[0].message


class TestInstallWithATrial:
    TRIAL = OnTrial(5, B, B, 0.25, "salt")

    def test_is_installed_and_then_tried(self):
        worker = worker_in(GREETED, version=0)
        effects = worker.gets(Install(3, A, A, trial=self.TRIAL))
        slot = Slot(Held(5, B, [B]), 0.25, "salt", begun=False)
        assert effects == [Swap(None, Held(3, A, [A])), Reply(Applied(3)), slot, Reply(Tried(5))]
        assert worker.asked == [([A], [B])], "it is a change of what was installed"

    def test_that_has_begun_is_used_at_once(self):
        worker = worker_in(GREETED, version=0)
        trial = OnTrial(5, B, B, 0.25, "salt", begun=True)
        assert worker.gets(Install(3, A, A, trial=trial))[2].begun

    def test_of_what_the_slot_has_is_not_built_again(self):
        worker = trying(GREETED, share=0.25)
        built = worker.slot.held.config
        assert kinds(worker.gets(Install(3, A, A, trial=self.TRIAL))) == [Applied, Slot, Tried]
        assert (worker.slot.held.config is built, worker.asked) == (True, [])

    @pytest.mark.parametrize(("content", "why"), [(BROKEN, NO_BUILD), (HATED, NO_CHECK)])
    def test_of_what_can_not_be_built_or_is_refused_speaks_against_the_version(self, content, why):
        worker = worker_in(GREETED, version=0)
        trial = OnTrial(5, content, content, 0.25, "salt")
        assert worker.gets(Install(3, A, A, trial=trial))[-1] == Reply(Unhealthy(5, str(why)))
        assert (worker.held.version, worker.slot, worker.state) == (3, None, READY)

    def test_one_that_declines_what_is_committed_takes_no_part(self):
        worker = worker_in(READY)
        assert kinds(worker.gets(Install(4, HATED, HATED, trial=self.TRIAL))) == [Declined]

    def test_below_what_is_held_closes_the_pipe(self):
        worker = worker_in(READY)
        trial = OnTrial(2, B, B, 0.25, "salt")
        assert kinds(worker.gets(Install(3, A, A, trial=trial))) == [Applied, Disconnect]


class TestUndo:
    def provisional(self, seconds: float = 20.0) -> Worker:
        """Held A as version 3; B is version 4, and provisional. The time is `worker.now`."""
        worker = worker_in(STAGED)
        worker.now = 100.0
        worker._clock = lambda: worker.now
        worker.gets(Commit(ROUND, 4, seconds))
        worker.asked.clear()
        return worker

    def test_what_was_held_is_kept_before_the_swap(self):
        worker = worker_in(STAGED)
        old = worker.held
        assert worker.gets(Commit(ROUND, 4, 20.0)) == [
            Keep(4, 20.0, old),
            Swap(old, Held(4, B, [B])),
            Reply(Applied(4)),
        ]

    @states(GREETED, READY, STAGED, REFUSED)
    def test_swaps_that_object_in_and_asks_nobody(self, state):
        worker = self.provisional()
        former = worker.kept.config
        if state is GREETED:
            worker.ended()
            worker.connected()
        elif state is not READY:
            worker.gets(Prepare(9, C, C) if state is STAGED else Prepare(9, HATED, HATED))
        worker.asked.clear()
        assert kinds(worker.gets(Install(5, A, BROKEN, undo=True))) == [Swap, Keep, Applied]
        assert (worker.held.version, worker.held.config is former) == (5, True)
        assert (worker.kept, worker.asked) == (None, [])

    def test_of_a_second_provisional_version_goes_back_to_the_first_one_s_former(self):
        worker = self.provisional()
        former = worker.kept.config
        assert worker.gets(Prepare(9, C, C), Commit(9, 5, 20.0))[0].former.config is former
        worker.gets(Install(6, A, BROKEN, undo=True))
        assert worker.held.config is former

    def test_a_version_after_the_time_of_the_former_has_another_fallback(self):
        worker = self.provisional()
        worker.now += 20.0
        proven = worker.held
        assert worker.gets(Prepare(9, C, C), Commit(9, 5, 20.0))[0].former is proven

    def test_a_worker_that_began_with_a_provisional_version_keeps_nothing_for_the_next(self):
        worker = worker_in(GREETED, version=0)
        assert worker.gets(Install(4, B, B, provisional=9.0))[0] == Keep(4, 9.0, None)
        assert worker.gets(Prepare(9, C, C), Commit(9, 5, 20.0))[0] == Keep(5, 20.0, None)

    @pytest.mark.parametrize(
        "frames",
        [
            [Provisional(4, 0.0)],
            [Prepare(9, C, C), Commit(9, 5)],
            [Prepare(9, B, B), Commit(9, 5)],
            [Install(4, B, B)],
        ],
        ids=["proven", "a version that is not provisional", "a number", "installed again"],
    )
    def test_nothing_is_kept_after(self, frames):
        worker = self.provisional()
        keeps = [each for frame in frames for each in worker.handle(frame) if isinstance(each, Keep)]
        assert keeps[-1].former is None
        assert worker.kept is None

    @pytest.mark.parametrize(
        "frames",
        [[Provisional(4, 60.0)], [Provisional(3, 0.0)], [Prepare(9, B, B), Commit(9, 5, 20.0)], [Settled(4)]],
        ids=["for longer", "of another version", "a number", "settled"],
    )
    def test_it_is_kept_after(self, frames):
        worker = self.provisional()
        former = worker.kept
        worker.gets(*frames)
        assert worker.kept is former

    def test_a_window_over_what_is_proven_goes_back_to_that(self):
        worker = worker_in(READY)
        proven = worker.held
        assert worker.gets(Provisional(3, 60.0)) == [Keep(3, 60.0, proven)]
        assert worker.gets(Prepare(9, C, C), Commit(9, 4, 60.0))[0] == Keep(4, 60.0, proven)
        worker.gets(Install(5, A, BROKEN, undo=True))
        assert worker.held.config is proven.config

    def test_a_window_over_a_new_number_of_what_is_proven_does_so_too(self):
        worker = worker_in(READY)
        proven = worker.held.config
        worker.gets(Prepare(8, A, A), Commit(8, 4, 60.0), Prepare(9, C, C), Commit(9, 5, 60.0))
        worker.gets(Install(6, A, BROKEN, undo=True))
        assert worker.held.config is proven

    def test_a_trial_s_undo_in_a_window_over_what_is_proven_leaves_that(self):
        worker = worker_in(READY)
        proven = worker.held.config
        worker.gets(Provisional(3, 60.0), Prepare(8, B, B), Try(8, 4), Install(5, A, A, undo=True, provisional=50.0))
        worker.gets(Prepare(9, C, C), Commit(9, 6, 60.0), Install(7, A, BROKEN, undo=True))
        assert worker.held.config is proven

    def test_of_the_same_content_twice_one_is_kept(self):
        worker = self.provisional()
        worker.gets(Prepare(9, A, A), Commit(9, 5, 20.0))
        assert worker.kept.config is worker.held.config
        again = worker.held.config
        worker.gets(Prepare(10, C, C), Commit(10, 6, 20.0), Install(7, A, BROKEN, undo=True))
        assert worker.held.config is again

    def test_it_is_dropped_some_time_after_with_the_next_frame_but_not_by_the_undo_itself(self):
        worker = self.provisional()
        worker.now += 20.0 + UNDO_TAKES
        former = worker.kept.config
        worker.gets(Install(5, A, BROKEN, undo=True))
        assert worker.held.config is former
        worker = self.provisional()
        worker.now += 20.0
        assert worker.gets(Abort(1)) == []
        worker.now += UNDO_TAKES
        assert worker.gets(Abort(1)) == [Keep(4, 0.0, None)]
        assert worker.gets(Abort(1)) == []

    def test_the_time_may_be_made_longer(self):
        worker = self.provisional()
        assert worker.gets(Provisional(4, 60.0)) == [Keep(4, 60.0, worker.kept)]
        worker.now += 60.0
        assert worker.gets(Abort(1)) == []

    def test_what_is_kept_is_asked_again_where_it_is_no_undo(self):
        worker = self.provisional()
        worker.gets(Prepare(9, A, A))
        assert worker.asked == [([B], [A])]

    def test_of_a_trial_leaves_what_is_provisional_as_it_is(self):
        worker = self.provisional()
        former = worker.kept
        worker.gets(Prepare(9, C, C), Try(9, 5))
        assert kinds(worker.gets(Install(6, B, B, undo=True, provisional=15.0))) == [Keep, Renumber, Slot, Applied]
        assert worker.kept is former
        assert worker.gets(Install(7, A, BROKEN, undo=True))[0].new.config is former.config

    def test_to_what_is_provisional_itself_lets_go_of_it_after_the_swap(self):
        worker = self.provisional()
        effects = worker.gets(Install(5, A, BROKEN, undo=True, provisional=20.0))
        assert kinds(effects) == [Swap, Keep, Applied]
        assert effects[1] == Keep(5, 20.0, None)

    def test_without_a_former_is_built_and_declined_if_that_fails(self):
        worker = worker_in(GREETED, version=0)
        worker.gets(Install(4, B, B, provisional=9.0))
        assert worker.gets(Install(5, BROKEN, BROKEN, undo=True)) == [Reply(Declined(5, (NO_BUILD,)))]


class TestDerived:
    def test_a_trial_is_built_once_and_promoted_with_what_was_built(self):
        worker = Deriving()
        worker.gets(Prepare(ROUND, B, B), Try(ROUND, 5), Prepare(9, B, B), Commit(9, 5))
        assert worker.calls == ["asked", (ROUND, B)]

    def test_what_is_staged_beside_a_trial_is_dropped_alone(self):
        worker = Deriving()
        worker.gets(Prepare(ROUND, B, B), Try(ROUND, 5), Prepare(9, C, C), Abort(9))
        assert worker.calls == ["asked", (ROUND, B), "asked", (9, C), "dropped"]

    def test_an_undo_to_what_is_kept_derives_nothing(self):
        worker = Deriving()
        worker.gets(Prepare(ROUND, B, B), Commit(ROUND, 4, 20.0), Install(5, A, A, undo=True))
        assert worker.calls == ["asked", (ROUND, B)]

    def test_what_was_staged_is_dropped_before_another_version_is_built(self):
        worker = Deriving()
        worker.gets(Prepare(ROUND, B, B), Install(5, C, C))
        assert worker.calls == ["asked", (ROUND, B), "dropped", "asked", (0, C)]
