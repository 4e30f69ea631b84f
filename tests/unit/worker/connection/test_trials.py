"""A worker that is attached to an owner which the test plays: a version on trial, its promotion, and the undo."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from confcast.config.codec import Codec, digest
from confcast.wire.messages import (
    Abort,
    Applied,
    Commit,
    Counts,
    Hello,
    Install,
    OnTrial,
    Prepare,
    Provisional,
    Settled,
    Tried,
    Try,
    Unhealthy,
    Working,
)
from confcast.worker import registry
from confcast.worker.connection import attachment
from confcast.worker.derived.declared import Derived
from confcast.worker.replica import Replica
from tests.support import links
from tests.support.forking import holds_in_child
from tests.support.waiting import eventually, in_thread

INSIDE, OUTSIDE = "user-4", "user-1"
"""Of a quarter of the entities, by the salt "salt", and not."""


@dataclass(frozen=True)
class Settings:
    """The schema; small, and no pydantic."""

    number: int = 0
    part: int = 1


CODEC = Codec(Settings)


@dataclass
class Pools:
    """Pools, one for each part of a configuration; 13 can't be built."""

    built: list[int] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)

    def build(self, part: int) -> list[int]:
        if part == 13:
            raise ValueError("13 brings bad luck")
        self.built.append(part)
        return [part]

    def close(self, pool: list[int]) -> None:
        self.closed.append(pool[0])


class Owner:
    """An owner, whose worker holds version 3: Settings(3)."""

    def __init__(self, listening: Any) -> None:
        self._listening = listening
        self.address = listening.getsockname()
        self.connection: links.Owner | None = None
        self.round = 0

    def accept(self) -> Hello:
        if self.connection is not None:
            self.connection.close()
        self.connection = links.Owner(self._listening)
        hello = self.connection.receive()
        assert isinstance(hello, Hello)
        return hello

    def ask(self, *frames: Any) -> list[Any]:
        """The worker's answers to these frames, one to each, and the Workings before them."""
        answers = []
        for frame in frames:
            self.connection.say(frame)
            answers.append(self.receive())
        return answers

    def receive(self) -> Any:
        """The next answer; what runs meanwhile, and what is counted, is not told."""
        while isinstance(answer := self.connection.receive(), Working | Counts):
            pass
        return answer

    def install(self, version: int, settings: Settings | None = None, **more: Any) -> Any:
        payload = CODEC.encode(settings if settings is not None else Settings(version))
        return self.ask(Install(version, digest(payload), payload, **more))[0]

    def propose(self, settings: Settings) -> Any:
        self.round += 1
        payload = CODEC.encode(settings)
        return self.ask(Prepare(self.round, digest(payload), payload))[0]

    def attempt(self, version: int, settings: Settings | None = None, share: float = 0.0) -> None:
        """Put a version on trial."""
        assert self.propose(settings if settings is not None else Settings(version)).ok
        assert self.ask(Try(self.round, version, share, "salt")) == [Tried(version)]

    def commit(self, version: int, settings: Settings | None = None, seconds: float = 0.0) -> None:
        assert self.propose(settings if settings is not None else Settings(version)).ok
        assert isinstance(self.ask(Commit(self.round, version, seconds))[0], Applied)

    def tell(self, *frames: Any) -> None:
        """Say what has no answer, and wait until the worker has heard it."""
        for frame in frames:
            self.connection.say(frame)
        self.round += 1
        assert self.ask(Prepare(self.round, b"none", b"none"))[0].ok is False
        self.connection.say(Abort(self.round))


@pytest.fixture
def owner() -> Iterator[Owner]:
    with links.control_socket() as listening:
        owner = Owner(listening)
        yield owner
        if owner.connection is not None:
            owner.connection.close()


@pytest.fixture
def replica() -> Iterator[Replica[Settings]]:
    replica = Replica(Settings, name="trying")
    yield replica
    replica.close()
    registry.withdraw(replica)


@pytest.fixture
def pools() -> Pools:
    return Pools()


@pytest.fixture
def pool(replica: Replica[Settings], pools: Pools) -> Derived[Any]:
    return replica.derive(pools.build, lambda c: c.part, close=pools.close, linger=0.0)


