"""Asking the config owner from outside the server: what became of each load, and who it is.

Guarantees: events come in the order in which they happened, each once; the owner may die and return meanwhile.
A client has no vote and holds nothing up.
"""

from __future__ import annotations

import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from confcast import OwnerUnavailable, ReloadEvent
from confcast.worker.client.connection_per_call import Client

_POLL_SECONDS = 0.005


class Outcome(NamedTuple):
    """An event, and the moment of CLOCK_MONOTONIC at which it was known here: a barrier, when it is a success."""

    event: ReloadEvent
    known_at: float


def owner_address(runtime: Path) -> Path:
    """The owner's control socket, somewhere under the run-time folder.

    Raises:
        FileNotFoundError: There is none.
    """
    for path in sorted(runtime.rglob("*")):
        if stat.S_ISSOCK(path.lstat().st_mode):
            return path
    raise FileNotFoundError(f"no control socket under {runtime}: is the server running?")


class Owner:
    """The config owner, from outside.

    `initialize_reload_manager()` would be the public way; it attaches a replica, and this process would be one more
    that every reload waits for.

    Args:
        runtime: The server's run-time folder.
    """

    def __init__(self, runtime: Path) -> None:
        self.address = owner_address(runtime)
        self.outcomes: list[Outcome] = []
        self._client = Client(str(self.address), "app")
        self.poll()

    @property
    def pid(self) -> int:
        """Its process. Raises OwnerUnavailable."""
        pid: int = self._client.get_stats()["owner_pid"]
        return pid

    def poll(self) -> list[Outcome]:
        """What has happened since the last time, oldest first; nothing while no owner answers."""
        try:
            history = self._client.get_event_history()
        except OwnerUnavailable:
            return []
        now = time.monotonic()
        last = self.outcomes[-1].event.timestamp if self.outcomes else 0.0
        news = [Outcome(event, now) for event in reversed(history) if event.timestamp > last]
        self.outcomes += news
        return news

    def wait(self, accept: Callable[[ReloadEvent], bool], since: int, seconds: float = 10.0) -> Outcome | None:
        """The first accepted of `outcomes[since:]`, those to come included; None when there was none in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.poll()
            for outcome in self.outcomes[since:]:
                if accept(outcome.event):
                    return outcome
            time.sleep(_POLL_SECONDS)
        return None
