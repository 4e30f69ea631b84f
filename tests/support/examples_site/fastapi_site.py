"""The example for FastAPI, and a synchronous endpoint that waits at gates: in its thread, and in its body's generator.

When the answer has left, its background task writes down what it sees, and so does a task that outlives the request.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import gates
import reads
from fastapi import BackgroundTasks, Request
from fastapi.responses import StreamingResponse

from confcast.examples.frameworks.fastapi_app import Current, app

lasting: set[asyncio.Task[None]] = set()


@app.get("/read")
def read() -> dict[str, Any]:
    return reads.read()


@app.get("/hold")
def hold(request: Request, config: Current, background: BackgroundTasks) -> StreamingResponse:
    folder = request.url.query
    gates.wait_at(folder, "call")
    body = reads.in_body(folder, int(config.greeting), reads.number())
    if Path(folder, "task").exists():
        background.add_task(after, folder)
    return StreamingResponse(body, media_type="application/json", background=background)


async def after(folder: str) -> None:
    """Still a part of the request; what it starts is none any more, once this has returned."""
    Path(folder, "background").write_text(f"{reads.number()}")
    task = asyncio.create_task(outlive(folder))
    lasting.add(task)
    task.add_done_callback(lasting.discard)


async def outlive(folder: str) -> None:
    await asyncio.to_thread(gates.wait_at, folder, "task")
    Path(folder, "outlived").write_text(f"{reads.number()}")
