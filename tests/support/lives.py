"""Whether processes live that a test has started through others: they hold a FIFO open for writing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.waiting import eventually


class Lives:
    """A FIFO that processes open for writing.

    Attributes:
        path: Where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def await_end(self) -> None:
        """Until no process has it open."""
        eventually(self._is_at_its_end, "the end of all that had it open")

    def _is_at_its_end(self) -> bool:
        try:
            return os.read(self._reader, 1) == b""
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._reader)


@contextmanager
def lives_in(folder: Path) -> Iterator[Lives]:
    """A FIFO in this folder, for a block."""
    made = Lives(folder / "lives")
    try:
        yield made
    finally:
        made.close()
