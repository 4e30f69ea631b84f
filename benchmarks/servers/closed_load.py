"""The load of throughput: each connection asks again as soon as it is answered (a closed loop).

Eight connections, as many to each worker, since who gets a connection is chance where workers share a listener, and
would decide the figures. They are made until it is so; not where the server closes after each answer.
"""

from __future__ import annotations

import selectors
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from benchmarks.servers.connection import Asked, Connection
from benchmarks.servers.kinds import WORKERS

CONNECTIONS = 8
_TRIES = 400
_PATIENCE = 10.0


class ClosedLoad:
    """Eight connections to a server. Made by `closed_load`.

    Attributes:
        asked: Every request that is over, in that order.
    """

    def __init__(self, port: int, path: str) -> None:
        self.asked: list[Asked] = []
        self._selector = selectors.DefaultSelector()
        self._goes_on = False
        self._port, self._path = port, path
        self._connections: list[Connection] = []

    def spread(self) -> None:
        """Have as many connections to each worker. What was asked for it counts for nothing."""
        share, mine = CONNECTIONS // WORKERS, Counter[int]()
        for _ in range(_TRIES):
            if len(self._connections) == CONNECTIONS:
                break
            connection = Connection(self._selector, self._port, self._path, self._tell)
            pid = self._ask(connection)
            if connection.is_open and mine[pid] >= share:
                connection.give_up()
            else:
                mine[pid] += 1
                self._connections.append(connection)
        self.asked.clear()

    def run(self, seconds: float, often: float = 0, act: Callable[[], None] = lambda: None) -> float:
        """Ask for so long, and `act` so often a second; the seconds from the first request to the last answer."""
        began = now = monotonic()
        next_act = began if often else began + 2 * seconds
        self._goes_on = True
        for connection in self._connections:
            connection.ask(now)
        while now < began + seconds:
            if now >= next_act:
                act()
                next_act += 1 / often
            self._listen(min(next_act, began + seconds) - now)
            now = monotonic()
        self._goes_on = False
        self._drain()
        return monotonic() - began

    def close(self) -> None:
        """Close every connection."""
        for connection in self._connections:
            connection.give_up()
        self._selector.close()

    def _ask(self, connection: Connection) -> int:
        """One request; who has answered."""
        connection.ask(monotonic())
        end = monotonic() + _PATIENCE
        while connection.due is not None and monotonic() < end:
            self._listen(end - monotonic())
        if connection.due is not None:
            connection.give_up()
        return self.asked[-1].pid

    def _drain(self) -> None:
        end = monotonic() + _PATIENCE
        while any(each.due is not None for each in self._connections) and monotonic() < end:
            self._listen(end - monotonic())
        for connection in self._connections:
            if connection.due is not None:
                connection.give_up()

    def _tell(self, connection: Connection, asked: Asked) -> None:
        self.asked.append(asked)
        if self._goes_on:
            connection.ask(monotonic())

    def _listen(self, seconds: float) -> None:
        for key, _ in self._selector.select(max(0.0, seconds)):
            key.data.ready()


@contextmanager
def closed_load(port: int, path: str) -> Iterator[ClosedLoad]:
    """Connections that are closed at the end."""
    load = ClosedLoad(port, path)
    try:
        load.spread()
        yield load
    finally:
        load.close()
