"""The search service: the index of a folder, a cache of answers, and the observers that size both.

`size_cache` and `size_index` are observers (`app.py` subscribes them). `old` is None the first time, so the first
configuration is applied in the same way as every later one. Observers run one after the other in a thread of their
own: indexing there holds up no request and no vote.

Guarantees: a search uses the configuration that it is given and no other. No answer is returned that is older than the
time to live in the configuration *of the asking request*, which may be the former version (rejected: storing that time
with the answer). A worker refuses a version in which its index has no room, because files would vanish from the answers
of this worker only.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Hashable
from pathlib import Path
from typing import Any

from confcast.examples.leindex.index import MIB, Hit, TextIndex
from confcast.examples.leindex.schema import MCPConfig

Answer = tuple[Hit, ...]

_ANSWER_BYTES = 4096  # bytes of a stored answer, roughly


class AnswerCache:
    """At most `limit` answers; the least recently used is dropped first. For any thread. Empty until `resize()`."""

    def __init__(self) -> None:
        self.limit = 0
        self._lock = threading.Lock()
        self._stored: OrderedDict[Hashable, tuple[Answer, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._stored)

    def get(self, key: Hashable, ttl_seconds: float) -> Answer | None:
        """The answer that was stored in the last `ttl_seconds`, or None."""
        with self._lock:
            if key not in self._stored or time.monotonic() - self._stored[key][1] >= ttl_seconds:
                return None
            self._stored.move_to_end(key)
            return self._stored[key][0]

    def put(self, key: Hashable, answer: Answer) -> None:
        """Store the answer, as the most recently used."""
        with self._lock:
            self._stored[key] = answer, time.monotonic()
            self._stored.move_to_end(key)
            self._shrink()

    def resize(self, limit: int) -> None:
        """Set the limit, and drop answers until it holds."""
        with self._lock:
            self.limit = limit
            self._shrink()

    def _shrink(self) -> None:
        while len(self._stored) > self.limit:
            self._stored.popitem(last=False)


class SearchService:
    """Answers queries over the text files of a folder, once the observers were called with a configuration."""

    def __init__(self, folder: Path) -> None:
        self.index = TextIndex(folder)
        self.cache = AnswerCache()
        self._veto: str | None = None

    def search(self, query: str, config: MCPConfig, limit: int = 10) -> tuple[Answer, bool]:
        """At most `limit` best matches, and whether they came from the cache. Any thread."""
        key = (self.index.generation, query, limit)  # an answer from before a look is never found again
        if config.performance.cache_enabled:
            stored = self.cache.get(key, config.performance.cache_ttl_seconds)
            if stored is not None:
                return stored, True
        answer = self.index.search(query, limit)
        if config.performance.cache_enabled:
            self.cache.put(key, answer)
        return answer, False

    def size_cache(self, old: MCPConfig | None, new: MCPConfig) -> None:
        """Observer: give the cache what the index leaves below the warning threshold; nothing if the cache is off."""
        below_warning = new.memory.total_budget_mb * new.memory.warning_threshold_percent // 100
        room_mb = max(0, below_warning - new.memory.global_index_mb)
        self.cache.resize(room_mb * MIB // _ANSWER_BYTES if new.performance.cache_enabled else 0)

    def size_index(self, old: MCPConfig | None, new: MCPConfig) -> None:
        """Observer: look at the folder again when the limits of the index have changed."""
        self.index.config = new
        if old is None or _index_limits(old) != _index_limits(new):
            self.index.look()

    def veto_next(self, reason: str) -> None:
        """Refuse the next version that is proposed, whatever its values; for demonstrations and drills."""
        self._veto = reason

    def refuse(self, old: MCPConfig, new: MCPConfig) -> None:
        """Precommit: vote on a new version, before any worker has it. Raises ValueError if this worker refuses it."""
        reason, self._veto = self._veto, None
        held_mb, limit_mb = -(-self.index.used_bytes // MIB), new.memory.global_index_mb
        if reason is None and held_mb > limit_mb:
            reason = f"the index holds {held_mb} MiB and memory.global_index_mb would be {limit_mb}"
        if reason is not None:
            raise ValueError(reason)

    def status(self) -> dict[str, Any]:
        """The present state of the service, as plain data."""
        return {
            "index": {"documents": len(self.index), "used_bytes": self.index.used_bytes},
            "cache": {"answers": len(self.cache), "limit": self.cache.limit},
        }


def _index_limits(config: MCPConfig) -> tuple[int, int]:
    return config.memory.global_index_mb, config.projects.max_file_size
