"""What each engine can do: one connection, on which a head is followed, or published.

An engine is one file with `async def connect(access, key) -> Store` and one line in `engines/__init__.py`. The same
suite of tests holds for each (`tests/integration/fleet/test_every_engine.py`).

The order in which a connection is used is always: `subscribe` (returns once the engine has confirmed it) -> `head` ->
compare for equality -> for each `hint`: `head` again. So a write between two of these steps is never lost. Whatever
raises ends the connection: the follower makes another one and begins anew. No client library reconnects by itself.

Concurrency: one task calls these methods one after the other, while another one may wait in `hint`. Each call has a
deadline: `asyncio.timeout`, never `wait_for`, which in 3.11 may swallow a cancellation.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Container, Sequence
from typing import Any, ClassVar, NamedTuple, Protocol

from confcast.errors import ConfcastError

PATIENCE = 5.0
"""Seconds that a connection waits for any one answer."""

MOST_PAYLOAD = 1024 * 1024 - 1024
"""Bytes of the largest payload, on each engine alike: NATS takes 1 MiB less what goes with it."""

MOST_ENTRIES = 1000
"""Entries of the audit trail that an engine keeps, the newest ones; NATS keeps 64."""

UNTOUCHED = 3600.0
"""Seconds for which nobody has put a payload that may be dropped: far more than lie between a put and its swap."""

MOST_DROPPED = 16
"""Payloads that one publisher drops at the most: each of them adds one."""


class EngineError(ConfcastError):
    """An engine can't do what it was asked for. The text has no secret, and names the engine's address."""


class Unreachable(EngineError):
    """An outage: no connection, a lost one, or no answer in time. What was known stays in use."""


class Fault(EngineError):
    """The engine answers, and says no: wrong credentials, no right, a server of another kind, an answer that is none.

    A person has to act. It is tried again with the same pauses, since it may be mended there.
    """


class TooLarge(EngineError):
    """The payload is larger than the engine takes, or than MOST_PAYLOAD."""


@contextlib.asynccontextmanager
async def in_time(lacks: str, seconds: float | None = None) -> AsyncIterator[None]:
    """An `async with` whose body has PATIENCE, or so many seconds.

    Raises:
        Unreachable: It took longer; `lacks` says of what, as the text's beginning: "redis://10.0.0.1: no answer".
    """
    import asyncio

    limit = PATIENCE if seconds is None else seconds
    try:
        async with asyncio.timeout(limit):
            yield
    except TimeoutError as error:
        raise Unreachable(f"{lacks} within {limit:g} s") from error


class Feed(Protocol):
    """A connection on which a head is followed."""

    async def subscribe(self) -> None:
        """Have the engine tell each change of the head from now on; returns when it has confirmed that.

        Raises:
            EngineError: As of all methods here.
        """

    async def hint(self) -> None:
        """Wait until the head may have changed since the last call returned. May be cancelled, and called again.

        Raises:
            EngineError: The subscription was lost, so that anything may have happened.
        """

    async def head(self) -> bytes | None:
        """The head now; None if there is none. Never an old copy, such as that of a replica that was cut off."""

    async def verify(self) -> bytes | None:
        """The head, after a check of the engine's own that hints would still come. For every 30 seconds."""

    async def payload(self, digest: str) -> bytes | None:
        """The payload under this digest; None if there is none. The caller compares it with the digest."""

    async def report(self, host: str, record: bytes) -> None:
        """Put a host's report, or a gateway's summary, in the place of its last one."""

    async def close(self) -> None:
        """Close the connection, within a second, and leave nothing behind. May be called again, and never raises."""


class Stored(NamedTuple):
    """A record as `Store.reports` finds it.

    Attributes:
        record: The bytes.
        age: Seconds since they were written, by a clock of the engine's: a host's clock may be off by a day.
    """

    record: bytes
    age: float


class OldPayload(NamedTuple):
    """A payload that nobody has put for UNTOUCHED seconds.

    Attributes:
        digest: It lies under this.
        put: Which put was the last one, in whatever words the engine has for it.
    """

    digest: str
    put: Any


class Store(Feed, Protocol):
    """A connection on which a head is published, too.

    Attributes:
        NAME: The engine's name for people: "Redis".
    """

    NAME: ClassVar[str]

    async def put_payload(self, digest: str, content: bytes) -> None:
        """Write a payload, unless it is there; in either case it was put now. Raises TooLarge, too."""

    async def swap(self, old: bytes | None, new: bytes, entry: bytes) -> bool:
        """Put a head in the place of exactly `old` (None: of none) and append the entry, in one atomic step.

        Returns:
            False if another head is there, so that nothing was written.

        Raises:
            EngineError: Whether it was written is not known if this is an Unreachable: read the head to find out.
        """

    async def entries(self, limit: int) -> list[bytes]:
        """The newest entries of the audit trail, newest first."""

    async def old_payloads(self, named: Container[str]) -> list[OldPayload]:
        """Payloads that nobody has put for UNTOUCHED seconds by the engine's clock, but for those that are `named`.

        No more than MOST_DROPPED; the oldest first, where the engine knows.
        """

    async def drop_payloads(self, head: bytes, payloads: Sequence[OldPayload]) -> None:
        """Drop these, and what else the engine would keep for ever.

        One that was put again since it was listed stays. An engine that can't tell drops nothing unless `head` is the
        head, and nothing that was put within UNTOUCHED seconds.
        """

    async def reports(self) -> list[Stored]:
        """The reports and summaries that are kept: at least all of the last SEEN_WITHIN seconds."""


class Hints:
    """The hints of one connection, for `Feed.hint`: told by whatever reads the connection, waited for by the follower.

    For one loop. Hints that nobody has waited for yet are one.
    """

    def __init__(self) -> None:
        import asyncio  # whoever only makes a source needs none

        self._told = asyncio.Event()
        self._error: EngineError | None = None

    def tell(self) -> None:
        """The head may have changed."""
        self._told.set()

    def lose(self, error: EngineError) -> None:
        """The subscription is lost; the first reason stays."""
        self._error = self._error or error
        self._told.set()

    @property
    def error(self) -> EngineError | None:
        """Why the subscription is lost; None while it is not."""
        return self._error

    async def wait(self) -> None:
        """Wait for a hint. Raises the EngineError of a loss, each time."""
        await self._told.wait()
        if self._error is not None:
            raise self._error
        self._told.clear()
