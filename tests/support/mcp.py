"""A real MCP server over HTTP, and what its clients do: those of the official SDK.

Each change of the file is one that clients are shown: the number is the limit of results, which stands in the schema of
the tool `search`, and the tool `index` is there for odd numbers only.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Self

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.client.subscriptions import Subscription

from confcast.wire.listener import SOCKET
from confcast.worker.client.connection_per_call import AddressClient as OwnerClient
from tests.support import server
from tests.support.waiting import DEADLINE, eventually

MODERN = "2026-07-28"
EXAMPLE = (sys.executable, "-m", "confcast.examples.mcp_server")
LOADED = ("--loader", "confcast.examples.mcp_server.config:loader")

READY = "Application startup complete"

STARTING = 45.0
"""Seconds, on a busy machine: a process imports the SDK."""

PATIENCE = 180
"""Seconds for a test, there: a request costs the SDK's server and its client some ten milliseconds each."""


def text_of(number: int, more: str = "") -> str:
    """The file's content."""
    tools = '["search", "status", "index"]' if number % 2 else '["search", "status"]'
    return f"tools.enabled = {tools}\nlimits.max_results = {number}\n{more}"


def number_in(tools: Iterable[Any]) -> int:
    """What a client was shown, as a number, 0 without `search`; fails when it was shown a list that never was."""
    by_name = {tool.name: tool for tool in tools}
    if "search" not in by_name:
        return 0
    number: int = by_name["search"].input_schema["properties"]["limit"]["maximum"]
    assert list(by_name) == ["search", "status", *(["index"] if number % 2 else [])]
    return number


def owner_of(runtime: Path) -> OwnerClient:
    """Asks the owner that lives in this folder, from outside. Raises FileNotFoundError when there is none yet."""
    for address in runtime.glob(f"*/{SOCKET}"):
        return OwnerClient(str(address), "app")
    raise FileNotFoundError(f"no config owner in {runtime}")


class Server(server.Server):
    """One MCP server of three workers.

    Args:
        folder: For its files.
        watch: Whether its owner watches the file.
        wrapped: Whether it serves `tests/support/site/mcp_app.py`, whose workers can be held at gates.
    """

    LISTENING = r"Uvicorn running on http://127\.0\.0\.1:(\d+)"

    def __init__(self, folder: Path, *, watch: bool = False, wrapped: bool = False) -> None:
        self._watch = watch
        self._wrapped = wrapped
        self.texts = folder / "texts"
        self.texts.mkdir()
        (self.texts / "a.txt").write_text("the owner loads")
        config = {"MCP_SERVER_CONFIG": str(folder / "app.toml"), "LEINDEX_FOLDER": str(self.texts)}
        super().__init__(folder, environment=config)

    def command(self, *arguments: str) -> list[str]:
        """What starts it."""
        common = ["--port", "0", "--workers", "3", "--vote-timeout", "60", *([] if self._watch else ["--no-watch"])]
        if self._wrapped:
            times = {"keep-alive": 60, "graceful-shutdown": 3, "worker-healthcheck": 10}
            uvicorn = [f"--timeout-{what}={seconds}" for what, seconds in times.items()]
            return [sys.executable, "-m", "confcast.servers.uvicorn", *LOADED, *common, *uvicorn, "mcp_app:app"]
        return [*EXAMPLE, *common, *arguments]

    def wanted(self) -> int:
        """How many workers its command line asks for."""
        return 3

    def await_workers(self) -> Self:
        """Return when every worker takes requests: until then its neighbours get them all."""
        self.await_serving(3)
        return super().await_workers()

    def await_serving(self, count: int) -> None:
        """Return when so many workers have ever begun to take requests, or it has ended."""
        eventually(lambda: self.log().count(READY) >= count or not self._is_running(), "workers that serve", STARTING)

    def replace(self, victim: int) -> None:
        """Kill a worker with -9, and return when the one in its place takes requests."""
        count = self.log().count(READY)
        os.kill(victim, signal.SIGKILL)
        self.await_serving(count + 1)
        eventually(lambda: victim not in (found := self.ask("workers")) and len(found) == 3, "three workers again")

    def change(self, text: str = "") -> int:
        """Put the next number into the configuration's file, or this text; the number."""
        if not text:
            self.number += 1
            text = text_of(self.number)
        return super().change(text)

    def ask(self, path: str) -> Any:
        """Of the owner: an MCP server has no such paths."""
        owner = owner_of(self.runtime)
        if path == "workers":
            return [worker.pid for worker in owner.workers() if worker.version]
        return [[event.origin, str(event.result), event.version] for event in owner.get_event_history()]

    @property
    def url(self) -> str:
        """Where its clients connect."""
        return f"http://127.0.0.1:{self.port}/mcp"


@asynccontextmanager
async def client_of(url: str, mode: str = MODERN) -> AsyncIterator[Client]:
    """A client with connections of its own."""
    options = {
        "timeout": httpx2.Timeout(DEADLINE, read=3 * DEADLINE),
        "limits": httpx2.Limits(keepalive_expiry=30),  # sooner than the server
        "verify": False,  # there is no TLS: no authorities are read
    }
    async with (
        httpx2.AsyncClient(**options) as http,
        Client(streamable_http_client(url, http_client=http), mode=mode) as client,
    ):
        yield client


