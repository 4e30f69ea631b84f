"""A database pool that is rebuilt when its configuration changes; no request loses its connection.

- **Built at the vote**, by `precommit`: a database that can't be reached refuses the version in every worker.
- **Swapped by the observer**, which keeps the newest pool open and lets the one before go.
- **Closed** when the last request that uses it has ended; and a pool that was built for a version that never came, as
  soon as confcast has dropped that version.

A request asks by its own configuration: `with pools.pool(settings.current.database) as pool:`. It gets the pool of the
version that it is pinned to, before the observer has run and long after, so its queries all go to one database. Who
keeps a pool open is counted: a version that is voted on (until it is swapped in, or dropped, of which
`weakref.finalize` hears), the newest, and each request. Between the vote and the end of the last old request the
database has the connections of both. An old request that asks for the first time after the swap may find its pool
closed, and opens it once more.

Rejected: one global pool that the observer replaces (between the swap and the observer a new request uses the old one,
and an old request that asks twice uses both); closing the old pool in the observer (requests still use it); keeping it
until its version is dropped (a process may refer to an old version long after its last request: as what an observer was
told last, say); and opening in the observer (its failure comes after the commit, when nothing can be refused any more).

`Pool` stands for your driver's: opened whole or not at all, closed once, safe from any thread. The schema's class must
take weak references: any pydantic model, a dataclass without slots, a `msgspec.Struct` with `weakref=True`.

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
    """All that a pool is made of. Frozen, and so it can be a key."""

    port: int
    host: str = "127.0.0.1"
    connections: int = Field(2, ge=1)


class Settings(BaseModel, frozen=True):
    """The part of a schema that is about the database."""

    database: Database


settings = Replica(Settings, name="app")


class Pool:
    """A few connections that threads take turns with. Raises OSError when one of them can't be made."""

    def __init__(self, database: Database) -> None:
        self._idle: queue.SimpleQueue[socket.socket] = queue.SimpleQueue()
        with ExitStack() as made:
            for _ in range(database.connections):
                connection = socket.create_connection((database.host, database.port), timeout=1.0)
                self._idle.put(made.enter_context(connection))
            self._made = made.pop_all()

    @contextmanager
    def connection(self) -> Iterator[socket.socket]:
        """One connection, for the time of the block."""
        connection = self._idle.get()
        try:
            yield connection
        finally:
            self._idle.put(connection)

    def close(self) -> None:
        """Close all connections."""
        self._made.close()


class Pools:
    """One pool for each database that somebody uses.

    Args:
        build: Opens a pool; raises when it can't.
    """

    def __init__(self, build: Callable[[Database], Pool] = Pool) -> None:
        self._build = build
        self._open: dict[Database, Pool] = {}
        self._users: Counter[Database] = Counter()
        self._lock = threading.RLock()  # reentrant: a version may be dropped, by the collector, while it is held
        self._votes: list[tuple[Database, weakref.finalize[[Database], Settings]]] = []  # the oldest first
        self._newest: Database | None = None

    def vote(self, old: Settings, new: Settings) -> None:
        """For `precommit`: open the pool that the new version needs. Raises when it can't be; nothing has changed."""
        if new.database == old.database:
            return
        self._take(new.database)
        vote = new.database, weakref.finalize(new, self._leave, new.database)
        with self._lock:
            self._votes = [*(each for each in self._votes if each[1].alive), vote]

    def swap(self, old: Database | None, new: Database) -> None:
        """For `subscribe`, with `initial=True`: the first version in a process was not voted on."""
        self._take(new)
        before, self._newest = self._newest, new
        if before is not None:
            self._leave(before)
        with self._lock:
            voted = next((end for database, end in self._votes if database == new and end.alive), None)
        if voted is not None:  # the oldest: a later vote for the same database is that of a version still to come
            voted()  # once only, whoever calls it

    @contextmanager
    def pool(self, database: Database) -> Iterator[Pool]:
        """The pool of that database; it stays open for the time of the block."""
        pool = self._take(database)
        try:
            yield pool
        finally:
            self._leave(database)

    def _take(self, database: Database) -> Pool:
        with self._lock:
            self._users[database] += 1
            if database in self._open:
                return self._open[database]
        try:
            built = self._build(database)  # it may take a second: without the lock
        except BaseException:
            self._leave(database)
            raise
        with self._lock:
            pool = self._open.setdefault(database, built)
        if pool is not built:  # another thread was quicker
            built.close()
        return pool

    def _leave(self, database: Database) -> None:
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
