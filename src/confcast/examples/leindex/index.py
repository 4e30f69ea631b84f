"""The index of a folder's text files: it is in memory, and replaced as a whole by each look at the folder.

Guarantees: a look reads regular files only (no links, no hidden names), up to the configured size, and only text: UTF-8
without a NUL byte. A file or folder that can't be read is logged and left out. The index takes at most its limit, by
its own estimate; a file is in it whole or not at all. Safe to use from several threads.

Rejected: an index that is changed file by file (an example of configuration needs no more than a look at the folder).
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from confcast.examples.leindex.schema import MCPConfig

MIB = 1024 * 1024
WORD_BYTES = 160  # bytes for each different word of a file, measured with tracemalloc on CPython 3.11, rounded up

_log = logging.getLogger("confcast.examples.leindex")


class Hit(NamedTuple):
    """One file that matches; a higher score is a better match."""

    name: str
    score: float


class Looked(NamedTuple):
    """The result of a look at the folder; `left_out` counts files that are too large, no text, or have no room."""

    indexed: int
    left_out: int


class TextIndex:
    """The index of one folder and its subfolders, empty before the first look.

    Attributes:
        config: The configuration whose limits a look keeps: the newest, whichever version the request has.
        used_bytes: The bytes that the index takes, by its own estimate.
        generation: How many looks there were: a cached answer is valid as long as this number stays.
    """

    def __init__(self, folder: Path) -> None:
        self.config = MCPConfig()
        self.used_bytes = 0
        self.generation = 0
        self._folder = folder
        self._files: dict[str, Counter[str]] = {}
        self._looking = threading.Lock()

    def __len__(self) -> int:
        return len(self._files)

    def look(self) -> Looked:
        """Read the folder anew. One look runs at a time."""
        with self._looking:
            config = self.config
            paths = list(_regular_files(self._folder))
            files, used = {}, 0
            for path, words in zip(paths, _read_all(paths, config), strict=True):
                cost = WORD_BYTES * len(words or ())
                if words is not None and used + cost <= config.memory.global_index_mb * MIB:
                    files[path.relative_to(self._folder).as_posix()] = words
                    used += cost
            self._files, self.used_bytes = files, used
            self.generation += 1  # set last: an answer from the old files must not be kept under the new number
        looked = Looked(len(files), len(paths) - len(files))
        _log.info("index: %d files, %d left out", *looked)
        return looked

    def search(self, query: str, limit: int) -> tuple[Hit, ...]:
        """The files in which the query's words are most frequent, best first, equal ones by name."""
        asked = set(_words(query))
        files = [(name, words) for name, words in self._files.items() if asked & words.keys()]
        hits = [Hit(name, sum(words[word] for word in asked) / words.total()) for name, words in files]
        return tuple(sorted(hits, key=lambda hit: (-hit.score, hit.name))[:limit])


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _regular_files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder, onerror=_log_left_out):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in (Path(place, name) for name in sorted(names) if not name.startswith(".")):
            if path.is_file() and not path.is_symlink():
                yield path


def _read_all(paths: list[Path], config: MCPConfig) -> Iterator[Counter[str] | None]:
    size, max_bytes = config.performance.batch_size, config.projects.max_file_size
    batches = [paths[start : start + size] for start in range(0, len(paths), size)]
    with ThreadPoolExecutor(config.performance.parallel_workers) as readers:
        for read in readers.map(lambda batch: [_read(path, max_bytes) for path in batch], batches):
            yield from read


def _read(path: Path, max_bytes: int) -> Counter[str] | None:
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes + 1)
        return None if len(content) > max_bytes or b"\0" in content else Counter(_words(content.decode()))
    except UnicodeDecodeError:
        return None
    except OSError as error:
        _log_left_out(error)
        return None


def _log_left_out(error: OSError) -> None:
    _log.warning("left out of the index: %s", error)
