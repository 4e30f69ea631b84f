"""The search service: an index of a folder, a cache of answers, and the components that size them.

Guarantees: a search uses the configuration that it is given and no other. `refuse()` is the service's vote on a new
version: a worker does not go along with one that its index has no room in, because documents would vanish from its
answers, and from its answers only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from confcast.examples.leindex.cache import QueryCache
from confcast.examples.leindex.components import MIB, GlobalIndex, MemoryProfiler, PerformanceMonitor
from confcast.examples.leindex.index import Hit, TextIndex
from confcast.examples.leindex.pool import WorkerPool
from confcast.examples.leindex.schema import MCPConfig

_ENTRY_BYTES = 400
_HIT_BYTES = 200
"""What a kept answer, and each hit in it, take beside the text of their names; rounded up."""

Answer = tuple[Hit, ...]


class SearchService:
    """Answers queries over the text files of a folder. Its components have to be given a configuration first.

    Args:
        folder: Whose text files are indexed; its subfolders too.
    """

    def __init__(self, folder: Path) -> None:
        self.index = TextIndex()
        self.cache: QueryCache[Answer] = QueryCache()
        self.pool = WorkerPool()
        self.memory_profiler = MemoryProfiler(self.cache)
        self.performance_monitor = PerformanceMonitor(self.pool, self.cache)
        self.global_index = GlobalIndex(self.index, self.pool, folder)
        self._veto: str | None = None

    def search(self, query: str, config: MCPConfig, limit: int = 10) -> tuple[Answer, bool]:
        """The best matches, so many at most, and whether they came from the cache."""
        if not config.performance.cache_enabled:
            return self.index.search(query, limit), False
        key = (self.index.generation, query, limit)  # an answer from before a change of the index is never found again
        kept = self.cache.get(key, config.performance.cache_ttl_seconds)
        if kept is not None:
            return kept, True
        answer = self.index.search(query, limit)
        self.cache.put(key, answer, _cost(query, answer))
        self.memory_profiler.check(config.memory)
        return answer, False

    def veto_next(self, reason: str) -> None:
        """Refuse the next version that is proposed, whatever it says; for demonstrations and drills."""
        self._veto = reason

    def refuse(self, old: MCPConfig, new: MCPConfig) -> None:
        """Vote on a new version, before any worker has it.

        Raises:
            ValueError: This worker can't go along with it, and why.
        """
        reason, self._veto = self._veto, None
        if reason is not None:
            raise ValueError(reason)
        held_mb = -(-self.index.used_bytes // MIB)
        if held_mb > new.memory.global_index_mb:
            raise ValueError(
                f"the index holds {held_mb} MiB and memory.global_index_mb would be {new.memory.global_index_mb}: "
                "remove documents first, or leave more room"
            )

    def status(self, config: MCPConfig) -> dict[str, Any]:
        """What the service holds at the moment, as plain data."""
        return {
            "index": {
                "ready": self.global_index.ready.is_set(),
                "documents": len(self.index),
                "used_bytes": self.index.used_bytes,
                "limit_bytes": self.index.limit_bytes,
            },
            "cache": {
                "answers": len(self.cache),
                "used_bytes": self.cache.used_bytes,
                "limit_bytes": self.cache.limit_bytes,
                "hits": self.cache.hits,
                "misses": self.cache.misses,
            },
            "file_readers": self.pool.workers,
            "batch_size": self.pool.batch_size,
            "memory": self.memory_profiler.check(config.memory),
        }


def _cost(query: str, answer: Answer) -> int:
    return _ENTRY_BYTES + len(query) + sum(_HIT_BYTES + len(hit.name) for hit in answer)
