"""The load that a thread is in: what it has asked of sources that have to be asked (`polled.py`), it asks once.

It is a file of its own so that a loader without such sources imports nothing that asks.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable
    from concurrent.futures import Future

asked_in_load: contextvars.ContextVar[dict[Hashable, Future[Any]] | None] = contextvars.ContextVar(
    "confcast_asked", default=None
)
"""The answers of this load, by their source; None outside of one."""

takes_what_is_known: contextvars.ContextVar[bool] = contextvars.ContextVar(
    "confcast_takes_what_is_known", default=False
)
"""Whether nobody has asked for this load, and a source's own change has led to it: the change is what it is to read."""


@contextlib.contextmanager
def asked_once() -> Iterator[None]:
    """In this block, and this thread, each source is asked once: it is one load. A block within a block counts not."""
    if asked_in_load.get() is not None:
        yield
        return
    token = asked_in_load.set({})
    try:
        yield
    finally:
        asked_in_load.reset(token)
