"""What a thread hands to an event loop that ends just then: that is an error, and Python warns of nothing."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import Any

import pytest

from confcast.worker.derived.building import awaited_on
from tests.support.waiting import LONG, eventually, in_thread


@pytest.fixture
def loop() -> Iterator[Any]:
    """One that does not run."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


async def never() -> None:
    raise AssertionError("it was begun")


def test_what_the_loop_has_not_begun_when_it_is_closed_is_closed_too(loop: Any) -> None:
    """Without: "coroutine … was never awaited", at the end of each application whose health was judged just then."""
    given = in_thread(lambda: awaited_on(loop, never(), LONG))
    eventually(lambda: loop._ready, "it is the loop's turn")
    loop.close()
    with pytest.raises(TimeoutError, match="its event loop was closed"):
        given()
    gc.collect()  # a warning would come here


def test_so_is_what_comes_after_that(loop: Any) -> None:
    loop.close()
    with pytest.raises(RuntimeError, match="loop is closed"):
        awaited_on(loop, never(), LONG)
    gc.collect()
