"""A gateway as people run it: `confcast fleet gateway`, a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

from tests.support.engines.server import free_port
from tests.support.waiting import DEADLINE, eventually

_SAYS = "listening on "


class Gateway:
    """One, from `with` to its end; one that was killed may be started again, on its port.

    Args:
        engine: The engine's URL.
        key: The key.
        arguments: More of the command line; by default a folder for its copy.

    Attributes:
        url: Its URL.
        port: Its port.
    """

    def __init__(self, engine: str, key: str, *arguments: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="gateway-", ignore_cleanup_errors=True)
        self._log, self._report = (Path(self._folder.name, name) for name in ("log", "report"))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "confcast", "fleet", "gateway", "--from", engine, "--key", key]
        more = arguments or ("--state-dir", f"{self._folder.name}/state")
        self._command = [*command, "--listen", f"127.0.0.1:{self.port}", *more]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether it was started, and has not ended since."""
        return self._process is not None and self._process.poll() is None

    def restart(self) -> None:
        """After its end, by whomever, or in its place: run it again on its port."""
        if self._process is not None:
            self.kill()
        self.start()

    def start(self, says: str = _SAYS) -> None:
        """Run it; returns once it has said this: by default, once it listens."""
        dies_with_us = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        with self._log.open("wb") as log, self._report.open("wb") as report:
            self._process = subprocess.Popen(
                [*dies_with_us, *self._command], stdin=subprocess.DEVNULL, stdout=report, stderr=log
            )
        self.await_said(says)

    def await_said(self, words: str = _SAYS) -> None:
        """Wait until it has said this."""
        process = self._process
        assert process is not None

        def said() -> bool:
            assert process.poll() is None, f"the gateway has ended:\n{self.log()}"
            return words in self.log()

        eventually(said, f"a gateway that says {words!r}")

    def kill(self) -> None:
        """End it at once (kill -9)."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def pause(self) -> None:
        """It does nothing from now on; the kernel takes connections for it."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """After `pause`."""
        self.signal(signal.SIGCONT)

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

    def report(self) -> str:
        """What it has reported at its end."""
        return self._report.read_text()

    def __enter__(self) -> Self:
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
