"""Pins by themselves: tokens and contexts, and what tasks inherit."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref
from contextvars import ContextVar
from functools import partial

import pytest

from confcast.worker.pins import Pin
from confcast.worker.snapshot import Snapshot


class Config:
    """Any value."""


Variable = ContextVar[Pin[Config] | None]


def snapshot(version: int = 1) -> Snapshot[Config]:
    return Snapshot(Config(), version, b"")


class Source:
    """What a replica is to its pins."""

    def __init__(self) -> None:
        self._pinned: Variable = ContextVar("pinned", default=None)
        self._snapshot = snapshot()
        self._trial = None

    def _given(self, entity: object) -> Snapshot:
        return self._snapshot


@pytest.fixture
def source() -> Source:
    return Source()


def test_it_pins_what_it_was_made_with_and_leaves_nothing(source: Source) -> None:
    held = snapshot()
    with Pin(source, held) as config:
        assert config is held.config
        pin = source._pinned.get()
        assert pin is not None
        assert pin.snapshot is held
    assert source._pinned.get() is None
    assert pin.snapshot is None


def test_the_outer_one_is_back_when_the_inner_one_ends(source: Source) -> None:
    outer, inner = snapshot(1), snapshot(2)
    with Pin(source, outer):
        with Pin(source, inner):
            assert source._pinned.get().snapshot is inner
        assert source._pinned.get().snapshot is outer


def test_its_end_in_another_context_is_seen_in_the_first_one(source: Source) -> None:
    pin = Pin(source, snapshot())
    pin.__enter__()
    contextvars.copy_context().run(pin.__exit__, None, None, None)
    inner = source._pinned.get()
    assert inner is not None
    assert inner.snapshot is None
    source._pinned.set(None)


def test_a_task_begun_inside_sees_its_end(source: Source) -> None:
    async def request() -> Pin[Config] | None:
        go_on = asyncio.Event()

        async def later() -> Pin[Config] | None:
            await go_on.wait()
            return source._pinned.get()

        with Pin(source, snapshot()):
            task = asyncio.create_task(later())
            await asyncio.sleep(0)
        go_on.set()
        return await task

    inner = asyncio.run(request())
    assert inner is not None
    assert inner.snapshot is None


def test_of_a_pin_inside_a_background_task_only_its_own_end_counts(source: Source) -> None:
    async def request() -> bool:
        began, go_on = asyncio.Event(), asyncio.Event()

        async def background() -> bool:
            with Pin(source, snapshot(2)) as config:
                began.set()
                await go_on.wait()
                inner = source._pinned.get()
                return inner is not None and inner.snapshot is not None and inner.snapshot.config is config

        with Pin(source, snapshot(1)):
            task = asyncio.create_task(background())
            await began.wait()
        go_on.set()
        return await task

    assert asyncio.run(request())


@pytest.mark.parametrize("entered_before", [1, 2])
def test_it_is_for_one_use(source: Source, entered_before: int) -> None:
    pin = Pin(source, snapshot())
    pin.__enter__()
    if entered_before == 2:
        pin.__exit__(None, None, None)
    with pytest.raises(RuntimeError, match=r"call pin\(\) again"):
        pin.__enter__()
    if entered_before == 1:
        pin.__exit__(None, None, None)


def test_a_pin_that_was_never_entered_may_be_left(source: Source) -> None:
    Pin(source, snapshot()).__exit__(None, None, None)
    assert source._pinned.get() is None


@pytest.mark.parametrize("elsewhere_first", [True, False])
def test_it_may_be_closed_again_in_whatever_context(source: Source, elsewhere_first: bool) -> None:
    """A server may close a body twice; an interrupted end is begun again."""
    outer, pin = Pin(source, snapshot(1)), Pin(source, snapshot(2))
    outer.__enter__()
    pin.__enter__()
    elsewhere = partial(contextvars.copy_context().run, pin.__exit__)
    for close in (elsewhere, pin.__exit__) if elsewhere_first else (pin.__exit__, elsewhere):
        close(None, None, None)
    assert source._pinned.get() is (pin if elsewhere_first else outer)
    assert pin.snapshot is None
    outer.__exit__(None, None, None)
    assert source._pinned.get() is None


def test_a_task_that_outlives_its_request_keeps_nothing_of_that_requests_context(source: Source) -> None:
    """A token knows its context, and so all that the request has set."""

    class Kept:
        """What a request sets."""

    theirs: ContextVar[Kept] = ContextVar("theirs")
    inherited: list[contextvars.Context] = []

    def request() -> weakref.ref[Kept]:
        with Pin(source, snapshot()):
            inherited.append(contextvars.copy_context())
            theirs.set(kept := Kept())
            return weakref.ref(kept)

    alive = contextvars.Context().run(request)
    assert alive() is None
    assert inherited[0][source._pinned].snapshot is None


def test_no_configuration_is_kept_alive_by_a_pin_that_was_closed_elsewhere(source: Source) -> None:
    held = snapshot()
    alive = weakref.ref(held.config)
    pin = Pin(source, held)
    pin.__enter__()
    contextvars.copy_context().run(pin.__exit__, None, None, None)
    del held
    gc.collect()
    assert alive() is None
    source._pinned.set(None)


def test_a_renewed_pin_sees_the_newest_in_every_context_that_inherited_it(source: Source) -> None:
    pin = Pin(source, snapshot(1))
    with pin:
        inherited = contextvars.copy_context()
        source._snapshot = snapshot(2)
        pin.renew()
        inner = inherited.run(source._pinned.get)
        assert inner is not None
        assert inner.snapshot is source._snapshot


def test_a_pin_that_has_ended_is_not_renewed(source: Source) -> None:
    pin = Pin(source, snapshot(1))
    with pin:
        pass
    pin.renew()
    assert pin.snapshot is None
