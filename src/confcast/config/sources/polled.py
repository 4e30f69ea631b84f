"""What this process knows of sources that have to be asked: a server, a program.

Guaranteed: a load asks anew, and once, though it reads its sources again where one has failed; what an earlier request
answers late never replaces what a later one has found. The sources of a load are asked at the same time, so that it
takes as long as the slowest. A fingerprint asks nobody: it is that of the newest answer. So the watcher compares at
each event of a file, and waits for no network.

How. The answers stand in this module by their source, since a source is data that travels, and that two threads use at
once: the one that loads, and the one that polls (`owner/watch/polling.py`). Rejected: to take an answer that is a
second old for a load (a reload answers for what was there when it was called), and one request at a time (a poll that
hangs would hold a reload).
"""

from __future__ import annotations

import functools
import math
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from confcast.config.schema.key_path import KeyPath
from confcast.config.sources.file import File, Format
from confcast.config.sources.layer import Layer, ValueRefused, fingerprint_of
from confcast.config.sources.one_load import asked_in_load
from confcast.errors import ConfigError, Problem

LONGEST = 86400.0
"""Seconds between two polls at the most."""

NOT_ASKED = fingerprint_of(b"confcast: was not asked yet")

_MOST = 256  # sources whose answers are kept
_SPREAD = 0.1  # of the time between two polls: what starts together does not ask together for ever


@dataclass(frozen=True)
class Told:
    """What one request has found. Never changes.

    Attributes:
        fingerprint: 16 bytes, that equal answers have in common.
        layer: Gives the content, each time as a layer of its own; None if there is a fault.
        problem: The fault; None if there is none.
        reason: The fault's kind, as a `ConfigError` has it.
        path: The keys of the value that the fault is about; empty if it is about the whole.
        content: What came, parsed or not; empty if it was nothing.
        pause: Seconds for which the one who was asked does not want to be asked again.
    """

    fingerprint: bytes
    layer: Callable[[], Layer] | None = None
    problem: Problem | None = None
    reason: str = "validation_failed"
    path: KeyPath = ()
    content: bytes = field(default=b"", repr=False)
    pause: float = 0.0

    def given(self) -> Layer:
        """The layer. Raises ConfigError for a fault."""
        if self.layer is not None:
            return self.layer()
        assert self.problem is not None
        if self.path:
            raise ValueRefused(self.problem, self.path)
        raise ConfigError([self.problem], self.reason)


A = TypeVar("A", bound=Told)


@dataclass
class _Record:
    newest: Any = None
    of: int = 0  # the number of the request that has found it
    requests: int = 0
    due: float = field(default_factory=time.monotonic)


_records: OrderedDict[Hashable, _Record] = OrderedDict()
_lock = threading.Lock()


def ask(source: Hashable, every: float, how: Callable[[A | None], A]) -> A:
    """Ask a source for a load.

    Args:
        source: The source.
        every: Seconds from this request to the next poll.
        how: Asks; gets what was known before. What it raises is raised.
    """
    found = asked_in_load.get()
    if found is None:
        return asked(source, every, how)
    if source not in found:
        found[source] = Future()
        _fill(found[source], lambda: asked(source, every, how))
    return found[source].result()  # type: ignore[no-any-return]  # of the same source


def ask_together(sources: Iterable[Any]) -> None:
    """Begin to ask these sources, each in a thread of its own, if that saves time; `ask` waits for the answer."""
    found = asked_in_load.get()
    if found is None:
        return
    several = [each for each in dict.fromkeys(filter(_is_asked, sources)) if each not in found]
    for source in several if len(several) > 1 else ():
        future = Future[Any]()
        ask_it = threading.Thread(target=_fill, args=(future, source._asked_now), name="confcast-ask", daemon=True)
        try:
            ask_it.start()
        except RuntimeError:  # `ask` does it in its own thread
            continue
        found[source] = future


def poll(source: Hashable, every: float, how: Callable[[A | None], A]) -> float:
    """Ask a source if it is time, and return the seconds until the next poll. Arguments and errors as of `ask`.

    The first poll of a source comes `every` seconds after it is first spoken of: the load of a start asks, too.
    """
    with _lock:
        known = source in _records
        record = _record(source)
        if not known:
            record.due = _next(every)
        left = record.due - time.monotonic()
    if left <= 0:
        asked(source, every, how)
        left = record.due - time.monotonic()
    return max(left, 0.0)


