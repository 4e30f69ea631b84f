"""Clients that ask all the time, and count what fails.

Between two requests each rests for some milliseconds: without a rest, the clients took the processors from the servers
that they ask, which needed longer for the change that the load is about.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from tests.support.waiting import DEADLINE, eventually

_REST = 0.004
"""Seconds between a client's requests."""


class Load:
    """Two threads that ask one after the other, from `with` to its end; which fails if a request did.

    Args:
        ask: One request; raises when it fails.
        clients: How many threads.
    """

    def __init__(self, ask: Callable[[], Any], clients: int = 2) -> None:
        self.answers: list[Any] = []
        self.failed: list[BaseException] = []
        self._ask = ask
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        self.go_on()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(DEADLINE)
            assert not thread.is_alive(), "a request without an answer"
        if kind is None:
            assert self.failed == []

    def go_on(self, requests: int = 20) -> list[Any]:
        """Wait for so many more answers, and give them."""
        before = len(self.answers)
        eventually(lambda: self.failed or len(self.answers) >= before + requests, f"{requests} more answers")
        return self.answers[before:]

    def _run(self) -> None:
        while not self._over.wait(_REST) and not self.failed:
            try:
                self.answers.append(self._ask())
            except BaseException as error:
                self.failed.append(error)
