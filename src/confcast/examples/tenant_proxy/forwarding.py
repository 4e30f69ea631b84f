"""One request to an upstream, and its answer to the client, both in pieces as they come.

Guarantees: nothing is collected: a body of any size takes a piece's memory, and a stream's first line arrives at once.
An upstream that can't be reached is a 502, one that is silent for too long a 504. Once an answer has begun its status
is told: an upstream that fails then ends the connection, so that no client takes half an answer for a whole one. A
client that goes away ends the request to the upstream, and is no failure of anybody.

An upstream's failure counts against the version of its request, as any status of 500 or more does: that is what undoes
a trial with `max_error_rate`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from typing import Any, NamedTuple

import aiohttp

from confcast.examples.tenant_proxy.headers import of_answer
from confcast.examples.tenant_proxy.upstreams import Client

_log = logging.getLogger("tenant_proxy")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Request(NamedTuple):
    """A request for an upstream.

    Attributes:
        upstream: The upstream's name, for messages.
        method: As it came.
        target: Path and query.
        headers: All that there are, but for `Host`.
        has_body: Whether something follows.
    """

    upstream: str
    method: str
    target: str
    headers: list[tuple[str, str]]
    has_body: bool


class Refused(Exception):
    """A request gets an answer of the proxy's own, with this status and these headers."""

    def __init__(self, status: int, why: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(why)
        self.status, self.headers = status, headers


class BrokenOff(Exception):
    """An upstream has failed in the middle of its answer."""


class Disconnected(Exception):
    """The client has gone."""


async def forward(request: Request, client: Client, receive: Receive, send: Send) -> None:
    """Send the request by this client, and what comes back to whom `send` leads.

    Raises:
        Refused: The upstream has not answered (502, 504); nothing was sent.
        BrokenOff: It has answered in part.
    """
    incoming = _Incoming(receive, has_body=request.has_body)
    exchange = asyncio.ensure_future(_exchange(request, client, incoming, send))
    leaving = asyncio.ensure_future(incoming.wait_until_gone())
    try:
        await asyncio.wait((exchange, leaving), return_when=asyncio.FIRST_COMPLETED)
        if exchange.done():
            with contextlib.suppress(Disconnected):
                exchange.result()
    finally:
        for task in (exchange, leaving):
            task.cancel()
        await asyncio.gather(exchange, leaving, return_exceptions=True)


async def _exchange(request: Request, client: Client, incoming: _Incoming, send: Send) -> None:
    body = incoming.body() if request.has_body else None
    with _failing_in_words(request.upstream, incoming):
        answer = await client.ask(request.method, request.target, request.headers, body)
    async with answer:
        headers = of_answer(answer.raw_headers, answer.status)
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        try:
            async for piece in answer.content.iter_any():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except (aiohttp.ClientError, TimeoutError) as error:
            raise BrokenOff(f"the upstream {request.upstream} broke off its answer: {_kind(error)}") from None
        await send({"type": "http.response.body", "body": b""})


@contextlib.contextmanager
def _failing_in_words(upstream: str, incoming: _Incoming) -> Iterator[None]:
    try:
        yield
    except (aiohttp.ClientError, TimeoutError) as error:
        if incoming.is_gone:
            raise Disconnected from None
        _log.warning("the upstream %s has not answered: %s", upstream, _kind(error))
        if isinstance(error, TimeoutError):  # some of them are ClientErrors as well
            raise Refused(504, f"the upstream {upstream} did not answer in time") from None
        raise Refused(502, f"the upstream {upstream} could not be reached") from None


def _kind(error: BaseException) -> str:
    """The texts of aiohttp's errors have addresses in them."""
    return type(error).__name__


class _Incoming:
    """What the client sends: first the body, then only that it goes.

    Attributes:
        is_gone: Whether it has gone before its body ended.
    """

    def __init__(self, receive: Receive, *, has_body: bool) -> None:
        self._receive = receive
        self._body_ended = asyncio.Event()
        self.is_gone = False
        if not has_body:
            self._body_ended.set()

    async def body(self) -> AsyncIterator[bytes]:
        """The pieces as they come. Raises Disconnected."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                self.is_gone = True
                raise Disconnected
            more = message.get("more_body", False)
            if piece := message.get("body", b""):
                yield piece
        self._body_ended.set()

    async def wait_until_gone(self) -> None:
        """Return when the client has gone, or has its answer."""
        await self._body_ended.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
