"""The example for Starlette, and an endpoint that waits at gates: in a task of its own, and in its body's generator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import gates
import reads
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from confcast.examples.frameworks.starlette_app import app


async def read(request: Request) -> JSONResponse:
    return JSONResponse(reads.read())


async def hold(request: Request) -> StreamingResponse:
    folder = request.url.query
    first = reads.number()
    second = await asyncio.create_task(number_behind(folder))

    async def body() -> AsyncIterator[str]:
        yield f"[{first}, {second}, "
        await asyncio.to_thread(gates.wait_at, folder, "body")
        yield f"{reads.number()}]"

    return StreamingResponse(body(), media_type="application/json")


async def number_behind(folder: str) -> int:
    await asyncio.to_thread(gates.wait_at, folder, "call")
    return reads.number()


app.router.routes += [Route("/read", read), Route("/hold", hold)]
