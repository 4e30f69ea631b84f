"""The shell of a reader who types what a page of the guide says."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from pathlib import Path
from time import monotonic

from tests.support.waiting import DEADLINE

_END = "-- typed, status "


class Shell:
    """An interactive reader's shell, with job control.

    Args:
        folder: Where it is.
        variables: Of its environment.
    """

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash", "--norc"],
            cwd=folder,
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
        self.said = ""

    def type(self, line: str, seen: str) -> str:
        """Type a line; what is said until it has ended and this was seen. Raises AssertionError: it failed."""
        assert self._process.stdin is not None
        before = len(self.said)
        self._process.stdin.write(f"{line}\necho '{_END}'$?\n".encode())
        until = monotonic() + DEADLINE
        while not (seen in (new := self.said[before:]) and _END in new):
            self._read(line, seen, until)
        assert f"{_END}0" in new, (line, self.said)
        return new

    def _read(self, line: str, seen: str, until: float) -> None:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, until - monotonic()))
        text = self._process.stdout.read(65536).decode() if ready else ""
        assert text, f"{line}: {seen!r} is not seen in:\n{self.said}"
        self.said += text

    def end(self) -> None:
        """End it, and what it has started."""
        os.killpg(self._process.pid, signal.SIGTERM)
        assert self._process.stdin is not None
        self._process.stdin.close()
        assert self._process.stdout is not None
        while self._process.stdout.read(65536):  # until each of them has closed it
            pass
        self._process.stdout.close()
        self._process.wait(DEADLINE)
