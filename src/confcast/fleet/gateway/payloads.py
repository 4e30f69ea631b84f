"""The payloads that a gateway has: those of the present head, and of the one before it, for hosts that are behind.

Guarantees. The engine is asked for a payload once, whoever asks the gateway; what it gives is compared with the digest.
At most four payloads are in memory, so that serving them needs no disk. Whoever asks for one that has not come yet
waits for it, for a bounded time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from confcast.fleet.engines.engine import Feed
from confcast.fleet.head import digest_of
from confcast.log_fields import about

_log = logging.getLogger("confcast.fleet")


class NotNamed(LookupError):
    """Neither the present head nor the one before it names this digest."""


class NotThere(LookupError):
    """The engine has no payload under a digest that its head names."""


class Payloads:
    """The payloads of one key. For one loop."""

    def __init__(self) -> None:
        self._present: tuple[str, ...] = ()
        self._previous: tuple[str, ...] = ()
        self._content: dict[str, bytes] = {}
        self._missing: set[str] = set()
        self._arrival = asyncio.Event()
        self.fetches = 0

    def __len__(self) -> int:
        return len(self._content)

    def name(self, digests: Sequence[str]) -> None:
        """These are the digests of the head from now on. What neither it nor the one before it names is dropped."""
        digests = tuple(dict.fromkeys(digests))
        if digests != self._present:
            self._present, self._previous = digests, self._present
        known = {*self._present, *self._previous}
        self._content = {digest: content for digest, content in self._content.items() if digest in known}
        self._missing &= known

    def put(self, digest: str, content: bytes) -> None:
        """Have this payload, whose digest was checked."""
        self._content[digest] = content
        self._missing.discard(digest)
        self._tell()

    def present(self) -> dict[str, bytes] | None:
        """The payloads of the present head; None if one is not there."""
        if not all(digest in self._content for digest in self._present):
            return None
        return {digest: self._content[digest] for digest in self._present}

    async def fetch(self, feed: Feed) -> bool:
        """Fetch what the present head names and is not there yet. False if the engine does not have it.

        Raises:
            EngineError: The connection was lost meanwhile.
        """
        for digest in self._present:
            if digest in self._content:
                continue
            self.fetches += 1
            content = await feed.payload(digest)
            if content is not None and digest_of(content) == digest:
                self.put(digest, content)
                continue
            is_new = digest not in self._missing
            self._missing.add(digest)
            self._tell()
            if is_new:
                what = "does not have the payload" if content is None else "has other bytes under the digest"
                _log.error(
                    "the engine %s %s, which its head names",
                    what,
                    digest,
                    extra=about("payload_missing", digest=digest),
                )
        return self.present() is not None

    async def get(self, digest: str, seconds: float) -> bytes:
        """The payload under this digest, once it is there.

        Raises:
            NotNamed: No head names it.
            NotThere: The engine does not have it.
            TimeoutError: It has not come within so many seconds.
        """
        async with asyncio.timeout(seconds):
            while True:
                if digest in self._content:
                    return self._content[digest]
                if digest in self._missing:
                    raise NotThere(digest)
                if digest not in self._present and digest not in self._previous:
                    raise NotNamed(digest)
                await self._arrival.wait()

    def _tell(self) -> None:
        """Wake all who wait; whoever begins to wait from now on waits for the next arrival."""
        self._arrival.set()
        self._arrival = asyncio.Event()
