"""The three parts of the service that follow the configuration while it runs.

Each has an `update_config(old, new)` that is subscribed as an observer (see `app.py`); `old` is None the first time,
so a component is also *born* by its first configuration, and there is one way to size it instead of two.

- `MemoryProfiler` sizes the cache, and watches the process's memory against the three thresholds.
- `PerformanceMonitor` sizes the pool of threads and empties a cache that was switched off.
- `GlobalIndex` sizes the index and keeps it in step with the folder.

Observers run one after the other in a thread of their own: indexing there holds up no request and no vote.
"""

from __future__ import annotations

import logging
import resource
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

from confcast.examples.leindex.cache import QueryCache
from confcast.examples.leindex.crawl import parse, scan
from confcast.examples.leindex.index import TextIndex
from confcast.examples.leindex.pool import WorkerPool
from confcast.examples.leindex.schema import MCPConfig, MemoryConfig, PerformanceConfig

MIB = 1024 * 1024
Level = Literal["normal", "warning", "prompt", "emergency"]
_log = logging.getLogger("confcast.examples.leindex")


def resident_bytes() -> int:
    """What this process takes of the machine's memory (where there is no /proc: the most it ever took)."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except FileNotFoundError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * resource.getpagesize()


class MemoryProfiler:
    """Gives the cache what the index leaves below the warning threshold, and empties it in an emergency.

    Args:
        cache: The cache to size.
        measure: The bytes that the process takes now.
    """

    def __init__(self, cache: QueryCache[Any], measure: Callable[[], int] = resident_bytes) -> None:
        self._cache = cache
        self._measure = measure
        self._level: Level = "normal"

    def update_config(self, old: MemoryConfig | None, new: MemoryConfig) -> None:
        """Size the cache for this budget."""
        below_warning = new.total_budget_mb * MIB * new.warning_threshold_percent // 100
        self._cache.resize(max(0, below_warning - new.global_index_mb * MIB))
        _log.info("cache: at most %d MiB", self._cache.limit_bytes // MIB)

    def check(self, memory: MemoryConfig) -> Level:
        """Where the process stands against the thresholds; at `emergency` the cache is emptied."""
        level = _level(100 * self._measure() / (memory.total_budget_mb * MIB), memory)
        if level == "emergency":
            self._cache.clear()
        if level not in (self._level, "normal"):
            _log.warning("memory: %s threshold of %d MiB passed", level, memory.total_budget_mb)
        self._level = level
        return level


def _level(percent: float, memory: MemoryConfig) -> Level:
    if percent >= memory.emergency_threshold_percent:
        return "emergency"
    if percent >= memory.prompt_threshold_percent:
        return "prompt"
    return "warning" if percent >= memory.warning_threshold_percent else "normal"


class PerformanceMonitor:
    """Sizes the pool of threads that read files, and frees a cache that was switched off."""

    def __init__(self, pool: WorkerPool, cache: QueryCache[Any]) -> None:
        self._pool = pool
        self._cache = cache

    def update_config(self, old: PerformanceConfig | None, new: PerformanceConfig) -> None:
        """Take as many threads and batches of the size that it says. Waits for no work that is under way."""
        self._pool.resize(new.parallel_workers, new.batch_size)
        if not new.cache_enabled:
            self._cache.clear()
        _log.info("file readers: %d, in batches of %d", new.parallel_workers, new.batch_size)


class Refreshed(NamedTuple):
    """What a look at the folder changed; `left_out` are files that there was no room for or that are no text."""

    indexed: int
    removed: int
    left_out: int


class GlobalIndex:
    """Keeps the index in step with a folder, within the configured memory and file size.

    Args:
        index: The index to size and fill.
        pool: The threads that read the files.
        folder: Whose text files are indexed; its subfolders too.
    """

    def __init__(self, index: TextIndex, pool: WorkerPool, folder: Path) -> None:
        self._index = index
        self._pool = pool
        self._folder = folder
        self._max_file_size = 0
        self._refreshing = threading.Lock()
        self.ready = threading.Event()

    def update_config(self, old: MCPConfig | None, new: MCPConfig) -> None:
        """Size the index; look at the folder again when that may let more files in, or less."""
        evicted = self._index.resize(new.memory.global_index_mb * MIB)
        if evicted:
            _log.warning("index: %d documents dropped, to keep within %d MiB", len(evicted), new.memory.global_index_mb)
        self._max_file_size = new.projects.max_file_size
        if old is None or _limits(old) != _limits(new):
            self.refresh()

    def refresh(self) -> Refreshed:
        """Look at the folder: read what is new or changed, forget what is gone. One look at a time."""
        with self._refreshing:
            found = scan(self._folder, self._max_file_size)
            held = self._index.stamps()
            gone = held.keys() - found.keys()
            for name in gone:
                self._index.remove(name)
            changed = [file for file in found.values() if held.get(file.name) != file.stamp]
            parsed = self._pool.map(partial(parse, self._folder), changed)
            indexed = sum(document is not None and self._index.put(document) for document in parsed)
            self.ready.set()
        done = Refreshed(indexed, len(gone), len(changed) - indexed)
        _log.info("index: %d files read, %d forgotten, %d left out", *done)
        return done


def _limits(config: MCPConfig) -> tuple[int, int]:
    return config.memory.global_index_mb, config.projects.max_file_size
