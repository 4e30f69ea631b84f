"""What the judge of random schedules takes for a fault, and what it must not.

Of the latter each trace was found by chance, and is told shortly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from confcast.owner.core.members import Roster
from confcast.owner.core.requests import Requests
from confcast.wire.canary import Canary
from confcast.wire.messages import Confirm, Reload, ReloadResult, Rollback, Set
from tests.core.simulation import World
from tests.core.trial_disturbances import BY_ENTITY
from tests.core.world import A, B, C, D

SECONDS = 600.0


def serving(canary: Canary | None = None) -> World:
    """A server whose versions are on probation, with one worker, which runs A as version 1."""
    world = World(canary=canary, probation=20.0)
    world.start_owner()
    world.start_worker()
    comes_to_an_end(world)
    return world


def comes_to_an_end(world: World) -> None:
    """All that happens without a deadline."""
    while (move := world.first_move()) is not None:
        move()
        world.oracle.check()


def goes_on(world: World, until: Callable[[], bool]) -> None:
    """One deadline after another comes."""
    while not until():
        world.next_deadline()
        comes_to_an_end(world)


def loads(world: World, content: bytes, **asked: Any) -> None:
    world.sources = content
    world.ask(Reload, **asked)
    comes_to_an_end(world)


# ---- what is a fault


@pytest.mark.parametrize("forgets", ["stop", "retry_stopped", None])
def test_an_edit_that_a_hold_has_stopped_is_lost_if_nobody_loads_it_once_the_hold_is_over(
    forgets: str | None, monkeypatch: pytest.MonkeyPatch
):
    """The hold was of a window, whose end takes it back."""
    if forgets is not None:
        monkeypatch.setattr(Requests, forgets, lambda self, digest: None)
    world = World()
    world.start_owner()
    world.start_worker()
    comes_to_an_end(world)
    loads(world, C)
    loads(world, B, confirm_within=SECONDS)
    world.ask(Rollback, version=1)
    comes_to_an_end(world)
    loads(world, D)
    assert (world.oracle.stopped, world.journal.operator.is_held) == (D, True)
    if forgets is None:
        world.come_to_rest()
        return
    with pytest.raises(AssertionError, match="D5: a hold has stopped an edit"):
        world.come_to_rest()


@pytest.mark.parametrize("forgets", [True, False])
def test_an_edit_that_an_override_hides_is_lost_if_nobody_loads_it_once_that_ends(
    forgets: bool, monkeypatch: pytest.MonkeyPatch
):
    if forgets:
        monkeypatch.setattr(Requests, "retry_hidden", lambda self, *layer: None)
    world = World()
    world.start_owner()
    world.start_worker()
    comes_to_an_end(world)
    world.ask(Set, values={"k": "c"}, ttl=SECONDS)
    comes_to_an_end(world)
    loads(world, B)
    assert (world.journal.rows, world.oracle.last_outcome.result) == ({1: A, 2: b"c"}, ReloadResult.UNCHANGED)
    if not forgets:
        world.come_to_rest()
        assert world.journal.rows == {1: A, 2: b"c", 3: A, 4: B}
        return
    with pytest.raises(AssertionError, match="G5: an override has hidden an edit"):
        world.come_to_rest()


def test_an_edit_that_an_override_hid_is_loaded_if_the_override_ended_with_a_hold_that_the_end_of_a_window_takes_back():
    world = World()
    world.start_owner()
    world.start_worker()
    comes_to_an_end(world)
    loads(world, B)
    world.ask(Set, values={"k": "c"}, confirm_within=SECONDS)
    comes_to_an_end(world)
    loads(world, C)
    world.ask(Rollback, version=1)
    comes_to_an_end(world)
    assert world.journal.operator.is_held
    world.come_to_rest()
    assert [*world.journal.rows.values()] == [A, B, b"c", A, B, C]


def test_what_a_hold_has_stopped_runs_if_the_end_of_a_window_brings_just_that_with_the_end_of_the_hold():
    """What is set after that, on top of it, is another thing."""
    world = World()
    world.start_owner()
    world.start_worker()
    comes_to_an_end(world)
    loads(world, B)
    loads(world, A, confirm_within=SECONDS)
    world.ask(Rollback, version=1)
    comes_to_an_end(world)
    loads(world, B)
    assert (world.oracle.stopped, world.journal.operator.is_held) == (B, True)
    goes_on(world, lambda: world.journal.rows[max(world.journal.rows)] == B)
    world.ask(Set, values={"k": "c"})
    comes_to_an_end(world)
    assert [*world.journal.rows.values()] == [A, B, A, B, b"c"]
    world.come_to_rest()


@pytest.mark.parametrize("hides", ["an override", "a hold"])
def test_an_edit_that_was_hidden_is_tried_by_a_load_that_is_given_up(hides: str):
    """The load that its end brings hangs. Its caller would have been told so, and would have to ask again."""
    world = World()
    world.start_owner()
    world.start_worker()
    comes_to_an_end(world)
    loads(world, C)
    if hides == "an override":
        world.ask(Set, values={"k": "c"}, confirm_within=SECONDS)
    else:
        loads(world, B, confirm_within=SECONDS)
        world.ask(Rollback, version=1)
    comes_to_an_end(world)
    loads(world, D)
    world.hangs = True
    goes_on(world, lambda: world.oracle.last_event.result is ReloadResult.IO_ERROR)
    assert world.journal.rows[max(world.journal.rows)] == C
    world.come_to_rest()


@pytest.mark.parametrize("forgets", [True, False])
def test_a_number_stands_for_two_contents_if_nobody_compares_what_was_on_trial_under_it(
    forgets: bool, monkeypatch: pytest.MonkeyPatch
):
    """The journal goes back to before a trial, and the window's end gives its number out before its canary is heard."""
    if forgets:
        monkeypatch.setattr(Roster, "shows_another", lambda self, known: False)
    world = World()
    world.start_owner()
    for _ in range(3):
        world.start_worker()
    comes_to_an_end(world)
    loads(world, B, confirm_within=SECONDS)
    loads(world, C, canary=Canary(1))
    assert [process.trial for process in world.processes] == [3, 0, 0]
    world.processes.reverse()  # the canary's Hello comes last
    world.sources = A
    world.kill_owner()
    world.time_passes(SECONDS)
    world.journal_goes_back()
    comes_to_an_end(world)
    assert (world.journal.rows[3], world.oracle.given_twice) == (A, {3})
    if not forgets:
        world.come_to_rest()
        assert world.journal.rows == {1: A, 2: B, 3: A, 4: A}
        return
    with pytest.raises(AssertionError, match="1 has another content as version 3"):
        world.come_to_rest()


