"""A real hypercorn, by confcast's launcher. Its port is the system's choice, read from its log."""

from __future__ import annotations

from tests.support.launched import Launched


class Server(Launched):
    """One hypercorn."""

    NAME = "hypercorn"
    LISTENING = r"Running on https?://127\.0\.0\.1:(\d+)"

    def options(self) -> list[str]:
        """Requests that a test holds are waited for, however busy the machine is."""
        return ["--bind", "127.0.0.1:0", "--workers", str(self.workers), "--graceful-timeout", "60"]


class WsgiServer(Server):
    """One that speaks WSGI."""

    APPLICATION = "app:app"
