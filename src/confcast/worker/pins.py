"""What one request sees: a pin is a cell in a context variable, closed when the request ends.

A context variable gives each thread, each task and each request its own, and tasks that a request starts inherit it.
The cell is what makes the end visible to them: a task that outlives its request finds it closed and reads the newest.
Closing tolerates another context (frameworks run a request's teardown in a copied one). Plain threads,
`run_in_executor` and gevent's greenlets start with an empty context, and see the newest: `contextvars.copy_context()`
hands the pin on to them (as `asyncio.to_thread` and `trio.to_thread` do by themselves), and its end with it.

Rejected: `threading.local` (asyncio), and a context variable that holds the snapshot itself (a background task would
keep its request's version for ever, and a `reset` in another context raises).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Generic, TypeVar

from confcast.worker.snapshot import Snapshot

T = TypeVar("T")


class Cell(Generic[T]):
    """What is pinned; None once the pin is closed."""

    __slots__ = ("snapshot",)

    def __init__(self, snapshot: Snapshot[T]) -> None:
        self.snapshot: Snapshot[T] | None = snapshot


PinVar = ContextVar[Cell[T] | None]


class Pin(Generic[T]):
    """The context manager that `Replica.pin()` gives: enters with the configuration. For one use."""

    __slots__ = ("_cell", "_newest", "_token", "_variable")

    def __init__(self, variable: PinVar[T], snapshot: Snapshot[T], newest: Callable[[], Snapshot[T]]) -> None:
        self._variable = variable
        self._newest = newest
        self._cell = Cell(snapshot)
        self._token: Token[Cell[T] | None] | None = None

    def __enter__(self) -> T:
        snapshot = self._cell.snapshot
        if snapshot is None or self._token is not None:
            raise RuntimeError("a pin is for one use: call pin() again")
        self._token = self._variable.set(self._cell)
        return snapshot.config

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cell.snapshot = None
        if self._token is not None:
            with contextlib.suppress(ValueError):  # closed in another context: the closed cell is enough there
                self._variable.reset(self._token)

    def renew(self) -> None:
        """While it lasts: see the newest version from now on, in every task that has inherited it.

        For what lasts longer than one request, between two of its messages. Once the pin is closed it does nothing.
        """
        if self._cell.snapshot is not None:
            self._cell.snapshot = self._newest()
