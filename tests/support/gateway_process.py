"""A gateway in a process of its own, as an administrator runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

from tests.support.engines.server import free_port
from tests.support.waiting import DEADLINE, eventually


class GatewayProcess:
    """One from `with` to its end; a killed one may be started again, on its port.

    Args:
        url: The engine's.
        key: The key.
        arguments: More of the command line.

    Attributes:
        url: The gateway's.
    """

    def __init__(self, url: str, key: str, *arguments: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._arguments = ["--from", url, "--key", key, "--listen", f"127.0.0.1:{self.port}", *arguments]
        self._folder = tempfile.TemporaryDirectory(prefix="gateway-")
        self._log = Path(self._folder.name) / "log"
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *about: object) -> None:
        self.kill()
        self._folder.cleanup()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *, listens: bool = True) -> None:
        """Run it; returns once it listens, unless that is not to be waited for."""
        command = [sys.executable, "-m", "confcast", "fleet", "gateway", *self._arguments]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
            )
        if listens:
            self.await_listening()

    def await_listening(self) -> None:
        """Wait until hosts can connect."""
        self.await_said("listening on")

    def await_said(self, words: str) -> str:
        """Wait until it has said this; gives all that it has said."""
        process = self._process
        assert process is not None
        eventually(lambda: words in self.said() or process.poll() is not None, f"a gateway that says {words!r}")
        assert words in self.said(), self.said()
        return self.said()

    def said(self) -> str:
        """What it has written to standard error."""
        return self._log.read_text(encoding="utf-8")

    def end(self) -> tuple[int, str]:
        """End it as an administrator does. Gives its exit code, and its report."""
        assert self._process is not None
        self._process.terminate()
        report, _ = self._process.communicate(timeout=DEADLINE)
        return self._process.returncode, report

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()

    def pause(self) -> None:
        """It does nothing from now on; the kernel takes connections for it."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """After `pause`."""
        os.kill(self.pid, signal.SIGCONT)
