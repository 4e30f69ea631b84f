"""A client for each upstream: connections of its own, made before a version is committed, closed after its last use.

Guarantees: a version has the client of the one before, with its open connections, for each upstream whose part has not
changed. A client is closed when no version has it any more: confcast closes what is derived of a version after the last
request of that version, so a stream of an hour ends on the connections that it began on. Clients follow no redirect and
keep no cookie: an upstream can't send a request elsewhere, nor one tenant's cookie with another's request.

What is derived is of one part of the configuration, here of all upstreams: the clients in it are counted by how many
versions have them. That is the recipe for a thing for each entry of a table.

Rejected: asking an upstream in the build (a worker that starts while one of them is away would not start at all). The
health check does it, which confcast calls while a version can still be undone, and only then.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping

import aiohttp
from yarl import URL

from confcast.examples.tenant_proxy.schema import Upstream
from confcast.examples.tenant_proxy.settings import settings

Headers = Iterable[tuple[str, str]]
Body = AsyncIterator[bytes]

_PROBE_SECONDS = 5.0
_WRITTEN_BY_CLIENTS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
"""What aiohttp would write where a request has none."""


class Client:
    """The connections to one upstream. Made on an event loop, and for that loop alone.

    Attributes:
        users: How many versions have it.
    """

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.users = 0
        self.token = upstream.token.get_secret_value() if upstream.token is not None else None
        self._base = str(upstream.url).rstrip("/")
        wait = upstream.connect_timeout
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=upstream.connections),
            timeout=aiohttp.ClientTimeout(total=None, connect=wait, sock_connect=wait, sock_read=upstream.read_timeout),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_WRITTEN_BY_CLIENTS,
        )

    async def ask(
        self,
        method: str,
        target: str,
        headers: Headers = (),
        body: AsyncIterator[bytes] | None = None,
    ) -> aiohttp.ClientResponse:
        """Send a request, and wait for the begin of the answer. Raises aiohttp.ClientError, TimeoutError.

        Args:
            method: The request's.
            target: Path and query as they came, which nothing is to decode and encode anew.
            headers: All that there are, but for `Host`.
            body: Is sent in chunks, unless a header says its length. None: there is none.
        """
        url = URL(self._base + target, encoded=True)
        return await self._session.request(method, url, headers=headers, data=body, allow_redirects=False)

    async def probe(self) -> str:
        """What is wrong with it now; empty if nothing is."""
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                async with await self.ask("GET", self.upstream.health) as answer:
                    return f"status {answer.status}" if answer.status >= 500 else ""
        except (aiohttp.ClientError, TimeoutError) as error:
            return f"no answer ({type(error).__name__})"

    async def close(self) -> None:
        """Close its connections."""
        await self._session.close()


_open: dict[tuple[str, Upstream], Client] = {}
"""The clients of this process that some version has. Only coroutines on the one loop that clients are for change it."""


class Clients:
    """Those of one version.

    Args:
        upstreams: Its part of the configuration.

    Attributes:
        new: The names of those that no other version had.
    """

    def __init__(self, upstreams: Mapping[str, Upstream]) -> None:
        self._mine = dict(upstreams)
        self.new = frozenset(name for name in upstreams if (name, upstreams[name]) not in _open)
        for each in self._mine.items():
            if each not in _open:
                _open[each] = Client(each[1])
            _open[each].users += 1

    def get(self, name: str) -> Client | None:
        """The client of this upstream; None if there is no such upstream."""
        upstream = self._mine.get(name)
        return _open[name, upstream] if upstream is not None else None

    async def close(self) -> None:
        """Close those that no other version has."""
        for each in self._mine.items():
            client = _open[each]
            client.users -= 1
            if not client.users:
                del _open[each]
                await client.close()


async def make_clients(upstreams: Mapping[str, Upstream]) -> Clients:
    """A coroutine, so that confcast calls it on the loop of the application."""
    return Clients(upstreams)


# linger=0: they are used in requests only, which are pinned.
clients = settings.derive(make_clients, lambda c: c.upstreams, close=Clients.close, linger=0, name="the clients")


class Unwell(Exception):
    """An upstream that a version has brought does not answer."""


@settings.healthcheck
async def new_upstreams_answer() -> None:
    """Undo a version that brings an upstream which does not answer; raises Unwell.

    The others were there before: that one of them fails says nothing about the version.
    """
    mine = clients.current
    asked = {name: client for name in sorted(mine.new) if (client := mine.get(name)) is not None}
    said = await asyncio.gather(*(client.probe() for client in asked.values()))
    if found := [f"upstreams.{name}: {why}" for name, why in zip(asked, said, strict=True) if why]:
        raise Unwell("; ".join(found))
