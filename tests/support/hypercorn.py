"""A real hypercorn, by confcast's launcher. Its port is the system's choice, read from its log."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.support import server


class Server(server.Server):
    """One hypercorn.

    Args:
        folder: For its files.
        workers: How many.
        watch: Whether its owner watches the file.
        application: What it serves; by default the one of the tests.
        arguments: More of the command line.
        program: Instead of all that: a program that serves.
        environment: For its processes.
    """

    LISTENING = r"Running on https?://127\.0\.0\.1:(\d+)"
    APPLICATION = "asgi_app:app"

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 2,
        watch: bool = False,
        application: str = "",
        arguments: tuple[str, ...] = (),
        program: str = "",
        environment: dict[str, str] | None = None,
    ) -> None:
        super().__init__(folder, environment=environment)
        (folder / "program.py").write_text(program)
        self._program = program
        self.workers = workers
        self._watch = watch
        self._application = application or self.APPLICATION
        self._arguments = arguments

    def command(self, *arguments: str) -> list[str]:
        """What starts it."""
        if self._program:
            return [sys.executable, "program.py"]
        confcast = ["--loader", "sources:loader", "--vote-timeout", "10", *([] if self._watch else ["--no-watch"])]
        # Requests that a test holds are waited for, however busy the machine is.
        hypercorn = ["--bind", "127.0.0.1:0", "--workers", str(self.workers), "--graceful-timeout", "60"]
        command = [sys.executable, "-m", "confcast.servers.hypercorn", *confcast, *hypercorn]
        return [*command, *self._arguments, *arguments, self._application]

    def wanted(self) -> int:
        """As many as the command line says."""
        return self.workers


class WsgiServer(Server):
    """One that speaks WSGI."""

    APPLICATION = "app:app"
