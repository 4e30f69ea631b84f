"""The process that asks: steady keep-alive and new-connection load, one JSON line for every attempt.

It runs beside the demonstration and not inside it, so that the play does not disturb the measuring:
`python -m confcast.examples.leindex.demo.load PORT`. It ends when its standard input does.

Guarantees: every attempt makes exactly one line, with the moments it was sent and ended (CLOCK_MONOTONIC, the same
for every process of the machine). A kept connection that the server closed between two requests is a line of its
own, `closed`, and the request is sent again on a new connection, as every HTTP client does; nothing else is repeated.
What is under way is bounded.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from http import HTTPStatus
from typing import NamedTuple

from confcast.examples.leindex.demo.texts import WORDS

KEPT_CONNECTIONS = 8
KEPT_RATE = 10.0
NEW_RATE = 40.0
"""Requests a second: on each kept connection, and on connections of their own."""

_TIMEOUT = 5.0
_UNDER_WAY = 100


class Answer(NamedTuple):
    """One attempt.

    Attributes:
        kind: `kept` or `new`: the connection it went over.
        sent: When it was sent, in seconds of CLOCK_MONOTONIC.
        ended: When it was answered, or given up.
        pid: The worker; for a failed attempt on a kept connection the one that answered there before; 0 unknown.
        version: The configuration that answered; 0 when nothing did.
        error: Why it failed, `closed` for a kept connection that was closed; empty when it was answered with 200.
    """

    kind: str
    sent: float
    ended: float
    pid: int
    version: int
    error: str


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _NothingCame(Exception):
    """The connection ended before the first byte of an answer."""


async def _exchange(connection: Connection, keep: bool) -> tuple[int, int, int]:
    """One request on the connection: the status, and from an answer with 200 the worker's pid and its version."""
    reader, writer = connection
    path = f"/search?q={random.choice(WORDS)}+{random.choice(WORDS)}"  # noqa: S311
    close = "" if keep else "Connection: close\r\n"
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{close}\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    except (ConnectionError, asyncio.IncompleteReadError) as error:
        if getattr(error, "partial", b""):
            raise
        raise _NothingCame from error
    status = int(head.split(maxsplit=2)[1])
    body = await reader.readexactly(int(head.partition("content-length:")[2].split(maxsplit=1)[0]))
    if status != HTTPStatus.OK:
        return status, 0, 0
    answer = json.loads(body)
    return status, answer["pid"], answer["version"]


class Load:
    """The load on one port.

    Args:
        port: On the loopback interface.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Ask nothing more."""
        self._stopping.set()

    async def run(self) -> None:
        """Ask until `stop()`; what is under way then is finished."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(KEPT_CONNECTIONS):
                tasks.create_task(self._kept(number / KEPT_CONNECTIONS / KEPT_RATE))
            tasks.create_task(self._new(tasks))

    async def _beat(self, rate: float) -> bool:
        """Wait for the next beat of the rate; False when it is over."""
        try:
            await asyncio.wait_for(self._stopping.wait(), 1 / rate)
        except TimeoutError:
            return True
        return False

    async def _new(self, tasks: asyncio.TaskGroup) -> None:
        room = asyncio.Semaphore(_UNDER_WAY)
        while await self._beat(NEW_RATE):
            await room.acquire()  # a server that answers nothing is not buried: the attempts time out instead
            tasks.create_task(self._attempt("new", None)).add_done_callback(lambda _: room.release())

    async def _kept(self, offset: float) -> None:
        await asyncio.sleep(offset)
        connection: Connection | None = None
        pid = 0
        while await self._beat(KEPT_RATE):
            connection, pid = await self._attempt("kept", connection, pid)
        _close(connection)

    async def _attempt(self, kind: str, connection: Connection | None, pid: int = 0) -> tuple[Connection | None, int]:
        """Ask once, and once more when a kept connection turns out to be closed. Returns what is kept, and whose."""
        reused = connection is not None
        sent = time.monotonic()
        try:
            async with asyncio.timeout(_TIMEOUT):
                connection = connection or await asyncio.open_connection("127.0.0.1", self._port)
                status, pid, version = await _exchange(connection, keep=kind == "kept")
        except (_NothingCame, OSError, EOFError, ValueError, LookupError) as error:
            _close(connection)
            closed = reused and isinstance(error, _NothingCame)
            _tell(Answer(kind, sent, time.monotonic(), pid, 0, "closed" if closed else _text(error)))
            return await self._attempt(kind, None) if closed else (None, 0)
        _tell(Answer(kind, sent, time.monotonic(), pid, version, "" if status == HTTPStatus.OK else f"HTTP {status}"))
        if kind == "kept" and status == HTTPStatus.OK:
            return connection, pid
        _close(connection)
        return None, 0


def _close(connection: Connection | None) -> None:
    if connection is not None:
        connection[1].close()


def _text(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer in {_TIMEOUT:.0f} s"
    return "the connection was broken" if isinstance(error, _NothingCame | EOFError) else repr(error)


def _tell(answer: Answer) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def main(port: int) -> None:
    """Ask until standard input ends."""
    loop = asyncio.get_running_loop()
    load = Load(port)
    loop.add_reader(sys.stdin.fileno(), load.stop)  # nothing is ever written to it: readable is its end
    try:
        await load.run()
    finally:
        loop.remove_reader(sys.stdin.fileno())


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
