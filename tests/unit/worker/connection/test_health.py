"""A worker that is attached to an owner which the test plays: what it says against its version."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from confcast.wire.messages import Applied, Commit, Counts, Message, Prepare, Provisional, Tried, Try, Unhealthy, Vote
from confcast.worker.connection import attachment
from confcast.worker.health import health
from confcast.worker.replica import Replica
from tests.support import links
from tests.support.waiting import DEADLINE, eventually
from tests.unit.worker.connection import test_trials
from tests.unit.worker.connection.test_trials import CODEC, Settings, attach, digest


class Owner(test_trials.Owner):
    """Gives all that a worker says, counts too."""

    def receive(self) -> Message:
        message = self.connection.receive()
        assert message is not None
        return message

    def hears(self, wanted: Message) -> None:
        """Read until the worker says this."""
        while self.receive() != wanted:
            pass

    def hears_no(self, version: int) -> None:
        """Read until a check says that this version is not healthy."""
        while not isinstance(message := self.receive(), Unhealthy):
            pass
        assert message.version == version
        assert message.reason.endswith("<lambda>: it returned False")


@pytest.fixture
def owner() -> Iterator[Owner]:
    with links.control_socket() as listening:
        owner = Owner(listening)
        yield owner
        if owner.connection is not None:
            owner.connection.close()


@pytest.fixture
def replica(monkeypatch: pytest.MonkeyPatch) -> Iterator[Replica[Settings]]:
    monkeypatch.setattr(health, "INTERVAL", 0.01)
    yield from test_trials.replica.__wrapped__()  # type: ignore[attr-defined]


def request(replica: Replica[Settings], failed: bool = False) -> None:
    pin = replica.pin()
    with pin:
        pin.failed = failed


def test_a_check_that_says_no_on_probation_reaches_the_owner(owner: Owner, replica: Replica[Settings]):
    replica.healthcheck(lambda: replica.current.number != 5)
    attach(replica, owner)
    owner.commit(5, seconds=60.0)
    owner.hears_no(5)


def test_a_check_judges_the_slot_in_a_canary(owner: Owner, replica: Replica[Settings]):
    replica.healthcheck(lambda: replica.current.number == 3)
    attach(replica, owner)
    owner.attempt(5)
    owner.hears_no(5)
    assert replica.latest.number == 3


def test_a_worker_that_starts_on_a_provisional_version_judges_it(owner: Owner, replica: Replica[Settings]):
    replica.healthcheck(lambda: False)
    attach(replica, owner, provisional=60.0)
    owner.hears_no(3)


@pytest.fixture
def late_swaps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is swapped in comes after the thread that judges has looked for it: builds and observers take their time."""
    looked, judged, swapped = threading.Event(), health.Health._judged, attachment.Attachment.swapped

    def look(self: health.Health, now: float) -> list[Any]:
        found = judged(self, now)
        looked.set()
        return found

    def swap(self: attachment.Attachment[Any], old: Any, new: Any) -> None:
        assert self._health._thread is None or looked.wait(DEADLINE)
        swapped(self, old, new)

    monkeypatch.setattr(health.Health, "_judged", look)
    monkeypatch.setattr(attachment.Attachment, "swapped", swap)


@pytest.mark.usefixtures("late_swaps")
class TestASwapThatTakesLonger:
    """Than the start of the thread that is to judge what is swapped in."""

    def test_of_a_commit(self, owner: Owner, replica: Replica[Settings]):
        replica.healthcheck(lambda: replica.current.number != 5)
        attach(replica, owner)
        owner.commit(5, seconds=60.0)
        owner.hears_no(5)

    def test_of_a_worker_that_starts(self, owner: Owner, replica: Replica[Settings]):
        replica.healthcheck(lambda: False)
        attach(replica, owner, provisional=60.0)
        owner.hears_no(3)

    def test_nothing_waits_for_what_does_not_come_in_its_time(self, owner: Owner, replica: Replica[Settings]):
        attach(replica, owner)
        replica._health.provisional(9, 0.05)
        eventually(lambda: replica._health._thread is None, "the end of the thread")


def test_what_is_proven_is_not_judged_any_more(owner: Owner, replica: Replica[Settings]):
    called = threading.Event()
    replica.healthcheck(lambda: called.set())
    attach(replica, owner)
    owner.commit(5, seconds=60.0)
    assert called.wait(DEADLINE)
    owner.connection.say(Provisional(5, 0.0))
    eventually(lambda: replica._health._thread is None, "the end of the thread")


