"""Flask: a view reads `settings.current`, and sees one version to the last byte of its answer.

    gunicorn -c python:confcast.examples.frameworks.gunicorn_conf confcast.examples.frameworks.flask_app:app

A streamed body is pinned too: its generator runs after the view has returned, and the pin lasts until the server has
closed the body. Rejected: a pin in `before_request` that ends in `teardown_request` (Flask tears a request down before
it streams; under `stream_with_context` it does so after), and copying values into `app.config` (a mapping of this
process, which nothing swaps in one step).

A thread that a view starts sees the newest version: give the thread the configuration as an argument.

    def test_the_greeting_follows_the_configuration():
        with settings.override(Settings(greeting="hi")) as fake:
            client = app.test_client()
            assert client.get("/").json["greeting"] == "hi"
            fake.push(Settings(greeting="moin"))
            assert client.get("/").json["greeting"] == "moin"
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Flask, Response, stream_with_context

from confcast.examples.frameworks.settings import settings
from confcast.middleware import readyz

app = Flask(__name__)


@app.get("/")
def greet() -> dict[str, Any]:
    """Both values are of one version, however long the view takes."""
    return {"greeting": settings.current.greeting, "version": settings.version}


@app.get("/lines")
def lines() -> Response:
    """Stream lines: the generator reads meanwhile, and every line is of the request's version."""

    def body() -> Iterator[str]:
        for _ in range(3):
            yield f"{settings.current.greeting}\n"

    return Response(stream_with_context(body()), mimetype="text/plain")


@app.get("/health")
def health() -> dict[str, Any]:
    """Answer a probe with 200: a worker is healthy if it answers, also while its owner is being restarted."""
    return {"version": settings.version, "connected": settings.connected}


@app.get("/readyz")
def ready() -> Response:
    """Answer a readiness probe: 503 while this worker lacks what is committed, and never for a refused file."""
    status, body = readyz.answer(settings)
    return Response(body, status, mimetype="application/json")