def attach(replica: Replica[Settings], owner: Owner, version: int = 3, **more: Any) -> Hello:
    """Attached, and served with this version. Gives its Hello."""
    attaching = in_thread(lambda: replica.attach(owner.address))
    hello = owner.accept()
    assert isinstance(owner.install(version, **more), Applied)
    attaching()
    return hello


def pinned(replica: Replica[Settings], entity: str | None = None) -> int:
    with replica.pin(entity=entity) as config:
        assert config.number == replica.version
        return config.number


class TestByWorker:
    def test_pins_get_it_and_the_rest_stays_with_what_is_committed(self, owner, replica):
        attach(replica, owner)
        seen: list = []
        replica.subscribe(lambda old, new: seen.append(new.number))
        owner.attempt(5)
        assert (pinned(replica), replica.latest.number, replica.version) == (5, 3, 3)
        owner.commit(5)
        assert (pinned(replica), replica.latest.number, replica.version) == (5, 5, 5)
        eventually(lambda: seen == [5], "the observer")

    def test_its_undo_gives_pins_the_committed_one_again_and_no_observer_hears_of_it(self, owner, replica):
        attach(replica, owner)
        seen: list = []
        replica.subscribe(lambda old, new: seen.append(new.number))
        owner.attempt(5)
        config = replica.latest
        assert owner.install(6, Settings(3), undo=True) == Applied(6, follows=False)
        assert (replica.version, replica.latest is config) == (6, True)
        with replica.pin() as now:
            assert now is config
        owner.commit(7)
        eventually(lambda: seen == [7], "the observer")

    def test_the_next_owner_hears_of_it_and_it_goes_on(self, owner, replica):
        attach(replica, owner)
        owner.attempt(5)
        owner.connection.close()
        hello = owner.accept()
        assert (hello.trial, hello.trial_digest) == (5, digest(CODEC.encode(Settings(5))))
        assert pinned(replica) == 5
        owner.install(3)
        assert pinned(replica) == 5
        owner.attempt(5)
        assert pinned(replica) == 5

    def test_its_snapshot_with_its_counts_stays_over_pipes_and_through_the_promotion(self, owner, replica):
        attach(replica, owner)
        owner.attempt(5)
        with replica.pin():
            snapshot = replica.snapshot
        owner.accept()
        owner.install(3)
        owner.attempt(5)
        with replica.pin():
            assert replica.snapshot is snapshot
        owner.commit(5)
        assert replica.snapshot is snapshot

    @pytest.mark.parametrize("debug", ["", "1"])
    def test_what_the_application_changes_in_place_is_found(self, owner, replica, monkeypatch, caplog, debug):
        monkeypatch.setenv("CONFCAST_DEBUG", debug)
        attach(replica, owner)
        owner.attempt(5)
        with replica.pin() as config:
            object.__setattr__(config, "part", 2)
        owner.install(6, Settings(3), undo=True)
        assert replica.version == 6
        assert ("part (1 became 2)" in caplog.text) == bool(debug)

    def test_it_is_gone_after_close_and_attach(self, owner, replica):
        attach(replica, owner)
        owner.attempt(5)
        replica.close()
        assert pinned(replica) == 3
        assert attach(replica, owner).trial == 0

    def test_a_forked_child_has_none(self, owner, replica):
        attach(replica, owner)
        owner.attempt(5)
        assert holds_in_child(lambda: pinned(replica) == 3)
        assert pinned(replica) == 5

    def test_a_test_s_override_has_none_and_it_is_there_after_it(self, owner, replica):
        attach(replica, owner)
        with replica.override(Settings(9)):
            owner.attempt(5)
            with replica.pin() as config:
                assert config.number == 9
        assert pinned(replica) == 5