def test_a_check_that_hangs_holds_up_no_vote_and_no_swap(owner: Owner, replica: Replica[Settings]):
    hangs, goes_on = threading.Event(), threading.Event()

    @replica.healthcheck
    def check() -> None:
        hangs.set()
        goes_on.wait(DEADLINE)

    attach(replica, owner)
    owner.commit(5, seconds=60.0)
    assert hangs.wait(DEADLINE)

    payload = CODEC.encode(Settings(6))
    owner.connection.say(Prepare(9, digest(payload), payload))
    owner.hears(Vote(9, True))
    owner.connection.say(Commit(9, 6))
    owner.hears(Applied(6, follows=False))
    goes_on.set()


def test_a_tenth_of_the_requests_that_fails_is_told_as_such(owner: Owner, replica: Replica[Settings]):
    attach(replica, owner)
    for _ in range(90):
        request(replica)
    owner.commit(5, seconds=60.0)
    for number in range(240):
        request(replica, failed=number % 10 == 0)

    told: dict[int, Counts] = {}
    while told.get(3) != Counts(3, 90, 0) or told.get(5) != Counts(5, 240, 24):
        message: Any = owner.receive()
        assert isinstance(message, Counts)
        told[message.version] = message


def test_a_canary_counts_what_ends_on_the_slot_and_goes_on_after_the_promotion(
    owner: Owner, replica: Replica[Settings]
):
    attach(replica, owner)
    owner.round += 1
    payload = CODEC.encode(Settings(5))
    owner.connection.say(Prepare(owner.round, digest(payload), payload))
    owner.hears(Vote(owner.round, True))
    owner.connection.say(Try(owner.round, 5))
    owner.hears(Tried(5))
    for _ in range(3):
        request(replica)
    owner.hears(Counts(5, 3, 0))

    owner.connection.say(Prepare(owner.round + 1, digest(payload), payload))
    owner.hears(Vote(owner.round + 1, True))
    owner.connection.say(Commit(owner.round + 1, 5, 60.0))
    owner.hears(Applied(5, follows=False))
    request(replica, failed=True)
    owner.hears(Counts(5, 4, 1))


def test_unhealthy_is_told_without_anything_provisional(owner: Owner, replica: Replica[Settings]):
    attach(replica, owner)
    replica.unhealthy("no disk")
    owner.hears(Unhealthy(3, "no disk"))
    eventually(lambda: replica._health._thread is None, "the end of the thread")


def test_what_no_owner_could_be_told_is_told_to_the_next(
    owner: Owner, replica: Replica[Settings], caplog: pytest.LogCaptureFixture
):
    attach(replica, owner)
    owner.connection.close()
    eventually(lambda: not replica.connected, "the end of the pipe")
    replica.unhealthy("no disk")
    eventually(lambda: "no config owner answers" in caplog.text, "it is logged")
    owner.connection = None
    owner.accept()
    assert owner.install(3) == Applied(3, follows=False)
    owner.hears(Unhealthy(3, "no disk"))


def test_after_a_close_nothing_is_raised_and_no_thread_stays(
    owner: Owner, replica: Replica[Settings], caplog: pytest.LogCaptureFixture
):
    attach(replica, owner, provisional=60.0)
    replica.close()
    replica.unhealthy("no disk")
    eventually(lambda: "no disk" in caplog.text, "it is logged")
    eventually(lambda: replica._health._thread is None, "the end of the thread")


def test_a_refused_version_takes_no_readiness_and_neither_does_a_trial(owner: Owner, replica: Replica[Settings]):
    built: list[int] = []

    def build(part: int) -> int:
        if part == 13:
            raise ValueError("13 brings bad luck")
        built.append(part)
        return part

    thing = replica.derive(build, lambda c: c.part)
    assert not replica.ready
    attach(replica, owner)
    assert (replica.ready, built, thing.current) == (True, [1], 1)

    payload = CODEC.encode(Settings(5, part=13))
    owner.connection.say(Prepare(8, digest(payload), payload))
    while not isinstance(vote := owner.receive(), Vote):
        pass
    assert not vote.ok
    assert replica.ready  # what is committed is served as before

    payload = CODEC.encode(Settings(6, part=2))
    owner.connection.say(Prepare(9, digest(payload), payload))
    owner.hears(Vote(9, True))
    owner.connection.say(Try(9, 6))
    owner.hears(Tried(6))
    assert (replica.ready, built) == (True, [1, 2])
