"""A real uvicorn, by confcast's launcher. Its port is the system's choice, read from its log."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from tests.support.launched import Launched


class Server(Launched):
    """One uvicorn."""

    NAME = "uvicorn"
    LISTENING = r"Uvicorn running on https?://127\.0\.0\.1:(\d+)"

    def options(self) -> list[str]:
        """A worker that boots on a busy machine answers its master late; one that ends while it is asked, never."""
        return ["--port", "0", "--workers", str(self.workers), "--timeout-worker-healthcheck", "10"]


class Alone(Server):
    """One of a single worker: master and worker are one process."""

    def __init__(self, folder: Path, **options: Any) -> None:
        super().__init__(folder, **{"workers": 1, **options})

    def stopped_by(self, number: int) -> int:
        """uvicorn raises the signal again; an interrupted program is none that fails."""
        return 0 if number == signal.SIGINT else -number
