"""Pins by themselves: cells, tokens and contexts, and what a replica reads by them."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref
from contextvars import ContextVar

import pytest

from confcast.worker.pins import Cell, Pin
from confcast.worker.snapshot import Snapshot


class Config:
    """Any value."""


Variable = ContextVar[Cell[Config] | None]


@pytest.fixture
def variable() -> Variable:
    return ContextVar("pinned", default=None)


def snapshot(version: int = 1) -> Snapshot[Config]:
    return Snapshot(Config(), version, b"")


def test_it_pins_what_it_was_made_with_and_leaves_nothing(variable: Variable) -> None:
    held = snapshot()
    with Pin(variable, held, snapshot) as config:
        assert config is held.config
        cell = variable.get()
        assert cell is not None
        assert cell.snapshot is held
    assert variable.get() is None
    assert cell.snapshot is None


def test_the_outer_one_is_back_when_the_inner_one_ends(variable: Variable) -> None:
    outer, inner = snapshot(1), snapshot(2)
    with Pin(variable, outer, snapshot):
        with Pin(variable, inner, snapshot):
            assert variable.get().snapshot is inner
        assert variable.get().snapshot is outer


def test_its_end_in_another_context_is_seen_in_the_first_one(variable: Variable) -> None:
    pin = Pin(variable, snapshot(), snapshot)
    pin.__enter__()
    contextvars.copy_context().run(pin.__exit__, None, None, None)
    cell = variable.get()
    assert cell is not None
    assert cell.snapshot is None
    variable.set(None)


def test_a_task_begun_inside_sees_its_end(variable: Variable) -> None:
    async def request() -> Cell[Config] | None:
        go_on = asyncio.Event()

        async def later() -> Cell[Config] | None:
            await go_on.wait()
            return variable.get()

        with Pin(variable, snapshot(), snapshot):
            task = asyncio.create_task(later())
            await asyncio.sleep(0)
        go_on.set()
        return await task

    cell = asyncio.run(request())
    assert cell is not None
    assert cell.snapshot is None


def test_of_a_pin_inside_a_background_task_only_its_own_end_counts(variable: Variable) -> None:
    async def request() -> bool:
        began, go_on = asyncio.Event(), asyncio.Event()

        async def background() -> bool:
            with Pin(variable, snapshot(2), snapshot) as config:
                began.set()
                await go_on.wait()
                cell = variable.get()
                return cell is not None and cell.snapshot is not None and cell.snapshot.config is config

        with Pin(variable, snapshot(1), snapshot):
            task = asyncio.create_task(background())
            await began.wait()
        go_on.set()
        return await task

    assert asyncio.run(request())


@pytest.mark.parametrize("entered_before", [1, 2])
def test_it_is_for_one_use(variable: Variable, entered_before: int) -> None:
    pin = Pin(variable, snapshot(), snapshot)
    pin.__enter__()
    if entered_before == 2:
        pin.__exit__(None, None, None)
    with pytest.raises(RuntimeError, match=r"call pin\(\) again"):
        pin.__enter__()
    if entered_before == 1:
        pin.__exit__(None, None, None)


def test_a_pin_that_was_never_entered_may_be_left(variable: Variable) -> None:
    Pin(variable, snapshot(), snapshot).__exit__(None, None, None)
    assert variable.get() is None


def test_no_configuration_is_kept_alive_by_a_pin_that_was_closed_elsewhere(variable: Variable) -> None:
    held = snapshot()
    alive = weakref.ref(held.config)
    pin = Pin(variable, held, snapshot)
    pin.__enter__()
    contextvars.copy_context().run(pin.__exit__, None, None, None)
    del held
    gc.collect()
    assert alive() is None
    variable.set(None)


def test_a_renewed_pin_sees_the_newest_in_every_context_that_inherited_it(variable: Variable) -> None:
    held, newest = snapshot(1), snapshot(2)
    pin = Pin(variable, held, lambda: newest)
    with pin:
        inherited = contextvars.copy_context()
        pin.renew()
        cell = inherited.run(variable.get)
        assert cell is not None
        assert cell.snapshot is newest


def test_a_pin_that_has_ended_is_not_renewed(variable: Variable) -> None:
    pin = Pin(variable, snapshot(1), lambda: snapshot(2))
    with pin:
        cell = variable.get()
    pin.renew()
    assert cell is not None
    assert cell.snapshot is None
