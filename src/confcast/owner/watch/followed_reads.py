"""What each load has read of the sources with a `follow()`, and whether a load is due since one of them has changed.

Guarantees. What a source calls a change leads to a load at once, unless a load has read just that content already,
whatever came of it; a load that is reading meanwhile is waited for, since it may read the new content. What a load has
read can be asked for by the load's number, also if the load was given up, or failed at another source.

How. A source that says what it has with `content_fingerprint()` is compared with what the last load read of it alone,
so a file that is being written is not looked at. One that does not say is left to the watcher, which reads it, and so
limits how often that happens. For any thread.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from confcast.config.loader import ConfigLoader
from confcast.config.source_set import follows, indexed
from confcast.config.sources.one_load import takes_what_is_known
from confcast.log_fields import about
from confcast.owner.core.effects import Load

_log = logging.getLogger("confcast.watch")

Contents = Mapping[int, bytes]
"""Fingerprints of the contents of sources that follow, by their index from the end of the loader's sources."""

_MOST = 16  # loads whose contents are kept: a load's event comes before the next one begins, or shortly afterwards


class Read(NamedTuple):
    """What one load has read.

    Attributes:
        contents: Of each source that follows, and could be read.
        counts: Whether the load was of the sources alone: if it fails, nothing that a person has set is to blame.
    """

    contents: Contents = MappingProxyType({})
    counts: bool = False


class FollowedReads:
    """The contents of followed sources in the loads of one owner.

    Args:
        loader: Its loads are meant.
        load: Requests a load. Called in any thread; must only post a message.
        look: Has the watcher compare the content of all sources soon.

    Attributes:
        sources: The sources that follow, by their index from the end.
        latest: The number of the latest load of the sources alone that has read them.
        is_due: Whether a load was requested here, and has not read the sources yet.
    """

    def __init__(self, loader: ConfigLoader[Any], load: Callable[[], None], look: Callable[[], None]) -> None:
        self.sources: dict[int, Any] = {index: each for index, each in indexed(loader.sources) if follows(each)}
        self._loader, self._load, self._look = loader, load, look
        self._lock = threading.Lock()
        self._reads: OrderedDict[int, Read] = OrderedDict()
        self._attempted: dict[int, bytes] = {}
        self._requested: dict[int, bytes] = {}  # what a load was requested for that has not begun
        self._is_read_anyway = True  # a load reads them now, or, before the first one, will
        self.latest = 0
        self.is_due = False
        self._changed = set[int]()  # sources that have changed while a load was reading

    def of(self, load: int) -> Read:
        """What the load of this number has read; nothing if it has read nothing, or is forgotten."""
        with self._lock:
            return self._reads.get(load, Read())

    @contextlib.contextmanager
    def during(self, order: Load) -> Iterator[None]:
        """Note what is read in this block, which reads the sources for a load. In the thread that loads."""
        if not self.sources or order.dry or order.rebuild:
            yield
            return
        self._loader._set_of_sources.followed = {}
        at_first = self._known()
        self._begin(order, at_first)
        token = takes_what_is_known.set(not order.insist)
        try:
            yield
        finally:
            takes_what_is_known.reset(token)
            self._end(order, at_first)

    def changed(self, index: int) -> None:
        """Have what this source gives now loaded, unless that was tried already. Never raises."""
        with self._lock:
            if self._is_read_anyway:
                self._changed.add(index)
                return
        self._compare(index)

    # ---- a load's beginning and end

    def _begin(self, order: Load, at_first: Contents) -> None:
        counts = order.edit is None
        with self._lock:
            self._reads[order.number] = Read(at_first, counts)
            if len(self._reads) > _MOST:
                self._reads.popitem(last=False)
            self._requested.clear()
            self._is_read_anyway = True

    def _end(self, order: Load, at_first: Contents) -> None:
        read, now = self._loader._set_of_sources.followed, self._known()
        # A source that could not be read has what it had before and after that; if it has changed meanwhile, another
        # load follows, and tells.
        unread = {index: each for index, each in at_first.items() if index not in read and now.get(index) == each}
        with self._lock:
            contents = {**unread, **read}
            self._reads[order.number] = Read(contents, counts=order.edit is None)
            if order.edit is None:
                self._attempted, self.latest = contents, order.number
            self._is_read_anyway = self.is_due = False
            waiting, self._changed = self._changed, set()
        for index in waiting:
            self._compare(index)

    # ---- what sources have now

    def _compare(self, index: int) -> None:
        source = self.sources[index]
        if not _says_what_it_has(source):
            self._look()
            return
        now = _content_of(source)
        with self._lock:
            tried = now is not None and now in (self._attempted.get(index), self._requested.get(index))
            if not tried and now is not None:
                self._requested[index] = now
            self.is_due |= not tried
        if not tried:
            self._load()

    def _known(self) -> dict[int, bytes]:
        """What the sources say that they have, of those that say it."""
        found = {index: _content_of(each) for index, each in self.sources.items() if _says_what_it_has(each)}
        return {index: each for index, each in found.items() if each is not None}


def _says_what_it_has(source: Any) -> bool:
    return callable(getattr(source, "content_fingerprint", None))


def _content_of(source: Any) -> bytes | None:
    """The fingerprint of what a source has now; None if it raises."""
    try:
        return bytes(source.content_fingerprint())
    except (Exception, SystemExit) as error:
        _log.debug(
            "no fingerprint of %s: %s",
            type(source).__name__,
            type(error).__name__,
            extra=about("no_fingerprint", source=type(source).__name__),
        )
        return None
