"""A real server that confcast's launcher starts: what is the same whichever it is."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import ClassVar

from tests.support import server


class Launched(server.Server):
    """One of these.

    Args:
        folder: For its files.
        workers: How many.
        watch: Whether its owner watches the file.
        application: What it serves; by default the one of the tests.
        arguments: More of the command line.
        program: Instead of all that: a program that serves.
        environment: For its processes.
    """

    NAME: ClassVar[str]
    APPLICATION = "asgi_app:app"
    ARGUMENTS: ClassVar[tuple[str, ...]] = ()
    """More of the command line, where a test gives none."""

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 2,
        watch: bool = False,
        application: str = "",
        arguments: tuple[str, ...] | None = None,
        program: str = "",
        environment: dict[str, str] | None = None,
    ) -> None:
        super().__init__(folder, environment=environment)
        (folder / "program.py").write_text(program)
        self._program = program
        self.workers = workers
        self._watch = watch
        self._application = application or self.APPLICATION
        self._arguments = self.ARGUMENTS if arguments is None else arguments

    def options(self) -> list[str]:
        """The server's own, by which it listens and has its workers."""
        raise NotImplementedError

    def command(self, *arguments: str) -> list[str]:
        """What starts it."""
        if self._program:
            return [sys.executable, "program.py", *arguments]
        confcast = ["--loader", "sources:loader", "--vote-timeout", "10", *([] if self._watch else ["--no-watch"])]
        command = [sys.executable, "-m", f"confcast.servers.{self.NAME}", *confcast, *self.options()]
        return [*command, *self._arguments, *arguments, self._application]

    def wanted(self) -> int:
        """As many as the command line says."""
        return self.workers
