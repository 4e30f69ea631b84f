"""The recipe for traces, with OpenTelemetry's own SDK: spans have the pinned version, and calls carry it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from opentelemetry import baggage, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from confcast import Replica
from confcast.examples.recipes.opentelemetry_version import NAME, VERSION, Traced, traced, version_on_spans
from confcast.middleware import asgi
from tests.support.number import Settings


class Tracing:
    """A provider of the test's own: the process's can be set once."""

    def __init__(self, settings: Replica[Any] | None = None) -> None:
        self.exported = InMemorySpanExporter()
        provider = TracerProvider()
        if settings is not None:
            provider.add_span_processor(version_on_spans(settings))
        provider.add_span_processor(SimpleSpanProcessor(self.exported))
        self.tracer = provider.get_tracer("test")

    def versions(self) -> dict[str, Any]:
        """The version of each span, by the span's name."""
        return {span.name: (span.attributes or {}).get(VERSION) for span in self.exported.get_finished_spans()}


def test_the_current_span_and_what_is_called_get_the_pinned_version(settings: Replica[Settings], fake: Any):
    tracing, carrier = Tracing(), {}
    with settings.pin():
        fake.push(Settings(2))
        with tracing.tracer.start_as_current_span("request"), traced(settings):
            W3CBaggagePropagator().inject(carrier)
    assert carrier == {"baggage": "confcast.unit.version=1"}
    (span,) = tracing.exported.get_finished_spans()
    assert dict(span.attributes or {}) == {NAME: "unit", VERSION: 1}
    assert baggage.get_all() == {}, "nothing stays in the context"


def test_every_span_has_it_and_one_before_a_version_has_none(settings: Replica[Settings]):
    tracing = Tracing(settings)
    tracing.tracer.start_span("start").end()
    with settings.override(Settings(1)) as fake:
        with settings.pin():
            fake.push(Settings(2))
            with tracing.tracer.start_as_current_span("outer"):
                tracing.tracer.start_span("inner").end()
        tracing.tracer.start_span("later").end()
    assert tracing.versions() == {"start": None, "inner": 1, "outer": 1, "later": 2}


def test_a_span_that_began_outside_of_the_pin_gets_the_pinned_version(settings: Replica[Settings], fake: Any):
    tracing = Tracing(settings)
    with tracing.tracer.start_as_current_span("server"):
        fake.push(Settings(2))
        with settings.pin(), traced(settings):
            """The request."""
    assert tracing.versions() == {"server": 2}


@pytest.mark.parametrize(("kind", "seen"), [("http", "1"), ("websocket", None), ("lifespan", None)])
def test_an_asgi_application_is_within_it(settings: Replica[Settings], fake: Any, kind: str, seen: str | None):
    found: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        fake.push(Settings(2))
        found.append(baggage.get_baggage("confcast.unit.version"))

    async def nothing(*_: Any) -> None:
        """Is sent and received."""

    asyncio.run(asgi.Pin(Traced(app, settings), settings)({"type": kind, "headers": []}, nothing, nothing))
    assert found == [seen]
    assert trace.get_current_span() is trace.INVALID_SPAN
