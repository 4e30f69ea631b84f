"""`override()`: tests of an application need no owner and no process, whatever the code does meanwhile."""

from __future__ import annotations

import asyncio
import functools
import threading

import pytest

from confcast.errors import ConfigError, NotAttached, Problem
from confcast.worker.replica import Replica
from confcast.worker.snapshot import Snapshot
from tests.support.forking import holds_in_child
from tests.support.leaks import belongings
from tests.support.settings import Settings, numbered


@pytest.fixture
def replica() -> Replica[Settings]:
    return Replica(Settings, name="app")


def test_it_gives_the_value_and_afterwards_nothing_as_before(replica: Replica[Settings]) -> None:
    config = numbered(5)
    with replica.override(config):
        assert replica.latest is replica.current is replica.snapshot.config is config
        with replica.pin() as pinned:
            assert pinned is config

    with pytest.raises(NotAttached):
        _ = replica.latest


def test_it_starts_nothing_and_attaching_inside_does_nothing(replica: Replica[Settings]) -> None:
    before = belongings()
    with replica.override(numbered(5)):
        assert replica.attach() is replica
        assert replica.latest.number == 5
        assert replica.connected is False
        assert belongings() == before


def test_a_push_runs_precommit_then_swaps_then_tells_observers_in_this_thread(replica: Replica[Settings]) -> None:
    calls: list[tuple[str, int, int, int, threading.Thread]] = []

    def note(what: str, old: Settings, new: Settings) -> None:
        calls.append((what, old.number, new.number, replica.latest.number, threading.current_thread()))

    replica.precommit(lambda old, new: note("precommit", old, new))
    replica.subscribe(lambda old, new: note("observer", old, new))
    with replica.override(numbered(5)) as fake:
        fake.push(numbered(6))

    here = threading.current_thread()
    assert calls == [("precommit", 5, 6, 5, here), ("observer", 5, 6, 6, here)]


def test_health_checks_are_called_once_pinned_and_what_is_said_is_given(replica: Replica[Settings]) -> None:
    pinned: list[bool] = []

    @replica.healthcheck
    def well() -> None:
        pinned.append(replica._pinned.get() is not None)

    @replica.healthcheck
    async def number_fits() -> bool:
        return replica.current.number == 5

    @replica.healthcheck
    def complains() -> None:
        if replica.current.number != 5:
            replica.unhealthy("no connection")
            raise ValueError(6)

    with replica.override(numbered(5)) as fake:
        assert fake.healthcheck() == []
        fake.push(numbered(6))
        replica.unhealthy("said before")
        name = f"{test_health_checks_are_called_once_pinned_and_what_is_said_is_given.__name__}.<locals>"
        assert fake.healthcheck() == [
            Problem("", "said before"),
            Problem("", "no connection"),
            Problem("", f"{name}.number_fits: it returned False"),
            Problem("", f"{name}.complains: ValueError: 6"),
        ]
        assert len(fake.healthcheck()) == 3
    assert pinned == [True] * 3
    assert replica._health._thread is None


def test_a_health_check_that_is_async_is_called_where_a_loop_runs_too(replica: Replica[Settings]) -> None:
    @replica.healthcheck
    async def check() -> bool:
        return replica.current.number == 5

    async def test() -> list[Problem]:
        with replica.override(numbered(5)) as fake:
            return fake.healthcheck()

    assert asyncio.run(test()) == []


def test_a_push_that_precommit_refuses_changes_nothing_and_calls_nobody(replica: Replica[Settings]) -> None:
    calls: list[int] = []
    replica.subscribe(lambda old, new: calls.append(new.number))

    @replica.precommit
    def fits(old: Settings, new: Settings) -> None:
        if new.number > 100:
            raise ValueError(f"{new.number} does not fit")

    with replica.override(numbered(5)) as fake:
        with pytest.raises(ConfigError, match="fits: 101 does not fit"):
            fake.push(numbered(101))
        assert replica.latest.number == 5
        fake.push(numbered(100))

    assert calls == [100]


def test_a_push_tells_each_version_apart_and_leaves_pins_alone(replica: Replica[Settings]) -> None:
    with replica.override(numbered(5)) as fake, replica.pin() as pinned:
        before = replica.version
        fake.push(numbered(6))
        assert (replica.current, replica.version) == (pinned, before)
        assert replica.latest.number == 6


def test_select_and_settled_observers_are_told_too(replica: Replica[Settings]) -> None:
    selected: list[tuple[str, str]] = []
    settled: list[int] = []
    replica.subscribe(lambda old, new: selected.append((old, new)), select=lambda config: config.name)
    replica.subscribe(lambda old, new: settled.append(new.number), on="settled")
    with replica.override(numbered(5)) as fake:
        fake.push(numbered(6))
        fake.push(numbered(7, "two"))

    assert selected == [("one", "two")]
    assert settled == [6, 7]


