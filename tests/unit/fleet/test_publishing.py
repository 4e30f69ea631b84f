"""Publish, force, rollback and confirm: one winner, the truth after a lost answer, and what a second run finds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import pytest

from confcast.fleet import publishing
from confcast.fleet.engines.engine import MOST_PAYLOAD, Fault, TooLarge, Unreachable
from confcast.fleet.engines.link import Link
from confcast.fleet.head import BadHead, Head, Rollout, decode, digest_of, encode, id_of
from confcast.fleet.publishing import Author, Conflict, Published, Refused
from confcast.fleet.reports import Report, decode_entry
from confcast.fleet.reports import encode as encode_report
from tests.support.engines.memory import MemoryEngine, MemoryStore

T = TypeVar("T")
ONE, TWO, THREE = b"port = 1\n", b"port = 2\n", b"port = 3\n"
ROLLOUT = Rollout(("1 host", "100%"))
ME = Author("me@here", wall=lambda: 7.0)


@pytest.fixture
def engine() -> MemoryEngine:
    return MemoryEngine()


def linked(engine: MemoryEngine, verb: Callable[[Link], Awaitable[T]]) -> T:
    async def run() -> T:
        async with Link(engine.connect) as link:
            return await verb(link)

    try:
        return asyncio.run(run())
    finally:
        assert engine.connections == 0


def publish(engine: MemoryEngine, content: bytes, rollout: Rollout | None = ROLLOUT, author: Author = ME) -> Published:
    return linked(engine, lambda link: publishing.publish(link, content, author, rollout))


def rollback(engine: MemoryEngine, to: str = "", author: Author = ME) -> Published:
    return linked(engine, lambda link: publishing.rollback(link, author, to))


def confirm(engine: MemoryEngine) -> Published:
    return linked(engine, lambda link: publishing.confirm(link, ME))


def history_of(engine: MemoryEngine) -> list[publishing.Version]:
    return [publishing.Version(id_of(encode(each.head)), each) for each in map(decode_entry, engine.entries)]


def head_of(engine: MemoryEngine) -> Head:
    assert engine.head is not None
    return decode(engine.head)


def whats(engine: MemoryEngine) -> list[str]:
    return [decode_entry(each).what for each in engine.entries]


def test_the_first_is_stable_at_once(engine: MemoryEngine):
    done = publish(engine, ONE)
    assert done.outcome == "first"
    head = head_of(engine)
    assert (head.stable, head.next, head.rev, head.by, head.at) == (digest_of(ONE), None, 1, "me@here", 7.0)
    assert engine.payloads == {digest_of(ONE): ONE}
    assert engine.head is not None
    assert done.id == id_of(engine.head)
    assert (done.replaced, decode_entry(engine.entries[0]).replaced) == ("", "")


def test_the_payload_is_there_before_the_head(engine: MemoryEngine):
    publish(engine, ONE)
    publish(engine, TWO)
    steps = [each for each in engine.steps if each in ("put_payload", "swap")]
    assert steps == ["put_payload", "swap", "put_payload"] * 2, "and again after it: unnamed.py says why"


def test_the_second_begins_a_rollout_for_the_first_stage(engine: MemoryEngine):
    publish(engine, ONE)
    for host in ("a", "b", "c"):
        engine.reports[host] = encode_report(Report(host)), time.monotonic()
    before = engine.head
    done = publish(engine, TWO, author=ME._replace(why="bigger"))
    head = head_of(engine)
    assert done.outcome == "rollout"
    assert (head.stable, head.next, head.rev, head.why) == (digest_of(ONE), digest_of(TWO), 2, "bigger")
    assert 0.0 < head.percent < 100.0
    assert head.rollout == ROLLOUT
    assert before is not None
    assert done.replaced == id_of(before)
    assert done.detail == f"{digest_of(TWO)[:8]} is rolled out: 1 host, 100%"


def test_what_is_stable_already_is_unchanged(engine: MemoryEngine):
    publish(engine, ONE)
    before = engine.head
    done = publish(engine, ONE)
    assert (done.outcome, engine.head, len(engine.entries)) == ("unchanged", before, 1)
    assert publish(engine, ONE, rollout=None).outcome == "unchanged"


def test_to_publish_it_again_brings_back_a_payload_that_is_gone(engine: MemoryEngine):
    publish(engine, ONE)
    publish(engine, TWO)
    engine.payloads.clear()
    assert publish(engine, TWO).outcome == "going on"
    assert engine.payloads == {digest_of(TWO): TWO}
    rollback(engine)
    assert publish(engine, ONE).outcome == "unchanged"
    assert engine.payloads == {digest_of(ONE): ONE, digest_of(TWO): TWO}


def test_what_is_being_rolled_out_already_goes_on(engine: MemoryEngine):
    publish(engine, ONE)
    publish(engine, TWO)
    before = engine.head
    done = publish(engine, TWO, Rollout(("100%",)))
    assert (done.outcome, engine.head) == ("going on", before)


def test_another_content_replaces_a_rollout(engine: MemoryEngine):
    publish(engine, ONE)
    publish(engine, TWO)
    salt = head_of(engine).salt
    assert publish(engine, THREE).outcome == "rollout"
    head = head_of(engine)
    assert (head.stable, head.next) == (digest_of(ONE), digest_of(THREE))
    assert head.salt != salt


def test_to_publish_what_is_stable_ends_a_rollout_of_something_else(engine: MemoryEngine):
    publish(engine, ONE)
    publish(engine, TWO)
    done = publish(engine, ONE)
    assert (done.outcome, head_of(engine).stable, head_of(engine).next) == ("forced", digest_of(ONE), None)
    assert "a rollout was going on, and ends" in done.detail


def test_force_goes_to_all_and_ends_a_rollout(engine: MemoryEngine):
    publish(engine, ONE)
    publish(engine, TWO)
    done = publish(engine, TWO, rollout=None)
    assert (done.outcome, head_of(engine).stable, head_of(engine).next) == ("forced", digest_of(TWO), None)
    assert whats(engine) == ["publish", "publish", "force"]


def test_expect_is_the_head_that_has_to_be_there(engine: MemoryEngine):
    first = publish(engine, ONE, author=ME._replace(expect="none"))
    with pytest.raises(Conflict) as caught:
        publish(engine, TWO, author=ME._replace(expect="none"))
    assert str(caught.value) == f"the head is {first.id}, and none was expected"
    with pytest.raises(Conflict, match="and 1 was expected: two heads may have one number"):
        publish(engine, TWO, author=ME._replace(expect="1"))
    assert caught.value.winner is not None
    assert caught.value.winner.id == caught.value.id == first.id
    assert publish(engine, TWO, author=ME._replace(expect=first.id)).outcome == "rollout"
    with pytest.raises(Conflict):
        rollback(engine, author=ME._replace(expect=first.id))


def test_of_two_publishers_one_wins_and_the_other_gets_the_winners_entry(engine: MemoryEngine):
    publish(engine, ONE)

    def meanwhile(step: str) -> None:
        if step == "swap":
            engine.on = lambda step: None
            other = Head(digest_of(THREE), rev=2, by="somebody@else")
            engine.entries.append(publishing.encode_entry(publishing.Entry("force", other)))
            engine.head = encode(other)

    engine.on = meanwhile
    with pytest.raises(Conflict, match="somebody else has published meanwhile") as caught:
        publish(engine, TWO)
    assert caught.value.winner is not None
    assert caught.value.winner.entry.head.by == "somebody@else"
    assert head_of(engine).stable == digest_of(THREE)


def many_at_once(engine: MemoryEngine) -> list[object]:
    async def one(number: int) -> object:
        async with Link(engine.connect) as link:
            try:
                return await publishing.publish(link, b"port = %d" % (number + 10), ME, ROLLOUT)
            except Conflict as error:
                return error

    async def run() -> list[object]:
        return await asyncio.gather(*map(one, range(8)))

    return asyncio.run(run())


def test_of_many_publishers_at_once_exactly_one_wins(engine: MemoryEngine):
    publish(engine, ONE)
    done = many_at_once(engine)
    won = [each for each in done if isinstance(each, Published)]
    assert len(won) == 1
    assert {each.id for each in done if isinstance(each, Conflict)} == {won[0].id}
    assert len(engine.entries) == 2


@pytest.mark.parametrize("arrives", [True, False])
def test_a_lost_answer_is_found_out(engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch, arrives: bool):
    publish(engine, ONE)
    real, losses = MemoryStore.swap, []

    async def swap(self: MemoryStore, old: bytes | None, new: bytes, entry: bytes) -> bool:
        if losses:
            return await real(self, old, new, entry)
        losses.append(new)
        if arrives:
            assert await real(self, old, new, entry)
        raise Unreachable("the connection was lost")

    monkeypatch.setattr(MemoryStore, "swap", swap)
    assert publish(engine, TWO).outcome == "rollout"
    assert engine.head == losses[0], "the same bytes were tried again, or found"
    assert len(engine.entries) == 2


def test_a_lost_answer_is_found_in_the_audit_trail_if_somebody_has_published_since(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
):
    publish(engine, ONE)
    real = MemoryStore.swap

    async def swap(self: MemoryStore, old: bytes | None, new: bytes, entry: bytes) -> bool:
        assert await real(self, old, new, entry)
        engine.head = encode(Head(digest_of(THREE), rev=9))
        raise Unreachable("the connection was lost")

    monkeypatch.setattr(MemoryStore, "swap", swap)
    assert publish(engine, TWO).outcome == "rollout"


def test_what_is_not_known_is_said_to_be_not_known(engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch):
    publish(engine, ONE)
    monkeypatch.setattr(publishing, "WITHIN", 0.1)

    def lost(step: str) -> None:
        if step == "swap":
            engine.down = Unreachable("connection refused")

    engine.on = lost
    with pytest.raises(Unreachable, match="whether it was published is not known; `confcast fleet history` shows it"):
        publish(engine, TWO)


def test_an_engine_that_says_no_is_not_asked_again(engine: MemoryEngine):
    engine.down = Fault("wrong password")
    with pytest.raises(Fault):
        publish(engine, ONE)
    assert engine.steps == ["connect"]


def test_an_outage_that_ends_is_waited_for(engine: MemoryEngine):
    def on(step: str) -> None:
        engine.down = Unreachable("connection refused") if len(engine.steps) < 3 else None

    engine.on = on
    assert publish(engine, ONE).outcome == "first"


@pytest.mark.parametrize("killed", ["swap", "after"])
def test_a_publisher_that_was_killed_may_be_run_again(engine: MemoryEngine, killed: str):
    """Killed between payload and head; and between head and answer."""
    publish(engine, ONE)

    class Killed(BaseException):
        pass

    def on(step: str) -> None:
        if step == killed or (killed == "after" and step == "close"):
            raise Killed

    engine.on = on if killed == "swap" else lambda step: None
    if killed == "swap":
        with pytest.raises(Killed):
            publish(engine, TWO)
        assert head_of(engine).next is None
        assert digest_of(TWO) in engine.payloads
        engine.on = lambda step: None
        assert publish(engine, TWO).outcome == "rollout"
    else:
        publish(engine, TWO)
        assert publish(engine, TWO).outcome == "going on"
    assert len(engine.entries) == 2


def test_a_head_that_was_deleted_is_published_anew_with_a_higher_number(engine: MemoryEngine):
    publish(engine, ONE)
    publish(engine, TWO)
    engine.head = None
    done = publish(engine, TWO)
    assert (done.outcome, done.head.rev) == ("first", 3)


def test_without_a_head_a_fleet_that_has_something_else_does_not_get_it_at_once(engine: MemoryEngine):
    for host, digest in (("h1", digest_of(ONE)), ("h2", "")):
        engine.reports[host] = encode_report(Report(host, digest, state="fault")), time.monotonic()
    engine.reports["away"] = encode_report(Report("away", digest_of(THREE))), time.monotonic() - 1000.0
    with pytest.raises(Refused, match=r"but 1 of the hosts have something else \(h1 has [0-9a-f]{8}\): .* by --force"):
        publish(engine, TWO)
    assert engine.head is None
    assert publish(engine, ONE).outcome == "first"
    engine.head = None
    assert publish(engine, TWO, rollout=None).outcome == "first"


def test_what_is_no_head_is_replaced_by_force_alone(engine: MemoryEngine):
    engine.head = b"somebody else's"
    for verb in (lambda: publish(engine, ONE), lambda: rollback(engine), lambda: confirm(engine)):
        with pytest.raises(BadHead, match="`confcast fleet publish --force` puts a head in its place"):
            verb()
    with pytest.raises(Conflict):
        publish(engine, ONE, rollout=None, author=ME._replace(expect="7-00000000"))
    done = publish(engine, ONE, rollout=None)
    assert (done.outcome, head_of(engine).stable) == ("first", digest_of(ONE))
    assert done.detail == "what was there was no head of confcast: it is stable for all hosts at once"


def test_what_is_too_large_is_refused_before_anything_is_asked(engine: MemoryEngine):
    with pytest.raises(TooLarge, match="more than a payload may have"):
        publish(engine, b"x" * (MOST_PAYLOAD + 1))
    assert engine.steps == []


def test_a_head_whose_later_stages_would_not_fit_is_refused(engine: MemoryEngine):
    publish(engine, ONE)
    rings = tuple(f"ring=a-rather-long-label-{each:02}" for each in range(12))
    with pytest.raises(BadHead, match="give fewer stages, rings or a shorter reason"):
        publish(engine, TWO, Rollout(("100%",), rings=rings))
    assert len(engine.entries) == 1


def test_a_head_that_has_just_fitted_is_confirmed_by_someone_with_a_longer_name(engine: MemoryEngine):
    publish(engine, ONE)
    publish(engine, TWO, author=Author("me"))
    head = head_of(engine)
    assert head.rollout is not None
    stages = tuple(f"{each} hosts" for each in range(2, 70))
    assert engine.head is not None
    rollout = msgspec.structs.replace(head.rollout, stages=("1 host", *stages[:48], "100%"))
    engine.head = encode(msgspec.structs.replace(head, rollout=rollout, why=""))
    someone = Author("\N{PILE OF POO}" * 64)
    assert linked(engine, lambda link: publishing.confirm(link, someone)).outcome == "confirmed"
    assert 0 < len(head_of(engine).by) < 64


def test_rollback_ends_a_rollout(engine: MemoryEngine):
    publish(engine, ONE)
    publish(engine, TWO)
    done = rollback(engine)
    assert done.outcome == "rolled back"
    assert (head_of(engine).stable, head_of(engine).next, head_of(engine).percent) == (digest_of(ONE), None, 0.0)


def test_rollback_goes_back_and_twice_goes_back_two(engine: MemoryEngine):
    for content in (ONE, TWO, THREE):
        publish(engine, content, rollout=None)
    rollback(engine)
    assert head_of(engine).stable == digest_of(TWO)
    rollback(engine)
    assert head_of(engine).stable == digest_of(ONE)
    with pytest.raises(Refused, match="nothing was stable before"):
        rollback(engine)


def test_rollback_never_goes_back_to_what_somebody_has_gone_back_from(engine: MemoryEngine):
    bad = b"port = 9\n"
    for content in (ONE, TWO, bad):
        publish(engine, content, rollout=None)
    rollback(engine)
    publish(engine, THREE)
    for _ in ROLLOUT.stages:
        confirm(engine)
    for before in (TWO, ONE):
        rollback(engine)
        assert head_of(engine).stable == digest_of(before)
    with pytest.raises(Refused, match="nothing was stable before"):
        rollback(engine)
    [taken] = [each.id for each in history_of(engine) if each.entry.head.stable == digest_of(bad)]
    rollback(engine, taken)
    assert head_of(engine).stable == digest_of(bad)
    rollback(engine)
    assert head_of(engine).stable == digest_of(ONE), "that is where it came from"


def test_rollback_of_a_trail_that_does_not_go_back_far_enough_is_refused(engine: MemoryEngine):
    for content in (ONE, TWO):
        publish(engine, content, rollout=None)
    publish(engine, THREE, rollout=None)
    rollback(engine, "1")
    del engine.entries[0]
    with pytest.raises(Refused, match="nothing was stable before"):
        rollback(engine)


def test_rollback_to_a_head(engine: MemoryEngine):
    ids = [publish(engine, content, rollout=None).id for content in (ONE, TWO, THREE)]
    assert rollback(engine, ids[0]).head.stable == digest_of(ONE)
    assert rollback(engine, "2").head.stable == digest_of(TWO)
    assert rollback(engine, "2").outcome == "unchanged"
    with pytest.raises(Refused, match="no head is called 17-abc"):
        rollback(engine, "17-abc")


def test_rollback_needs_the_payload(engine: MemoryEngine):
    publish(engine, ONE, rollout=None)
    publish(engine, TWO, rollout=None)
    engine.payloads[digest_of(ONE)] = b"changed"
    with pytest.raises(Refused, match="is not what its digest says: publish the file that it was made of"):
        rollback(engine)
    del engine.payloads[digest_of(ONE)]
    with pytest.raises(Refused, match="is not in the engine any more"):
        rollback(engine)
    assert len(engine.entries) == 2


def test_confirm_passes_the_present_stage_and_the_last_one_promotes(engine: MemoryEngine):
    with pytest.raises(Refused, match="nothing is being rolled out"):
        confirm(engine)
    publish(engine, ONE)
    publish(engine, TWO)
    done = confirm(engine)
    assert done.detail == "1 host is passed by a person: next: 100%"
    assert (head_of(engine).next, head_of(engine).percent) == (digest_of(TWO), 100.0)
    done = confirm(engine)
    assert done.detail == "100% is passed by a person: it is stable for all hosts"
    assert (head_of(engine).stable, head_of(engine).next) == (digest_of(TWO), None)
    assert whats(engine) == ["publish", "publish", "confirm", "confirm"]


def test_history_and_payloads(engine: MemoryEngine):
    first = publish(engine, ONE)
    second = publish(engine, TWO)
    engine.entries.append(b"of a newer build")

    async def look(link: Link) -> None:
        store = await link.store()
        assert [each.id for each in await publishing.history(store, 10)] == [second.id, first.id]
        assert await publishing.payload_of(store, "stable") == (digest_of(ONE), ONE)
        assert await publishing.payload_of(store, "next") == (digest_of(TWO), TWO)
        assert await publishing.payload_of(store, second.id) == (digest_of(TWO), TWO)
        assert await publishing.payload_of(store, "1") == (digest_of(ONE), ONE)

    linked(engine, look)
    rollback(engine)

    async def none(link: Link) -> None:
        with pytest.raises(Refused, match="no `next`"):
            await publishing.payload_of(await link.store(), "next")

    linked(engine, none)
