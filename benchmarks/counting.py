"""What it costs a request that it is counted for its version, and that its status is looked at.

The peer is the same middleware without both, as it was before it counted: a pin that counts nothing, and the server's
own `start_response` and `send`. The bar of 1.03 is for the smallest requests that are served: Flask's, by hand, and
Starlette's in uvicorn's protocol, whose bytes go nowhere. The other rows show the nanoseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.rows import Row, against_peer
from benchmarks.timing import alternate, statement
from confcast.middleware import asgi, wsgi
from confcast.worker.pins import Pin


def measure(rounds: int) -> list[Row]:
    """A counted request through a middleware, as a share of one that is not counted."""
    from confcast import Replica
    from confcast.examples.leindex.schema import MCPConfig

    replica = Replica(MCPConfig, name="bench-counting")
    environ, scope = _environ(), _scope()
    kinds: dict[str, tuple[Callable[[Any], None], Any, Any, Any, float | None]] = {
        "WSGI, an empty answer": (_caller(environ), _whole, wsgi.Pin, _UncountedWsgi, None),
        "WSGI, Flask": (_caller(environ), _flask(), wsgi.Pin, _UncountedWsgi, 1.03),
        "ASGI, an empty answer": (_driver(scope), _asgi, asgi.Pin, _UncountedAsgi, None),
        "ASGI, Starlette": (_driver(scope), _starlette(), asgi.Pin, _UncountedAsgi, None),
    }
    rows = []
    with replica.override(MCPConfig()):
        for name, (serve, app, counted, uncounted, bar) in kinds.items():
            samples = [statement("serve(app)", serve=serve, app=each(app, replica)) for each in (counted, uncounted)]
            ours, peer = alternate(4 * rounds, samples)
            rows.append(against_peer(f"{name}: a counted request (ns); peer: one that is not", ours, peer, bar))
        served = [_served(each(_starlette(), replica)) for each in (asgi.Pin, _UncountedAsgi)]
        ours, peer = alternate(4 * rounds, [statement("serve()", serve=serve) for serve in served])
        what = "ASGI, Starlette in uvicorn: a counted request (ns); peer: one that is not"
        rows.append(against_peer(what, ours, peer, 1.03))
    return rows


# ---- the peers


def _uncounted(replica: Any) -> Pin[Any]:
    outer = replica._pinned.get()
    if outer is None or (pinned := outer.snapshot) is None:
        pinned = replica._snapshot
    return Pin(replica, pinned)


def _pin_one(replicas: tuple[Any, ...]) -> Pin[Any]:
    return _uncounted(replicas[0]) if len(replicas) == 1 else _uncounted(None)


class _UncountedWsgi:
    def __init__(self, app: Any, replica: Any) -> None:
        self.app = app
        self._replicas = (replica,)

    def __call__(self, environ: Any, start_response: Any) -> Any:
        pin = _pin_one(self._replicas)
        pin.__enter__()
        try:
            body = self.app(environ, start_response)
            if not isinstance(body, wsgi.WHOLE) and not wsgi._is_file(body, environ):
                return wsgi._Body(body, pin)
        except BaseException:
            pin.__exit__(None, None, None)
            raise
        pin.__exit__(None, None, None)
        return body


class _UncountedAsgi:
    def __init__(self, app: Any, replica: Any) -> None:
        self.app = app
        self._replicas = (replica,)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            return
        with _pin_one(self._replicas):
            await self.app(scope, receive, send)


# ---- the requests

_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n"


class _Nowhere(asyncio.Transport):
    """A connection whose bytes go nowhere."""

    def write(self, data: object) -> None:
        """Forget them."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"sockname": ("127.0.0.1", 80), "peername": ("127.0.0.1", 1)}.get(name, default)

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None:
        """There is nothing to read."""

    def resume_reading(self) -> None:
        """Nor now."""


def _served(app: Any) -> Callable[[], None]:
    """Serves one request on a connection that stays."""
    from uvicorn import Config
    from uvicorn.server import ServerState

    loop = asyncio.new_event_loop()
    config = Config(app, lifespan="off", access_log=False, log_level="critical", ws="none")
    config.load()
    protocol: Any = config.http_protocol_class(config=config, server_state=ServerState(), app_state={}, _loop=loop)
    protocol.connection_made(_Nowhere())

    def serve() -> None:
        protocol.data_received(_REQUEST)
        loop.call_soon(loop.stop)
        loop.run_forever()

    serve()
    assert protocol.cycle.response_complete
    return serve


def _environ() -> dict[str, Any]:
    from werkzeug.test import EnvironBuilder

    return EnvironBuilder("/").get_environ()


def _scope() -> dict[str, Any]:
    return {
        "type": "http",
        "method": "GET",
        "path": "/",
        "headers": [(b"host", b"localhost")],
        "query_string": b"",
        "root_path": "",
        "http_version": "1.1",
        "server": ("localhost", 80),
        "client": ("localhost", 1),
        "scheme": "http",
    }


def _flask() -> Any:
    from flask import Flask

    app = Flask("bench")
    app.add_url_rule("/", view_func=lambda: "hello")
    return app.wsgi_app


def _starlette() -> Any:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def hello(request: object) -> Any:
        return PlainTextResponse("hello")

    return Starlette(routes=[Route("/", hello)])


def _whole(environ: object, start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return []


async def _asgi(scope: object, receive: object, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def _caller(environ: dict[str, Any]) -> Callable[[Callable[..., Iterable[bytes]]], None]:
    def call(app: Callable[..., Iterable[bytes]]) -> None:
        body = app(dict(environ), _start_response)
        for _ in body:
            pass
        close = getattr(body, "close", None)
        if close is not None:
            close()

    return call


def _start_response(status: str, headers: object, *error: object) -> None:
    """The server's."""


def _driver(scope: dict[str, Any]) -> Callable[[Callable[..., Any]], None]:
    async def send(message: object) -> None:
        """The server's."""

    def drive(app: Callable[..., Any]) -> None:
        try:
            app(dict(scope), None, send).send(None)
        except StopIteration:
            return

    return drive