class TestByEntity:
    def test_a_share_of_the_entities_gets_it_once_all_workers_have_it(self, owner, replica):
        attach(replica, owner)
        owner.attempt(5, share=0.25)
        assert pinned(replica, INSIDE) == 3
        owner.tell(Settled(5))
        assert [pinned(replica, entity) for entity in (INSIDE, OUTSIDE, None)] == [5, 3, 3]

    def test_a_worker_that_comes_later_gets_it_with_its_first_version(self, owner, replica):
        payload = CODEC.encode(Settings(5))
        trial = OnTrial(5, digest(payload), payload, 0.25, "salt", begun=True)
        attach(replica, owner, trial=trial)
        assert owner.receive() == Tried(5)
        assert [pinned(replica, entity) for entity in (INSIDE, OUTSIDE, None)] == [5, 3, 3]

    def test_a_worker_that_comes_later_and_can_not_build_it_says_so(self, owner, replica, pool):
        payload = CODEC.encode(Settings(5, part=13))
        attach(replica, owner, trial=OnTrial(5, digest(payload), payload, 0.25, "salt", begun=True))
        answer = owner.receive()
        assert isinstance(answer, Unhealthy)
        assert answer.reason == "part: Pools.build can't be built: ValueError: 13 brings bad luck"
        assert pinned(replica, INSIDE) == 3


class TestWhatIsDerived:
    def test_is_built_at_the_vote_used_in_pins_and_swapped_in_at_the_promotion(self, owner, replica, pools, pool):
        attach(replica, owner)
        owner.attempt(5, Settings(5, part=2))
        with replica.pin():
            tried = pool.current
            assert pool.latest == [1]
        assert (tried, pool.current, pools.built) == ([2], [1], [1, 2])
        assert pool.kept == ()
        owner.commit(5, Settings(5, part=2))
        assert pool.current is tried
        assert pools.built == [1, 2]
        eventually(lambda: pools.closed == [1], "the close of the former one")

    def test_is_closed_when_the_trial_is_undone_and_its_last_pin_has_ended(self, owner, replica, pools, pool):
        attach(replica, owner)
        owner.attempt(5, Settings(5, part=2))
        pin = replica.pin()
        with pin:
            owner.install(6, Settings(3), undo=True)
            assert pool.current == [2]
            assert (pools.closed, pool.latest) == ([], [1])
        eventually(lambda: pools.closed == [2], "the close")
        assert pools.built == [1, 2]

    def test_of_the_next_trial_replaces_it(self, owner, replica, pools, pool):
        attach(replica, owner)
        owner.attempt(5, Settings(5, part=2))
        owner.attempt(7, Settings(7, part=4))
        eventually(lambda: pools.closed == [2], "the close")
        with replica.pin():
            assert pool.current == [4]

    def test_of_a_proposal_that_is_aborted_beside_a_trial_is_closed_alone(self, owner, replica, pools, pool):
        attach(replica, owner)
        owner.attempt(5, Settings(5, part=2))
        assert owner.propose(Settings(6, part=4)).ok
        owner.connection.say(Abort(owner.round))
        eventually(lambda: pools.closed == [4], "the close")
        with replica.pin():
            assert pool.current == [2]

    def test_comes_with_a_version_and_with_the_trial_beside_it(self, owner, replica, pools, pool):
        attach(replica, owner)
        payload = CODEC.encode(Settings(7, part=4))
        trial = OnTrial(7, digest(payload), payload, 0.25, "salt", begun=True)
        assert owner.install(6, Settings(6, part=2), trial=trial) == Applied(6, follows=False)
        assert owner.receive() == Tried(7)
        with replica.pin(entity=INSIDE):
            assert pool.current == [4]
        assert (pool.current, sorted(pools.built)) == ([2], [1, 2, 4])

    def test_after_close_and_attach_nothing_of_a_trial_is_left(self, owner, replica, pools, pool):
        attach(replica, owner)
        owner.attempt(5, Settings(5, part=2))
        replica.close()
        assert sorted(pools.closed) == [1, 2]
        attach(replica, owner)
        with replica.pin():
            assert pool.current == [1]
        assert pools.built == [1, 2, 1]


