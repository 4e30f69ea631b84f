"""What a source that follows a head hands out: to loads of an owner that follows, and to whoever only asks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from confcast.config.sources.following import Host, Outcome
from confcast.config.sources.one_load import takes_what_is_known
from confcast.errors import ConfigError
from confcast.fleet import followed, kept
from confcast.fleet.engines.engine import Feed, Unreachable
from confcast.fleet.head import Head, digest_of, encode, position
from confcast.fleet.reports import Report, decode_reports
from confcast.fleet.sources import _Followed
from tests.support.engines.memory import MemoryEngine, MemoryStore
from tests.support.waiting import DEADLINE

ONE, TWO = b"number = 1\n", b"number = 2\n"


class InMemory(_Followed, frozen=True):
    """A source whose engine is a test's."""

    ENGINES: ClassVar[dict[str, MemoryEngine]] = {}

    key: str

    def _check_url(self) -> None: ...

    @property
    def shown(self) -> str:
        return f"memory#{self.key}"

    def _connector(self, host: Host | None) -> Callable[[], Awaitable[Feed]]:
        return self.ENGINES[self.key].connect

    def _name(self) -> str:
        return self.shown


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> MemoryEngine:
    InMemory.ENGINES[_key(request)] = engine = MemoryEngine()
    publish(engine, ONE)
    return engine


@pytest.fixture
def source(request: pytest.FixtureRequest) -> InMemory:
    return InMemory(key=_key(request), connect_timeout=DEADLINE)


def _key(request: pytest.FixtureRequest) -> str:
    return f"k{abs(hash(request.node.nodeid))}"


def publish(engine: MemoryEngine, stable: bytes, following: bytes | None = None, **more: Any) -> None:
    for payload in filter(None, (stable, following)):
        engine.payloads[digest_of(payload)] = payload
    following_digest = digest_of(following) if following is not None else None
    engine.put(encode(Head(digest_of(stable), following_digest, **more)))


def report_of(engine: MemoryEngine, host: str) -> Report:
    return decode_reports(engine.reports[host][0], 0.0)[0].report


class Owner:
    """As much of a config owner as a source sees."""

    def __init__(self, source: InMemory, folder: Path | None, **labels: str) -> None:
        self.source, self.changes = source, 0
        self.host = Host("one", "one.example", labels, folder, self._changed)
        self._something = asyncio.Event()

    def _changed(self) -> None:
        self.changes += 1
        self._something.set()

    async def read(self) -> Any:
        return (await asyncio.to_thread(self.source.read)).data

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not holds():
                await asyncio.sleep(0.001)

    async def tell(self, state: Any, **more: Any) -> None:
        await self.host.outcomes.put(Outcome(self.source.content_fingerprint(), state, **more))


@contextlib.asynccontextmanager
async def following(source: InMemory, folder: Path | None = None, **labels: str) -> AsyncIterator[Owner]:
    owner = Owner(source, folder, **labels)
    task = asyncio.create_task(source.follow(owner.host))
    await owner.until(lambda: followed._record(source).following is not None)
    try:
        yield owner
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert followed._record(source).following is None


def test_whoever_follows_nothing_asks_once_and_gets_what_is_stable(engine: MemoryEngine, source: InMemory):
    publish(engine, ONE, TWO, percent=100.0, salt="s")
    assert source.read().data == {"number": 1}
    assert engine.connections == 0
    assert engine.reports == {}


def test_a_host_that_follows_no_more_still_gets_what_is_meant_for_it(engine: MemoryEngine, source: InMemory):
    """Else a load between two tries to follow would go back to what is stable."""

    async def main() -> None:
        publish(engine, ONE, TWO, percent=100.0, salt="s")
        async with following(source) as owner:
            assert await owner.read() == {"number": 2}
        assert await owner.read() == {"number": 2}

    asyncio.run(main())


def test_what_a_gateway_says_of_its_own_engine_is_said_as_stale(
    engine: MemoryEngine, source: InMemory, monkeypatch: pytest.MonkeyPatch
):
    """The stream from the gateway is whole: without that, a host would call a head in step that is gone."""
    monkeypatch.setattr(MemoryStore, "trouble", "", raising=False)
    monkeypatch.setattr(MemoryStore, "troubled_since", 86400.0, raising=False)

    async def main() -> None:
        async with following(source) as owner:
            await owner.read()
            assert source.stale() == ""
            monkeypatch.setattr(MemoryStore, "trouble", "there is no head")
            assert "stale since 1970-01-02" in source.stale()
            assert f"the gateway says: there is no head; rev 0 ({digest_of(ONE)[:8]}) is used" in source.stale()
            assert source.stale() in followed.stale()

    asyncio.run(main())


