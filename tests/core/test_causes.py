"""A version, and the event of its load, have the origin, the caller and the reason of the load's first request."""

from __future__ import annotations

import pytest

from confcast.errors import Problem
from confcast.owner.core import effects as fx
from confcast.owner.core.machine import ProposalState
from confcast.wire.messages import Applied, Declined, Reload, ReloadEvent, Vote, Who
from tests.core.world import A, B, C, Owner, scene

IDLE, LOADING, STAGING, RECORDING, COMMITTING = ProposalState
NO = Problem("", "no")
FIRST, SECOND = Who(1000, 51, "deploy"), Who(0, 52, "cron")


def asks(owner: Owner, who: Who | None, reason: str = "", origin: str = "call", pipe: int = 90) -> None:
    message = Reload(1, origin, None, reason)  # type: ignore[arg-type]
    owner.feed(fx.Received(pipe, who.pid if who else 1, message, who))


def causes(owner: Owner) -> list[tuple[str, Who | None, str, int]]:
    return [(each.origin, each.who, each.reason, each.undoes) for each in owner.did(fx.Record)]


def told(event: ReloadEvent) -> tuple[str, Who | None, str]:
    return event.origin, event.who, event.reason


def commits(owner: Owner, content: bytes) -> None:
    """The load gives this content, and nobody is there to vote."""
    owner.loads(content)
    owner.records()


def test_of_several_requests_the_first_one_is_named():
    owner = Owner((1, A))
    asks(owner, FIRST, "a new limit")
    asks(owner, SECOND, "every hour", "command", pipe=91)
    asks(owner, FIRST, "again", pipe=92)
    commits(owner, B)
    commits(owner, C)
    assert causes(owner) == [("call", FIRST, "a new limit", 0), ("command", SECOND, "every hour", 0)]
    assert [told(event) for event in owner.events()] == [each[:3] for each in causes(owner)]


@pytest.mark.parametrize("origin", ["start", "watch", "restart", "signal"])
def test_where_nobody_called_nobody_is_named(origin: str):
    owner = Owner((1, A))
    owner.is_triggered(origin)
    commits(owner, B)
    assert causes(owner) == [(origin, None, "", 0)]
    assert told(owner.events()[-1]) == (origin, None, "")


def test_a_refused_load_names_its_caller_too():
    owner = Owner((1, A))
    asks(owner, FIRST, "a new limit")
    owner.fails_to_load()
    assert told(owner.events()[-1]) == ("call", FIRST, "a new limit")


def test_a_reason_without_end_is_cut():
    owner = Owner((1, A))
    asks(owner, FIRST, "r" * 5000)
    commits(owner, B)
    assert causes(owner)[0][2] == "r" * 500


def test_an_owed_load_keeps_its_caller():
    it = scene(IDLE)
    asks(it.owner, FIRST, "a new limit")
    it.owner.loads(B)
    it.owner.waits_out(fx.Timer.STAGE)
    it.owner.forget().receives(it.w1, Applied(1))
    it.owner.loads(B)
    it.owner.receives(it.w1, Vote(2, True))
    it.owner.waits_out(fx.Timer.STAGE)
    assert causes(it.owner) == [("call", FIRST, "a new limit", 0)]


def test_an_undo_names_what_it_undoes_and_no_caller_but_its_event_does():
    it = scene(IDLE)
    asks(it.owner, FIRST, "a new limit")
    it.owner.loads(B)
    it.both_send(Vote(1, True))
    it.owner.records()
    it.both_send(Declined(2, (NO,)))
    assert causes(it.owner) == [("call", FIRST, "a new limit", 0), ("undo", None, "", 2)]
    it.owner.records()
    it.both_send(Applied(3))
    assert told(it.owner.events()[-1]) == ("call", FIRST, "a new limit")


def test_an_undo_after_the_barrier_names_it_too():
    it = scene(COMMITTING)
    it.owner.waits_out(fx.Timer.BARRIER)
    it.both_send(Declined(2, (NO,)))
    assert causes(it.owner) == [("undo", None, "", 2)]


def test_a_re_issue_is_nobody_s():
    owner = Owner((3, A), undo=True, refused=B)
    owner.meets(2, 3, C)
    assert causes(owner) == [("reissue", None, "", 0)]
