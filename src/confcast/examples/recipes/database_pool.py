"""A database pool that is rebuilt when its configuration changes; no request loses its connection.

- A pool is **built at the vote**, by `precommit`: a database that can't be reached refuses the version in every worker.
- The **observer swaps** pools: it keeps the newest one open and releases the one before.
- A pool is **closed** when the last request that uses it has ended. A pool that was built for a version that was not
  committed is closed as soon as confcast has dropped that version.

A request asks by its own configuration: `with pools.pool(settings.current.database) as pool:`. It gets the pool of the
version to which it is pinned, before the observer has run and long after, so that all its queries go to one database.
The users of each pool are counted: a version that is voted on (until it is swapped in, or `weakref.finalize` reports
that it was dropped), the newest version, and each request. Between the vote and the end of the last old request the
database has the connections of both pools. An old request that asks for the first time after the swap may find its pool
closed, and opens it once more.

Rejected: one global pool that the observer replaces (between the swap and the observer a new request uses the old one,
and an old request that asks twice uses both); closing the old pool in the observer (requests still use it); keeping it
until its version is dropped (a process may refer to an old version long after its last request: for example, as the
last argument of an observer); and opening in the observer (after the commit a failure can't refuse the version).

`Pool` stands for your driver's pool: opened whole or not at all, closed once, safe from any thread. The schema's class
must take weak references: any pydantic model, a dataclass without slots, a `msgspec.Struct` with `weakref=True`.

    def test_a_database_out_of_reach_is_refused():
        with settings.override(Settings(database=Database(port=5432))) as fake:
            with pytest.raises(ConfigError):
                fake.push(Settings(database=Database(port=1)))
"""

from __future__ import annotations

import queue
import socket
import threading
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from pydantic import BaseModel, Field

from confcast import Replica


class Database(BaseModel, frozen=True):
    """All that a pool is made from. It is frozen, so that it can be a key."""

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


class Pools:
    """One pool for each database that is in use. Any thread may call it.

    Args:
        build: Opens a pool; raises if the database can't be reached.
    """

    def __init__(self, build: Callable[[Database], Pool] = Pool) -> None:
        self._build = build
        self._open: dict[Database, Pool] = {}
        self._users: Counter[Database] = Counter()
        self._lock = threading.RLock()  # reentrant: the garbage collector may drop a version while the lock is held
        self._votes: list[tuple[Database, weakref.finalize[[Database], Settings]]] = []  # the oldest first
        self._newest: Database | None = None

    def vote(self, old: Settings, new: Settings) -> None:
        """For `precommit`: open the pool that the new version needs. Raises, and changes nothing, if that fails."""
        if new.database == old.database:
            return
        self._acquire(new.database)
        vote = new.database, weakref.finalize(new, self._release, new.database)
        with self._lock:
            self._votes = [*(each for each in self._votes if each[1].alive), vote]

    def swap(self, old: Database | None, new: Database) -> None:
        """For `subscribe`, with `initial=True`: the first version in a process was not voted on."""
        self._acquire(new)
        before, self._newest = self._newest, new
        if before is not None:
            self._release(before)
        with self._lock:
            voted = next((end for database, end in self._votes if database == new and end.alive), None)
        if voted is not None:  # the oldest: a later vote for the same database belongs to a version still to come
            voted()  # the oldest vote: a later one for the same database belongs to a version still to come

    @contextmanager
    def pool(self, database: Database) -> Iterator[Pool]:
        """Yield the pool of that database, which stays open for the time of the block."""
        pool = self._acquire(database)
        try:
            yield pool
        finally:
            self._release(database)

    def _acquire(self, database: Database) -> Pool:
        with self._lock:
            self._users[database] += 1
            if database in self._open:
                return self._open[database]
        try:
            built = self._build(database)  # without the lock, since building may take a second
        except BaseException:
            self._release(database)
            raise
        with self._lock:
            pool = self._open.setdefault(database, built)
        if pool is not built:  # another thread was quicker
            built.close()
        return pool

    def _release(self, database: Database) -> None:
        with self._lock:
            self._users[database] -= 1
            if self._users[database]:
                return
            del self._users[database]
            pool = self._open.pop(database, None)
        if pool is not None:
            pool.close()


pools = Pools()
settings.precommit(pools.vote)
settings.subscribe(pools.swap, select=lambda config: config.database, initial=True)