def test_it_can_ask_in_a_thread_with_a_running_loop(engine: MemoryEngine, source: InMemory):
    async def main() -> Any:
        return source.read().data

    assert asyncio.run(main()) == {"number": 1}


def test_a_load_reads_the_head_anew(engine: MemoryEngine, source: InMemory):
    async def main() -> None:
        async with following(source) as owner:
            assert await owner.read() == {"number": 1}
            engine.payloads[digest_of(TWO)] = TWO
            engine.head = encode(Head(digest_of(TWO)))  # without a hint
            assert await owner.read() == {"number": 2}

    asyncio.run(main())


def test_a_load_that_a_change_has_led_to_asks_no_more_than_the_change_did(engine: MemoryEngine, source: InMemory):
    async def main() -> None:
        async with following(source) as owner:
            await owner.read()
            publish(engine, TWO)
            await owner.until(lambda: owner.changes == 1)
            engine.steps.clear()
            token = takes_what_is_known.set(True)
            assert await owner.read() == {"number": 2}
            assert engine.steps == []
            takes_what_is_known.reset(token)
            await owner.read()
            assert engine.steps == ["head"]

    asyncio.run(main())


def test_such_a_load_does_ask_while_the_engine_gives_no_usable_answer(engine: MemoryEngine, source: InMemory):
    async def main() -> None:
        async with following(source) as owner:
            await owner.read()
            engine.put(None)
            await owner.until(lambda: source.stale() != "")
            engine.head = encode(Head(digest_of(ONE), rev=2))  # without a hint
            token = takes_what_is_known.set(True)
            await owner.read()
            assert source.stale() == ""
            takes_what_is_known.reset(token)

    asyncio.run(main())


def test_a_change_is_told_and_an_equal_payload_under_another_head_is_none(engine: MemoryEngine, source: InMemory):
    async def main() -> None:
        async with following(source) as owner:
            await owner.read()
            assert owner.changes == 0
            publish(engine, TWO)
            await owner.until(lambda: owner.changes == 1)
            publish(engine, TWO, rev=9)
            assert await owner.read() == {"number": 2}
            assert owner.changes == 1

    asyncio.run(main())


@pytest.mark.parametrize(("percent", "number"), [(0.0, 1), (100.0, 2), (position("s", "one"), 2)])
def test_next_is_for_the_hosts_up_to_a_position(engine: MemoryEngine, source: InMemory, percent: float, number: int):
    async def main() -> None:
        publish(engine, ONE, TWO, percent=percent, salt="s")
        async with following(source) as owner:
            assert await owner.read() == {"number": number}

    asyncio.run(main())


def test_next_is_for_a_ring_too(engine: MemoryEngine, source: InMemory):
    async def main() -> None:
        publish(engine, ONE, TWO, rings=("ring=canary",), salt="s")
        async with following(source, ring="canary") as owner:
            assert await owner.read() == {"number": 2}
        async with following(source, ring="other") as owner:
            assert await owner.read() == {"number": 1}

    asyncio.run(main())


def test_an_outage_changes_nothing_and_is_said(engine: MemoryEngine, source: InMemory):
    async def main() -> None:
        async with following(source) as owner:
            assert await owner.read() == {"number": 1}
            engine.down = Unreachable("the cable is out")
            engine.lose()
            assert await owner.read() == {"number": 1}
            assert "the cable is out" in source.stale()
            assert any(source.shown in each for each in followed.stale())
            publish(engine, TWO)
            engine.down = None
            assert await owner.read() == {"number": 2}
            assert source.stale() == ""

    asyncio.run(main())


@pytest.mark.parametrize("fault", ["no head", "no payload", "changed payload", "garbage"])
def test_a_fault_changes_nothing_is_said_and_reported(engine: MemoryEngine, source: InMemory, fault: str):
    async def main() -> None:
        async with following(source) as owner:
            assert await owner.read() == {"number": 1}
            break_it(engine, fault)
            assert await owner.read() == {"number": 1}
            assert source.stale()
            await owner.until(lambda: report_of(engine, "one").state == "fault")
            if fault in ("no head", "garbage"):
                assert report_of(engine, "one").digest == digest_of(ONE), "it has that on"
            assert owner.changes == 0
            publish(engine, TWO, rev=3)
            assert await owner.read() == {"number": 2}
            assert source.stale() == ""

    asyncio.run(main())


