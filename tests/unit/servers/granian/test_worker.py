"""RSGI: a request is counted for its version, by the status that the application answers with."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from confcast import Replica
from confcast.servers.granian.worker import RsgiPin
from tests.support.number import Settings


class Protocol:
    """granian's, of one HTTP request."""

    def __init__(self) -> None:
        self.answered: list[Any] = []

    async def __call__(self) -> bytes:
        return b"body"

    async def __aiter__(self) -> Any:
        yield b"chunk"

    async def client_disconnect(self) -> None:
        """It is here."""

    def response_empty(self, status: int, headers: Any) -> None:
        self.answered.append(status)

    def response_file(self, status: int, headers: Any, file: str) -> None:
        self.answered.append((status, headers, file))

    def response_str(self, status: int, headers: Any, body: str) -> None:
        self.answered.append((status, body))


class RSGIProtocolClosed(RuntimeError):
    """As granian's."""


def ask(app: Any, proto: str = "http") -> Protocol:
    protocol = Protocol()
    asyncio.run(app.__rsgi__(SimpleNamespace(proto=proto), protocol))
    return protocol


@pytest.mark.parametrize(("status", "failed"), [(200, 0), (404, 0), (500, 1), (503, 1)])
def test_an_answer_is_counted_by_its_status(settings: Replica[Settings], fake: Any, status: int, failed: int):
    async def app(scope: Any, protocol: Any) -> None:
        await protocol.client_disconnect()
        assert await protocol() == b"body"
        assert [chunk async for chunk in protocol] == [b"chunk"]
        protocol.response_str(status, headers=[], body="text")

    assert ask(RsgiPin(app, settings)).answered == [(status, "text")]
    tally = settings._snapshot._tally
    assert (tally.answered, tally.failed) == (1, failed)


@pytest.mark.parametrize(
    ("theirs", "sent"),
    [([("a", "b")], [("a", "b"), ("X-V", "1")]), ([("x-v", "theirs")], [("x-v", "theirs")])],
)
def test_an_answer_has_the_header_of_the_version(settings: Replica[Settings], fake: Any, theirs: Any, sent: Any):
    async def app(scope: Any, protocol: Any) -> None:
        fake.push(Settings(2))
        await protocol.client_disconnect()
        assert await protocol() == b"body"
        assert [chunk async for chunk in protocol] == [b"chunk"]
        protocol.response_file(500, theirs, "file")

    tally = settings._snapshot._tally
    assert ask(RsgiPin(app, settings, version_header="X-V")).answered == [(500, sent, "file")]
    assert (tally.answered, tally.failed) == (1, 1)
    with pytest.raises(ValueError, match="a header's name is expected"):
        RsgiPin(app, settings, version_header="X V")


@pytest.mark.parametrize(("error", "failed"), [(ValueError, 1), (RSGIProtocolClosed, 0), (asyncio.CancelledError, 0)])
def test_what_it_lets_through_has_failed(
    settings: Replica[Settings], fake: Any, error: type[BaseException], failed: int
):
    async def app(scope: Any, protocol: Any) -> None:
        protocol.response_empty(200, [])
        raise error

    with pytest.raises(error):
        ask(RsgiPin(app, settings))
    tally = settings._snapshot._tally
    assert (tally.answered, tally.failed) == (1, failed)


def test_the_end_of_a_worker_ends_the_judging_before_the_application_s_own(settings: Replica[Settings], fake: Any):
    seen: list[Any] = []

    class App:
        async def __rsgi__(self, scope: Any, protocol: Any) -> None:
            """Answer nothing."""

        def __rsgi_init__(self, loop: Any) -> None:
            seen.append(loop)

        def __rsgi_del__(self, loop: Any) -> None:
            seen.append((loop, settings._health._leaves))

    pinned: Any = RsgiPin(App(), settings)
    pinned.__rsgi_init__("begin")
    pinned.__rsgi_del__("end")
    RsgiPin(App().__rsgi__, settings).__rsgi_del__("no end of its own")
    assert seen == ["begin", ("end", True)]


def test_a_websocket_is_given_granian_s_own_protocol(settings: Replica[Settings], fake: Any):
    seen: list[Any] = []

    async def app(scope: Any, protocol: Any) -> None:
        seen.append(type(protocol))

    ask(RsgiPin(app, settings), "ws")
    assert seen == [Protocol]
