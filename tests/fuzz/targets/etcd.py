"""An HTTP server that answers anything to what a host and a publisher ask of etcd's JSON gateway; and its watch.

Each line of the input is an answer, and a line of the watch if one is due; three digits before it are its status.
Declared: EngineError (`fleet/engines/engine.py`). What holds is in `engines.py`.
"""

from __future__ import annotations

from typing import Any

from confcast.fleet.engines import etcd
from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import Unreachable
from confcast.fleet.engines.etcd_api import EtcdApi
from confcast.fleet.engines.http_stream import Answer
from tests.fuzz import engines
from tests.fuzz.bounds import Cut

etcd._SILENT = 0.001  # seconds that a write may not be told by the watch

FORM = "json"
TOKENS = [
    b"cluster_id",
    b"revision",
    b"kvs",
    b"count",
    b"mod_revision",
    b"lease",
    b"TTL",
    b"grantedTTL",
    b"created",
    b"canceled",
    b"cancel_reason",
    b"events",
    b"result",
    b"error",
    b"grpc_code",
    b"message",
    b"503 ",
    b"400 ",
]

_HEADER = b'"header":{"cluster_id":"1","revision":"5"}'
_KV = b'{"key":"eA==","value":"eQ==","mod_revision":"4","lease":"7"}'


def seeds():
    reply = b"{%s}" % _HEADER
    found = b'{%s,"kvs":[%s],"count":"1"}' % (_HEADER, _KV)
    watch = b'{"result":{%s,"created":true}}' % _HEADER
    event = b'{"result":{%s,"events":[{"kv":%s}]}}' % (_HEADER, _KV)
    lease = b'{"ID":"7","TTL":"600","grantedTTL":"600"}'
    yield bytes([3, 0, 3, 2]) + b"\n" + b"\n".join([found, found, reply])
    yield bytes([3, 1, 2, 2]) + b"\n" + b"\n".join([found, watch, event, found, found])
    yield bytes([2, 4, 4]) + b"\n" + b"\n".join([lease, reply, b'{"result":{"TTL":"600"}}', reply])
    yield bytes([3, 5, 6, 7]) + b"\n" + b"\n".join([found, found, lease, found, found])
    yield (
        bytes([3, 8, 9, 11])
        + b"\n"
        + b"\n".join(
            [
                lease,
                reply,
                reply,
                b'{%s,"succeeded":true}' % _HEADER,
                b'{%s,"count":"1201"}' % _HEADER,
                found,
                reply,
                reply,
            ]
        )
    )
    yield bytes([1, 0]) + b'\n503 {"code":14,"message":"no leader"}'


def one(data: bytes) -> None:
    cut = Cut(data)
    uses = bytes(cut.byte() for _ in range(min(cut.byte(), 8)))
    engines.run(_main(uses, cut.rest().split(b"\n")[1:]))


async def _main(uses: bytes, answers: list[bytes]) -> None:
    api = EtcdApi(Access(url="etcd://host"), "host", 2379)
    api._client = Peer(answers)  # type: ignore[assignment]
    await engines.use(etcd.EtcdStore(api, "key"), uses)


class Peer:
    """Answers with the next line of the input, in the place of an HTTP client."""

    def __init__(self, answers: list[bytes]) -> None:
        self._answers = answers
        self.headers: dict[str, str] = {}

    async def request(self, method: str, target: str, **_: Any) -> Answer:
        line = await self.line()
        status, _, body = line.partition(b" ")
        return Answer(int(status), {}, body) if len(status) == 3 and status.isdigit() else Answer(200, {}, line)

    async def stream(self, method: str, target: str, **_: Any) -> Any:
        return self

    async def line(self) -> bytes:
        if not self._answers:
            raise Unreachable("closed")
        return self._answers.pop(0)

    async def close(self) -> None:
        self._answers.clear()
