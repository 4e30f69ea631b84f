"""Ends of processes on a selector that the test turns, and what of them was told."""

from __future__ import annotations

import selectors

from confcast.owner.loop.exit_watch import ExitWatch


class Exits:
    """An `ExitWatch` without a loop of its own.

    Attributes:
        told: The reason of each end, in words; empty for one that speaks against nothing.
    """

    def __init__(self) -> None:
        self.told: list[str] = []
        self.selector = selectors.DefaultSelector()
        self.watch = ExitWatch(self.selector)

    def await_end(self, pid: int) -> bool:
        """Have the end of a process told."""
        return self.watch.watch(pid, self.told.append)

    def turn(self, timeout: float = 10.0) -> None:
        """Tell what has come, or comes within so many seconds."""
        for key, mask in self.selector.select(timeout):
            key.data(mask)

    def close(self) -> None:
        """Forget all; nothing is watched any more."""
        self.watch.close()
        assert not self.selector.get_map()
        self.selector.close()
