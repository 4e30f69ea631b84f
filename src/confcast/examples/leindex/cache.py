"""Answers that need not be worked out again: least recently used go first, old ones are never given.

Guarantees: the cache takes at most its limit, by the costs it is told; what is older than the time to live *of the
asking request* is not given, so a request judges by its own configuration even while another version is swapped in.
Safe to use from several threads.

Rejected: storing the time to live with the entry (a shorter one would not hold for what is already there).
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, NamedTuple, TypeVar

V = TypeVar("V")


class _Entry(NamedTuple, Generic[V]):
    value: V
    cost: int
    stored_at: float


class QueryCache(Generic[V]):
    """The cache. It starts with a limit of nothing, and keeps nothing until `resize()`.

    Args:
        clock: Seconds that only go up.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, _Entry[V]] = OrderedDict()
        self._used = 0
        self._limit = 0
        self.hits = 0
        self.misses = 0

    @property
    def used_bytes(self) -> int:
        """The sum of the costs of what is kept."""
        return self._used

    @property
    def limit_bytes(self) -> int:
        """What it may be."""
        return self._limit

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: Hashable, ttl_seconds: float) -> V | None:
        """What was kept under the key in the last `ttl_seconds`, or None."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and self._clock() - entry.stored_at >= ttl_seconds:
                self._drop(key)
                entry = None
            if entry is None:
                self.misses += 1
                return None
            self.hits += 1
            self._entries.move_to_end(key)
            return entry.value

    def put(self, key: Hashable, value: V, cost: int) -> None:
        """Keep the value; `cost` is in bytes. What is larger than the whole cache is not kept."""
        with self._lock:
            if key in self._entries:
                self._drop(key)
            if cost <= self._limit:
                self._entries[key] = _Entry(value, cost, self._clock())
                self._used += cost
                self._shrink()

    def resize(self, limit_bytes: int) -> None:
        """Set the limit; what has not been asked for the longest goes until it is kept."""
        with self._lock:
            self._limit = limit_bytes
            self._shrink()

    def clear(self) -> None:
        """Keep nothing; the limit stays."""
        with self._lock:
            self._entries.clear()
            self._used = 0

    def _shrink(self) -> None:
        while self._used > self._limit:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: Hashable) -> None:
        self._used -= self._entries.pop(key).cost
