"""The two threads of the loop: which of them runs it, while loads are quick, last, and hang."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

import pytest

from confcast.owner.loop.relief import Relief
from tests.support.waiting import eventually

Step = Callable[[], object]


class Loop:
    """A loop without an owner: it runs each step that it is given as a step of a load, and ends at None."""

    def __init__(self) -> None:
        self.relief = Relief(lambda: self.waits_in.append(threading.current_thread()))
        self.waits_in: list[threading.Thread] = []
        self.steps: queue.SimpleQueue[Step | None] = queue.SimpleQueue()
        self.turns_in: queue.SimpleQueue[int] = queue.SimpleQueue()
        self.loads: queue.SimpleQueue[Step | None] = queue.SimpleQueue()
        self.loads_in: list[int] = []
        self.kept: list[bool] = []  # whether the loop was still its thread's after each step
        self.raised: list[BaseException] = []
        self.ended = threading.Event()
        self.main = threading.Thread(target=self._main)

    def _main(self) -> None:
        try:
            self.relief.run(self._turns, self._serve)
        except Exception as error:
            self.raised.append(error)
        self.ended.set()

    def _turns(self) -> None:
        while self.relief.has_loop() and (step := self.steps.get()) is not None:
            self.turns_in.put(threading.get_ident())
            if not self.relief.given:
                self.relief.step_begins()
                step()
                self.kept.append(self.relief.step_ended())

    def _serve(self) -> None:
        while (step := self.loads.get()) is not None:
            self.loads_in.append(threading.get_ident())
            step()

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
    made.loads.put(None)
    assert made.ended.wait(10)
    made.main.join(10)


def test_quick_loads_stay_in_the_loop_s_thread(loop: Loop) -> None:
    assert len({loop.turn() for _ in range(100)}) == 1
    assert set(loop.kept) == {True}
    assert not loop.relief.given
    assert loop.waits_in == [loop.main]


def test_from_a_load_that_lasts_the_other_thread_takes_the_loop_over_for_good(loop: Loop) -> None:
    gate, left = threading.Event(), threading.Event()
    first = loop.turn(lambda: gate.wait(10) and left.set())
    second = loop.turn()
    assert second != first
    assert loop.relief.given
    gate.set()
    assert left.wait(10)
    eventually(lambda: loop.kept == [False], "the first thread's load has ended")
    assert {loop.turn() for _ in range(10)} == {second}

    served = threading.Event()
    loop.loads.put(served.set)
    assert served.wait(10)
    assert loop.loads_in == [first], "loads stay in the thread in which the first one ran"


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
    loop.loads.put(None)
    loop.main.join(10)
