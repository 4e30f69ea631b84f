"""The recipes without a server."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from confcast import ConfigError
from confcast.examples.recipes import log_level
from confcast.examples.recipes.database_pool import Database, Pool, Settings, pool, settings
from tests.support.database import Database as Listening
from tests.support.waiting import eventually


@pytest.fixture
def databases() -> Iterator[list[Listening]]:
    with Listening("one") as one, Listening("other") as other:
        yield [one, other]


def version(listening: Listening) -> Settings:
    return Settings(database=Database(port=listening.port))


def test_a_pool_follows_the_configuration_and_the_former_one_is_closed(databases: list[Listening]):
    one, other = databases
    with settings.override(version(one)) as fake:
        assert one.connections == 0
        first = pool.current
        fake.push(version(other))
        eventually(lambda: (one.connections, other.connections) == (0, 2), "the end of the former pool")
        assert pool.current is not first
    eventually(lambda: other.connections == 0, "the end of the last pool")


def test_a_database_out_of_reach_refuses_the_version(databases: list[Listening]):
    one, _ = databases
    with settings.override(version(one)) as fake:
        first = pool.current
        with pytest.raises(ConfigError, match="the pool can't be built: ConnectionRefusedError"):
            fake.push(Settings(database=Database(port=1)))
        assert pool.current is first
        eventually(lambda: one.connections == 2, "both connections of the pool that stays")


def test_a_request_keeps_its_pool(databases: list[Listening]):
    one, other = databases
    with settings.override(version(one)) as fake:
        pool.current  # noqa: B018 - reading builds it
        with settings.pin():
            first = pool.current
            fake.push(version(other))
            assert pool.current is first
            with first.connection() as connection:
                connection.sendall(b"?")
                assert connection.recv(10) == b"one"
        fake.push(version(other))
        eventually(lambda: one.connections == 0, "the end of the pool, once its last request has ended")


def test_connections_are_taken_in_turn_and_closed():
    with Listening("here") as database:
        made = Pool(Database(port=database.port))
        with made.connection() as one, made.connection() as other:
            assert one is not other
        made.close()
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
