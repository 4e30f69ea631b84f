"""An application of Sanic's: its main process has the manager, and each worker attaches before it serves."""

from __future__ import annotations

import os
from typing import Any

from sanic import Request, Sanic, json
from sanic.response import JSONResponse
from settings import settings

from confcast import ConfigLoader, ConfigReloadManager

app = Sanic("surroundings")
managers: list[ConfigReloadManager[Any]] = []


@app.main_process_start
def start(_: Sanic) -> None:
    loader = ConfigLoader("settings:Settings", "app.toml")
    managers.append(ConfigReloadManager(loader, watch=False, vote_timeout=10.0).start())


@app.main_process_stop
def stop(_: Sanic) -> None:
    managers.pop().close()


@app.before_server_start
async def attach(_: Sanic) -> None:
    await settings.aattach()


@app.get("/<path:path>")
async def read(_: Request, path: str) -> JSONResponse:
    with settings.pin() as config:
        states = [worker["state"] for worker in app.m.workers.values() if worker.get("server")]
        return json({"pid": os.getpid(), "number": config.number, "states": states})
