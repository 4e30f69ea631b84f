"""An upstream that answers as a test says, byte for byte, and a client that asks the application without a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from confcast.examples.tenant_proxy.app import app
from confcast.examples.tenant_proxy.schema import ProxySettings
from confcast.examples.tenant_proxy.settings import settings
from confcast.examples.tenant_proxy.upstreams import Clients, clients
from confcast.middleware import asgi

KEY = "acme-0123456789abcdef"
Answers = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Upstream:
    """What has arrived at it, and how many connections are open."""

    def __init__(self, answers: Answers | bytes) -> None:
        self._answers = answers
        self.heads: list[str] = []
        self.open = 0
        self.ended = asyncio.Event()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.open += 1
        try:
            while True:
                self.heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
                if isinstance(self._answers, bytes):
                    writer.write(self._answers)
                else:
                    await self._answers(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            self.ended.set()
            writer.close()


@asynccontextmanager
async def upstream(answers: Answers | bytes) -> AsyncIterator[Upstream]:
    """One that listens in the block. Bytes are the answer to each request."""
    made = Upstream(answers)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        await server.wait_closed()


def configured(url: str, limits: dict[str, Any] | None = None, **upstream: Any) -> ProxySettings:
    """One tenant, which may use the upstream `text`; `private` is there, too, at the same address."""
    tenant = {"keys": [KEY], "limits": limits or {}, "upstreams": ["text"]}
    upstreams = {"text": {"url": url, **upstream}, "private": {"url": url}}
    return ProxySettings.model_validate({"upstreams": upstreams, "tenants": {"acme": tenant}})


@asynccontextmanager
async def proxy_to(url: str, **upstream: Any) -> AsyncIterator[None]:
    """The application has one tenant, and one upstream that is called `text`."""
    config = configured(url, **upstream)
    with settings.override(config):
        made = Clients(config.upstreams)
        try:
            with clients.override(made):
                yield
        finally:
            await made.close()


class Asked:
    """A request to the application, which runs as a task.

    Attributes:
        messages: What the application has sent.
        task: Ends with the application's answer.
    """

    def __init__(self, path: str, method: str = "GET", headers: dict[str, str] | None = None) -> None:
        given = {"authorization": f"Bearer {KEY}", **(headers or {})}
        path, _, query = path.partition("?")
        self._scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in given.items() if value],
            "client": ("10.0.0.1", 1234),
        }
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._sent = asyncio.Condition()
        self.messages: list[Any] = []
        self.task: asyncio.Task[None]

    def begin(self) -> Asked:
        self.task = asyncio.create_task(asgi.Pin(app, settings)(self._scope, self._incoming.get, self._send))
        return self

    def sends(self, body: bytes, *, more: bool = False) -> None:
        self._incoming.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def leaves(self) -> None:
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def until(self, condition: Callable[[], Any]) -> None:
        async with self._sent:
            await self._sent.wait_for(condition)

    async def _send(self, message: Any) -> None:
        async with self._sent:
            self.messages.append(message)
            self._sent.notify_all()

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.messages[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(each["body"] for each in self.messages[1:])

    @property
    def error(self) -> str:
        return str(json.loads(self.body)["error"])


async def ask(path: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes = b"") -> Asked:
    """A whole request, and its whole answer."""
    asked = Asked(path, method, headers).begin()
    asked.sends(body)
    await asked.task
    return asked
