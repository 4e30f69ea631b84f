"""`confcast serve` processes, forked from the tests' fork server: quickly, and with signals and an end of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from tests.support.waiting import DEADLINE, eventually

LOADER = """
from confcast import ConfigLoader
loader = ConfigLoader("{schema}", "{file}")
"""


class Served:
    """One `confcast serve`.

    Args:
        context: How it is started.
        folder: Its working directory, in which its loader's module is.
        arguments: Of the command, after `serve`.
        log: The file that gets what it and its owner write.
        environment: Variables that it has beside this process's.
        passed: A socket that a service manager would pass.
    """

    def __init__(
        self,
        context: BaseContext,
        folder: Path,
        arguments: list[str],
        log: Path,
        environment: dict[str, str],
        passed: socket.socket | None,
    ) -> None:
        self.log = log
        self._process: Any = context.Process(  # type: ignore[attr-defined]
            target=_main, args=(folder, arguments, log, {**os.environ, **environment}, passed)
        )
        self._process.start()
        self.pid: int = self._process.pid

    def said(self) -> str:
        """What it and its owner have written."""
        return self.log.read_text() if self.log.exists() else ""

    def await_said(self, text: str) -> str:
        """What was written, once this is in it."""
        eventually(lambda: text in self.said(), f"{text!r} in {self.said()}")
        return self.said()

    def await_serving(self) -> Served:
        """Return once it serves."""
        eventually(lambda: "serving version" in self.said() or not self._process.is_alive(), "the start of a serve")
        assert "serving version" in self.said(), self.said()
        return self

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send it this signal, and return its exit status."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)
        return self.status()

    def status(self) -> int:
        """Its exit status, once it has ended."""
        self._process.join(DEADLINE)
        assert self._process.exitcode is not None, f"it does not end: {self.said()}"
        return int(self._process.exitcode)

    def close(self) -> None:
        """However it is: afterwards it is gone."""
        if self._process.is_alive():
            self._process.terminate()
            self._process.join(DEADLINE)
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        self._process.close()


class Serves:
    """Starts `confcast serve` processes for one test, of one loader.

    Attributes:
        folder: Where the loader's module and its file are.
        address: The path that each is given, unless it is told another.
    """

    def __init__(self, context: BaseContext, folder: Path, address: Path) -> None:
        self.folder, self.address = folder, address
        self._context = context
        self._all: list[Served] = []
        self.write_loader()

    def write_loader(self, schema: str = "tests.support.settings:Settings", file: str = "app.toml") -> None:
        """Have the loader that is found from now on be this one."""
        (self.folder / "served_loader.py").write_text(LOADER.format(schema=schema, file=self.folder / file))

    def start(
        self,
        *arguments: str,
        address: str | None = "",
        environment: dict[str, str] | None = None,
        passed: socket.socket | None = None,
    ) -> Served:
        """A process that has begun; `address`: None for none."""
        where = [] if address is None else ["--address", address or str(self.address)]
        usual = ["serve", "--loader", "served_loader:loader", "--no-watch", "--probation", "0", "--vote-timeout", "10"]
        log = self.folder / f"serve-{len(self._all)}.log"
        self._all.append(
            Served(self._context, self.folder, [*usual, *where, *arguments], log, environment or {}, passed)
        )
        return self._all[-1]

    def __call__(self, *arguments: str, **given: Any) -> Served:
        """A process that serves."""
        return self.start(*arguments, **given).await_serving()

    def close(self) -> None:
        for each in self._all:
            each.close()


@contextlib.contextmanager
def serves(context: BaseContext, folder: Path, address: Path) -> Iterator[Serves]:
    """What starts them; they are ended at the end of the block."""
    made = Serves(context, folder, address)
    try:
        yield made
    finally:
        made.close()


def _main(
    folder: Path, arguments: list[str], log: Path, environment: dict[str, str], passed: socket.socket | None
) -> None:
    """The process: as a shell would start the command, but for its interpreter, which runs already."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    fd = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(fd, stream)
    os.close(fd)
    if passed is not None:
        os.dup2(passed.fileno(), 3)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
    from confcast.cli import main

    os._exit(main(arguments))
