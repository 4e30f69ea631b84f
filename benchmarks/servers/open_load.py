"""The load of a change: a fixed schedule, whatever the server does (an open loop).

Eight connections are kept, each with ten requests a second, and forty new ones are made a second. A request that is due
while its connection still waits for an answer is sent when that has come, and is timed from when it was due: a stall
shows in every request that it held up, not in one.
"""

from __future__ import annotations

import selectors
from collections import deque
from collections.abc import Callable
from time import monotonic

from benchmarks.servers.connection import Asked, Connection
from benchmarks.servers.figures import pids
from benchmarks.servers.kinds import WORKERS
from benchmarks.servers.running import PATIENCE, Failed, Server

KEPT = 8
A_SECOND_EACH = 10
NEW_A_SECOND = 40
TIMEOUT = 30.0
_LOOK_EVERY = 0.1


class _Lane:
    """A kept connection, and what it still has to ask."""

    def __init__(self, connection: Connection, first: float) -> None:
        self.connection = connection
        self.next = first
        self._waiting: deque[float] = deque()

    def turn(self, now: float) -> None:
        """Ask, if something is due and nothing waits for its answer."""
        while self.next <= now:
            self._waiting.append(self.next)
            self.next += 1 / A_SECOND_EACH
        while self._waiting and self.connection.due is None:
            self.connection.ask(self._waiting.popleft())


class OpenLoad:
    """From its making to `close`; it goes on while `run` runs.

    Args:
        port: Of the server.
        kept: How many connections are kept.
        new_a_second: How many new ones are made a second.

    Attributes:
        asked: Every request that is over, in that order.
    """

    def __init__(self, port: int, kept: int = KEPT, new_a_second: int = NEW_A_SECOND) -> None:
        self.asked: list[Asked] = []
        self._port = port
        self._new_every = 1 / new_a_second
        self._selector = selectors.DefaultSelector()
        now = monotonic()
        spread = 1 / A_SECOND_EACH / max(1, kept)
        self._lanes = [_Lane(self._connection(keeps=True), now + number * spread) for number in range(kept)]
        self._next_new = now
        self._new: set[Connection] = set()

    def run(self, seconds: float, until: Callable[[float], bool] = lambda now: False) -> bool:
        """Go on for so long; sooner, and true, when this is, which is asked every tenth of a second."""
        now = monotonic()
        end, look = now + seconds, now
        while now < end:
            if now >= look:
                look = now + _LOOK_EVERY
                if until(now):
                    return True
            self._send(now)
            soonest = min(self._next_new, look, end, *(lane.next for lane in self._lanes))
            self._listen(max(0.0, soonest - monotonic()))
            now = monotonic()
        return until(now)

    def finish(self) -> None:
        """Send no more, and wait for what is still to come.

        Each has its whole time: where the queue of a server that stalls was full, the client's kernel tries again later
        and later, and what comes then is late, not lost.
        """
        while waiting := self._open():
            self._listen(_LOOK_EVERY)
            self._give_up(waiting, monotonic())

    def close(self) -> None:
        """Close every connection."""
        for connection in [*self._new, *(lane.connection for lane in self._lanes)]:
            connection.give_up()
        self._selector.close()

    def _connection(self, *, keeps: bool) -> Connection:
        return Connection(self._selector, self._port, "/", self._tell, keeps=keeps)

    def _tell(self, connection: Connection, asked: Asked) -> None:
        self._new.discard(connection)
        self.asked.append(asked)

    def _send(self, now: float) -> None:
        for lane in self._lanes:
            lane.turn(now)
        while self._next_new <= now:
            connection = self._connection(keeps=False)
            self._new.add(connection)
            connection.ask(self._next_new)
            self._next_new += self._new_every
        self._give_up(self._open(), now)

    def _give_up(self, waiting: list[Connection], now: float) -> None:
        for connection in waiting:
            if connection.due is not None and connection.sent < now - TIMEOUT:
                connection.give_up(f"no answer within {TIMEOUT:g} s")

    def _listen(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            key.data.ready()

    def _open(self) -> list[Connection]:
        """Those that wait for an answer."""
        every = [*self._new, *(lane.connection for lane in self._lanes)]
        return [connection for connection in every if connection.due is not None]


def await_workers(server: Server) -> frozenset[int]:
    """Return their pids when every worker has answered. Raises Failed."""
    load = OpenLoad(server.port)

    def have_answered(now: float) -> bool:
        server.check()
        return len(pids(load.asked)) >= WORKERS

    try:
        if not load.run(PATIENCE, have_answered):
            raise Failed(f"{len(pids(load.asked))} of {WORKERS} workers have answered; {server.last_words()}")
        return pids(load.asked)
    finally:
        load.close()
