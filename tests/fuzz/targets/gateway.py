"""A server that answers anything to a host that takes it for a gateway: the stream's lines, the long poll, payloads.

Each line of the input is an answer; three digits before it are its status. Declared: EngineError
(`fleet/engines/engine.py`). How long a gateway says to be away can be told as a date.
"""

from __future__ import annotations

import asyncio
import contextlib
from datetime import datetime
from typing import Any

from confcast.fleet.engines import gateway_lines
from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import EngineError
from confcast.fleet.engines.gateway import GatewayFeed, Gateways
from confcast.fleet.engines.gateway_lines import Line
from confcast.fleet.engines.http_stream import Answer, Stream
from confcast.texts import printable
from tests.fuzz import engines
from tests.fuzz.bounds import Cut
from tests.fuzz.targets.etcd import Peer as Peer_

FORM = "json"
TOKENS = [b"digest", b"head", b"retry", b"away", b"trouble", b"503 ", b"410 ", b"404 ", b"204 "]
_HEAD = b'{"stable":"' + b"a" * 64 + b'"}'


def seeds():
    first = gateway_lines.encode(Line(gateway_lines.digest_of(_HEAD), _HEAD.decode(), 5.0))[:-1]
    beat = gateway_lines.encode(Line(gateway_lines.digest_of(_HEAD)))[:-1]
    away = gateway_lines.encode(Line(gateway_lines.digest_of(_HEAD), _HEAD.decode(), 5.0, 60.0, "the engine is away"))[
        :-1
    ]
    yield bytes([1, 4, 0, 2, 3, 4]) + b"\n" + b"\n".join([first, beat, first, b"payload", b"204 "])
    yield bytes([0, 3, 0, 2, 3]) + b"\n" + b"\n".join([away, away, b"410 gone"])
    yield bytes([1, 3, 1, 0, 2]) + b"\n" + b"\n".join([first, away, beat, first, b"503 no"])


class Peer(Peer_):
    """Its stream is one of confcast's."""

    async def stream(self, method: str, target: str, **more: Any) -> Any:
        answer = await self.request(method, target, **more)
        return answer if answer.status != 200 else _Streaming(self, answer)


class _Streaming(Stream):
    def __init__(self, peer: Peer, first: Answer) -> None:
        self._peer, self._first = peer, first

    async def line(self) -> bytes:
        if (first := self._first.body) is not None:
            self._first = Answer(200, {}, None)  # type: ignore[arg-type]
            return first
        await asyncio.sleep(0)
        return await self._peer.line()

    async def close(self) -> None:
        pass


def one(data: bytes) -> None:
    cut = Cut(data)
    polls = cut.byte() % 2 == 0
    uses = bytes(cut.byte() for _ in range(min(cut.byte(), 8)))
    engines.run(_main(uses, cut.rest().split(b"\n")[1:], polls=polls))


async def _main(uses: bytes, answers: list[bytes], *, polls: bool) -> None:
    access = Access(url="http://host:1")
    gateways = Gateways([access], "key", "host", "name", {"ring": "one"}, poll=polls)
    feed = GatewayFeed(gateways, access, "key", {})
    feed._client = feed._poller = Peer(answers)  # type: ignore[assignment]
    with contextlib.suppress(EngineError):
        await feed.open()
        for each in uses:
            engines.check(await engines.USES[each % 5](feed))
            datetime.fromtimestamp(feed.troubled_since).astimezone().isoformat()
            assert feed.retry >= 0.0
            assert printable(feed.trouble) == feed.trouble
    await feed.close()