def test_what_an_observer_raises_fails_the_test_that_pushed(replica: Replica[Settings]) -> None:
    replica.subscribe(lambda old, new: 1 // 0)
    with replica.override(numbered(5)) as fake, pytest.raises(ZeroDivisionError):
        fake.push(numbered(6))


def test_there_is_no_owner_to_ask(replica: Replica[Settings]) -> None:
    with replica.override(numbered(5)), pytest.raises(NotAttached, match="overridden for a test"):
        replica.get_stats()


def test_overrides_nest(replica: Replica[Settings]) -> None:
    with replica.override(numbered(5)):
        with replica.override(numbered(6)):
            assert replica.latest.number == 6
        assert replica.latest.number == 5


def test_inside_a_pin_the_pinned_one_stays_and_the_newest_is_the_override_s(replica: Replica[Settings]) -> None:
    one, two = numbered(1), numbered(2)
    with replica.override(one), replica.pin() as pinned:
        with replica.override(two):
            assert replica.current is pinned is one
            assert replica.latest is two
        assert replica.latest is one


def test_a_pin_that_outlives_the_override_is_over_with_its_own_end(replica: Replica[Settings]) -> None:
    one = numbered(1)
    with replica.override(one):
        pin = replica.pin()
        pin.__enter__()
    assert replica.current is one
    pin.__exit__(None, None, None)
    with pytest.raises(NotAttached):
        _ = replica.current


def test_an_exception_in_the_block_ends_it_as_well(replica: Replica[Settings]) -> None:
    with pytest.raises(ZeroDivisionError), replica.override(numbered(1)):
        _ = 1 // 0
    with pytest.raises(NotAttached):
        _ = replica.latest


def test_code_that_closes_its_replica_may_attach_it_again(replica: Replica[Settings]) -> None:
    with replica.override(numbered(1)):
        for _ in range(2):  # an application that is started and stopped twice
            replica.attach()
            replica.close()
        assert replica.latest.number == 1


def test_a_forked_child_keeps_it(replica: Replica[Settings]) -> None:
    with replica.override(numbered(1)):
        assert holds_in_child(lambda: replica.attach().latest.number == 1)


class Attached:
    """A replica's attachment, as far as an override sees it."""

    address = "somewhere"
    connected = True

    def set_aside(self, snapshot: Snapshot[Settings]) -> bool:
        return False

    def after_fork(self) -> None:
        """Nothing to close."""


def test_what_the_owner_commits_meanwhile_shows_afterwards_and_nothing_goes_down(replica: Replica[Settings]) -> None:
    replica._take(Snapshot(numbered(1), 7, b""))
    replica._provider = Attached()  # type: ignore[assignment]
    with replica.override(numbered(100)) as outer, replica.override(numbered(101)):
        replica._receive(Snapshot(numbered(2), 8, b""))
        assert replica.latest.number == 101
        outer.push(numbered(102))
        assert replica.latest.number == 102
    assert (replica.version, replica.latest.number) == (8, 2)
    replica._provider = None


def test_a_refusal_names_the_function_and_never_shows_its_arguments(replica: Replica[Settings]) -> None:
    def fits(secret: str, old: Settings, new: Settings) -> None:
        raise ValueError("too large")

    replica.precommit(functools.partial(fits, "s3cret"))
    with replica.override(numbered(1)) as fake, pytest.raises(ConfigError, match="fits: too large") as caught:
        fake.push(numbered(2))
    assert "s3cret" not in str(caught.value)
    assert caught.value.reason == "rejected"
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_refusal_that_names_keys_keeps_them(replica: Replica[Settings]) -> None:
    @replica.precommit
    def judge(old: Settings, new: Settings) -> None:
        raise ConfigError([Problem("number", "too large"), Problem("twin", "too large")])

    with replica.override(numbered(1)) as fake, pytest.raises(ConfigError) as caught:
        fake.push(numbered(2))
    assert [problem.key for problem in caught.value.problems] == ["number", "twin"]
    assert all(problem.message.endswith("judge: too large") for problem in caught.value.problems)
    assert caught.value.reason == "rejected"


def test_what_is_not_of_the_schema_is_refused_before_anything_changes(replica: Replica[Settings]) -> None:
    with pytest.raises(TypeError, match=r"replica 'app' gives a Settings, and override.. takes one, not a dict"):
        replica.override({"number": 1}).__enter__()  # type: ignore[arg-type]
    with pytest.raises(NotAttached):
        _ = replica.latest

    one = numbered(1)
    with replica.override(one) as fake:
        with pytest.raises(TypeError, match="not a NoneType"):
            fake.push(None)  # type: ignore[arg-type]
        assert replica.latest is one
