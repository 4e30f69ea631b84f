"""A server that speaks RESP and answers anything to what a host and a publisher ask of Redis.

Declared: EngineError (`fleet/engines/engine.py`). What holds is in `engines.py`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from confcast.fleet.engines.redis import Redis
from confcast.fleet.engines.redis_connection import Connection
from tests.fuzz import engines
from tests.fuzz.bounds import Cut, joined

TOKENS = [
    b"$1\r\n7\r\n",
    b"*2\r\n",
    b"*3\r\n",
    b":1\r\n",
    b"_\r\n",
    b"*0\r\n",
    b"%0\r\n",
    b",1.5\r\n",
    b"$-1\r\n",
    b"$6\r\nmaster\r\n",
    b"$9\r\nconnected\r\n",
    b"-NOAUTH x\r\n",
    b"+OK\r\n",
    b",nan\r\n",
    b",inf\r\n",
]

_TIME = b"*2\r\n$10\r\n1700000000\r\n$6\r\n123456\r\n"


def seeds():
    yield bytes([4, 0, 2, 3, 4]) + joined(b"$1\r\nh\r\n", b"$1\r\nh\r\n*1\r\n$6\r\nmaster\r\n", b"_\r\n", b":1\r\n")
    yield bytes([2, 5, 6]) + joined(
        b"*1\r\n$1\r\ne\r\n", _TIME + b"*1\r\n*2\r\n$1\r\na\r\n,17.0\r\n%1\r\n$1\r\na\r\n$1\r\nr\r\n"
    )
    yield bytes([3, 7, 8, 9]) + joined(_TIME, b"*1\r\n*2\r\n$1\r\na\r\n,17.0\r\n", b"+OK\r\n", b":1\r\n")
    yield bytes([3, 1, 2, 11]) + joined(
        b"+OK\r\n", b"_\r\n*5\r\n$5\r\nslave\r\n+h\r\n:1\r\n$9\r\nconnected\r\n:0\r\n", b":1\r\n"
    )


def one(data: bytes) -> None:
    cut = Cut(data)
    uses = bytes(cut.byte() for _ in range(min(cut.byte(), 8)))
    engines.run(_main(uses, cut))


async def _main(uses: bytes, cut: Cut) -> None:
    connection = Connection("redis://host")
    connection.connection_made(Wire(connection, cut))
    store = Redis(connection, "key", is_replica=len(uses) % 2 == 1)
    await engines.use(store, uses)


class Wire(asyncio.Transport):
    """Answers what is written with the next piece of the input, and with further ones while an answer is awaited."""

    def __init__(self, connection: Connection, cut: Cut) -> None:
        super().__init__()
        self._connection, self._cut = connection, cut
        self._ended = False

    def write(self, data: Any) -> None:
        self._loop().call_soon(self._answer)

    def abort(self) -> None:
        if not self._ended:
            self._ended = True
            self._loop().call_soon(self._connection.connection_lost, None)

    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_event_loop()

    def _answer(self) -> None:
        if self._ended:
            return
        if not self._cut:
            self._ended = True
            self._connection.connection_lost(None)
            return
        self._connection.data_received(self._cut.chunk())
        if self._connection._batches:
            self._loop().call_soon(self._answer)
