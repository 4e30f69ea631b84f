"""A real granian, by confcast's launcher.

It can't be given port 0, since each of its workers has a listener of its own: this process holds a free port for as
long as the server's object lives, by a socket that is bound to it, and does not listen. A program is given the port.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from tests.support.launched import Launched


class Server(Launched):
    """One granian. `INTERFACE`: as granian names it."""

    NAME = "granian"
    LISTENING = r"Listening at: https?://127\.0\.0\.1:(\d+)"
    INTERFACE = "asgi"
    ARGUMENTS = ("--respawn-failed-workers",)

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(folder, **options)
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._held.bind(("127.0.0.1", 0))

    def options(self) -> list[str]:
        """With the port that is held."""
        return ["--interface", self.INTERFACE, "--port", self._port(), "--workers", str(self.workers)]

    def command(self, *arguments: str) -> list[str]:
        """What starts it."""
        return super().command(*([self._port()] if self._program else []), *arguments)

    def end(self) -> None:
        """Give its port back, too."""
        try:
            super().end()
        finally:
            self._held.close()

    def _port(self) -> str:
        return str(self._held.getsockname()[1])


class WsgiServer(Server):
    """One that speaks WSGI."""

    INTERFACE = "wsgi"
    APPLICATION = "app:app"


class RsgiServer(Server):
    """One that speaks granian's own interface."""

    INTERFACE = "rsgi"
    APPLICATION = "rsgi_app:app"