def break_it(engine: MemoryEngine, fault: str) -> None:
    publish(engine, TWO)
    if fault == "no head":
        engine.put(None)
    elif fault == "no payload":
        del engine.payloads[digest_of(TWO)]
    elif fault == "changed payload":
        engine.payloads[digest_of(TWO)] = ONE
    else:
        engine.put(b"garbage")


@pytest.mark.parametrize("fault", ["no head", "no payload", "changed payload", "garbage"])
def test_a_start_with_a_fault_and_nothing_kept_is_refused_in_words(engine: MemoryEngine, source: InMemory, fault: str):
    async def main() -> None:
        break_it(engine, fault)
        async with following(source) as owner:
            with pytest.raises(ConfigError, match="nothing that was good before is kept"):
                await owner.read()

    asyncio.run(main())


def test_what_is_good_is_kept_and_starts_a_host_while_the_engine_is_away(
    engine: MemoryEngine, source: InMemory, tmp_path: Path
):
    async def main() -> None:
        async with following(source, tmp_path) as owner:
            assert await owner.read() == {"number": 1}
            await owner.tell("applied", good_in=20.0)
            await owner.until(lambda: report_of(engine, "one").state == "applied")
            assert not list(tmp_path.iterdir())
            await owner.tell("good")
            await owner.until(lambda: any(each.name.startswith(kept.PREFIX) for each in tmp_path.iterdir()))
        followed._records.pop(source)
        engine.down = Unreachable("away")
        async with following(source, tmp_path) as owner:
            assert await owner.read() == {"number": 1}
            assert "away" in source.stale()
            publish(engine, TWO)
            engine.down = None
            await owner.until(lambda: owner.changes == 1)
            assert await owner.read() == {"number": 2}

    asyncio.run(main())


def test_a_start_without_engine_and_without_anything_kept_is_refused(
    engine: MemoryEngine, source: InMemory, tmp_path: Path
):
    async def main() -> None:
        engine.down = Unreachable("away")
        async with following(source, tmp_path) as owner:
            with pytest.raises(ConfigError, match="away; nothing that was good"):
                await owner.read()
            engine.down = None
            await owner.until(lambda: owner.changes == 1)
            assert await owner.read() == {"number": 1}

    asyncio.run(main())


@pytest.mark.parametrize("damage", [b"", b"x" * 10, None])
def test_a_damaged_copy_counts_as_none(engine: MemoryEngine, source: InMemory, tmp_path: Path, damage: bytes | None):
    kept.save(tmp_path, "name", kept.Good(b"{}", digest_of(ONE), ONE, 1.0))
    (file,) = tmp_path.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"?" if damage is None else damage)
    assert kept.find(tmp_path, "name") is None
    file.write_bytes(content)
    assert kept.find(tmp_path, "name") == kept.Good(b"{}", digest_of(ONE), ONE, 1.0)


def reported(engine: MemoryEngine) -> list[Report]:
    """Each report that the engine gets from now on."""
    found: list[Report] = []
    keep = engine.reports

    class Noted(dict[str, tuple[bytes, float]]):
        def __setitem__(self, host: str, record: tuple[bytes, float]) -> None:
            found.append(decode_reports(record[0], 0.0)[0].report)
            super().__setitem__(host, record)

    engine.reports = Noted(keep)
    return found


def test_an_outcome_of_something_older_is_not_reported(engine: MemoryEngine, source: InMemory):
    async def main() -> None:
        async with following(source) as owner:
            await owner.read()
            old = source.content_fingerprint()
            publish(engine, TWO)
            await owner.read()
            found = reported(engine)
            await owner.host.outcomes.put(Outcome(old, "refused", reason="old"))
            await owner.until(owner.host.outcomes.empty)
            await owner.read()  # with which a report would have gone out
            await owner.tell("good", version=2)
            await owner.until(lambda: bool(found) and found[-1].state == "good")
            assert {each.state for each in found} == {"good"}
            assert found[-1].digest == digest_of(TWO)

    asyncio.run(main())


def test_what_came_of_a_payload_is_never_reported_of_another_one(engine: MemoryEngine, source: InMemory):
    async def main() -> None:
        async with following(source) as owner:
            await owner.read()
            await owner.tell("good")
            await owner.until(lambda: report_of(engine, "one").state == "good")
            found = reported(engine)
            publish(engine, TWO, salt="b")
            assert await owner.read() == {"number": 2}
            publish(engine, TWO, salt="c")
            await owner.read()
            await owner.read()
            assert not [each for each in found if each.state == "good"]
            await owner.tell("applied")
            await owner.until(lambda: bool(found) and found[-1].state == "applied")
            assert (found[-1].digest, found[-1].salt) == (digest_of(TWO), "c")

    asyncio.run(main())


