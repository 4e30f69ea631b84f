"""Payloads that nothing names are dropped, and none that a head names ever is, however publishers come between each
other."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from confcast.fleet import publishing
from confcast.fleet.engines.engine import (
    MOST_DROPPED,
    UNTOUCHED,
    EngineError,
    Fault,
    OldPayload,
    Unreachable,
)
from confcast.fleet.engines.link import Link
from confcast.fleet.head import Rollout, decode, digest_of
from confcast.fleet.publishing import Author, Conflict, Published, Refused
from confcast.fleet.unnamed import drop_unnamed
from tests.support.engines.memory import MemoryEngine, MemoryStore
from tests.support.waiting import DEADLINE

OLD, ONE, TWO, NEW = b"port = 1\n", b"port = 2\n", b"port = 3\n", b"port = 4\n"
ROLLOUT = Rollout(("1 host", "100%"))
AUTHOR = Author("me@here", wall=lambda: 7.0)

Verb = Callable[[Link], Awaitable[Published]]


def published(content: bytes, rollout: Rollout | None = None) -> Verb:
    return lambda link: publishing.publish(link, content, AUTHOR, rollout)


def rolled_back(link: Link) -> Awaitable[Published]:
    return publishing.rollback(link, AUTHOR)


def done(engine: MemoryEngine, *verbs: Verb) -> list[Published]:
    async def run() -> list[Published]:
        async with Link(engine.connect) as link:
            return [await verb(link) for verb in verbs]

    return asyncio.run(run())


def contents(engine: MemoryEngine) -> set[bytes]:
    return set(engine.payloads.values())


def test_what_no_kept_entry_names_is_dropped_after_an_hour():
    engine = MemoryEngine()
    engine.kept = 2
    done(engine, *map(published, (OLD, ONE, TWO)))
    assert contents(engine) == {OLD, ONE, TWO}, "nobody knows yet whether somebody is about to publish it"
    engine.clock = UNTOUCHED + 1
    (told,) = done(engine, published(NEW))
    assert contents(engine) == {TWO, NEW}
    assert told.warning == ""


def test_what_a_kept_entry_names_stays_however_old_it_is():
    engine = MemoryEngine()
    for content in (OLD, ONE, TWO):
        engine.clock += 10 * UNTOUCHED
        done(engine, published(content))
    assert contents(engine) == {OLD, ONE, TWO}
    done(engine, rolled_back, rolled_back)
    assert decode(engine.head or b"").stable == digest_of(OLD)


def test_entries_of_a_newer_build_name_payloads_too():
    engine = MemoryEngine()
    done(engine, published(OLD), published(ONE))
    engine.entries = [b"\x01 of another kind, with %s in it" % digest_of(OLD).encode()]
    engine.clock = UNTOUCHED + 1
    done(engine, published(NEW))
    assert OLD in contents(engine)


def test_the_payloads_of_a_rollout_stay_also_if_the_trail_was_lost():
    engine = MemoryEngine()
    done(engine, published(ONE), published(TWO, ROLLOUT))
    engine.clock, engine.entries = UNTOUCHED + 1, []
    done(engine, lambda link: publishing.confirm(link, AUTHOR))
    assert contents(engine) == {ONE, TWO}


def test_a_publisher_drops_some_and_the_next_one_some_more():
    engine = MemoryEngine()
    for number in range(2 * MOST_DROPPED):
        engine.payloads[digest_of(b"%d" % number)] = b"%d" % number
        engine.puts[digest_of(b"%d" % number)] = -2 * UNTOUCHED, 1
    done(engine, published(ONE))
    assert len(engine.payloads) == MOST_DROPPED + 1
    done(engine, published(TWO))
    assert contents(engine) == {ONE, TWO}


def test_with_an_empty_or_lost_head_nothing_is_dropped():
    engine = MemoryEngine()
    done(engine, published(OLD))
    engine.clock, engine.head, engine.entries = UNTOUCHED + 1, None, []

    async def run() -> list[str]:
        return await drop_unnamed(await engine.connect())

    assert asyncio.run(run()) == []
    assert contents(engine) == {OLD}


@pytest.mark.parametrize("step", ["put_payload", "old_payloads", "drop_payloads"])
@pytest.mark.parametrize(
    ("error", "said"),
    [(Fault("no right"), "no right"), (Unreachable("was lost"), "was lost"), (None, "no answer within")],
)
def test_what_fails_after_the_swap_is_told_and_fails_nothing(
    monkeypatch: pytest.MonkeyPatch, step: str, error: EngineError | None, said: str
):
    monkeypatch.setattr(publishing, "TIDY_WITHIN", 0.05 if error is None else DEADLINE)
    engine = MemoryEngine()

    def on(name: str) -> None:
        if name == step and "swap" in engine.steps:
            engine.down, engine.silent = error, error is None

    engine.on = on
    (told,) = done(engine, published(ONE))
    assert (told.outcome, decode(engine.head or b"").stable) == ("first", digest_of(ONE))
    what = "whether nobody has dropped its payload" if step == "put_payload" else "payloads that nothing names any more"
    assert what in told.warning
    assert said in told.warning
    assert engine.connections == 0


def test_to_publish_again_what_is_stable_mends_a_payload_that_somebody_has_deleted():
    engine = MemoryEngine()
    done(engine, published(ONE))
    engine.payloads.clear()
    (told,) = done(engine, published(ONE))
    assert told.outcome == "unchanged"
    assert contents(engine) == {ONE}


# ---- publishers that come between each other


class Stepped(MemoryEngine):
    """Answers one step at a time, when its turn comes."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: dict[str, asyncio.Future[None]] = {}
        self.is_stepped = False

    async def step(self, name: str) -> None:
        if not self.is_stepped:
            return await super().step(name)
        turn = asyncio.get_running_loop().create_future()
        task = asyncio.current_task()
        assert task is not None
        self.waiting[task.get_name()] = turn
        await turn
        self.steps.append(name)
        return None


