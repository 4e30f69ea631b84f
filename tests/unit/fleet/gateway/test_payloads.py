"""A gateway's payloads: each is fetched once, compared with its digest, and given only if a head names it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from confcast.fleet.engines.engine import Unreachable
from confcast.fleet.gateway.payloads import NotNamed, NotThere, Payloads
from confcast.fleet.head import digest_of
from tests.support.engines.memory import MemoryEngine
from tests.support.waiting import DEADLINE

ONE, TWO, THREE = digest_of(b"1"), digest_of(b"2"), digest_of(b"3")


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(coroutine)


async def filled(*contents: bytes) -> tuple[MemoryEngine, Payloads]:
    engine, payloads = MemoryEngine(), Payloads()
    engine.payloads = {digest_of(each): each for each in contents}
    payloads.name([digest_of(each) for each in contents])
    return engine, payloads


def test_many_who_ask_before_it_is_there_get_it_and_the_engine_is_asked_once():
    async def main() -> None:
        engine, payloads = await filled(b"1")
        asking = [asyncio.create_task(payloads.get(ONE, DEADLINE)) for _ in range(100)]
        await asyncio.sleep(0)
        assert await payloads.fetch(await engine.connect())
        assert await asyncio.gather(*asking) == [b"1"] * 100
        assert engine.steps.count("payload") == 1

    run(main())


def test_a_digest_that_no_head_names_is_refused_at_once_and_nothing_is_asked():
    async def main() -> None:
        engine, payloads = await filled(b"1")
        for wrong in (TWO, "../../secret", ""):
            with pytest.raises(NotNamed):
                await payloads.get(wrong, DEADLINE)
        assert engine.steps == []

    run(main())


def test_one_who_waits_for_what_no_head_names_any_more_is_told():
    async def main() -> None:
        _, payloads = await filled(b"1")
        asking = asyncio.create_task(payloads.get(ONE, DEADLINE))
        await asyncio.sleep(0)
        payloads.name([TWO])
        payloads.name([THREE])
        payloads.put(THREE, b"3")
        with pytest.raises(NotNamed):
            await asking

    run(main())


def test_the_payloads_of_the_head_before_are_given_and_older_ones_dropped():
    async def main() -> None:
        engine, payloads = await filled(b"1")
        feed = await engine.connect()
        await payloads.fetch(feed)
        for content in (b"2", b"3"):
            engine.payloads[digest_of(content)] = content
            payloads.name([digest_of(content)])
            await payloads.fetch(feed)
        assert await payloads.get(TWO, DEADLINE) == b"2"
        with pytest.raises(NotNamed):
            await payloads.get(ONE, DEADLINE)
        assert len(payloads) == 2

    run(main())


def test_a_head_that_is_named_twice_does_not_forget_the_one_before():
    async def main() -> None:
        _, payloads = await filled(b"1")
        payloads.put(ONE, b"1")
        payloads.name([TWO])
        payloads.name([TWO])
        assert await payloads.get(ONE, DEADLINE) == b"1"

    run(main())


@pytest.mark.parametrize("content", [None, b"something else"])
def test_what_the_engine_does_not_have_is_told_at_once_until_it_has_it(content: bytes | None):
    async def main() -> None:
        engine, payloads = await filled(b"1")
        feed = await engine.connect()
        if content is None:
            del engine.payloads[ONE]
        else:
            engine.payloads[ONE] = content
        assert not await payloads.fetch(feed)
        with pytest.raises(NotThere):
            await payloads.get(ONE, DEADLINE)
        engine.payloads[ONE] = b"1"
        assert await payloads.fetch(feed)
        assert await payloads.get(ONE, DEADLINE) == b"1"

    run(main())


def test_waiting_has_an_end():
    async def main() -> None:
        _, payloads = await filled(b"1")
        with pytest.raises(TimeoutError):
            await payloads.get(ONE, 0.01)

    run(main())


def test_a_connection_that_is_lost_leaves_the_rest_to_the_next():
    async def main() -> None:
        engine, payloads = await filled(b"1", b"2")
        feed = await engine.connect()
        engine.on = lambda step: setattr(engine, "down", Unreachable("gone") if len(payloads) else None)
        with pytest.raises(Unreachable):
            await payloads.fetch(feed)
        engine.on, engine.down = lambda step: None, None
        assert await payloads.fetch(await engine.connect())
        assert payloads.present() == {ONE: b"1", TWO: b"2"}
        assert engine.steps.count("payload") == 3

    run(main())
