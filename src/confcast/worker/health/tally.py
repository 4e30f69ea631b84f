"""Counts the requests that end on one version. A snapshot has its tally from its beginning, so nothing is looked up.

The counts are exact, though threads share a tally and no lock is taken: CPython lets another thread run at the
beginning of a function, at a call and at the end of a loop, and `tally.answered += 1` has none of these between its
read and its write (3.11 to 3.14). Where an interpreter has no global lock, `Pin` calls `add`, which takes one.

Rejected: `itertools.count` (three times as slow, and not exact without a global lock either), a cell for each thread (a
server that starts a thread, or a greenlet, for each request would leave as many cells), and a lock always.
"""

from __future__ import annotations

import sys
import threading

IS_FREE_THREADED = not getattr(sys, "_is_gil_enabled", lambda: True)()
"""Whether this interpreter runs without a global lock; one that it takes later does no harm."""

_lock = threading.Lock()


def renew_lock() -> None:
    """Replace the lock in a forked child: a thread that counts just then exists in the parent only."""
    global _lock
    _lock = threading.Lock()


class Tally:
    """How many requests have ended that were pinned to one version. Each of the three only grows.

    Attributes:
        answered: All of them.
        failed: Those with a status of 500 or more, or whose application let an exception through.
        entities: Those that named an entity.
    """

    answered = 0
    failed = 0
    entities = 0

    def add(self, failed: bool, names_entity: bool = False) -> None:
        """Count one request, under a lock."""
        with _lock:
            self.answered += 1
            self.failed += failed
            self.entities += names_entity
