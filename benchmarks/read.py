"""What reading costs a request: `latest` what a plain slot costs (G4), `current` and a pin a little more.

What a pin adds is what the pinned application takes beyond the bare one, both measured in turns. Its peer is the least
that pins a value at all: a context variable that is set before the application is called, and reset after it. The
requests are driven by hand, without a server: `scripts/bench --servers` has what is left of this in real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any

from benchmarks.rows import Row, against_peer
from benchmarks.timing import alternate, statement


class Slot:
    """The cheapest object that holds something: the peer of `latest`."""

    __slots__ = ("latest",)

    def __init__(self, value: object) -> None:
        self.latest = value


def measure(rounds: int) -> list[Row]:
    """Reads in and outside a pin, and what a pin adds to a request of each kind."""
    from confcast import Replica
    from confcast.examples.leindex.schema import MCPConfig

    one, two = Replica(MCPConfig, name="bench-read"), Replica(MCPConfig, name="bench-read-too")
    config = MCPConfig()
    with one.override(config), two.override(config):
        reads = _reads(4 * rounds, one, Slot(config))
        requests = [row for several in ([one], [one, two]) for row in _requests(2 * rounds, several)]
        return reads + requests + _headers(2 * rounds, one)


def _reads(rounds: int, settings: Any, slot: Slot) -> list[Row]:
    reads = ("settings.latest", "settings.current", "with settings.pin(): pass")
    samples = [statement("slot.latest", slot=slot), *(statement(each, settings=settings) for each in reads)]
    peer, latest, outside, pin = alternate(rounds, samples)
    with settings.pin():
        inside, inner_peer = alternate(rounds, [samples[2], samples[0]])
    return [
        against_peer("settings.latest (ns); peer: a slot of a plain object", latest, peer, 1.1),
        against_peer("settings.current outside a pin (ns); peer: the slot", outside, peer),
        against_peer("settings.current inside a pin (ns); peer: the slot", inside, inner_peer),
        against_peer("with settings.pin() (ns); peer: the slot", pin, peer),
    ]


# ---- requests


def _requests(rounds: int, replicas: list[Any]) -> list[Row]:
    from confcast.middleware import asgi, wsgi

    kinds: dict[str, tuple[Callable[[Any], None], Any, Any, Any]] = {
        "WSGI": (_call, _whole, wsgi.Pin(_whole, *replicas), _Least(_whole)),
        "WSGI, a generator": (_call, _generated, wsgi.Pin(_generated, *replicas), _LeastOfBody(_generated)),
        "ASGI": (_drive, _asgi, asgi.Pin(_asgi, *replicas), _least_asgi),
    }
    count = f"{len(replicas)} replica{'s' if len(replicas) > 1 else ''}"
    rows = []
    for name, (serve, *apps) in kinds.items():
        samples = [statement("serve(app)", serve=serve, app=app) for app in apps]
        bare, pinned, least = alternate(rounds, samples)
        what = f"{name}: a pin of {count} adds (ns); peer: a context variable, set and reset"
        rows.append(against_peer(what, pinned - bare, least - bare))
    return rows


def _headers(rounds: int, settings: Any) -> list[Row]:
    """What the version's header adds to a pinned request. Its peer adds a fixed one, in the same place."""
    from confcast.middleware import asgi, wsgi

    def naming(wanted: str | None) -> list[Any]:
        named = {"version_header": wanted}
        return [wsgi.Pin(_beginning, settings, **named), asgi.Pin(_asgi_beginning, settings, **named)]

    fixed = [wsgi.Pin(_Fixed(_beginning), settings), asgi.Pin(_fixed_asgi, settings)]
    rows = []
    kinds = zip(("WSGI", "ASGI"), (_call, _drive), naming(None), naming("X-Config-Version"), fixed, strict=True)
    for name, serve, *apps in kinds:
        off, on, peer = alternate(rounds, [statement("serve(app)", serve=serve, app=app) for app in apps])
        what = f"{name}: the header of the version adds (ns); peer: a header that is always the same"
        rows.append(against_peer(what, on - off, peer - off))
    return rows


def _call(app: Callable[..., Iterable[bytes]]) -> None:
    """One WSGI request, as PEP 3333 demands."""
    body = app({}, _start)
    for _ in body:
        pass
    close = getattr(body, "close", None)
    if close is not None:
        close()


def _drive(app: Callable[..., Any]) -> None:
    """One ASGI request, which waits for nothing."""
    try:
        app({"type": "http"}, None, _send).send(None)
    except StopIteration:
        return


def _start(status: str, headers: list[tuple[str, str]]) -> None:
    """A server's."""


async def _send(message: Any) -> None:
    """A server's."""


def _beginning(environ: object, start_response: Callable[..., Any]) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "0")])
    return []


async def _asgi_beginning(scope: object, receive: object, send: Callable[[Any], Any]) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})


class _Fixed:
    def __init__(self, app: Callable[..., Any]) -> None:
        self._app = app

    def __call__(self, environ: object, start_response: Callable[..., Any]) -> Any:
        def start(status: str, headers: list[tuple[str, str]]) -> Any:
            return start_response(status, [*headers, ("X-Config-Version", "1")])

        return self._app(environ, start)


async def _fixed_asgi(scope: object, receive: object, send: Callable[[Any], Any]) -> None:
    async def named(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"x-config-version", b"1")]}
        await send(message)

    await _asgi_beginning(scope, receive, named)


def _whole(environ: object, start_response: object) -> list[bytes]:
    return []


def _generated(environ: object, start_response: object) -> Iterator[bytes]:
    yield b""


async def _asgi(scope: object, receive: object, send: object) -> None:
    """Answer nothing."""


_pinned: ContextVar[object] = ContextVar("pinned", default=None)


class _Least:
    def __init__(self, app: Callable[..., Any]) -> None:
        self._app = app

    def __call__(self, environ: object, start_response: object) -> Any:
        token = _pinned.set(self)
        try:
            return self._app(environ, start_response)
        finally:
            _pinned.reset(token)


class _LeastOfBody(_Least):
    def __call__(self, environ: object, start_response: object) -> Any:
        token = _pinned.set(self)
        try:
            yield from self._app(environ, start_response)
        finally:
            _pinned.reset(token)


async def _least_asgi(scope: object, receive: object, send: object) -> None:
    token = _pinned.set(_asgi)
    try:
        await _asgi(scope, receive, send)
    finally:
        _pinned.reset(token)
