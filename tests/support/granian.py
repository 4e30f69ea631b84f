"""A real granian, by confcast's launcher.

It can't be given port 0, since each of its workers has a listener of its own: this process holds a free port for as
long as the server's object lives, by a socket that is bound to it, and does not listen.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

from tests.support import server


class Server(server.Server):
    """One granian.

    Args:
        folder: For its files.
        interface: As granian names it.
        workers: How many.
        watch: Whether its owner watches the file.
        application: What it serves; by default the one of the tests, for this interface.
        arguments: More of the command line.
        program: Instead of all that: a program that serves; its argument is the port.
        environment: For its processes.
    """

    LISTENING = r"Listening at: https?://127\.0\.0\.1:(\d+)"
    INTERFACE = "asgi"

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 2,
        watch: bool = False,
        application: str = "",
        arguments: tuple[str, ...] = ("--respawn-failed-workers",),
        program: str = "",
        environment: dict[str, str] | None = None,
    ) -> None:
        super().__init__(folder, environment=environment)
        (folder / "program.py").write_text(program)
        self._program = program
        self.workers = workers
        self._watch = watch
        self._application = application or APPLICATIONS[self.INTERFACE]
        self._arguments = arguments
        self._held = socket.socket()
        self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._held.bind(("127.0.0.1", 0))

    def command(self, *arguments: str) -> list[str]:
        """What starts it."""
        port = str(self._held.getsockname()[1])
        if self._program:
            return [sys.executable, "program.py", port]
        confcast = ["--loader", "sources:loader", "--vote-timeout", "10", *([] if self._watch else ["--no-watch"])]
        granian = ["--port", port, "--workers", str(self.workers)]
        command = [sys.executable, "-m", "confcast.servers.granian", *confcast, "--interface", self.INTERFACE, *granian]
        return [*command, *self._arguments, *arguments, self._application]

    def wanted(self) -> int:
        """As many as the command line says."""
        return self.workers

    def end(self) -> None:
        """Give its port back, too."""
        try:
            super().end()
        finally:
            self._held.close()


class WsgiServer(Server):
    """One that speaks WSGI."""

    INTERFACE = "wsgi"


class RsgiServer(Server):
    """One that speaks granian's own interface."""

    INTERFACE = "rsgi"


APPLICATIONS = {"asgi": "asgi_app:app", "wsgi": "app:app", "rsgi": "rsgi_app:app"}
