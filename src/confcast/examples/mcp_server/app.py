"""The ASGI application `app`, which serves MCP at `/mcp`; and the subscriptions of the search service.

Guarantees: importing this module only declares and subscribes; the observers are called with the first configuration,
and the tools made, when the replica is attached. The application keeps nothing between two requests (`stateless_http`),
so it may run in any number of workers behind one socket. The environment has what can't change while it runs:
`LEINDEX_FOLDER` (what is indexed, by default `~/.leindex/texts`) and `MCP_SERVER_HOST` (the address to which it is
bound, by default `127.0.0.1`, with which requests under other than local host names are refused, against DNS
rebinding).
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from confcast.examples.leindex.search import SearchService
from confcast.examples.mcp_server.server import new_server
from confcast.examples.mcp_server.settings import settings
from confcast.examples.mcp_server.tools import Tools, shown

service = SearchService(Path(os.environ.get("LEINDEX_FOLDER", "~/.leindex/texts")).expanduser())
# Made at the vote of each version that changes them; linger=0: they are used in messages only, which are pinned.
tools = settings.derive(partial(Tools, service), shown, linger=0, name="the tools")
server = new_server(tools)
app = server.streamable_http_app(stateless_http=True, host=os.environ.get("MCP_SERVER_HOST", "127.0.0.1"))

settings.precommit(service.refuse)
settings.subscribe(service.size_cache, initial=True)  # initial: each is called with the first configuration, too
settings.subscribe(service.size_index, initial=True)
