"""A program in a terminal of its own: what it shows there, and what is typed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence

from tests.support.waiting import DEADLINE

SGR = re.compile(r"\x1b\[[0-9;]*m")
"""What colours a terminal."""


_IN_FRONT = """if True:
    import fcntl, os, sys, termios
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.execvp(sys.argv[1], sys.argv[1:])
"""
"""What makes this terminal that of the program, as a shell needs it that has jobs."""


class Terminal:
    """A pseudo-terminal of so many columns, and the program that runs in it."""

    def __init__(self, arguments: Sequence[str], columns: int, environment: Mapping[str, str]) -> None:
        self._ours, its = os.openpty()
        fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        command = [sys.executable, "-c", _IN_FRONT, *arguments]
        self.process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=dict(environment))
        os.close(its)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def wait_for(self, pattern: str, deadline: float = DEADLINE) -> re.Match[str]:
        """Read until this is shown, after what was waited for before."""
        end = time.monotonic() + deadline
        while not (found := re.search(pattern, SGR.sub("", self.shown))):
            ready, _, _ = select.select([self._ours], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"{pattern} is not shown, but {self.shown!r}"
            assert self._read(), f"it has ended, and shown {self.shown!r}"
        self.shown = SGR.sub("", self.shown)[found.end() :]
        return found

    def ends(self) -> tuple[int, str]:
        """Its exit status, and all that it has shown."""
        while self._read():
            pass
        return self.process.wait(DEADLINE), self.shown.replace("\r\n", "\n")

    def close(self) -> None:
        os.close(self._ours)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(DEADLINE)

    def _read(self) -> bool:
        with contextlib.suppress(OSError):  # EIO: nobody has the other end any more
            if data := os.read(self._ours, 65536):
                self.shown += data.decode(errors="replace")
                return True
        return False


@contextlib.contextmanager
def terminal(
    arguments: Sequence[str], columns: int = 80, environment: Mapping[str, str] | None = None
) -> Iterator[Terminal]:
    """A terminal with colours, in which this program runs; with these variables beside this process's."""
    own = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS")}
    opened = Terminal(arguments, columns, {**own, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **(environment or {})})
    try:
        yield opened
    finally:
        opened.close()


def in_a_terminal(
    arguments: Sequence[str], columns: int = 80, environment: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """The exit status of a program, and what it shows in a terminal."""
    with terminal(arguments, columns, environment) as opened:
        return opened.ends()
