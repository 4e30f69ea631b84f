"""The example for Flask, and a request that waits at gates: in its view, and in its body's generator."""

from __future__ import annotations

import gates
import reads
from flask import Response, request, stream_with_context

from confcast.examples.frameworks.flask_app import app
from confcast.examples.frameworks.settings import settings

app.get("/read")(reads.read)


@app.get("/workers")
def workers() -> list[int]:
    return [worker.pid for worker in settings.workers() if worker.version]


@app.get("/hold")
def hold() -> Response:
    folder = request.query_string.decode()
    first = reads.number()
    gates.wait_at(folder, "call")
    body = reads.in_body(folder, first, reads.number())
    return Response(stream_with_context(body), mimetype="application/json")
