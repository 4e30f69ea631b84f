"""The MCP server: tools of the version that a message began with, and a word to every client when they have changed.

Guarantees:

- One message, one version. Each is pinned on its own, on every transport; a call that takes long ends with the tools,
  the limits and the values that it began with. Inside a request that a web server's side has pinned, it is that pin.
- `notifications/tools/list_changed` is sent when a version is *settled*: every worker (that is not named in the
  outcome) has it, so whichever answers the client's next request, the list is the new one. Each process tells the
  clients that listen to it; nothing passes between workers.
- A client listens by `subscriptions/listen`, whose stream lasts for days. It is no request with a version, reads no
  configuration, and is not pinned here.

There is no state between two requests, so any worker answers any of them. A client of the older protocol (before
2026-07-28) that comes over HTTP is served as well, but can't be told anything: its notifications would need a session,
which lives in one worker, while its requests go to all. It is not promised any (`listChanged` is false).

Rejected: telling on commit (a client that refetches at once may meet a worker that is about to swap); the SDK's
`MCPServer` (its list is one of the process, changed in place, and making one configures logging); a `ttlMs` on the
list (whoever does not listen would believe an old one for that long).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from mcp import types
from mcp.server import Server, ServerRequestContext
from mcp.server.context import CallNext, HandlerResult
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged

from confcast.examples.mcp_server.schema import LimitsConfig, ServerConfig, ToolsConfig
from confcast.examples.mcp_server.settings import settings
from confcast.examples.mcp_server.stopping import at_a_stop
from confcast.examples.mcp_server.tools import Toolbox

Context = ServerRequestContext[Any, Any]
Told = Callable[[Any, Any], Any]

INSTRUCTIONS = "Search in the text files of one folder. The tools may change while you are connected: listen for that."


def new_server(tools: Toolbox) -> Server[Any]:
    """A server over these tools; it follows the configuration while it is running, and attaches nothing."""
    bus = InMemorySubscriptionBus()
    streams = ListenHandler(bus)

    async def list_tools(ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=tools.list(settings.current))

    async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        # In a thread: a search holds a lock, and the loop has other clients.
        return await asyncio.to_thread(tools.call, params.name, params.arguments or {}, settings.snapshot)

    async def tell(old: object, new: object) -> None:
        await bus.publish(ToolsListChanged())

    @asynccontextmanager
    async def lifespan(server: Server[Any]) -> AsyncIterator[None]:
        with at_a_stop(streams.close):
            async with following(tell):
                yield

    server: Server[Any] = Server(
        "confcast-search",
        instructions=INSTRUCTIONS,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_subscriptions_listen=streams,
        lifespan=lifespan,
    )
    server.middleware.append(pin)
    return server


@asynccontextmanager
async def following(tell: Told) -> AsyncIterator[None]:
    """While it lasts, `tell` is awaited on this loop when what clients are shown has changed in every worker."""
    settings.subscribe(tell, select=shown, on="settled", loop=asyncio.get_running_loop())
    try:
        yield
    finally:
        settings.unsubscribe(tell)


async def pin(ctx: Context, call_next: CallNext) -> HandlerResult:
    """A middleware: one message, one version."""
    if ctx.method == "subscriptions/listen":
        return await call_next(ctx)
    with settings.pin():
        return await call_next(ctx)


def shown(config: ServerConfig) -> tuple[ToolsConfig, LimitsConfig]:
    """What the list of tools is made of."""
    return config.tools, config.limits
