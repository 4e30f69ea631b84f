"""The example for Django, and a synchronous view that waits at gates; under ASGI it runs in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import gates
import reads
from django.http import HttpRequest, JsonResponse, StreamingHttpResponse
from django.urls import path

from confcast.examples.frameworks.django_app import application, asgi_application, urlpatterns

__all__ = ["application", "asgi_application"]


def read(request: HttpRequest) -> JsonResponse:
    return JsonResponse(reads.read())


def hold(request: HttpRequest) -> StreamingHttpResponse:
    folder = request.META["QUERY_STRING"]
    first = reads.number()
    gates.wait_at(folder, "call")
    second = reads.number()

    async def asynchronous_body() -> AsyncIterator[str]:
        yield f"[{first}, {second}, "
        await asyncio.to_thread(gates.wait_at, folder, "body")
        yield f"{reads.number()}]"

    asynchronous = hasattr(request, "scope")
    return StreamingHttpResponse(asynchronous_body() if asynchronous else reads.in_body(folder, first, second))


urlpatterns += [path("read", read), path("hold", hold)]
