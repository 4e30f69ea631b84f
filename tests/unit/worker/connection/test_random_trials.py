"""A worker and an owner that does what owners do, by chance: versions, trials, promotions, undos, windows, new pipes.

Checked after each step: no entity sees a number go down; what is read is what the owner has committed, or tries; no
thing of a version in hand or in a pin is closed; an undo and a promotion build nothing. At the end all are closed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest

from confcast.config.codec import Codec, digest
from confcast.wire.messages import (
    Abort,
    Applied,
    Commit,
    Install,
    OnTrial,
    Prepare,
    Provisional,
    Settled,
    Tried,
    Try,
    Unhealthy,
    Vote,
    Working,
)
from confcast.worker import registry
from confcast.worker.connection.attachment import Attachment
from confcast.worker.pins import Pin
from confcast.worker.replica import Replica
from tests.support.waiting import eventually

RUNS = 60
STEPS = 60
SALT = "salt"
ENTITIES: list[Any] = [None, "ada", "bob", "eve", 4]
BUILDS_NOT = 13


@dataclass(frozen=True)
class Settings:
    """The schema; small, and no pydantic."""

    number: int = 0
    part: int = 0


CODEC = Codec(Settings)


class Thing:
    def __init__(self, part: int) -> None:
        if part == BUILDS_NOT:
            raise ValueError("it brings bad luck")
        self.part, self.closed = part, False

    def close(self) -> None:
        assert not self.closed, "closed twice"
        self.closed = True


class World:
    """`fallback`: what an undo of the committed version would put back; None: it is not provisional."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.things: list[Thing] = []
        self.replica = Replica(Settings, name="by chance")
        self.derived = self.replica.derive(self.build, lambda c: c.part, close=Thing.close, linger=0.0)
        self.attachment = self.attached()
        self.link, self.machine = self.attachment._link, self.attachment._machine
        self.answers: list[Any] = []
        self.link.send = lambda message: bool(self.answers.append(message)) or True  # type: ignore[method-assign]
        self.machine.connected()
        self.highest = self.round = 1
        self.committed = (1, Settings(1, 1))
        self.trial: tuple[int, Settings, float] | None = None
        self.fallback: tuple[int, Settings] | None = None
        self.seen: dict[Any, int] = {}
        self.pins: list[Pin[Settings]] = []
        self.install(*self.committed)

    def attached(self) -> Attachment[Settings]:
        """Without a pipe: the test gives it the frames."""
        replica = self.replica
        parts = (replica._checks, replica._observers, replica._resources, replica._health)
        took = (replica._receive, replica._receive_trial)
        replica._provider = Attachment(replica.name, Settings, "/nowhere/sock", None, *parts, *took, 1.0)
        return replica._provider

    def build(self, part: int) -> Thing:
        thing = Thing(part)
        self.things.append(thing)
        return thing

    # ---- what owners say

    def give(self, frame: Any) -> list[Any]:
        """The answers to this frame."""
        self.answers.clear()
        assert self.link._handle(frame), f"the pipe is closed by {type(frame).__name__}"
        return [each for each in self.answers if not isinstance(each, Working)]

    def install(self, version: int, settings: Settings, **more: Any) -> list[Any]:
        payload = CODEC.encode(settings)
        answers = self.give(Install(version, digest(payload), payload, provisional=self.seconds, **more))
        assert isinstance(answers[0], Applied)
        return answers[1:]

    @property
    def seconds(self) -> float:
        return 20.0 if self.fallback else 0.0

    def next(self, *parts: int) -> Settings:
        self.highest += 1
        return Settings(self.highest, self.random.choice(parts or (1, 2, 3, 4)))

    def vote(self, settings: Settings) -> Vote:
        self.round += 1
        payload = CODEC.encode(settings)
        (vote,) = self.give(Prepare(self.round, digest(payload), payload))
        return vote

    def run(self, version: int, settings: Settings, provisional: bool) -> None:
        self.fallback = (self.fallback or self.committed) if provisional else None
        self.committed = (version, settings)

    def commit(self, version: int, settings: Settings) -> None:
        assert self.vote(settings).ok
        built = len(self.things)
        before = self.committed
        self.run(version, settings, self.random.random() < 0.5)
        (applied,) = self.give(Commit(self.round, version, self.seconds))
        assert isinstance(applied, Applied), before
        assert len(self.things) == built

    # ---- the steps

    def a_version(self) -> None:
        self.undo_trial()
        settings = self.next()
        self.commit(self.highest, settings)

    def the_same_content(self) -> None:
        self.undo_trial()
        self.highest += 1
        contents = [each[1] for each in (self.committed, self.fallback) if each is not None]
        self.commit(self.highest, self.random.choice(contents))

    def a_trial(self) -> None:
        if self.trial is not None:
            return
        settings, share = self.next(), self.random.choice([0.0, 0.5])
        assert self.vote(settings).ok
        assert self.give(Try(self.round, self.highest, share, SALT)) == [Tried(self.highest)]
        self.trial = (self.highest, settings, share)
        self.look()
        if share:
            self.give(Settled(self.highest))

    def promote(self) -> None:
        if self.trial is not None:
            (version, settings, _), self.trial = self.trial, None
            built = len(self.things)
            self.commit(version, settings)
            assert len(self.things) == built

    def undo_trial(self) -> None:
        if self.trial is not None:
            self.highest += 1
            self.trial = None
            self.put_back(self.committed[1])

    def undo(self) -> None:
        self.undo_trial()
        if self.fallback is not None:
            self.highest += 1
            (_, settings), self.fallback = self.fallback, None
            self.put_back(settings)

    def put_back(self, settings: Settings) -> None:
        built = len(self.things)
        self.install(self.highest, settings, undo=True)
        self.committed = (self.highest, settings)
        self.look()
        assert len(self.things) == built, "an undo builds nothing"

    def a_new_pipe(self) -> None:
        self.machine.ended()
        self.machine.connected()
        assert self.machine.trial == (self.trial[0] if self.trial else 0)
        if self.trial is None or self.random.random() < 0.3:
            self.install(*self.committed)
            return
        version, settings, share = self.trial
        payload, built = CODEC.encode(settings), len(self.things)
        if share and self.random.random() < 0.5:
            trial = OnTrial(version, digest(payload), payload, share, SALT, begun=True)
            assert self.install(*self.committed, trial=trial) == [Tried(version)]
        else:
            self.install(*self.committed)
            self.vote(settings)
            assert self.give(Try(self.round, version, share, SALT)) == [Tried(version)]
        assert len(self.things) == built

    def a_version_with_a_trial(self) -> None:
        """For a worker that had no vote on either."""
        self.undo_trial()
        settings = self.next()
        self.run(self.highest, settings, self.random.random() < 0.5)
        tried = self.next(1, 2, 5, BUILDS_NOT)
        payload = CODEC.encode(tried)
        trial = OnTrial(self.highest, digest(payload), payload, 0.5, SALT, begun=self.random.random() < 0.5)
        (answer,) = self.install(*self.committed, trial=trial)
        if tried.part == BUILDS_NOT:
            assert isinstance(answer, Unhealthy)
        else:
            assert answer == Tried(self.highest)
            self.trial = (self.highest, tried, 0.5)

    def a_refusal(self) -> None:
        ok = self.vote(settings := Settings(999, self.random.choice([7, BUILDS_NOT]))).ok
        assert ok == (settings.part == 7)
        self.look()
        self.give(Abort(self.round))

    def proven(self) -> None:
        self.fallback = None
        self.give(Provisional(self.committed[0], 0.0))

    def a_window(self) -> None:
        if self.fallback is None:
            self.fallback = self.committed
            self.give(Provisional(self.committed[0], 60.0))

    def settled(self) -> None:
        self.give(Settled(self.committed[0]))

    # ---- what must hold

    def look(self) -> None:
        replica = self.replica
        assert (replica.version, replica.latest) == self.committed
        assert self.machine.trial == (self.trial[0] if self.trial else 0)
        assert not self.derived.latest.closed
        for entity in ENTITIES:
            pin = replica.pin(entity=entity)
            with pin as config:
                assert replica.version >= self.seen.get(entity, 0), "a number has gone down"
                assert config in (self.committed[1], self.trial and self.trial[1])
                thing = self.derived.current
                assert (thing.part, thing.closed) == (config.part, False)
                self.seen[entity] = replica.version
                snapshot = pin.snapshot
            if self.random.random() < 0.15:  # as in a request that takes long, whose thread has a context of its own
                pin.snapshot = snapshot
                self.pins.append(pin)
        for pin in self.pins:
            things = pin.snapshot._things if pin.snapshot is not None else None
            assert things is None or not any(each.closed for each in things.values.values())
        del self.pins[:-4]

    def end(self) -> None:
        self.pins.clear()
        self.replica._provider = None
        self.replica._resources.close()
        registry.withdraw(self.replica)
        eventually(lambda: all(each.closed for each in self.things), "everything is closed")


STEPS_OF_A_WORLD = [
    World.a_version,
    World.the_same_content,
    World.a_trial,
    World.a_trial,
    World.promote,
    World.undo_trial,
    World.undo,
    World.a_new_pipe,
    World.a_version_with_a_trial,
    World.a_refusal,
    World.proven,
    World.a_window,
    World.settled,
]


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")


@pytest.mark.parametrize("seed", range(0, RUNS, 20))
def test_whatever_an_owner_does_it_holds(seed: int) -> None:
    for each in range(seed, seed + 20):
        world = World(each)
        world.look()
        try:
            for _ in range(STEPS):
                world.random.choice(STEPS_OF_A_WORLD)(world)
                world.look()
        finally:
            world.end()
