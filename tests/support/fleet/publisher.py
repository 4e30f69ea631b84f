"""Publishes as the command line does, step by step, from a thread that has no loop, over a connection that is kept."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, Self, TypeVar

from confcast.fleet import reports
from confcast.fleet.engines import connect
from confcast.fleet.engines.access import Access
from confcast.fleet.engines.engine import EngineError, Store
from confcast.fleet.head import Head, decode, digest_of, encode
from confcast.fleet.reports import Entry, Report

T = TypeVar("T")


class Published(NamedTuple):
    """A head that was published.

    Attributes:
        head: The head.
        before: By CLOCK_MONOTONIC in nanoseconds, when the call began that published it; its payload was there.
        after: When that call had returned.
    """

    head: Head
    before: int
    after: int


class Publisher:
    """Publishes one key, from `with` to its end.

    Args:
        access: The engine.
        key: The key.
    """

    def __init__(self, access: Access, key: str) -> None:
        self._access, self._key = access, key
        self._runner = asyncio.Runner()
        self._store: Store | None = None
        self._rev = 0

    def force(self, payload: bytes) -> Published:
        """Have all hosts load this payload, at once."""
        self._rev += 1
        self.put(payload)
        return self.swap(Head(digest_of(payload), salt=f"r{self._rev}", rev=self._rev, by="a test", why="a test"))

    def put(self, payload: bytes) -> str:
        """Write a payload; its digest."""
        digest = digest_of(payload)
        self._do(lambda store: store.put_payload(digest, payload))
        return digest

    def swap(self, head: Head) -> Published:
        """Put this head in the place of the present one."""
        old = self._do(lambda store: store.head())
        entry = reports.encode(Entry("force", head))
        before = time.monotonic_ns()
        assert self._do(lambda store: store.swap(old, encode(head), entry)), "somebody else has published"
        return Published(head, before, time.monotonic_ns())

    def head(self) -> Head:
        """The present one."""
        content = self._do(lambda store: store.head())
        assert content is not None
        return decode(content)

    def heads(self) -> list[Head]:
        """All that were ever published, newest first."""
        return [reports.decode_entry(each).head for each in self._do(lambda store: store.entries(1000))]

    def reports(self) -> dict[str, Report]:
        """What each host says."""
        found = self._do(lambda store: store.reports())
        each = [seen for record, age in found for seen in reports.decode_reports(record, age)]
        return {seen.report.host: seen.report for seen in each}

    def __enter__(self) -> Self:
        self._runner.__enter__()
        return self

    def __exit__(self, *about: object) -> None:
        if self._store is not None:
            self._runner.run(self._store.close())
        self._runner.__exit__(*about)  # type: ignore[arg-type]

    def _do(self, what: Callable[[Store], Coroutine[Any, Any, T]]) -> T:
        """Do it on the connection that is there, and on a new one if that was lost."""
        store = self._store
        if store is not None:
            try:
                return self._runner.run(what(store))
            except EngineError:
                self._store = None
                self._runner.run(store.close())
        self._store = self._runner.run(connect(self._access, self._key))
        return self._runner.run(what(self._store))
