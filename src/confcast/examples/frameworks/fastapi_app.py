"""FastAPI: `Annotated[Settings, Depends(...)]` gives an endpoint the configuration that its request is pinned to.

    here=confcast.examples.frameworks
    python -m confcast.servers.uvicorn --loader $here.sources:loader --workers 4 $here.fastapi_app:app

The dependency is asynchronous because FastAPI runs synchronous ones in a thread, and reading an attribute never waits.
A synchronous endpoint runs in a thread as well, in a copy of the context, which has the pin. A `BackgroundTask` is part
of its request, and sees the request's version, though the client already has the answer; a task of
`asyncio.create_task` that outlives the request sees the newest version.

A generator dependency that pins is wrong:

    def pinned():
        with settings.pin() as config:
            yield config

FastAPI runs that generator in a thread with a copied context. The pin is set in that context, so the endpoint, and all
that it calls, do not have it when they read `settings.current`. One request then has two versions: the injected one and
the one that is read. The generator is closed in a third context. An `async def` generator does pin its endpoint, but
not the middleware before it, and whether its pin lasts while a body is streamed has changed between FastAPI's releases.

    def test_the_greeting_follows_the_configuration():
        with settings.override(Settings(greeting="hi")):
            assert TestClient(app).get("/").json()["greeting"] == "hi"

`app.dependency_overrides[current_settings] = lambda: Settings(greeting="hi")` works too, for injected values only.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse

from confcast.examples.frameworks.settings import Settings, settings


async def current_settings() -> Settings:
    """The dependency: the configuration that this request is pinned to."""
    return settings.current


Current = Annotated[Settings, Depends(current_settings)]

app = FastAPI()


@app.get("/")
async def greet(config: Current) -> dict[str, Any]:
    """The injected value and the value that is read are of one version."""
    return {"greeting": config.greeting, "version": settings.version}


@app.get("/sync")
def greet_in_a_thread(config: Current) -> dict[str, Any]:
    """Both are of one version in the thread of a synchronous endpoint, too."""
    return {"greeting": config.greeting, "version": settings.version}


@app.get("/lines")
async def lines() -> StreamingResponse:
    """Stream a body, which is pinned to its end."""

    async def body() -> AsyncIterator[str]:
        for _ in range(3):
            yield f"{settings.current.greeting}\n"

    return StreamingResponse(body(), media_type="text/plain")