async def worker_of(client: Client) -> int:
    """The worker that this client's connection has led to; the next request takes the same, if it comes soon."""
    result = await client.call_tool("status", {})
    assert not result.is_error
    assert result.structured_content is not None
    pid: int = result.structured_content["pid"]
    return pid


async def number_for(client: Client) -> int:
    """The number that this client is shown now."""
    return number_in((await client.list_tools()).tools)


class Ear:
    """A client that listens to one worker, and asks again as soon as it is notified.

    Args:
        client: The one.
        pid: The worker that it listens to.
        subscription: Its stream.
        refetch: Asks whom it wants; the numbers that it was shown.
    """

    def __init__(
        self, client: Client, pid: int, subscription: Subscription, refetch: Callable[[], Any] | None = None
    ) -> None:
        self.client = client
        self.pid = pid
        self.told = 0
        self.shown: list[list[int]] = []
        self._subscription = subscription
        self._refetch = refetch

    async def listen(self) -> None:
        """Until the stream ends. Raises SubscriptionLost when nobody has closed it."""
        async for _ in self._subscription:
            self.told += 1
            if self._refetch is not None:
                self.shown.append(await self._refetch())

    async def has_received(self, count: int) -> None:
        """Wait until it was notified so often, and has asked."""
        await until(
            lambda: self.told >= count and (self._refetch is None or len(self.shown) >= count), f"{count} times told"
        )


class Crowd:
    """For each worker a client that listens to it, and one that asks it. Made by `crowd_of`.

    Args:
        server: Whose workers.
        stack: Ends the connections.
    """

    def __init__(self, server: Server, stack: AsyncExitStack) -> None:
        self.ears: dict[int, Ear] = {}
        self.askers: dict[int, Client] = {}
        self._server = server
        self._stack = stack
        self._turns: dict[int, asyncio.Lock] = {}

    async def gather(self) -> None:
        """Connect until every worker has both; what leads to one that has both already is closed again."""
        wanted = set(self._server.ask("workers"))
        async with asyncio.timeout(DEADLINE):
            while set(self.askers) != wanted:
                async with AsyncExitStack() as opened:
                    client = await opened.enter_async_context(client_of(self._server.url))
                    if await self._place(client, opened):
                        self._stack.push_async_exit(opened.pop_all())

    async def _place(self, client: Client, opened: AsyncExitStack) -> bool:
        pid = await worker_of(client)
        if pid not in self.ears:
            stream = await opened.enter_async_context(client.listen(tools_list_changed=True))
            self.ears[pid] = Ear(client, pid, stream, self.ask_all)
        elif pid not in self.askers:
            self.askers[pid], self._turns[pid] = client, asyncio.Lock()
        else:
            return False
        return True

    async def ask(self, pid: int) -> int:
        """The number that this worker shows."""
        async with self._turns[pid]:  # two at once would be two connections, and the second leads anywhere
            return await number_for(self.askers[pid])

    async def ask_all(self) -> list[int]:
        """What each worker shows, at once, and whichever takes a new connection."""
        return await asyncio.gather(*map(self.ask, self.askers), self._ask_anew())

    async def _ask_anew(self) -> int:
        async with client_of(self._server.url) as fresh:
            return await number_for(fresh)

    @asynccontextmanager
    async def listening(self, *others: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
        """While it lasts all ears listen, and the others run, too. Fails when one of them has ended, or failed."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each) for each in (*(ear.listen() for ear in self.ears.values()), *others)]
            yield
            assert not any(task.done() for task in tasks)
            for task in tasks:
                task.cancel()

    def told(self) -> list[int]:
        """How often each was notified."""
        return [ear.told for ear in self.ears.values()]

    def shown(self) -> set[int]:
        """All numbers that any was shown when it asked last."""
        return {number for ear in self.ears.values() for number in ear.shown[-1]}

    async def have_received(self, count: int) -> None:
        """Wait until each was notified so often, and has asked all."""
        for ear in self.ears.values():
            await ear.has_received(count)


@asynccontextmanager
async def crowd_of(server: Server) -> AsyncIterator[Crowd]:
    """A crowd that has gathered."""
    async with AsyncExitStack() as stack:
        crowd = Crowd(server, stack)
        await crowd.gather()
        yield crowd


def run(scenario: Coroutine[Any, Any, None]) -> None:
    """As `asyncio.run`, but raises what went wrong, and not the groups of groups that the SDK's clients put around."""
    wrong: BaseException | None = None
    try:
        asyncio.run(scenario)
    except BaseExceptionGroup as group:
        wrong = group
    while isinstance(wrong, BaseExceptionGroup):
        wrong = wrong.exceptions[0]
    if wrong is not None:
        raise wrong


async def until(condition: Callable[[], Any], what: str) -> None:
    """Wait on the loop, as `eventually` does."""
    try:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"not within {DEADLINE:g} s: {what}") from None