def test_a_head_that_says_nothing_else_to_this_host_is_not_reported_again(engine: MemoryEngine, source: InMemory):
    async def main() -> None:
        async with following(source) as owner:
            await owner.read()
            await owner.tell("good")
            await owner.until(lambda: report_of(engine, "one").state == "good")
            found = reported(engine)
            for rev in range(5):
                publish(engine, ONE, rev=rev)
                await owner.read()
            await owner.read()
            assert found == []

    asyncio.run(main())


def test_the_same_payload_under_a_new_rollout_is_reported_again(engine: MemoryEngine, source: InMemory):
    async def main() -> None:
        publish(engine, ONE, TWO, percent=100.0, salt="a")
        async with following(source) as owner:
            await owner.read()
            await owner.tell("good")
            await owner.until(lambda: report_of(engine, "one").salt == "a")
            publish(engine, ONE, TWO, percent=100.0, salt="b")
            await owner.until(lambda: report_of(engine, "one").salt == "b")
            assert report_of(engine, "one").state == "good"

    asyncio.run(main())


def test_a_host_says_that_it_is_there_before_anything_came_of_the_payload(engine: MemoryEngine, source: InMemory):
    async def main() -> None:
        async with following(source, zone="a") as owner:
            await owner.until(lambda: "one" in engine.reports)
            report = report_of(engine, "one")
            assert (report.state, report.labels, report.name) == ("loading", {"zone": "a"}, "one.example")

    asyncio.run(main())


def test_an_outage_is_over_once_the_engine_answers_also_with_the_head_that_is_known(
    engine: MemoryEngine, source: InMemory
):
    async def main() -> None:
        async with following(source) as owner:
            await owner.read()
            engine.lose(Unreachable("the cable is out"))
            await owner.until(lambda: "the cable is out" in source.stale())
            await owner.until(lambda: source.stale() == "")

    asyncio.run(main())


def test_the_log_has_each_reason_of_an_outage_once_and_the_address_once(
    engine: MemoryEngine, source: InMemory, caplog: pytest.LogCaptureFixture
):
    async def main() -> None:
        async with following(source) as owner:
            await owner.read()
            for text in ("the cable is out", "memory: refused", "the cable is out"):
                engine.down = Unreachable(text)
                engine.lose(engine.down)
                await owner.until(lambda text=text: text.removeprefix("memory: ") in source.stale())
            engine.down = None
            await owner.until(lambda: source.stale() == "")
            engine.lose(Unreachable("the cable is out"))
            await owner.until(lambda: "the cable is out" in source.stale())

    asyncio.run(main())
    said = [each.message for each in caplog.records if each.levelname == "WARNING" and source.shown in each.message]
    assert ["refused" in each for each in said] == [False, True, False]
    assert said[1].count("memory") == 1


@pytest.mark.parametrize("state", ["good", None])
def test_a_fault_that_is_over_is_reported_no_more_though_the_head_is_the_one_before_it(
    engine: MemoryEngine, source: InMemory, state: str | None
):
    async def main() -> None:
        async with following(source) as owner:
            await owner.read()
            if state:
                await owner.tell(state)
                await owner.until(lambda: report_of(engine, "one").state == state)
            head = engine.head
            engine.put(None)
            await owner.until(lambda: report_of(engine, "one").state == "fault")
            engine.put(head)
            await owner.until(lambda: report_of(engine, "one").state == (state or "loading"))
            assert report_of(engine, "one").digest == digest_of(ONE)

    asyncio.run(main())


def test_whoever_follows_anew_says_that_it_is_there(engine: MemoryEngine, source: InMemory):
    async def main() -> None:
        async with following(source) as owner:
            await owner.read()
        engine.reports.clear()
        async with following(source) as owner:
            await owner.until(lambda: "one" in engine.reports)
            assert report_of(engine, "one").state == "loading"

    asyncio.run(main())


