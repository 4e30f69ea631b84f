"""The MCP server: each message sees the tools of one version, and clients are notified when the tools have changed.

Guarantees:

- One message, one version. Each message is pinned by itself, on every transport; a call that takes long ends with the
  tools, the limits and the values with which it began. Inside a request that confcast's module for the web server has
  pinned, the message has the request's version.
- `notifications/tools/list_changed` is sent when a version is *settled*: every worker that the outcome does not excuse
  has applied it, so the client's next request finds the new list in any worker. Each process notifies the clients that
  listen to it; nothing passes between workers.
- A client listens by `subscriptions/listen`, whose stream lasts for days, reads no configuration, and is not pinned.

There is no state between two requests, so any worker answers any request. A client of the older protocol (before
2026-07-28) over HTTP is served as well, but can't be notified: notifications would need a session, which is in one
worker, while the requests go to all. So the server does not promise that client any (`listChanged` is false).

Rejected: notifying on commit (a client that refetches at once may reach a worker that is about to swap); the SDK's
`MCPServer` (its list belongs to the process and is changed in place, and making one configures logging); a `ttlMs` on
the list (a client that does not listen would use an old list for that long).
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

from confcast import Derived
from confcast.examples.mcp_server.settings import settings
from confcast.examples.mcp_server.stopping import at_a_stop
from confcast.examples.mcp_server.tools import Tools, shown

Context = ServerRequestContext[Any, Any]
Observer = Callable[[Any, Any], Any]

INSTRUCTIONS = "Search in the text files of one folder. The tools may change while you are connected: listen for that."


def new_server(tools: Derived[Tools]) -> Server[Any]:
    """Make a server over these tools, which follow the configuration while it runs. Attaches no replica."""
    bus = InMemorySubscriptionBus()
    streams = ListenHandler(bus)

    async def list_tools(ctx: Context, params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        return types.ListToolsResult(tools=tools.current.list())

    async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        # Called in a thread: a search holds a lock, and the loop has other clients.
        return await asyncio.to_thread(tools.current.call, params.name, params.arguments or {}, settings.snapshot)

    async def notify(old: object, new: object) -> None:
        await bus.publish(ToolsListChanged())

    @asynccontextmanager
    async def lifespan(server: Server[Any]) -> AsyncIterator[None]:
        with at_a_stop(streams.close):
            async with following(notify):
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
async def following(notify: Observer) -> AsyncIterator[None]:
    """Inside the block, await `notify` on this loop whenever the list shown to clients has changed in every worker."""
    settings.subscribe(notify, select=shown, on="settled", loop=asyncio.get_running_loop())
    try:
        yield
    finally:
        settings.unsubscribe(notify)


async def pin(ctx: Context, call_next: CallNext) -> HandlerResult:
    """The middleware that pins each message to one version."""
    if ctx.method == "subscriptions/listen":
        return await call_next(ctx)
    with settings.pin():
        return await call_next(ctx)
