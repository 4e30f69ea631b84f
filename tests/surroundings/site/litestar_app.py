"""An application of Litestar's: the command line's process has the manager, and uvicorn's workers attach."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from litestar import Litestar, get
from litestar.plugins import CLIPlugin
from settings import settings

from confcast import ConfigLoader, ConfigReloadManager


class Managed(CLIPlugin):
    @contextmanager
    def server_lifespan(self, app: Litestar) -> Iterator[None]:
        with ConfigReloadManager(ConfigLoader("settings:Settings", "app.toml"), watch=False, vote_timeout=10.0):
            yield


@asynccontextmanager
async def attached(_: Litestar) -> AsyncIterator[None]:
    await settings.aattach()
    yield
    await settings.aclose()


@get("/{path:path}")
async def read(path: str) -> dict[str, int]:
    with settings.pin() as config:
        return {"pid": os.getpid(), "number": config.number}


app = Litestar([read], plugins=[Managed()], lifespan=[attached])