class TestWhatIsDeclaredLater:
    """An application's module is imported when its process is attached already: what it derives was not voted on."""

    def derive_and_attach(self, replica: Replica[Settings], owner: Owner, pools: Pools) -> Derived[Any]:
        pool = replica.derive(pools.build, lambda c: c.part, close=pools.close, linger=0.0)
        replica.attach(owner.address)
        return pool

    def test_is_built_for_the_trial_too(self, owner, replica, pools):
        attach(replica, owner)
        owner.attempt(5, Settings(5, part=2))
        pool = self.derive_and_attach(replica, owner, pools)
        assert sorted(pools.built) == [1, 2]
        with replica.pin():
            assert pool.current == [2]
        assert pool.current == [1]

    def test_and_can_not_be_built_speaks_against_it(self, owner, replica, pools, caplog):
        attach(replica, owner)
        owner.attempt(5, Settings(5, part=13))
        self.derive_and_attach(replica, owner, pools)
        answer = owner.receive()
        assert (type(answer), answer.version) == (Unhealthy, 5)
        assert answer.reason == "part: Pools.build can't be built: ValueError: 13 brings bad luck"
        assert "version 5, which is on trial, can't be used here" in caplog.text

    def test_and_is_async_is_built_for_the_trial_on_the_loop(self, owner, replica):
        attach(replica, owner)
        owner.attempt(5, Settings(5, part=2))

        async def build(part: int) -> list[int]:
            return [part]

        pool = replica.derive(build, lambda c: c.part)

        async def lifespan() -> tuple[Any, Any]:
            await replica.aattach(owner.address)
            with replica.pin():
                return pool.current, pool.latest

        assert asyncio.run(lifespan()) == ([2], [1])


class TestTheUndo:
    def test_swaps_the_former_in_with_what_was_derived_and_asks_nobody(self, owner, replica, pools, pool):
        attach(replica, owner)
        former, pool_of_it = replica.latest, pool.current
        owner.commit(4, Settings(4, part=2), seconds=20.0)
        replica.precommit(lambda old, new: 1 // 0)
        assert pools.closed == []
        assert owner.install(5, Settings(3), undo=True) == Applied(5, follows=False)
        assert replica.latest is former
        assert pool.current is pool_of_it
        assert (pools.built, replica.version) == ([1, 2], 5)
        eventually(lambda: pools.closed == [2], "the close of what was undone")

    def test_of_several_goes_back_to_the_first_one_s_former(self, owner, replica, pools, pool):
        attach(replica, owner)
        former, pool_of_it = replica.latest, pool.current
        owner.commit(4, Settings(4, part=2), seconds=20.0)
        owner.commit(5, Settings(5, part=4), seconds=20.0)
        eventually(lambda: pools.closed == [2], "the close of what lies between")
        owner.install(6, Settings(3), undo=True)
        assert replica.latest is former
        assert pool.current is pool_of_it

    def test_of_a_promoted_trial_is_the_same(self, owner, replica, pools, pool):
        attach(replica, owner)
        former, pool_of_it = replica.latest, pool.current
        owner.attempt(5, Settings(5, part=2))
        owner.commit(5, Settings(5, part=2), seconds=20.0)
        owner.install(6, Settings(3), undo=True)
        assert replica.latest is former
        assert pool.current is pool_of_it
        assert pools.built == [1, 2]

    @pytest.mark.parametrize(
        "end",
        [
            lambda owner: owner.tell(Provisional(4, 0.0)),
            lambda owner: owner.commit(5, Settings(5, part=2)),
        ],
        ids=["proven", "a version that is not provisional"],
    )
    def test_what_it_would_put_back_is_closed_when_none_can_come(self, owner, replica, pools, pool, end):
        attach(replica, owner)
        owner.commit(4, Settings(4, part=2), seconds=20.0)
        end(owner)
        eventually(lambda: pools.closed == [1], "the close")

    def test_what_it_would_put_back_is_closed_when_its_time_is_over_though_no_frame_comes(
        self, owner, replica, pools, pool, monkeypatch
    ):
        monkeypatch.setattr(attachment, "UNDO_TAKES", 0.0)
        attach(replica, owner)
        owner.commit(4, Settings(4, part=2), seconds=0.05)
        eventually(lambda: pools.closed == [1], "the close")

    def test_what_it_would_put_back_is_closed_with_the_replica(self, owner, replica, pools, pool):
        attach(replica, owner)
        owner.commit(4, Settings(4, part=2), seconds=20.0)
        replica.close()
        assert sorted(pools.closed) == [1, 2]

    def test_what_lies_between_is_not_kept(self, owner, replica):
        attach(replica, owner)
        owner.commit(4, seconds=20.0)
        between = weakref.ref(replica.latest)
        owner.commit(5, seconds=20.0)
        owner.tell()
        eventually(lambda: (gc.collect(), between() is None)[1], "the end of what lies between")
