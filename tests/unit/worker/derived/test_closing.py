"""The closing thread: when it closes, in which order, and what becomes of a close that does not end."""

from __future__ import annotations

import threading
import weakref
from typing import Any

import pytest

from confcast.worker.derived.closing import Closing
from confcast.worker.derived.things import Declaration, Thing, Things
from tests.support.waiting import eventually


@pytest.fixture
def closing() -> Closing:
    return Closing(lambda text, instead, *configs: text, lambda: None, patience=0.05)


def declared(close: Any, linger: float = 0.0) -> Declaration:
    declaration = Declaration(str, str, (), close, linger)
    declaration.name = "thing"
    return declaration


def built(closing: Closing, things: Things, declaration: Declaration, value: Any, *uses: Thing) -> Thing:
    thing = Thing(declaration, None, uses, things, len(closing.open_things()) + 1)
    thing.value = value
    closing.add(thing, things.contents)
    return thing


def test_a_version_s_end_closes_what_only_it_had_in_reverse_order(closing: Closing) -> None:
    closed: list[str] = []
    declaration, user, other = declared(closed.append), declared(closed.append), declared(closed.append)
    former, newest = Things(None, 1), Things(None, 2)
    engine = built(closing, former, declaration, "engine")
    built(closing, former, user, "repo", engine)
    kept = built(closing, former, other, "kept")
    assert closing.share(kept, newest.contents)

    closing.replaced(former, newest)
    del former

    eventually(lambda: closed == ["repo", "engine"], "both are closed")
    eventually(lambda: closing.open_things() == [kept], "only what the newest has is open")


def test_nothing_is_closed_while_somebody_holds_the_version(closing: Closing) -> None:
    closed: list[str] = []
    former = Things(None, 1)
    built(closing, former, declared(closed.append), "pool")
    closing.replaced(former, None)
    held = former
    del former
    assert not threading.Event().wait(0.05)
    assert closed == []

    del held
    eventually(lambda: closed == ["pool"], "the end of the last reference closes it")


def test_it_stays_open_for_its_linger(closing: Closing) -> None:
    closed: list[str] = []
    former = Things(None, 1)
    built(closing, former, declared(closed.append, linger=3600.0), "pool")
    brief = declared(closed.append, linger=0.01)
    built(closing, former, brief, "client")
    closing.replaced(former, None)
    del former

    eventually(lambda: closed == ["client"], "the other one's time is over")
    eventually(lambda: [thing.value for thing in closing.open_things()] == ["pool"], "the other one is open")
    closing.close_all()
    assert closed == ["client", "pool"]
    eventually(lambda: closing._thread is None, "the end of the thread")


def test_what_lingers_is_taken_up_again(closing: Closing) -> None:
    closed: list[str] = []
    former, later = Things(None, 1), Things(None, 3)
    thing = built(closing, former, declared(closed.append, linger=3600.0), "pool")
    closing.replaced(former, None)
    del former
    eventually(lambda: not thing.holders, "nothing has it")

    assert closing.share(thing, later.contents)
    assert later.contents.things == {thing.derived: thing}
    closing.close_all()
    assert not closing.share(thing, later.contents)


def test_a_close_that_hangs_is_counted_and_holds_up_no_other(
    closing: Closing, caplog: pytest.LogCaptureFixture
) -> None:
    closed: list[str] = []
    go_on = threading.Event()
    former = Things(None, 1)
    hanging = declared(lambda value: go_on.wait())
    built(closing, former, declared(closed.append), "pool")
    built(closing, former, hanging, "hangs")
    closing.replaced(former, None)
    del former

    eventually(lambda: closed == ["pool"], "the other one is closed")
    assert hanging.failed_closes == 1
    assert "thing of a former version could not be closed: not done in 0.05 s; it is left to run" in caplog.text
    go_on.set()


def test_an_async_close_without_a_loop_is_logged(closing: Closing, caplog: pytest.LogCaptureFixture) -> None:
    async def close(value: str) -> None:
        raise AssertionError("not called")

    declaration = declared(close)
    built(closing, Things(None, 1), declaration, "pool")
    closing.close_all()
    assert declaration.failed_closes == 1
    assert "no aattach() has bound a loop" in caplog.text


# ---- swaps that leave every thing as it is


def test_they_start_no_thread_and_leave_nothing_behind(closing: Closing) -> None:
    things = Things(None, 1)
    pool = built(closing, things, declared(lambda value: None), "pool")
    for version in range(2, 20):
        coming = Things(None, version)
        assert closing.share(pool, coming.contents)
        closing.replaced(things, coming)
        things = coming
        del coming
    assert closing._thread is None
    assert len(closing._watched) <= 1
    assert len(pool.holders) <= 2


def test_a_former_version_that_is_held_through_them_keeps_its_thing_until_its_end(closing: Closing) -> None:
    closed: list[str] = []
    pool = declared(closed.append)
    first, second, third = (Things(None, version) for version in (1, 2, 3))
    thing = built(closing, first, pool, "pool")
    assert closing.share(thing, second.contents)
    closing.replaced(first, second)
    assert closing._thread is None

    built(closing, third, pool, "another")
    closing.replaced(second, third)
    del second
    assert not threading.Event().wait(0.05)
    assert closed == []
    del first
    eventually(lambda: closed == ["pool"], "its last version's end closes it")
    eventually(lambda: closing._thread is None, "the thread has nothing more to do")


def test_what_is_built_late_in_a_former_version_is_closed_with_it(closing: Closing) -> None:
    closed: list[str] = []
    former, newest = Things(None, 1), Things(None, 2)
    closing.replaced(former, newest)
    assert closing._thread is None
    built(closing, former, declared(closed.append), "late")
    del former
    eventually(lambda: closed == ["late"], "the end of its version closes it")


def test_what_is_kept_for_an_undo_is_let_go_of_in_time_though_nothing_is_to_be_closed(closing: Closing) -> None:
    former, newest = Things(None, 1), Things(None, 2)
    pool = built(closing, former, declared(lambda value: None), "pool")
    assert closing.share(pool, newest.contents)
    closing.replaced(former, newest)
    closing.keep(former, 0.02)
    gone = weakref.ref(former)
    del former
    eventually(lambda: gone() is None, "the end of the time")
    assert closing.open_things() == [pool]


def test_of_versions_that_have_ended_together_the_older_one_s_things_are_closed_first(closing: Closing) -> None:
    closed: list[str] = []
    pool = declared(closed.append)
    first, second, third = (Things(None, version) for version in (1, 2, 3))
    with closing._lock:  # the thread waits for it
        for number, things in enumerate((first, second, third), 1):
            built(closing, things, pool, str(number))
        closing.replaced(first, second)
        closing.replaced(second, third)
        del first, second, things
    eventually(lambda: closed == ["1", "2"], f"both are closed: {closed}")
