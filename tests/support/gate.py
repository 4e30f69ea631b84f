"""A load that takes as long as the test wants: the schema's validator reads a file, and the file is a FIFO."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tests.support.settings import write
from tests.support.waiting import eventually
from tests.support.workers import Worker

T = TypeVar("T")


class Gate:
    """Open at first. While it is shut, a load whose configuration names it stays in the validator.

    Args:
        path: Where it is made; the configuration's `gate`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held = -1
        self.open()

    def shut(self) -> None:
        """The next load will stay in the validator."""
        fresh = self.path.with_name("fresh.fifo")
        os.mkfifo(fresh)
        fresh.replace(self.path)

    def await_load(self) -> None:
        """Return when a load has come to the gate; it is held there."""
        self._held = eventually(self._try_to_hold, "a load that comes to the gate")

    def hold_load(self, config: Path, number: int, begin: Callable[[], T]) -> T:
        """Put a number into this file, and begin its load, which is held when this returns what `begin` has."""
        self.shut()
        write(config, number, gate=str(self.path))
        begun = begin()
        self.await_load()
        return begun

    def hold_votes(self, worker: Worker) -> None:
        """From now on each of its votes stays here."""
        self.shut()
        worker.ask("vote_at", str(self.path))

    def open(self) -> None:
        """Later loads pass at once; the one that is held stays."""
        fresh = self.path.with_name("fresh.file")
        fresh.touch()
        fresh.replace(self.path)

    def let_go(self) -> None:
        """The load that is held goes on. May be called again."""
        held, self._held = self._held, -1
        if held > 0:
            os.close(held)

    def _try_to_hold(self) -> int:
        try:
            return os.open(self.path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:  # nobody reads it yet
                raise
            return 0


@contextmanager
def shut_gate(path: Path) -> Iterator[Gate]:
    """One that holds who comes to it. At the end it is open to everybody, and whom it holds goes on."""
    path.parent.mkdir(exist_ok=True)
    gate = Gate(path)
    gate.shut()
    try:
        yield gate
    finally:
        gate.open()
        gate.let_go()
