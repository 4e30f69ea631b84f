"""What is derived, in a process without an owner: when it is built, shared, swapped and closed."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from confcast import BuildError, ConfigError, NotAttached, Problem, Replica
from confcast.worker.derived import resources
from confcast.worker.derived.declared import Derived
from tests.support.forking import holds_in_child
from tests.support.slow import slow
from tests.support.waiting import eventually, in_thread, on_a_loop
from tests.unit.worker.derived.conftest import Database, Settings, Told


def number(replica: Replica[Settings], told: Told, **options: Any) -> Derived[Any]:
    return replica.derive(told.build, lambda c: c.number, close=told.close, **options)


# ---- declaring


def test_declaring_builds_nothing_and_reading_it_before_attach_says_what_to_do(
    replica: Replica[Settings], told: Told
) -> None:
    thing = number(replica, told)

    with pytest.raises(NotAttached, match="call attach"):
        _ = thing.current
    assert told.built == []


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((None, lambda c: c), TypeError),
        ((str, "number"), TypeError),
    ],
)
def test_what_can_not_be_called_is_refused(replica: Replica[Settings], arguments: Any, error: type) -> None:
    with pytest.raises(error, match="a function is expected"):
        replica.derive(*arguments)


@pytest.mark.parametrize("linger", [-1, float("nan"), float("inf"), True, "10"])
def test_a_linger_that_is_no_time_is_refused(replica: Replica[Settings], linger: Any) -> None:
    with pytest.raises(ValueError, match="seconds is expected"):
        replica.derive(str, lambda c: c, linger=linger)


def test_what_another_replica_derives_can_not_be_used(replica: Replica[Settings], told: Told) -> None:
    other = Replica(Settings, name="other")

    with pytest.raises(ConfigError, match="another configuration"):
        replica.derive(told.build, lambda c: c.name, using=number(other, told))
    with pytest.raises(TypeError, match=r"what derive\(\) has given"):
        replica.derive(told.build, lambda c: c.name, using="number")  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("options", "name"), [({}, "Told.build"), ({"name": "pool"}, "pool")], ids=["of the function", "as given"]
)
def test_its_name(replica: Replica[Settings], told: Told, options: Any, name: str) -> None:
    assert number(replica, told, **options).name == name
    assert repr(number(replica, told, **options)) == f"Derived({name!r})"


def test_a_lambda_is_named_by_the_key_of_its_part(replica: Replica[Settings]) -> None:
    assert replica.derive(lambda part: part, lambda c: c.database.url).name == "what is built of database.url"
    assert replica.derive(lambda part: part, lambda c: None).name == "derived 2"


# ---- building


def test_it_is_built_at_the_first_read_and_once(replica: Replica[Settings], told: Told) -> None:
    thing = number(replica, told)
    with replica.override(Settings()):
        assert told.built == []
        assert thing.current is thing.latest is thing.current
        assert told.built == [1]


def test_while_one_thread_builds_it_others_wait_and_get_the_same(replica: Replica[Settings]) -> None:
    begun, go_on, built = threading.Event(), threading.Event(), []

    def build(part: int) -> object:
        built.append(part)
        begun.set()
        go_on.wait()
        return object()

    thing = replica.derive(build, lambda c: c.number)
    with replica.override(Settings()):
        first = in_thread(lambda: thing.current)
        begun.wait()
        second = in_thread(lambda: thing.current)
        go_on.set()
        assert first() is second()
    assert built == [1]


def test_what_waits_for_a_build_too_long_is_told_so(
    replica: Replica[Settings], told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "LONGEST_WAIT", 0.0)
    begun, go_on = threading.Event(), threading.Event()
    slow = replica.derive(lambda part: begun.set() or go_on.wait(), lambda c: c.number)
    other = replica.derive(told.build, lambda c: c.name, name="other")
    with replica.override(Settings()):
        building = in_thread(lambda: slow.current)
        begun.wait()
        with pytest.raises(BuildError, match="other is waited for"):
            _ = other.current
        go_on.set()
        building()


def test_a_failure_names_the_thing_its_key_and_the_cause_and_is_tried_again(replica: Replica[Settings]) -> None:
    fails = [True]

    def make_engine(database: Database) -> str:
        if fails.pop() if fails else False:
            raise ConnectionError("no route to db")
        return database.url

    engine = replica.derive(make_engine, lambda c: c.database)
    with replica.override(Settings()):
        with pytest.raises(BuildError) as caught:
            _ = engine.current
        error = caught.value
        assert (error.name.rpartition(".")[2], error.key) == ("make_engine", "database")
        assert str(error).startswith("database: ")
        assert str(error).endswith("make_engine can't be built: ConnectionError: no route to db")
        assert isinstance(error.__cause__, ConnectionError)
        assert engine.current == "db"


def test_the_secrets_of_the_configuration_are_masked_and_the_cause_is_left_out(replica: Replica[Settings]) -> None:
    def make(database: Database) -> str:
        raise ConnectionError(f"refused for {database.password}")

    engine = replica.derive(make, lambda c: c.database)
    with replica.override(Settings()), pytest.raises(BuildError) as caught:
        _ = engine.current
    assert "hush-hush" not in str(caught.value)
    assert "refused for **********" in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_system_exit_is_a_failure_like_any_other(replica: Replica[Settings]) -> None:
    def make(part: int) -> None:
        raise SystemExit(f"bad option {part}")

    thing = replica.derive(make, lambda c: c.number)
    with replica.override(Settings()), pytest.raises(BuildError, match="SystemExit: bad option 1"):
        _ = thing.current


def test_a_build_is_pinned_to_its_version(replica: Replica[Settings]) -> None:
    seen = []
    thing = replica.derive(lambda part: seen.append((part, replica.current.number)), lambda c: c.number)
    with replica.override(Settings()) as fake, replica.pin():
        _ = thing.current
        fake.push(Settings(2))
        assert replica.current.number == 1
    assert seen == [(1, 1), (2, 2)]


@pytest.mark.parametrize("read", ["current", "latest"])
def test_a_build_that_reads_another_thing_is_told_to_name_it(replica: Replica[Settings], told: Told, read: str) -> None:
    other = number(replica, told, name="other")
    thing = replica.derive(lambda part: getattr(other, read), lambda c: c.name, name="thing")
    with replica.override(Settings()):
        _ = other.current
        with pytest.raises(BuildError, match=r"thing: its build reads 'other'.*name it in using="):
            _ = thing.current


def test_what_a_build_starts_may_read_others_when_it_is_over(replica: Replica[Settings], told: Told) -> None:
    import contextvars

    other, kept = number(replica, told), []
    thing = replica.derive(lambda part: kept.append(contextvars.copy_context()), lambda c: c.name)
    with replica.override(Settings()):
        _ = thing.current
        assert kept[0].run(lambda: other.current) == (1,)


# ---- sharing and swapping


def test_it_is_kept_while_its_part_is_the_same_and_built_anew_where_that_differs(
    replica: Replica[Settings], told: Told
) -> None:
    thing = number(replica, told)
    with replica.override(Settings()) as fake:
        first = thing.current
        fake.push(Settings(1, "two"))
        assert thing.current is first
        fake.push(Settings(2))
        assert thing.current == (2,)
        assert (told.built, told.closed) == ([1, 2], [1])
    assert told.closed == [1, 2]


def test_parts_are_compared_as_observers_compare_them(replica: Replica[Settings], told: Told) -> None:
    thing = replica.derive(lambda part: [part], lambda c: c.database)
    with replica.override(Settings()) as fake:
        first = thing.current
        fake.push(Settings(2, database=Database()))
        assert thing.current is first


def test_what_uses_it_is_built_anew_with_it_and_closed_before_it(replica: Replica[Settings], told: Told) -> None:
    engine = number(replica, told)
    repo = replica.derive(told.build, lambda c: c.name, using=engine, close=told.close)
    service = replica.derive(told.build, lambda c: None, using=(engine, repo), close=told.close)
    with replica.override(Settings()) as fake:
        assert service.current == (None, (1,), ("one", (1,)))
        fake.push(Settings(1, "two"))
        assert told.closed == [None, "one"]
        assert service.current == (None, (1,), ("two", (1,)))
        fake.push(Settings(2, "two"))
        assert told.closed == [None, "one", None, "two", 1]


def test_a_push_builds_only_what_was_read_and_is_refused_where_that_fails(
    replica: Replica[Settings], told: Told
) -> None:
    read, unread = number(replica, told), number(replica, told)
    with replica.override(Settings()) as fake:
        first = read.current
        with pytest.raises(ConfigError, match=r"number: Told\.build can't be built: ValueError: 13 brings bad luck"):
            fake.push(Settings(13))
        assert replica.latest.number == 1
        assert read.current is first
        fake.push(Settings(2))
        assert told.built == [1, 2]
        assert unread.current == (2,)


def test_the_problems_that_a_build_raises_keep_their_keys(replica: Replica[Settings]) -> None:
    def make(part: int) -> None:
        if part > 1:
            raise ConfigError([Problem("database.url", "no such host"), Problem("", "and more")])

    thing = replica.derive(make, lambda c: c.number, name="pool")
    with replica.override(Settings()) as fake:
        _ = thing.current
        with pytest.raises(ConfigError) as caught:
            fake.push(Settings(2))
    assert [problem.key for problem in caught.value.problems] == ["database.url", "number"]


def test_a_pinned_request_keeps_the_object_of_its_version_and_that_is_counted(
    replica: Replica[Settings], told: Told
) -> None:
    thing = number(replica, told)
    with replica.override(Settings()) as fake:
        _ = thing.current
        with replica.pin(), replica.pin():
            fake.push(Settings(2))
            assert (thing.current, thing.latest, told.closed) == ((1,), (2,), [])
            (kept,) = thing.kept
            assert (kept.version, kept.pins) == (1, 2)
            assert kept.seconds >= 0.0
        assert thing.kept[0].pins == 0
        fake.push(Settings(3))
        assert (told.closed, thing.kept) == ([2, 1], ())


def test_an_old_version_that_is_read_late_builds_its_own(replica: Replica[Settings], told: Told) -> None:
    thing = number(replica, told)
    with replica.override(Settings()) as fake:
        with replica.pin():
            fake.push(Settings(2))
            assert (thing.current, thing.latest) == ((1,), (2,))
        fake.push(Settings(3))
        assert sorted(told.closed) == [1, 2]


def test_what_is_declared_inside_a_pin_is_kept_for_it_once_it_was_read(replica: Replica[Settings], told: Told) -> None:
    with replica.override(Settings()) as fake, replica.pin():
        thing = number(replica, told)
        assert thing.current == (1,)
        fake.push(Settings(2))
        assert (thing.current, told.closed) == ((1,), [])


def test_a_close_that_raises_is_logged_masked_and_counted_and_the_next_is_called(
    replica: Replica[Settings], told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    def close(thing: Any) -> None:
        raise ConnectionError("hush-hush is gone")

    number(replica, told)
    first = number(replica, told)
    bad = replica.derive(told.build, lambda c: c.name, using=first, close=close, name="bad")
    with replica.override(Settings()) as fake:
        _ = bad.current
        fake.push(Settings(2, "two"))
        assert (bad.failed_closes, told.closed) == (1, [1])
    assert "bad of a former version could not be closed: ConnectionError: ********** is gone" in caplog.text
    assert "hush-hush" not in caplog.text


def test_ready_says_whether_all_is_built(replica: Replica[Settings], told: Told) -> None:
    thing = number(replica, told)
    assert not replica.ready
    with replica.override(Settings()):
        assert not replica.ready
        _ = thing.current
        assert replica.ready


# ---- in tests of applications


def test_an_override_of_a_thing_needs_no_configuration_and_builds_and_closes_nothing(
    replica: Replica[Settings], told: Told
) -> None:
    thing = number(replica, told)
    fake = object()
    with thing.override(fake) as given:
        assert given is fake
    with replica.override(Settings()), thing.override(fake):
        assert thing.current is thing.latest is fake
        with thing.override("inner"):
            assert thing.current == "inner"
        assert thing.current is fake
        assert replica.ready
    assert (told.built, told.closed) == ([], [])


def test_what_uses_an_overridden_thing_is_built_with_the_fake_and_closed_with_the_block(
    replica: Replica[Settings], told: Told
) -> None:
    engine = number(replica, told)
    repo = replica.derive(told.build, lambda c: c.name, using=engine, close=told.close)
    with replica.override(Settings()):
        real = repo.current
        with engine.override("fake"):
            assert repo.current == ("one", "fake")
            assert repo.current is repo.current
        assert told.closed == ["one"]
        assert repo.current is real


def test_an_override_of_the_configuration_shares_nothing_with_the_real_version_and_closes_nothing_of_it(
    replica: Replica[Settings], told: Told
) -> None:
    thing = number(replica, told)
    replica._take(_snapshot(Settings(1), replica._resources))
    real = thing.current
    with replica.override(Settings(1)) as fake:
        assert thing.current is not real
        fake.push(Settings(2))
        assert told.closed == [1]
    assert (thing.current, told.closed) == (real, [1, 2])
    assert thing.current is real


def test_an_override_after_a_close_builds_and_afterwards_all_is_closed_as_before(
    replica: Replica[Settings], told: Told
) -> None:
    thing = number(replica, told)
    replica.close()
    with replica.override(Settings()):
        assert thing.current == (1,)
    with replica.override(Settings()):
        replica.close()  # as the code under test does
        assert thing.current == (1,)
    assert told.closed == [1, 1]


def test_what_is_built_while_its_replica_is_closed_is_closed_too(replica: Replica[Settings], told: Told) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def build(part: int) -> tuple[int]:
        begun.set()
        go_on.wait()
        return (part,)

    thing = replica.derive(build, lambda c: c.number, close=told.close)
    replica._take(_snapshot(Settings(1), replica._resources))
    building = in_thread(lambda: thing.current)
    begun.wait()
    replica.close()
    go_on.set()
    with pytest.raises(NotAttached, match="was closed with it"):
        building()
    assert told.closed == [1]


# ---- on a loop


def test_an_async_thing_is_built_on_the_loop_by_aattach_and_not_before(replica: Replica[Settings]) -> None:
    loops, closed = [], []

    async def make(part: int) -> list[int]:
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())
        return [part]

    async def close(thing: list[int]) -> None:
        closed.append((asyncio.get_running_loop(), thing))

    pool = replica.derive(make, lambda c: c.number, close=close)
    user = replica.derive(lambda part, pool: (part, pool), lambda c: c.name, using=pool)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        with replica.override(Settings()):
            for thing in (pool, user):
                with pytest.raises(BuildError, match=r"await settings\.aattach"):
                    _ = thing.current
            assert await replica.aattach() is replica
            assert (pool.current, user.current) == ([1], ("one", [1]))
            assert loops == [loop]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert closed == [(loop, [1])]

    on_a_loop(main)


def test_a_function_that_gives_a_coroutine_is_found_to_be_async(replica: Replica[Settings]) -> None:
    async def make(part: int) -> list[int]:
        return [part]

    pool = replica.derive(lambda part: make(part), lambda c: c.number)
    with replica.override(Settings()):
        with pytest.raises(BuildError, match=r"await settings\.aattach"):
            _ = pool.current

        async def main() -> None:
            await replica.aattach()
            assert pool.current == [1]

        on_a_loop(main)


@pytest.mark.parametrize("error", [SystemExit("no"), ValueError("no"), TimeoutError("no")])
def test_an_awaited_build_that_fails_leaves_the_loop_running(replica: Replica[Settings], error: BaseException) -> None:
    async def make(part: int) -> None:
        raise error

    replica.derive(make, lambda c: c.number, name="pool")

    async def main() -> str:
        with replica.override(Settings()):
            refused = pytest.raises(BuildError, match=f"pool can't be built: {type(error).__name__}: no")
            with refused:
                await replica.aattach()
        return "goes on"

    assert on_a_loop(main) == "goes on"


def test_a_verb_that_would_block_the_loop_of_the_builds_names_the_other_form(replica: Replica[Settings]) -> None:
    async def make(part: int) -> int:
        replica.reload()
        return part

    replica.derive(make, lambda c: c.number)

    async def main() -> None:
        with replica.override(Settings()):
            with pytest.raises(BuildError, match=r"RuntimeError: reload\(\) would block .* await areload\(\)"):
                await replica.aattach()
            with pytest.raises(RuntimeError, match=r"await aget_stats\(\)"):
                replica.get_stats()
            with pytest.raises(RuntimeError, match=r"await aclose\(\)"):
                replica.close()

    on_a_loop(main)


def test_a_loop_that_has_ended_is_replaced_by_the_next_one(replica: Replica[Settings]) -> None:
    built = []

    async def make(part: int) -> asyncio.AbstractEventLoop:
        built.append(part)
        return asyncio.get_running_loop()

    pool = replica.derive(make, lambda c: c.number)

    async def main() -> bool:
        await replica.aattach()
        return pool.current is asyncio.get_running_loop()

    with replica.override(Settings()):
        assert [on_a_loop(main), on_a_loop(main)] == [True, True]
    assert built == [1, 1]


# ---- processes


def test_a_forked_child_has_nothing_and_closes_nothing_of_its_parent(replica: Replica[Settings], told: Told) -> None:
    thing = number(replica, told)
    with replica.override(Settings()):
        _ = thing.current

        def in_child() -> bool:
            with pytest.raises(NotAttached, match=r"call attach\(\) in this process"):
                _ = thing.current
            replica._resources.begin()
            assert thing.current == (1,)
            assert told.built == [1, 1]
            replica._resources.close()
            return told.closed == [1]

        assert holds_in_child(in_child)
        assert (thing.current, told.closed) == ((1,), [])


def test_what_was_closed_with_its_replica_is_not_read_any_more(replica: Replica[Settings], told: Told) -> None:
    thing = number(replica, told)
    with replica.override(Settings()), replica.pin():
        _ = thing.current
        replica._resources.close()
        assert told.closed == [1]
        with pytest.raises(NotAttached, match=r"call attach\(\) before it is read again"):
            _ = thing.current


# ---- staged


def test_what_was_staged_is_closed_when_it_is_dropped_and_what_it_shares_is_not(
    replica: Replica[Settings], told: Told
) -> None:
    shared = replica.derive(told.build, lambda c: c.name, close=told.close)
    number(replica, told)
    owned = replica._resources
    replica._take(_snapshot(Settings(1), owned))
    _ = shared.current

    names: list[str] = []
    assert owned.stage(Settings(2), names.append, 0.0) == []
    assert [name.rpartition(":")[2] for name in names] == ["Told.build"]
    owned.unstage()

    eventually(lambda: told.closed == [2], "the staged one is closed")
    assert shared.current == ("one",)


def test_what_can_not_be_staged_closes_what_was_built_before_it(replica: Replica[Settings], told: Told) -> None:
    replica.derive(told.build, lambda c: c.name, close=told.close)
    number(replica, told)
    replica._take(_snapshot(Settings(1), replica._resources))

    problems = replica._resources.stage(Settings(13), str, 0.0)

    assert [(each.key, each.message) for each in problems] == [
        ("number", "Told.build can't be built: ValueError: 13 brings bad luck")
    ]
    eventually(lambda: told.closed == ["one"], "the other one is closed")


@pytest.mark.parametrize("swaps", [1_000, slow(10_000)])
def test_many_swaps_leave_one_object_open_and_no_thread(replica: Replica[Settings], told: Told, swaps: int) -> None:
    thing = number(replica, told, linger=0)
    owned = replica._resources
    replica._take(_snapshot(Settings(0), owned))
    for each in range(1, swaps + 1):
        config = Settings(each if each != 13 else 0)
        assert owned.stage(config, str, 0.0) == []
        replica._take(_snapshot(config, owned))

    eventually(lambda: len(told.closed) == len(told.built) - 1, "all former ones are closed")
    assert thing.current == (swaps,)
    eventually(lambda: len(owned._closing.open_things()) == 1, "the last one is counted as closed")
    eventually(lambda: owned._closing._thread is None, "the end of the thread")


def _snapshot(config: Settings, owned: resources.Resources) -> Any:
    from confcast import Snapshot

    return Snapshot(config, 1, b"", owned.take_staged(config, 1))
