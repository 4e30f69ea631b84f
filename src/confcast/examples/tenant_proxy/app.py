"""The ASGI application: who asks, for what, how often; then the request goes on.

    python -m confcast.servers.uvicorn --loader confcast.examples.tenant_proxy.sources:loader --name proxy
        --workers 4 --no-server-header --no-date-header confcast.examples.tenant_proxy.app:app

Each request is pinned by confcast's launcher: its key, its limits and its client are of one version, from its first
look to the last piece of its answer.

`/readyz` says whether this worker has its configuration. All other paths begin with an upstream's name. Paths with dot
segments are refused: they could lead out of the part of an upstream that its `url` gives away; so is TRACE, with which
an upstream would show its own token.
"""

from __future__ import annotations

import json
import re
from typing import Any

from confcast.examples.tenant_proxy.forwarding import Receive, Refused, Request, Send, forward
from confcast.examples.tenant_proxy.headers import Unreadable, of_request
from confcast.examples.tenant_proxy.keys import keys, shown
from confcast.examples.tenant_proxy.limits import Counters, TooMany
from confcast.examples.tenant_proxy.settings import settings
from confcast.examples.tenant_proxy.upstreams import Client, clients
from confcast.middleware import readyz
from confcast.middleware.headers import OfScope

counters = Counters()

_DOT, _SLASH = r"(?:\.|%2e)", r"(?:[/\\]|%2f|%5c)"
_LEADS_OUT = re.compile(f"{_SLASH}{_DOT}{{1,2}}(?:{_SLASH}|$)", re.IGNORECASE)


async def proxy(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Serve a request, or the lifespan; a WebSocket is refused."""
    if scope["type"] == "lifespan":
        await _live(receive, send)
    elif scope["type"] == "websocket":
        await send({"type": "websocket.close"})
    else:
        try:
            await _serve(scope, receive, send)
        except Refused as refused:
            await _answer(send, refused)


app = readyz.Asgi(proxy, settings)


async def _serve(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Raises Refused."""
    config = settings.current
    tenant = keys.current.tenant_of(shown(OfScope(scope)))
    if tenant is None:
        raise Refused(401, "a key is needed: Authorization: Bearer KEY", (b"www-authenticate", b"Bearer"))
    name, target = _target(scope)
    client = _client(name, config.tenants[tenant].upstreams)
    try:
        headers = of_request(scope["headers"], tenant, _address(scope), client.token)
        with counters.request(tenant, config.tenants[tenant].limits, config.tenants):
            await forward(Request(name, scope["method"], target, headers, _has_body(scope)), client, receive, send)
    except Unreadable as error:
        raise Refused(400, str(error)) from None
    except TooMany as error:
        raise Refused(429, str(error), (b"retry-after", b"%d" % error.retry_after)) from None


def _target(scope: dict[str, Any]) -> tuple[str, str]:
    """The upstream's name, and path and query for it, as they came. Raises Refused."""
    if scope["method"] == "TRACE":
        raise Refused(405, "TRACE is not passed on")
    path = scope["raw_path"].decode("latin-1")
    if _LEADS_OUT.search(path) or not path.isascii():
        raise Refused(400, "the path has a dot segment, or a character that should be percent-encoded")
    name, _, rest = path.removeprefix("/").partition("/")
    query = scope["query_string"].decode("latin-1")
    return name, f"/{rest}?{query}" if query else f"/{rest}"


def _client(name: str, allowed: tuple[str, ...] | None) -> Client:
    """Raises Refused: the answer is the same whether there is no such upstream, or it is for others."""
    client = clients.current.get(name) if allowed is None or name in allowed else None
    if client is None:
        raise Refused(404, "no such upstream")
    return client


def _address(scope: dict[str, Any]) -> str:
    return scope["client"][0] if scope.get("client") else "unknown"


def _has_body(scope: dict[str, Any]) -> bool:
    sent = dict(scope["headers"])
    return b"transfer-encoding" in sent or sent.get(b"content-length", b"0") != b"0"


async def _answer(send: Send, refused: Refused) -> None:
    body = json.dumps({"error": str(refused)}).encode() + b"\n"
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), *refused.headers]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _live(receive: Receive, send: Send) -> None:
    """Bind confcast to this loop, on which the clients are made, and close them at the end."""
    await receive()
    await settings.aattach()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await settings.aclose()
    await send({"type": "lifespan.shutdown.complete"})
