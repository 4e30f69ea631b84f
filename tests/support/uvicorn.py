"""A real uvicorn, by confcast's launcher. Its port is the system's choice, read from its log."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

from tests.support import server


class Server(server.Server):
    """One uvicorn.

    Args:
        folder: For its files.
        workers: How many.
        watch: Whether its owner watches the file.
        application: What it serves.
        arguments: More of the command line.
        environment: For its processes.
    """

    LISTENING = r"Uvicorn running on https?://127\.0\.0\.1:(\d+)"

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 2,
        watch: bool = False,
        application: str = "asgi_app:app",
        arguments: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
    ) -> None:
        super().__init__(folder, environment=environment)
        self.workers = workers
        self._watch = watch
        self._application = application
        self._arguments = arguments

    def command(self, *arguments: str) -> list[str]:
        """What starts it."""
        confcast = ["--loader", "sources:loader", "--vote-timeout", "10", *([] if self._watch else ["--no-watch"])]
        # A worker that boots on a busy machine answers its master late; one that ends while it is asked, never.
        uvicorn = ["--port", "0", "--workers", str(self.workers), "--timeout-worker-healthcheck", "10"]
        command = [sys.executable, "-m", "confcast.servers.uvicorn", *confcast, *uvicorn]
        return [*command, *self._arguments, *arguments, self._application]

    def wanted(self) -> int:
        """As many as the command line says."""
        return self.workers


class Alone(Server):
    """One of a single worker: master and worker are one process."""

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(folder, **{"workers": 1, **options})

    def stopped_by(self, number: int) -> int:
        """uvicorn raises the signal again; an interrupted program is none that fails."""
        return 0 if number == signal.SIGINT else -number