@pytest.mark.parametrize("cancelled", [True, False])
@pytest.mark.parametrize("known", [True, False])
def test_a_load_takes_what_is_known_if_following_ends_meanwhile(
    engine: MemoryEngine, source: InMemory, known: bool, cancelled: bool, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(followed, "PATIENCE", 2 * DEADLINE)
    source = msgspec.structs.replace(source, connect_timeout=2 * DEADLINE)

    async def main() -> None:
        engine.silent = not known
        async with following(source) as owner:
            if known:
                await owner.read()
            engine.silent = True
            load = asyncio.create_task(owner.read())
            await owner.until(lambda: bool(following_of(source)._follower._refreshes))
            if cancelled:  # as the owner cancels all that its loop has
                for task in asyncio.all_tasks():
                    if "refresh" in repr(task.get_coro()):
                        task.cancel()
        async with asyncio.timeout(DEADLINE):
            if known:
                assert await load == {"number": 1}
            else:
                with pytest.raises(ConfigError, match="nothing that was good before"):
                    await load

    asyncio.run(main())


def following_of(source: InMemory) -> followed._Following:
    found = followed._record(source).following
    assert found is not None
    return found


def test_an_answer_that_comes_while_what_is_kept_is_looked_for_is_no_outage(
    engine: MemoryEngine, source: InMemory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    async def main() -> None:
        engine.silent = True
        async with following(msgspec.structs.replace(source, connect_timeout=0.1), tmp_path) as owner:
            record = followed._record(owner.source)
            head = Head(digest_of(TWO))
            answer = followed.Document(encode(head), head, head.stable, TWO, followed._parsed(source, TWO))

            def find(*_: object) -> None:
                followed._put(record, answer)

            monkeypatch.setattr(kept, "find", find)
            assert await owner.read() == {"number": 2}
            assert owner.source.stale() == ""

    asyncio.run(main())


def test_a_load_between_two_times_of_following_gets_what_is_meant_for_this_host(engine: MemoryEngine, source: InMemory):
    async def main() -> None:
        publish(engine, ONE, TWO, percent=100.0, salt="s")
        async with following(source) as owner:
            assert await owner.read() == {"number": 2}
        assert await owner.read() == {"number": 2}

    asyncio.run(main())


def test_a_payload_that_does_not_come_in_time_is_said_in_words(
    engine: MemoryEngine, source: InMemory, monkeypatch: pytest.MonkeyPatch
):
    async def main() -> None:
        async with following(source) as owner:
            await owner.read()
            monkeypatch.setattr(followed, "PATIENCE", 0.05)
            engine.on = lambda step: setattr(engine, "silent", step == "payload")
            publish(engine, TWO)
            await owner.until(lambda: "the payload" in source.stale() and "0.05 s" in source.stale())

    asyncio.run(main())


def test_a_reason_that_is_no_text_is_reported_as_well_as_it_can_be(engine: MemoryEngine, source: InMemory):
    async def main() -> None:
        async with following(source) as owner:
            await owner.read()
            await owner.tell("refused", reason="the file \udcff is none")
            await owner.until(lambda: report_of(engine, "one").state == "refused")
            assert report_of(engine, "one").reason.startswith("the file ")
            publish(engine, TWO)
            await owner.until(lambda: owner.changes == 1)

    asyncio.run(main())


@pytest.mark.parametrize("retry", [-5.0, 1e9])
def test_the_pause_that_a_head_asks_for_is_bounded(engine: MemoryEngine, source: InMemory, retry: float):
    async def main() -> None:
        publish(engine, ONE, retry=retry)
        async with following(source) as owner:
            await owner.read()
            assert 2.0 <= following_of(source)._follower.longest_pause <= 300.0

    asyncio.run(main())


def test_who_has_asked_before_an_owner_followed_does_not_put_an_older_answer_over_its_newer_one(
    engine: MemoryEngine, source: InMemory
):
    async def main() -> None:
        async with contextlib.AsyncExitStack() as stack:

            async def follow_meanwhile() -> None:
                publish(engine, TWO)
                owner = await stack.enter_async_context(following(source))
                await owner.until(lambda: source.content_fingerprint() == followed._parsed(source, TWO).fingerprint)

            loop = asyncio.get_running_loop()

            def once(step: str) -> None:
                if step == "payload":
                    engine.on = lambda step: None
                    asyncio.run_coroutine_threadsafe(follow_meanwhile(), loop).result(DEADLINE)

            engine.on = once
            assert (await asyncio.to_thread(source.read)).data == {"number": 2}

    asyncio.run(main())


def test_an_outage_that_somebody_else_has_noted_is_over_with_the_next_read(engine: MemoryEngine, source: InMemory):
    async def main() -> None:
        async with following(source) as owner:
            await owner.read()
            followed._unusable(source, followed._record(source), "it was slow once", lambda: None)
            assert source.stale()
            await owner.read()
            assert source.stale() == ""

    asyncio.run(main())
