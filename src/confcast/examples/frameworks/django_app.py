"""A whole Django project in one file, for WSGI and for ASGI.

    gunicorn -c python:confcast.examples.frameworks.gunicorn_conf confcast.examples.frameworks.django_app:application
    here=confcast.examples.frameworks
    python -m confcast.servers.uvicorn --loader $here.sources:loader --workers 4 $here.django_app:asgi_application

The two settings have different purposes. `django.conf.settings` says of what parts the project consists: applications,
middleware, databases, the secret key. Django reads it once and keeps what it has built from it, so a change in a
running process has only a part of its effect. confcast's replica (here `live`, so that the names don't clash) holds
what may change while the project serves. Neither copies from the other: `GREETING = live.latest.greeting` in
settings.py would stay old, and there is no version yet when `manage.py` imports that file. A management command, which
has no owner, loads by itself: `with live.override(loader.load().config):` around what it calls.

In a project of several files, `live` is a module beside settings.py, and nothing else changes in wsgi.py or asgi.py.

A synchronous view under ASGI runs in a thread. Django copies the context, and the pin with it, into that thread, and
does the same for a streamed body. A thread that the view starts, and that outlives it, sees the newest version.

    def test_the_greeting_follows_the_configuration():
        with live.override(Settings(greeting="hi")):
            assert django.test.Client().get("/").json()["greeting"] == "hi"
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.urls import path

from confcast.examples.frameworks.settings import settings as live


def greet(request: HttpRequest) -> JsonResponse:
    """A synchronous view reads attributes."""
    return JsonResponse({"greeting": live.current.greeting, "version": live.version})


async def greet_async(request: HttpRequest) -> JsonResponse:
    """An asynchronous view reads the same way: reading an attribute never waits."""
    return JsonResponse({"greeting": live.current.greeting, "version": live.version})


def lines(request: HttpRequest) -> StreamingHttpResponse:
    """Stream lines, all of the request's version. ASGI needs an asynchronous body, WSGI a synchronous one."""

    def body() -> Iterator[str]:
        for _ in range(3):
            yield f"{live.current.greeting}\n"

    async def asynchronous_body() -> AsyncIterator[str]:
        for line in body():
            yield line

    return StreamingHttpResponse(asynchronous_body() if hasattr(request, "scope") else body())


urlpatterns = [path("", greet), path("async", greet_async), path("lines", lines)]

settings.configure(
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["localhost", "127.0.0.1", "testserver"],
    SECRET_KEY="not a secret: this project signs nothing",  # noqa: S106
)
application = get_wsgi_application()
asgi_application = get_asgi_application()
