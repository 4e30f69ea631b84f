"""The version in traces: an attribute of each span, and baggage that services which are called find in their context.

    provider = TracerProvider()
    provider.add_span_processor(version_on_spans(settings))    # each span of this process
    app = Traced(app, settings)                                # ASGI: baggage for what each request calls
    with traced(settings): ...                                 # WSGI: within the view; a task; an item of a queue

A trace then answers "which version was that?" for each service that it went through: spans have the attributes
`confcast.config.name` and `confcast.config.version`, and a called service finds `confcast.shop.version=12` in the
header `baggage` of its request (by the name of the replica, so that each service in a chain adds its own).

Baggage goes to whomever the request calls, other companies, too: the number tells them nothing but that it changed.
Both are read within the request's pin, which is around all of the application where a module of confcast.servers runs
it; with another server put `confcast.middleware.asgi.Pin` around `Traced`. A span that began outside of the pin has the
version that was the newest then, and gets the pinned one from `traced`.

    def test_a_span_has_the_version():
        with settings.override(Settings()), settings.pin(), traced(settings):
            assert baggage.get_baggage("confcast.app.version") == "1"
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import baggage, context, trace

from confcast import NotAttached, Replica

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import SpanProcessor

NAME = "confcast.config.name"
VERSION = "confcast.config.version"


@contextmanager
def traced(settings: Replica[Any]) -> Iterator[None]:
    """Say the version on the current span, and in the baggage of what is called within the block."""
    version = settings.version
    _say(trace.get_current_span(), settings.name, version)
    token = context.attach(baggage.set_baggage(f"confcast.{settings.name}.version", str(version)))
    try:
        yield
    finally:
        context.detach(token)


class Traced:
    """An ASGI application within `traced`. Its lifespan, and WebSockets, are left as they are.

    Args:
        app: The application.
        settings: Whose version.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], settings: Replica[Any]) -> None:
        self.app = app
        self._settings = settings

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        with traced(self._settings):
            await self.app(scope, receive, send)


def version_on_spans(settings: Replica[Any]) -> SpanProcessor:
    """A span processor that says the version on each span, as of its start. For a process that has the SDK."""
    from opentelemetry.sdk.trace import SpanProcessor  # a library's spans need the API alone

    class VersionOnSpans(SpanProcessor):
        def on_start(self, span: trace.Span, parent_context: context.Context | None = None) -> None:
            try:
                version = settings.version
            except NotAttached:  # a span of the start
                return
            _say(span, settings.name, version)

    return VersionOnSpans()


def _say(span: trace.Span, name: str, version: int) -> None:
    span.set_attribute(NAME, name)
    span.set_attribute(VERSION, version)
