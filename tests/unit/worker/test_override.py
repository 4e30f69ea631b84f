"""`override()` beside what the code under test does meanwhile: pins, closing, forking, and a real owner's versions."""

from __future__ import annotations

import functools

import pytest

from confcast.errors import ConfigError, NotAttached, Problem
from confcast.worker.replica import Replica
from confcast.worker.snapshot import Snapshot
from tests.support.forking import holds_in_child
from tests.support.settings import Settings


def numbered(number: int) -> Settings:
    return Settings(number=number, twin=number)


@pytest.fixture
def replica() -> Replica[Settings]:
    return Replica(Settings, name="app")


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
