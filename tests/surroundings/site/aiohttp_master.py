"""A master with two workers of aiohttp's, forked beside a listening socket; its argument is the port."""

from __future__ import annotations

import multiprocessing
import signal
import socket
import sys

from aiohttp import web
from aiohttp_app import app
from settings import settings

from confcast import ConfigLoader, ConfigReloadManager


def work(listener: socket.socket) -> None:
    """Ends with status 0 by a TERM, as aiohttp does."""
    settings.attach()
    web.run_app(app, sock=listener, print=None)
    settings.close()


def main() -> None:
    """Ends its workers, and then its manager, by a TERM."""
    fork = multiprocessing.get_context("fork")
    loader = ConfigLoader("settings:Settings", "app.toml")
    signal.signal(signal.SIGTERM, lambda *_: [worker.terminate() for worker in workers])
    with (
        ConfigReloadManager(loader, watch=False, supervise="caller", vote_timeout=10.0),
        socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener,
    ):
        workers = [fork.Process(target=work, args=(listener,)) for _ in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


if __name__ == "__main__":
    main()
