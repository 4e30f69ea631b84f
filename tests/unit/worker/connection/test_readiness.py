"""A worker that is attached to an owner which the test plays: whether it is ready, and why not."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest

from confcast.middleware import readyz
from confcast.wire.messages import Commit, Declined, Prepare, Refused, StatsRequest, Vote
from confcast.worker import readiness
from confcast.worker.replica import Replica
from tests.support import links
from tests.support.waiting import DEADLINE, eventually
from tests.unit.worker.connection.test_trials import CODEC, Owner, Settings, attach, digest
from tests.unit.worker.connection.test_trials import owner as owner
from tests.unit.worker.connection.test_trials import replica as replica

SERVED_ON = "no config owner answers: what was committed last is served"


def told(replica: Replica[Settings]) -> tuple[int, dict[str, Any]]:
    status, body = readyz.answer(replica)
    found = json.loads(body)
    assert found["ready"] is (status == 200)
    return status, found


def test_it_is_not_ready_before_a_version_comes_and_after_it_was_closed(owner: Owner, replica: Replica[Settings]):
    assert told(replica) == (503, {"ready": False, "version": 0, "reason": "no version has come yet"})
    attach(replica, owner)
    assert told(replica) == (200, {"ready": True, "version": 3, "reason": ""})
    replica.close()
    assert told(replica)[1]["reason"] == "this process is not attached: it follows no version"


def test_a_refused_version_changes_nothing_and_a_declined_one_does_until_the_next(
    owner: Owner, replica: Replica[Settings]
):
    @replica.precommit
    def no_fives(old: Settings, new: Settings) -> None:
        if new.number == 5:
            raise ValueError("hunter2")

    attach(replica, owner)
    vote = owner.propose(Settings(5))
    assert isinstance(vote, Vote)
    assert not vote.ok
    assert (told(replica)[0], replica.ready) == (200, True), "nobody has that version"

    assert isinstance(owner.ask(Commit(owner.round, 5))[0], Declined)
    status, found = told(replica)
    assert (status, found["version"], replica.ready) == (503, 3, False)
    assert found["reason"] == "version 5 is committed, and was declined here; `confcast status` says why"

    owner.commit(6)
    assert (told(replica)[0], replica.ready) == (200, True)
    assert isinstance(owner.install(7, Settings(5)), Declined)
    assert told(replica)[0] == 503
    owner.install(8, Settings(6), undo=True)
    assert told(replica)[0] == 200, "it was undone everywhere"


def test_the_owner_s_death_takes_no_readiness(owner: Owner, replica: Replica[Settings]):
    attach(replica, owner)
    assert owner.connection is not None
    owner.connection.close()
    eventually(lambda: not replica.connected, "the end of the pipe")
    assert told(replica) == (200, {"ready": True, "version": 3, "reason": SERVED_ON})


def test_a_process_that_its_owner_refuses_is_not_ready_any_more(owner: Owner, replica: Replica[Settings]):
    attach(replica, owner)
    assert owner.connection is not None
    owner.connection.say(Refused("another schema", True, {}))
    eventually(lambda: not replica.ready, "it is refused")
    assert told(replica)[1]["reason"].startswith("the config owner does not serve this process any more")


@pytest.mark.parametrize(("committed", "status"), [(4, 503), (3, 200), (None, 200)])
def test_during_a_long_vote_the_owner_says_whether_it_has_gone_on(
    owner: Owner, replica: Replica[Settings], committed: int | None, status: int, monkeypatch: pytest.MonkeyPatch
):
    """None: it does not answer either."""
    monkeypatch.setattr(readiness, "LONG", 0.0)
    monkeypatch.setattr(readiness, "_ANSWERS_WITHIN", 0.05 if committed is None else DEADLINE)
    begun, may_end = threading.Event(), threading.Event()

    @replica.precommit
    def hangs(old: Settings, new: Settings) -> None:
        begun.set()
        assert may_end.wait(DEADLINE)

    attach(replica, owner)
    payload = CODEC.encode(Settings(4))
    assert owner.connection is not None
    owner.connection.say(Prepare(1, digest(payload), payload))
    assert begun.wait(DEADLINE)
    answering = threading.Thread(target=_answer, args=(owner, committed))
    if committed is not None:
        answering.start()
    found = told(replica)
    may_end.set()
    if committed is not None:
        answering.join()
    assert isinstance(owner.receive(), Vote)
    assert found[0] == status
    if status == 503:
        assert found[1]["reason"] == "version 4 is committed, and this process is still at a vote"
    assert asyncio.run(readyz.aanswer(replica)).status == 200, "the vote is over"


def _answer(owner: Owner, committed: int | None) -> None:
    from confcast.wire.messages import Stats

    client = links.Owner(owner._listening)
    client.receive()
    request = client.receive()
    assert isinstance(request, StatsRequest)
    client.say(Stats(request.id, {"version": committed}))
    client.close()
