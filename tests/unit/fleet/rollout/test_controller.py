"""A controller carries a rollout on through losses, other controllers and persons; over an engine in memory."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from confcast.fleet.engines.engine import Unreachable
from confcast.fleet.engines.link import Link
from confcast.fleet.head import LONGEST_BY, MOST_BYTES, Head, Rollout, chosen, decode, encode, id_of
from confcast.fleet.reports import Report, Seen, decode_entry
from confcast.fleet.reports import encode as encode_report
from confcast.fleet.rollout.controller import Controller, Event
from confcast.fleet.rollout.machine import begun
from tests.support.engines.memory import MemoryEngine
from tests.support.waiting import DEADLINE

STABLE, NEXT = "a" * 64, "b" * 64


class Fleet:
    """Hosts that answer at once, on an engine in memory, by a clock that each read moves by a second."""

    def __init__(self, number: int, **how: object) -> None:
        self.engine = MemoryEngine()
        self.hosts = [f"h{each}" for each in range(number)]
        self.answer: Callable[[str], str] = lambda host: "good"
        self.now, self.by = 0.0, "deploy@ci"
        for host in self.hosts:
            self.report(host, Report(host, STABLE, state="good"))
        options = {"bake": 3.0, "max_lag": 5.0, **how}
        rollout = Rollout(("1 host", "100%"), **options)
        here = {each: Seen(Report(each), 0.0) for each in self.hosts}
        self.first = begun(STABLE, NEXT, rollout, "salt", 1, here)
        self.engine.head = encode(self.first)
        self.engine.on = self.on

    def report(self, host: str, report: Report) -> None:
        self.engine.reports[host] = encode_report(report), time.monotonic()

    def on(self, step: str) -> None:
        if step != "reports" or self.engine.head is None:
            return
        self.now += 1.0
        head = decode(self.engine.head)
        for host in self.hosts:
            if chosen(head, host, {}) == NEXT and (state := self.answer(host)):
                self.report(host, Report(host, NEXT, head.salt, state, reason="port: no" if state == "refused" else ""))

    def controller(self) -> Controller:
        link = Link(self.engine.connect)
        return Controller(link, self.by, clock=lambda: self.now, wall=lambda: 7.0, pause=0.0)

    async def run(self) -> list[Event]:
        async with asyncio.timeout(DEADLINE):
            return [event async for event in self.controller().run(self.first)]


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events if event.kind != "waiting"]


def test_it_carries_a_rollout_to_its_end_and_writes_an_entry_for_each_step():
    fleet = Fleet(10)
    events = asyncio.run(fleet.run())
    assert kinds(events) == ["widened", "promoted"]
    assert fleet.engine.head is not None
    head = decode(fleet.engine.head)
    assert (head.stable, head.next, head.by, head.at, head.rev) == (NEXT, None, "deploy@ci", 7.0, 3)
    entries = [decode_entry(each) for each in fleet.engine.entries]
    assert [each.what for each in entries] == ["widen", "promote"]
    assert entries[0].detail == "1 of 1 hosts are good; stage 2 of 2 begins: 100%"
    assert entries[1].replaced == id_of(encode(entries[0].head))
    assert events[-1].head == id_of(fleet.engine.head)


def test_it_tells_each_thing_once():
    fleet = Fleet(10)
    texts = [event.text for event in asyncio.run(fleet.run())]
    assert texts == [
        "stage 1 of 2 (1 host): 1 of 1 good; waits for the end of its 3 s",
        "1 of 1 hosts are good; stage 2 of 2 begins: 100%",
        "stage 2 of 2 (100%): 10 of 10 good; waits for the end of its 3 s",
        "10 of 10 hosts are good",
    ]


def test_it_stops_by_itself():
    fleet = Fleet(10)
    fleet.answer = lambda host: "refused"
    events = asyncio.run(fleet.run())
    assert kinds(events) == ["stopped"]
    assert fleet.engine.head is not None
    head = decode(fleet.engine.head)
    assert (head.stable, head.next, head.percent) == (STABLE, None, 0.0)
    assert "refused it: port: no" in head.why
    assert events[-1].text == head.why


@pytest.mark.parametrize("state", ["good", "refused"])
def test_a_head_that_has_just_fitted_is_no_hindrance_for_another_controller_with_a_longer_name(state: str):
    fleet = Fleet(10)
    fleet.answer = lambda host: state
    room = MOST_BYTES - len(encode(fleet.first))
    fleet.first = msgspec.structs.replace(fleet.first, why="w" * (room - len(',"why":""')))
    fleet.engine.head = encode(fleet.first)
    assert len(fleet.engine.head) == MOST_BYTES
    fleet.by = "u" * 32 + "@" + "\N{PILE OF POO}" * 300
    events = asyncio.run(fleet.run())
    assert kinds(events) == (["widened", "promoted"] if state == "good" else ["stopped"])
    assert len(decode_entry(fleet.engine.entries[-1]).head.by) <= LONGEST_BY


def test_it_waits_for_an_engine_that_is_away_and_goes_on():
    fleet = Fleet(3)

    def on(step: str) -> None:
        fleet.on(step)
        steps = len(fleet.engine.steps)
        fleet.engine.down = Unreachable("connection refused") if 6 <= steps < 9 else None

    fleet.engine.on = on
    events = asyncio.run(fleet.run())
    assert kinds(events) == ["away", "back", "widened", "promoted"]
    assert events[1].text == "connection refused: nothing is decided meanwhile, and it is tried again"
    assert fleet.engine.connections == 1, "the one that its link still has"


def test_an_answer_that_was_lost_is_found_out():
    """The write of each step arrives, and its answer does not."""
    fleet = Fleet(3)
    store = type(asyncio.run(fleet.engine.connect()))
    real = store.swap

    async def swap(self, old, new, entry):
        assert await real(self, old, new, entry)
        raise Unreachable("the connection was lost")

    store.swap = swap
    try:
        events = asyncio.run(fleet.run())
    finally:
        store.swap = real
    assert kinds(events) == ["away", "back", "widened", "away", "back", "promoted"]
    assert [decode_entry(each).what for each in fleet.engine.entries] == ["widen", "promote"]


def test_a_person_that_publishes_meanwhile_wins():
    fleet = Fleet(3)
    other = encode(Head("c" * 64, salt="a person's", rev=9))

    def on(step: str) -> None:
        fleet.on(step)
        if step == "swap":
            fleet.engine.head = other

    fleet.engine.on = on
    events = asyncio.run(fleet.run())
    assert kinds(events) == ["stood down"]
    assert events[-1].end == "replaced"
    assert fleet.engine.head == other
    assert fleet.engine.entries == []


def test_an_emptied_engine_ends_it():
    fleet = Fleet(3)
    fleet.engine.head = None
    events = asyncio.run(fleet.run())
    assert (kinds(events), events[-1].end) == (["stood down"], "gone")
    other = Fleet(3)
    other.engine.head = b"something else"
    assert asyncio.run(other.run())[-1].end == "replaced"


def test_two_controllers_at_once_win_each_step_once():
    fleet = Fleet(10)

    async def both() -> tuple[list[Event], list[Event]]:
        async with asyncio.TaskGroup() as tasks:
            one, two = (tasks.create_task(fleet.run()) for _ in range(2))
        return one.result(), two.result()

    one, two = asyncio.run(both())
    assert sorted(kinds(one) + kinds(two)) == ["promoted", "stood down", "widened"]
    assert {each.end for each in (one[-1], two[-1])} == {"", "promoted"}
    assert [decode_entry(each).what for each in fleet.engine.entries] == ["widen", "promote"]


def test_another_controller_goes_on_where_the_first_died():
    fleet = Fleet(10)

    async def until_widened(events: AsyncIterator[Event]) -> None:
        async for event in events:
            if event.kind == "widened":
                return

    async def run() -> list[Event]:
        async with asyncio.timeout(DEADLINE):
            await until_widened(fleet.controller().run(fleet.first))
            assert fleet.engine.head is not None
            return [event async for event in fleet.controller().run(decode(fleet.engine.head))]

    events = asyncio.run(run())
    assert kinds(events) == ["promoted"]
    assert "stage 2 of 2" in events[0].text


def test_a_record_that_cannot_be_read_is_nobodys_report():
    fleet = Fleet(3)
    fleet.engine.reports["strange"] = b"\xff", time.monotonic()
    assert kinds(asyncio.run(fleet.run())) == ["widened", "promoted"]


def test_a_long_reason_fits_into_the_head():
    fleet = Fleet(1)
    fleet.answer = lambda host: ""
    fleet.report(
        fleet.hosts[0],
        msgspec.structs.replace(Report("h0", NEXT, "salt", "refused"), reason="\x01é\U0001f600" * 100),
    )
    events = asyncio.run(fleet.run())
    assert kinds(events) == ["stopped"]
    assert fleet.engine.head is not None
    assert len(decode(fleet.engine.head).why) == 160
