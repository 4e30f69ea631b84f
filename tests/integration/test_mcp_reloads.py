"""The MCP server under three workers, with the SDK's own clients: reloads, and what clients receive of each."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import pytest

from tests.support.mcp import PATIENCE, Server, client_of, crowd_of, run, until

ROUNDS = 4
kind = Server


class Callers:
    """Two that call all the time: one over a connection that it keeps, one over a new one each time."""

    def __init__(self, server: Server) -> None:
        self.calls = 0
        self.resting: int | None = None
        self._server = server

    async def keep_calling(self) -> None:
        async with client_of(self._server.url, "auto") as client:
            while True:
                await self._call(client)

    async def call_anew(self) -> None:
        while True:
            async with client_of(self._server.url) as client:
                await self._call(client)

    async def pause(self) -> None:
        """Return when no call is on its way: an answer to one that is cancelled breaks the SDK's client."""
        self.resting = 0
        await until(lambda: self.resting == 2, "the end of the calls that are on their way")

    async def _call(self, client) -> None:
        if self.resting is not None:
            self.resting += 1
            await asyncio.Event().wait()
        result = await client.call_tool("search", {"query": "owner", "limit": 1})
        assert not result.is_error, result
        assert [hit["file"] for hit in result.structured_content["hits"]] == ["a.txt"]
        self.calls += 1
        await asyncio.sleep(0.05)  # two that never pause would leave nothing of a small machine to the reloads


@pytest.mark.timeout(PATIENCE)
def test_calls_go_on_through_many_reloads_and_nobody_who_was_told_is_shown_an_old_list(make: Callable[..., Server]):
    run(many_reloads(make(watch=True).start()))


async def many_reloads(server: Server) -> None:
    pids, callers = set(server.ask("workers")), Callers(server)
    async with crowd_of(server) as crowd, crowd.listening(callers.keep_calling(), callers.call_anew()):
        for round_ in range(1, ROUNDS + 1):
            before, number = callers.calls, server.change()
            if round_ % 2:
                server.signal(signal.SIGHUP)  # besides the watching: the same content is one version
            await crowd.have_received(round_)
            assert crowd.shown() == {number}
            await until(lambda before=before: callers.calls >= before + 2, "more calls")
        await callers.pause()
    assert crowd.told() == [ROUNDS] * 3
    versions = [version for _, result, version in server.ask("history") if result == "success"]
    assert versions == list(range(ROUNDS + 1, 0, -1))
    assert set(server.ask("workers")) == pids
