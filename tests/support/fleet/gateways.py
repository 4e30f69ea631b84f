"""A gateway as people run it: `confcast fleet gateway`, a process of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

from tests.support.engines.server import free_port
from tests.support.waiting import DEADLINE, eventually

_SAYS = "listening on "


class Gateway:
    """One, from `with` to its end.

    Args:
        engine: The engine's URL.
        key: The key.
    """

    def __init__(self, engine: str, key: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="gateway-", ignore_cleanup_errors=True)
        self._log = Path(self._folder.name, "log")
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        command = [sys.executable, "-m", "confcast", "fleet", "gateway", "--from", engine, "--key", key]
        self._command = [*command, "--listen", f"127.0.0.1:{self._port}", "--state-dir", f"{self._folder.name}/state"]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Run it; returns once it listens."""
        dies_with_us = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*dies_with_us, *self._command], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        process = self._process

        def listens() -> bool:
            assert process.poll() is None, f"the gateway has ended:\n{self.log()}"
            return _SAYS in self.log()

        eventually(listens, "a gateway that listens")

    def kill(self) -> None:
        """End it at once (kill -9)."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def stop(self) -> int:
        """End it in order; its exit status."""
        assert self._process is not None
        self._process.terminate()
        try:
            return self._process.wait(DEADLINE)
        finally:
            self._process.kill()
            self._process.wait()
            self._process = None

    def log(self) -> str:
        """What it has said."""
        return self._log.read_text(errors="replace")

    def __enter__(self) -> Self:
        Path(self._folder.name, "state").mkdir(mode=0o700)
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *about: object) -> None:
        if self._process is not None:
            self.kill()
        self._folder.cleanup()