class Careless(MemoryStore):
    """Drops what it is told to, whoever has put it since."""

    async def drop_payloads(self, head: bytes, payloads: Sequence[OldPayload]) -> None:
        there = [each for each in payloads if each.digest in self.engine.puts]
        await super().drop_payloads(head, [each._replace(put=self.engine.puts[each.digest]) for each in there])


async def _schedule(seed: int, engine: Stepped, connect: Callable[[], Awaitable[Any]]) -> list[str]:
    """Run some publishers in an order by chance. Returns the digests that a head named and that were not there."""
    chance, missing = random.Random(seed), []
    await _prepared(engine, chance)
    verbs = [published(OLD), chance.choice([published(NEW), rolled_back, published(OLD, ROLLOUT), published(ONE)])]
    engine.is_stepped = True
    tasks = [asyncio.create_task(_ended(verb, connect)) for verb in verbs]
    jumps = chance.random() < 0.5  # a publisher may stand still for hours: only then may a payload be missed for a time
    present = ""
    while not all(task.done() for task in tasks):
        for _ in range(4):  # until each of them waits for its turn
            await asyncio.sleep(0)
        if engine.waiting:
            if jumps and chance.random() < 0.1:
                engine.clock += UNTOUCHED + 1
            if present not in engine.waiting or chance.random() < 0.15:
                present = chance.choice(sorted(engine.waiting))
            engine.waiting.pop(present).set_result(None)
            await asyncio.sleep(0)
            missing += [] if jumps else _missing(engine)
    for task in tasks:
        task.result()
    return missing + _missing(engine)


async def _prepared(engine: Stepped, chance: random.Random) -> None:
    engine.kept = chance.randint(1, 3)
    async with Link(engine.connect) as link:
        for content in (OLD, ONE, TWO, ONE)[: chance.randint(2, 4)]:
            await published(content)(link)
    engine.clock += UNTOUCHED + 1


async def _ended(verb: Verb, connect: Callable[[], Awaitable[Any]]) -> None:
    async with Link(connect) as link:
        try:
            await verb(link)
        except (Conflict, Refused):
            return


def _missing(engine: MemoryEngine) -> list[str]:
    head = decode(engine.head or b"")
    return [each for each in (head.stable, head.next) if each is not None and each not in engine.payloads]


def _schedules(seeds: range, store: type[MemoryStore]) -> list[int]:
    """The seeds after which something was missing."""

    async def one(seed: int) -> list[str]:
        engine = Stepped()

        async def connect() -> MemoryStore:
            made = store(engine)
            engine._stores.add(made)
            return made

        return await _schedule(seed, engine, connect)

    async def every() -> list[int]:
        return [seed for seed in seeds if await one(seed)]

    return asyncio.run(every())


def test_no_head_names_a_payload_that_was_dropped():
    assert _schedules(range(400), MemoryStore) == []


@pytest.mark.slow
def test_no_head_does_in_many_schedules():
    assert _schedules(range(1000, 6000), MemoryStore) == []


def test_the_schedules_reach_the_race():
    """An engine that drops without a look at the last put loses a payload that a head names."""
    assert _schedules(range(400), Careless)
