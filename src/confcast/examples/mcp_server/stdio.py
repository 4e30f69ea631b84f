"""The server over standard input and output: one process, which is master and worker at once, for one client.

Guarantees: standard output carries the protocol and nothing else. The owner's output goes to standard error, the SDK
points descriptor 1 there while it serves, and nothing here prints or logs elsewhere. The configuration follows HUP, the
file, and a call, as under any server. The process ends when the client closes standard input, and so does the owner.

A client of the older protocol does not listen; it is notified of changed tools on its one connection.
"""

from __future__ import annotations

from typing import Any

from mcp import ServerSession
from mcp.server import NotificationOptions, Server
from mcp.server.context import CallNext, HandlerResult
from mcp.server.stdio import stdio_server

from confcast.examples.mcp_server.server import Context, following


class Handshake:
    """The session of a client that began with the older protocol's handshake; there is at most one."""

    def __init__(self) -> None:
        self._session: ServerSession | None = None

    async def remember(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """The middleware that keeps the session: after the handshake the client may be notified."""
        result = await call_next(ctx)
        if ctx.method == "notifications/initialized":
            self._session = ctx.session
        return result

    async def notify(self, old: object, new: object) -> None:
        """Notify the client that its tools have changed; does nothing for a client that listens."""
        if self._session is not None:
            await self._session.send_tool_list_changed()


async def serve(server: Server[Any]) -> None:
    """Serve one client, until it closes standard input. The replica must be attached before."""
    handshake = Handshake()
    server.middleware.append(handshake.remember)
    options = server.create_initialization_options(NotificationOptions(tools_changed=True))
    async with following(handshake.notify), stdio_server() as (received, sent):
        await server.run(received, sent, options)
