"""A database pool that is rebuilt when its configuration changes; no request loses its connection.

The last lines are the recipe: `derive` builds the pool at the vote (a database that can't be reached refuses the
version in every worker), swaps it together with the configuration, and closes the former one when the last request that
uses it has ended. A change of another part leaves the pool as it is. A pool that was built for a version that was not
committed is closed.

    def handler():
        with pool.current.connection() as connection: ...

In a request `pool.current` is the pool of the version to which the request is pinned, so that all its queries go to one
database. Between the vote and the end of the last old request the database has the connections of both pools.

`Pool` stands for your driver's pool: opened whole or not at all (one that connects lazily proves nothing at the vote:
have your build ask something), closed once, safe from any thread.

    def test_a_database_out_of_reach_is_refused():
        with settings.override(Settings(database=Database(port=5432))) as fake:
            pool.current
            with pytest.raises(ConfigError):
                fake.push(Settings(database=Database(port=1)))
"""

from __future__ import annotations

import queue
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from pydantic import BaseModel, Field

from confcast import Replica


class Database(BaseModel, frozen=True):
    """All that a pool is made from."""

    port: int
    host: str = "127.0.0.1"
    connections: int = Field(2, ge=1)


class Settings(BaseModel, frozen=True):
    """The part of an application's schema that is about the database."""

    database: Database


settings = Replica(Settings, name="app")


class Pool:
    """A few connections that threads use by turns. Raises OSError, with none open, if one can't be made."""

    def __init__(self, database: Database) -> None:
        self._idle: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
        with ExitStack() as made:
            for _ in range(database.connections):
                connection = socket.create_connection((database.host, database.port), timeout=1.0)
                self._idle.put(made.enter_context(connection))
            self._made = made.pop_all()

    @contextmanager
    def connection(self) -> Iterator[socket.socket]:
        """Lend one connection for the time of the block."""
        connection = self._idle.get()
        try:
            yield connection
        finally:
            self._idle.put(connection)

    def close(self) -> None:
        """Close the pool's connections."""
        self._made.close()


# linger=0: the pool is used in requests only, which are pinned
pool = settings.derive(Pool, lambda config: config.database, close=Pool.close, linger=0, name="the pool")
