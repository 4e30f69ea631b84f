"""A master that forks as tornado does: its children return from `fork_processes`, and it waits there for their ends."""

from __future__ import annotations

import asyncio
import json
import os
import sys

from settings import settings
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.process import fork_processes
from tornado.web import Application, RequestHandler

from confcast import ConfigLoader, ConfigReloadManager


class Read(RequestHandler):
    def get(self) -> None:
        with settings.pin() as config:
            self.write(json.dumps({"pid": os.getpid(), "number": config.number}))


async def serve() -> None:
    server = HTTPServer(Application([(".*", Read)]))
    server.add_sockets(sockets)
    await asyncio.Event().wait()


sockets = bind_sockets(int(sys.argv[1]), "127.0.0.1")
manager = ConfigReloadManager(ConfigLoader("settings:Settings", "app.toml"), watch=False, vote_timeout=10.0).start()
fork_processes(2)
settings.attach()
asyncio.run(serve())
