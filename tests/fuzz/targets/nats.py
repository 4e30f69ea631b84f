"""A NATS server whose JetStream answers anything to what a host and a publisher ask.

Each line of the input is an answer; an empty one says that nobody listens. Declared: EngineError
(`fleet/engines/engine.py`). What holds is in `engines.py`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from confcast.fleet.engines.engine import Unreachable
from confcast.fleet.engines.nats import Nats
from confcast.fleet.engines.nats_connection import NoResponder
from tests.fuzz import engines
from tests.fuzz.bounds import Cut

FORM = "json"
TOKENS = [
    b"subject",
    b"seq",
    b"time",
    b"data",
    b"hdrs",
    b"last_seq",
    b"first_seq",
    b"subjects",
    b"created",
    b"max_age",
    b"ts",
    b"0001-01-01T00:00:00Z",
    b"9999-12-31T23:59:59Z",
    b"2026-01-01T00:00:00Z",
    b"err_code",
    b"error",
]
MOST_ASKED = 400

_AT = b'"2026-01-01T00:00:00Z"'


def seeds():
    entry = b"TkFUUy8xLjANCkNvbmZjYXN0LUVudHJ5OiB4DQoNCg=="
    message = b'{"message":{"subject":"$KV.b.key.head","seq":3,"time":%s,"data":"eQ==","hdrs":"%s"}}' % (_AT, entry)
    report = b'{"message":{"subject":"$KV.b.key.report.h","seq":1,"time":%s,"data":"eQ=="}}' % _AT
    missing = b'{"error":{"code":404,"err_code":10037,"description":"no message found"}}'
    info = (
        b'{"config":{"max_msgs_per_subject":64},"state":{"first_seq":1,"last_seq":1,"subjects":{"a.b":1}},"created":"x","ts":%s}'
        % _AT
    )
    yield bytes([3, 0, 3, 2]) + b"\n" + b"\n".join([message, message, missing])
    yield bytes([2, 5, 6]) + b"\n" + b"\n".join([message, missing, info, report, missing])
    yield bytes([2, 7, 8]) + b"\n" + b"\n".join([info, message, info, info, info, b"{}"])
    yield bytes([3, 9, 4, 11]) + b"\n" + b"\n".join([missing, info, info, b"{}", b"{}", b"{}"])


def one(data: bytes) -> None:
    cut = Cut(data)
    uses = bytes(cut.byte() for _ in range(min(cut.byte(), 8)))
    engines.run(_main(uses, cut.rest().split(b"\n")[1:]))


async def _main(uses: bytes, answers: list[bytes]) -> None:
    store = Nats("b", "key", 1)
    store._connection = Peer(answers)  # type: ignore[assignment]
    await engines.use(store, uses)


class Message(NamedTuple):
    data: bytes


class Peer:
    """Answers with the next line of the input, and with the last one for ever."""

    shown, most_bytes = "nats://host", 1048576

    def __init__(self, answers: list[bytes]) -> None:
        self._answers = answers
        self._asked = 0

    async def ask(self, subject: str, content: bytes = b"", headers: dict[str, str] | None = None) -> Message:
        self._asked += 1
        assert self._asked <= MOST_ASKED, "it would go on for ever"
        if not self._answers:
            raise Unreachable("closed")
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if not answer:
            raise NoResponder
        if answer == b"-":
            raise Unreachable("closed")
        return Message(answer)

    async def subscribe(self, *about: Any, **more: Any) -> None:
        pass

    async def close(self) -> None:
        pass
