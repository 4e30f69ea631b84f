"""An inverted index in memory: words to documents, ranked, and never larger than it is told.

Guarantees: after each call the index takes at most `limit_bytes`, by its own account (`cost`); a document is in it
whole or not at all. When there is no room a *new* document is left out; when the limit is lowered the documents that
no query has found for the longest time go first. Safe to use from several threads.

Rejected: making room for a new document by dropping an old one. The old file is still in the folder, so the next
look would index it again and drop another, for ever.
"""

from __future__ import annotations

import math
import re
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Mapping
from typing import NamedTuple

DOCUMENT_BYTES = 1000
POSTING_BYTES = 160
"""What a document, and each different word in it, take; measured with tracemalloc on CPython 3.11, rounded up."""

_SATURATION = 1.5
_LENGTH_WEIGHT = 0.75
_WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """The words of a text, in order, as they are compared."""
    return _WORD.findall(text.casefold())


class Stamp(NamedTuple):
    """What tells that a file is still the one that was indexed."""

    modified_ns: int
    size: int


class Document(NamedTuple):
    """A file as the index takes it: its name, its stamp, and how often each word occurs."""

    name: str
    stamp: Stamp
    counts: Mapping[str, int]

    @property
    def cost(self) -> int:
        """What it will take in the index, in bytes."""
        return DOCUMENT_BYTES + POSTING_BYTES * len(self.counts)


class Hit(NamedTuple):
    """One found document; a greater score is a better match."""

    name: str
    score: float


class TextIndex:
    """The index. It starts with a limit of nothing, and holds nothing until `resize()`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._documents: OrderedDict[str, Document] = OrderedDict()  # the longest unfound first
        self._lengths: dict[str, int] = {}
        self._total_length = 0
        self._postings: dict[str, dict[str, int]] = {}
        self._used = 0
        self._limit = 0
        self._generation = 0

    @property
    def used_bytes(self) -> int:
        """What the index takes, by its own account."""
        return self._used

    @property
    def limit_bytes(self) -> int:
        """What it may take."""
        return self._limit

    @property
    def generation(self) -> int:
        """Counted up with every change of content: an answer is worth keeping while it stands."""
        return self._generation

    def __len__(self) -> int:
        return len(self._documents)

    def stamps(self) -> dict[str, Stamp]:
        """The documents in the index, and which state of the file each one is."""
        with self._lock:
            return {name: document.stamp for name, document in self._documents.items()}

    def resize(self, limit_bytes: int) -> list[str]:
        """Set the limit, and return the names of the documents that had to go for it."""
        with self._lock:
            self._limit = limit_bytes
            evicted = []
            while self._used > limit_bytes:
                name = next(iter(self._documents))
                self._drop(name)
                evicted.append(name)
            return evicted

    def put(self, document: Document) -> bool:
        """Add the document, in place of an older one of its name. False when there is no room: neither is kept."""
        with self._lock:
            if document.name in self._documents:
                self._drop(document.name)
            if self._used + document.cost > self._limit:
                return False
            self._add(document)
            return True

    def remove(self, name: str) -> None:
        """Forget a document; nothing happens when it isn't there."""
        with self._lock:
            if name in self._documents:
                self._drop(name)

    def search(self, query: str, limit: int = 10) -> tuple[Hit, ...]:
        """The best matches for any of the query's words, best first (Okapi BM25; equal scores by name)."""
        with self._lock:
            scores: defaultdict[str, float] = defaultdict(float)
            for word in set(words(query)):
                self._score(word, scores)
            hits = sorted((Hit(name, score) for name, score in scores.items()), key=lambda hit: (-hit.score, hit.name))
            for hit in reversed(hits[:limit]):
                self._documents.move_to_end(hit.name)
            return tuple(hits[:limit])

    def _score(self, word: str, scores: defaultdict[str, float]) -> None:
        found = self._postings.get(word, {})
        rarity = math.log(1 + (len(self._documents) - len(found) + 0.5) / (len(found) + 0.5))
        mean_length = self._total_length / max(1, len(self._documents))
        for name, count in found.items():
            relative = self._lengths[name] / mean_length
            weight = _SATURATION * (1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * relative)
            scores[name] += rarity * count * (_SATURATION + 1) / (count + weight)

    def _add(self, document: Document) -> None:
        self._documents[document.name] = document
        self._lengths[document.name] = sum(document.counts.values())
        self._total_length += self._lengths[document.name]
        self._used += document.cost
        self._generation += 1
        for word, count in document.counts.items():
            self._postings.setdefault(word, {})[document.name] = count

    def _drop(self, name: str) -> None:
        document = self._documents.pop(name)
        self._total_length -= self._lengths.pop(name)
        self._used -= document.cost
        self._generation += 1
        for word in document.counts:
            del self._postings[word][name]
            if not self._postings[word]:
                del self._postings[word]
