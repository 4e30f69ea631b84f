"""A pin gives one request one version: it is a cell in a context variable, emptied when the request ends.

Each thread, task and request has its own value of a context variable, and tasks that a request starts inherit it. The
cell shows them the pin's end: a task that outlives its request finds the cell empty, and reads the newest. A pin may be
closed in another context (frameworks run a request's teardown in a copied one). Plain threads, `run_in_executor` and
gevent's greenlets start with an empty context, and read the newest: `contextvars.copy_context()` passes the pin and its
end on to them (as `asyncio.to_thread` and `trio.to_thread` do by themselves).

Rejected: `threading.local` (asyncio's tasks share one), and a context variable that holds the snapshot itself (a
background task would keep its request's version for ever, and a `reset` in another context raises).
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
    """Holds the pinned snapshot; None once the pin is closed."""

    __slots__ = ("snapshot",)

    def __init__(self, snapshot: Snapshot[T]) -> None:
        self.snapshot: Snapshot[T] | None = snapshot


PinVar = ContextVar[Cell[T] | None]


class Pin(Generic[T]):
    """The context manager that `Replica.pin()` returns: entering it returns the configuration. For one use."""

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
            with contextlib.suppress(ValueError):  # closed in another context, where the closed cell is enough
                self._variable.reset(self._token)

    def renew(self) -> None:
        """Move the pin to the newest version, in every task that has inherited it. Does nothing once the pin is closed.

        For a connection that lasts longer than one request, between two of its messages.
        """
        if self._cell.snapshot is not None:
            self._cell.snapshot = self._newest()