def newest(source: Hashable) -> Any:
    """What the newest request has found, or that of the load that this thread is in; None before the first one."""
    found = asked_in_load.get() or {}
    if source in found:
        return found[source].result()
    with _lock:
        record = _records.get(source)
        return None if record is None else record.newest


def stale() -> list[str]:
    """A sentence for each source of this process that gives no answer, while what it gave before is used."""
    with _lock:
        known: list[Any] = list(_records)
    return [text for source in known if (text := getattr(source, "stale", str)())]


def stale_kinds() -> Iterator[tuple[str, bool]]:
    """The kind of each source of this process that is asked, and whether it gives no answer, as `stale` says."""
    with _lock:
        known: list[Any] = list(_records)
    return ((type(source).__name__, bool(getattr(source, "stale", str)())) for source in known)


def text_called(source: Any, shown: str) -> bytes | None:
    """What the newest request has brought, for the lines that a message names; None if the source is not called so."""
    told: Told | None = newest(source) if source.shown == shown else None
    return told.content if told is not None and told.content else None


def fingerprint(source: Hashable) -> bytes:
    """The fingerprint of what is known of a source now."""
    told = newest(source)
    return NOT_ASKED if told is None else bytes(told.fingerprint)


class _Content:
    """A content that can be parsed, as a file with it would be.

    Each call gives a layer with data of its own: a validator of the user's may change what it is given, and an answer
    is used by several loads. Raises ConfigError as `File.read` does.
    """

    def __init__(self, content: bytes, file: File, mark: bytes) -> None:
        self._content, self._file, self._mark = content, file, mark
        self._first = [self._layer()]

    def __call__(self) -> Layer:
        try:
            return self._first.pop()
        except IndexError:
            return self._layer()

    def _layer(self) -> Layer:
        layer = self._file._layer_of(self._content)
        layer.fingerprint, layer._filled_by = self._mark, ""
        return layer


def mark_of(content: bytes, form: Format) -> bytes:
    """The fingerprint of a content in a format."""
    return fingerprint_of(form.encode() + b"\0" + content)


@functools.lru_cache(maxsize=32)
def _file(form: Format, shown: str, allow_empty: bool) -> File:
    """What parses the contents of one source; to make it takes as long as to parse a small one."""
    return File("content", format=form, shown=shown, allow_empty=allow_empty)


def parsed(content: bytes, form: Format, shown: str, *, allow_empty: bool) -> Told:
    """A content as an answer, also if it can't be parsed."""
    mark = mark_of(content, form)
    try:
        file = _file(form, shown, allow_empty)
        return Told(mark, _Content(content, file, mark), content=content)
    except ConfigError as error:
        path = error.path if isinstance(error, ValueRefused) else ()
        return Told(mark, None, error.problems[0], error.reason, path, content)


def fault(text: str, shown: str, *, reason: str = "io_error", same: str = "") -> Told:
    """A fault as an answer; `same`: what faults have in common that count as the same."""
    return Told(fingerprint_of(f"confcast: {same or text}".encode()), None, Problem("", text, shown), reason)


def checked_seconds(name: str, value: Any, most: float) -> None:
    """Check a source's option. Raises ValueError."""
    if type(value) not in (int, float) or not 0 < value <= most or math.isnan(value):
        raise ValueError(f"{name}={value!r}: a number of seconds above 0, and at most {most:g}, is expected")


def _is_asked(source: Any) -> bool:
    return hasattr(source, "_asked_now")


def _fill(future: Future[Any], how: Callable[[], Any]) -> None:
    try:
        future.set_result(how())
    except BaseException as error:  # whoever waits for it gets it
        future.set_exception(error)


def asked(source: Hashable, every: float, how: Callable[[A | None], A]) -> A:
    """Ask a source, whatever the load that this thread is in has asked already. Arguments and errors as of `ask`."""
    with _lock:
        record = _record(source)
        record.requests += 1
        number, before = record.requests, record.newest
        record.due = _next(every)  # a request beside this one need not be followed by a poll at once
    told = how(before)
    with _lock:
        if number > record.of:  # no later request has answered
            record.newest, record.of = told, number
        record.due = max(_next(every), time.monotonic() + told.pause)
    return told


def _record(source: Hashable) -> _Record:
    """The record of a source, the one that was used last from now on. Under the lock."""
    record = _records.setdefault(source, _Record())
    _records.move_to_end(source)
    while len(_records) > _MOST:
        _records.popitem(last=False)
    return record


def _next(every: float) -> float:
    return time.monotonic() + every * random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311 - no secret
