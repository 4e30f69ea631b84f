"""The recipes without a server: what is opened is closed, in every order in which versions, requests and drops come."""

from __future__ import annotations

import gc
import itertools
import logging
import threading
from collections.abc import Iterator

import pytest

from confcast import ConfigError, Replica
from confcast.examples.recipes import log_level
from confcast.examples.recipes.database_pool import Database, Pool, Pools, Settings
from tests.support.database import Database as Listening
from tests.support.waiting import DEADLINE, in_thread

A, B, C = (Database(port=port) for port in (1, 2, 3))


def version(database: Database) -> Settings:
    """As a worker gets it: nothing of it is an object of another version's."""
    return Settings(database=database.model_copy())


class Recorded(Pool):
    """A pool that connects to nothing."""

    opened: list[int]
    closed: list[int]

    def __init__(self, database: Database) -> None:
        self.port = database.port
        if database == C:
            raise OSError("nobody listens there")
        self.opened.append(self.port)

    def close(self) -> None:
        self.closed.append(self.port)


@pytest.fixture
def pools(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pools]:
    monkeypatch.setattr(Recorded, "opened", [], raising=False)
    monkeypatch.setattr(Recorded, "closed", [], raising=False)
    pools = Pools(Recorded)
    yield pools
    gc.collect()
    assert sum(pools._users.values()) == len(pools._open) == len(Recorded.opened) - len(Recorded.closed)


@pytest.fixture
def settings(pools: Pools) -> Replica[Settings]:
    """The recipe's own lines, on a replica of the test's."""
    settings = Replica(Settings, name="recipe")
    settings.precommit(pools.vote)
    settings.subscribe(pools.swap, select=lambda config: config.database, initial=True)
    return settings


def test_a_pool_is_built_at_the_vote_and_the_former_one_closed_at_the_swap(pools: Pools, settings: Replica[Settings]):
    with settings.override(version(A)) as fake:
        pools.swap(None, settings.latest.database)
        fake.push(version(B))
        assert (Recorded.opened, Recorded.closed) == ([1, 2], [1])
        fake.push(version(B))
        assert (Recorded.opened, Recorded.closed) == ([1, 2], [1])


def test_a_database_out_of_reach_refuses_the_version(pools: Pools, settings: Replica[Settings]):
    with settings.override(version(A)) as fake:
        pools.swap(None, settings.latest.database)
        with pytest.raises(ConfigError, match=r"Pools\.vote: nobody listens there"):
            fake.push(version(C))
        assert (settings.latest, Recorded.opened, Recorded.closed) == (version(A), [1], [])


def test_a_request_keeps_the_pool_that_it_took(pools: Pools, settings: Replica[Settings]):
    with settings.override(version(A)) as fake:
        pools.swap(None, settings.latest.database)
        with settings.pin() as config, pools.pool(config.database) as first:
            fake.push(version(B))
            assert Recorded.closed == []
            with pools.pool(settings.current.database) as again:
                assert again is first
        assert Recorded.closed == [1]


def test_a_request_may_be_sooner_than_the_observer(pools: Pools):
    old, new = version(A), version(B)
    pools.swap(None, old.database)
    pools.vote(old, new)
    with pools.pool(new.database):
        pools.swap(old.database, new.database)
    assert (Recorded.opened, Recorded.closed) == ([1, 2], [1])


def test_a_request_of_an_old_version_may_come_when_its_pool_is_closed(pools: Pools):
    old, new = version(A), version(B)
    pools.swap(None, old.database)
    pools.vote(old, new)
    pools.swap(old.database, new.database)
    with pools.pool(old.database):
        assert Recorded.opened == [1, 2, 1]
    assert Recorded.closed == [1, 1]


def test_a_version_that_is_dropped_after_the_vote_takes_its_pool_with_it(pools: Pools):
    old, new = version(A), version(B)
    pools.swap(None, old.database)
    pools.vote(old, new)
    assert Recorded.closed == []
    del new
    assert Recorded.closed == [2]


def test_there_and_back_before_the_observer_has_run_at_all(pools: Pools):
    first, second, third = version(A), version(B), version(A)
    pools.swap(None, first.database)
    pools.vote(first, second)
    pools.vote(second, third)
    pools.swap(first.database, second.database)
    pools.swap(second.database, third.database)
    assert (Recorded.opened, Recorded.closed) == ([1, 2], [2])


def test_a_vote_holds_its_pool_until_its_own_swap_and_not_until_an_earlier_one(pools: Pools):
    """A, B, A, B: the fourth is voted on before the observer was called for the second."""
    versions = [version(database) for database in (A, B, A, B)]
    pools.swap(None, A)
    for old, new in itertools.pairwise(versions):
        pools.vote(old, new)
    pools.swap(A, B)
    pools.swap(B, A)
    del versions[:3], old
    assert (Recorded.opened, Recorded.closed) == ([1, 2], [])
    pools.swap(A, B)
    assert (Recorded.opened, Recorded.closed) == ([1, 2], [1])
    del versions, new


def test_a_version_may_be_dropped_once_it_is_served(pools: Pools):
    first, second = version(A), version(B)
    pools.swap(None, first.database)
    pools.vote(first, second)
    pools.swap(first.database, second.database)
    del first, second
    assert Recorded.closed == [1]


def test_two_that_need_a_pool_at_once_get_one(pools: Pools, monkeypatch: pytest.MonkeyPatch):
    both = threading.Barrier(2)
    build = pools._build

    def build_when_both_do(database: Database) -> Pool:
        both.wait(DEADLINE)
        return build(database)

    monkeypatch.setattr(pools, "_build", build_when_both_do)
    taken = threading.Barrier(2)

    def request() -> Pool:
        with pools.pool(A) as pool:
            taken.wait(DEADLINE)
            return pool

    one, other = in_thread(request), in_thread(request)
    assert one() is other()
    assert (Recorded.opened, Recorded.closed) == ([1, 1], [1, 1])


def test_a_pool_that_cant_be_opened_leaves_nothing(pools: Pools):
    with pytest.raises(OSError, match="nobody listens"), pools.pool(C):
        raise AssertionError("there is no pool")
    assert (pools._users, pools._open) == ({}, {})


def test_connections_are_taken_in_turn_and_closed(pools: Pools):
    with Listening("here") as database:
        pool = Pool(Database(port=database.port))
        with pool.connection() as one, pool.connection() as other:
            assert one is not other
        pool.close()
        assert (one.fileno(), other.fileno()) == (-1, -1)


# ---- the log level


@pytest.fixture
def levels() -> Iterator[None]:
    """Loggers are the process's own."""
    before = logging.getLogger().level
    yield
    logging.getLogger().setLevel(before)
    logging.getLogger("shop").setLevel(logging.NOTSET)


def test_a_level_follows_the_configuration_and_is_taken_back(levels: None):
    shop = logging.getLogger("shop")
    with log_level.settings.override(log_level.Settings()) as fake:
        fake.push(log_level.Settings(log_levels={"root": "ERROR", "shop": "DEBUG"}))
        assert (logging.getLogger().level, shop.level) == (logging.ERROR, logging.DEBUG)
        fake.push(log_level.Settings())
        assert (logging.getLogger().level, shop.level) == (logging.WARNING, logging.NOTSET)
