"""The two threads of the loop: which of them runs it, while loads are quick, last, and hang."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

import pytest

from confcast.owner.loop import relief
from confcast.owner.loop.relief import Relief
from tests.support.waiting import eventually

Step = Callable[[], object]


def _WAKE() -> None:
    """Not a step: what ends the wait for one."""


class Loop:
    """A loop without an owner: it runs each step that it is given as a step of a load, and ends at None."""

    def __init__(self) -> None:
        self.relief = Relief(lambda: self.waits_in.append(threading.current_thread()))
        self.waits_in: list[threading.Thread] = []
        self.steps: queue.SimpleQueue[Step | None] = queue.SimpleQueue()
        self.turns_in: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.kept: list[bool] = []  # whether the loop was still its thread's after each step
        self.raised: list[BaseException] = []
        self.ended = threading.Event()
        self.main = threading.Thread(target=self._main)

    def _main(self) -> None:
        try:
            self.relief.run(self._turns, self._wake)
        except Exception as error:
            self.raised.append(error)
        self.ended.set()

    def _turns(self) -> None:
        while self.relief.has_loop() and (step := self.steps.get()) is not None:
            if step is _WAKE:
                continue
            self.turns_in.put(threading.get_ident())
            if not self.relief.given:
                self.relief.step_begins()
                step()
                self.kept.append(self.relief.step_ended())

    def _wake(self) -> None:
        self.steps.put(_WAKE)

    def turn(self, step: Step = lambda: None) -> int:
        """The thread that runs the loop in the next turn."""
        self.steps.put(step)
        return self.turns_in.get(timeout=10)


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    made.main.start()
    yield made
    made.steps.put(None)
    assert made.ended.wait(10)
    made.main.join(10)


@pytest.fixture
def no_step_lasts(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From its call on, a busy machine that stops a thread for a tenth of a second makes no step one that lasts."""
    return lambda: monkeypatch.setattr(relief, "RELIEF_AFTER", 2.0)


def test_quick_loads_stay_in_the_loop_s_thread(loop: Loop, no_step_lasts: Callable[[], None]) -> None:
    no_step_lasts()
    assert len({loop.turn() for _ in range(100)}) == 1
    assert set(loop.kept) == {True}
    assert not loop.relief.given
    eventually(lambda: loop.waits_in == [loop.main], "the main thread waits, maybe after the first turns")


def test_from_a_load_that_lasts_the_other_thread_takes_the_loop_over_until_it_ends(
    loop: Loop, no_step_lasts: Callable[[], None]
) -> None:
    gate = threading.Event()
    first = loop.turn(lambda: gate.wait(10))
    second = loop.turn()
    assert second != first
    assert loop.relief.given
    assert {loop.turn() for _ in range(10)} == {second}

    no_step_lasts()
    gate.set()
    eventually(lambda: loop.turn() == first, "the first thread has the loop again")
    assert {loop.turn() for _ in range(10)} == {first}
    assert not loop.relief.given
    assert loop.kept[0] is False, "at the end of the load that lasted, the loop was another thread's"


def test_it_is_taken_over_and_back_as_often_as_loads_last(loop: Loop) -> None:
    for _ in range(3):
        gate = threading.Event()
        first = loop.turn(lambda gate=gate: gate.wait(10))
        assert loop.turn() != first
        gate.set()
        eventually(lambda first=first: loop.turn() == first, "the first thread has the loop again")


def test_the_loop_ends_while_it_is_wanted_back(loop: Loop) -> None:
    gate = threading.Event()
    loop.turn(lambda: gate.wait(10))
    loop.turn()
    wanted = threading.Event()
    loop._wake = wanted.set  # type: ignore[method-assign]
    gate.set()
    loop.steps.put(None)
    assert loop.ended.wait(5)


def test_a_load_after_a_long_rest_is_watched_too(loop: Loop) -> None:
    first = loop.turn()
    eventually(lambda: loop.relief._asleep, "the thread that stands by sleeps")
    gate = threading.Event()
    assert loop.turn(lambda: gate.wait(10)) == first
    assert loop.turn() != first
    gate.set()


def test_the_loop_ends_while_a_load_hangs(loop: Loop) -> None:
    gate = threading.Event()
    loop.turn(lambda: gate.wait(10))
    loop.turn()
    loop.steps.put(None)
    assert loop.ended.wait(5), "the process can end now"
    gate.set()


@pytest.mark.parametrize("by_the_relief", [False, True])
def test_what_ends_the_loop_is_raised_where_it_was_started(by_the_relief: bool) -> None:
    loop, gate = Loop(), threading.Event()
    turns = loop._turns

    def fail_later() -> None:
        turns()
        if loop.relief.has_loop():
            raise ValueError("no")

    loop._turns = fail_later  # type: ignore[method-assign]
    loop.main.start()
    if by_the_relief:
        loop.turn(lambda: gate.wait(10))
        loop.turn()
    loop.steps.put(None)
    assert loop.ended.wait(10)
    assert [str(error) for error in loop.raised] == ["no"]
    gate.set()
    loop.main.join(10)