# ---- what is none


def test_a_window_is_lost_with_its_row_also_where_its_number_comes_again():
    """The journal goes back, and the number of what it has now is that which a worker holds the same content by."""
    world = serving()
    loads(world, B)
    loads(world, A, confirm_within=SECONDS)
    world.lose_journal()
    loads(world, A, confirm_within=SECONDS)  # which makes it anew, with versions 1 and 3
    world.kill_owner()
    world.journal_goes_back()
    comes_to_an_end(world)
    assert (max(world.journal.rows), world.journal.operator.window) == (3, None)
    loads(world, B)
    assert world.journal.operator.window.fallback == 3


def test_that_a_worker_has_declined_a_version_is_lost_with_its_row_too():
    """As in a real journal, where it stands in that row: what has the number now, no worker has declined."""
    world = serving()
    loads(world, B)
    refuses = world.start_worker()
    comes_to_an_end(world)
    refuses.stopped, refuses.refuses = True, {A}
    loads(world, A, confirm_within=SECONDS)
    goes_on(world, lambda: 3 in world.journal.settled)
    world.lose_journal()
    loads(world, A, confirm_within=SECONDS)  # which makes it anew, with versions 1 and 3
    refuses.stopped = False
    comes_to_an_end(world)
    assert world.journal.declined == {3}
    world.kill(refuses)
    world.kill_owner()
    world.journal_goes_back()
    comes_to_an_end(world)
    assert (max(world.journal.rows), world.journal.good) == (3, {3})


def test_what_is_put_back_may_be_proven_by_a_row_of_the_journal_before_it_was_made_anew():
    """Nobody runs version 3. Its undo is written only when the probation of version 2, whose row is lost, is over."""
    world = serving()
    loads(world, B)
    refuses = world.start_worker()
    comes_to_an_end(world)
    refuses.stopped, refuses.refuses = True, {C}
    world.sources = C
    world.ask(Reload)
    while 3 not in world.journal.rows:
        (world.first_move() or world.next_deadline)()
    world.kill(world.processes[0])
    world.lose_journal()
    world.next_write = "absent"
    refuses.stopped = False
    comes_to_an_end(world)
    world.time_passes(19.0)  # that of version 3, which began two seconds later, is not
    goes_on(world, lambda: len(world.journal.rows) == 3)
    assert [*world.journal.rows.values()] == [A, C, B]


def test_a_promotion_has_its_own_time_also_where_the_vote_before_it_had_twice_as_much():
    """A refusal by silence doubles the time of the next vote, which here is that on the trial, and is soon over."""
    world = serving(BY_ENTITY)
    canary = world.processes[0]
    canary.stopped = True
    loads(world, C)
    goes_on(world, lambda: world.oracle.last_outcome is not None)
    canary.stopped = False
    comes_to_an_end(world)  # what is owed is loaded again
    trial = world.journal.operator.trial
    canary.stopped = True
    world.ask(Confirm)
    world.start_worker()
    goes_on(world, lambda: trial.version in world.journal.rows)
    assert (world.journal.rows[trial.version], world.oracle.timed_out) == (C, {canary.pid})


def test_a_journal_that_goes_back_to_before_a_trial_has_what_was_set_beside_that_version():
    """And not what was set beside a later one, which is lost."""
    world = serving()
    loads(world, B, canary=BY_ENTITY)
    loads(world, D, force=True)
    loads(world, D, confirm_within=SECONDS)
    assert (world.journal.rows, world.journal.operator.window is None) == ({1: A, 3: A, 4: D}, False)
    for _ in range(3):
        world.kill_owner()
        world.next_write = "absent"
        world.journal_goes_back()
    assert (world.journal.rows, world.journal.operator.window, world.journal.operator.trial) == ({1: A}, None, None)


def test_a_worker_may_have_other_content_under_a_number_until_somebody_calls_if_that_could_not_be_written():
    """The journal goes back past a window that is over, and the first who connects knows of nothing newer."""
    world = World()
    world.start_owner()
    first, second = world.start_worker(), world.start_worker()
    comes_to_an_end(world)
    loads(world, B, confirm_within=SECONDS)
    first.stopped = True
    loads(world, C)
    goes_on(world, lambda: 3 in world.journal.settled)
    first.stopped = False
    world.kill_owner()
    world.time_passes(SECONDS)
    world.journal_goes_back()
    world.next_write, world.sources = "absent", A
    comes_to_an_end(world)
    assert (world.journal.rows, second.held.version, second.held.digest) == ({1: A, 2: B, 3: A}, 3, C)
    world.come_to_rest()
    assert {each.held.digest for each in world.living} == {world.journal.rows[max(world.journal.rows)]}
