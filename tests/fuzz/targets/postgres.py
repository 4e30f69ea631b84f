"""A server that speaks PostgreSQL's protocol and answers anything to what a host and a publisher ask.

An input is which calls are made, and answers, each behind its length: a list of rows, by column; what an error has, by
PostgreSQL's letters; anything else ends the connection. asyncpg makes values of bytes, by the types that the server
says: any column may have any. Declared: EngineError (`fleet/engines/engine.py`). What holds is in `engines.py`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import asyncpg
import msgspec

from confcast.fleet.engines import postgres
from confcast.fleet.engines.engine import EngineError
from confcast.fleet.engines.postgres import Postgres
from tests.fuzz import engines
from tests.fuzz.bounds import Cut, joined

postgres._PROOF = 0.001  # seconds for a notification to arrive

FORM = "msgpack"
TOKENS = [b"content", b"digest", b"age", b"at", b"standby", b"pid", b"listens", b"42P01", b"3F000", b"54000", b"57P01"]
_PID = 7


class _Target(NamedTuple):
    schema: str = "public"


class Place:
    """Where further connections lead: to whoever answers already."""

    shown, target = "postgresql://host/shop", _Target()

    def __init__(self, cut: Cut) -> None:
        self._cut = cut
        self._told: list[Callable[..., object]] = []

    async def link(self) -> Link:
        return Link(self._cut, self._told)


class Link:
    """A connection of asyncpg's, which has each answer from the input."""

    def __init__(self, cut: Cut, told: list[Callable[..., object]]) -> None:
        self._cut, self._told = cut, told

    async def fetch(self, statement: str, *values: object) -> list[dict[str, Any]]:
        return self._answer()

    async def fetchval(self, statement: str, *values: object) -> Any:
        return next((value for row in self._answer() for value in row.values()), None)

    async def execute(self, statement: str, *values: object) -> None:
        for told in self._told if self._answer() else ():
            told(self, _PID, "channel", "")

    async def add_listener(self, channel: str, told: Callable[..., object]) -> None:
        await self.execute("listen")
        self._told.append(told)

    def transaction(self, isolation: str) -> contextlib.AbstractAsyncContextManager[None]:
        return contextlib.nullcontext()

    def add_termination_listener(self, told: Callable[..., object]) -> None:
        pass

    def get_server_pid(self) -> int:
        return _PID

    async def close(self) -> None:
        pass

    def terminate(self) -> None:
        pass

    def _answer(self) -> list[dict[str, Any]]:
        """Raises what asyncpg does."""
        answer: Any = None
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            answer = msgspec.msgpack.decode(self._cut.chunk())
        if isinstance(answer, list) and all(isinstance(row, dict) for row in answer):
            return answer
        if isinstance(answer, dict):
            raise asyncpg.PostgresError.new({str(letter): str(told) for letter, told in answer.items()})
        raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")


def answers(*answers: Any) -> bytes:
    return joined(*map(msgspec.msgpack.encode, answers))


AT = datetime(2026, 1, 1, tzinfo=UTC)
STATE = [{"standby": False, "pid": _PID, "listens": True}]
_POOLED = [{"standby": False, "pid": _PID + 1, "listens": True}]
MISSING = {"C": "42P01", "M": 'relation "confcast_head" does not exist', "D": "x"}


def seeds():
    content, nothing = [{"content": b"h"}], list[Any]()
    yield bytes([4, 0, 2, 3, 4]) + answers(STATE, nothing, content, STATE, content, nothing, nothing)
    yield bytes([2, 1, 2]) + answers(_POOLED, nothing, nothing, content, nothing, _POOLED, _POOLED, content)
    yield bytes([3, 5, 6, 7]) + answers(
        STATE, nothing, content, [{"content": b"r", "age": 1.5}], [{"digest": "a" * 64, "at": AT}]
    )
    yield bytes([2, 9, 10]) + answers(STATE, nothing, MISSING, nothing, [{"count": 3}], nothing, [{"rev": 1}], nothing)
    yield bytes([2, 8, 11]) + answers(STATE, nothing, nothing, nothing, nothing, {"C": "57P01", "M": "ends"})
    yield bytes([1, 9]) + answers(STATE, nothing, {"C": "54000", "M": "full"}, [{"usage": 1.0}], nothing)


def one(data: bytes) -> None:
    cut = Cut(data)
    uses = bytes(cut.byte() for _ in range(min(cut.byte(), 8)))
    engines.run(_main(uses, cut))


async def _main(uses: bytes, cut: Cut) -> None:
    place: Any = Place(cut)
    store = Postgres(await place.link(), place, "key")
    with contextlib.suppress(EngineError):
        await store.begin()
        await engines.use(store, uses)
