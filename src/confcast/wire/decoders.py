"""msgspec's decoders, each made when it is first used, and by one thread at a time.

Guaranteed: one thread at a time makes a decoder, and it is complete before another thread has it. msgspec (0.22) does
not promise that several threads may use a class for the first time at once, and processes have died where they did. A
fork waits for whoever makes one: the child would have it half made for good.

What is evaluated for one may want another in the same thread (a module that makes its names when they are asked for,
and reads a configuration then), so the lock is one that its thread may take again.

A decoder that a module makes as it is imported needs none of this: nobody else has the classes of that module yet.

Rejected: making all of them at import (a command line would make three of messages, and needs one), and
`functools.cache` alone (several threads that come at once all make it).
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import weakref
from typing import Any, TypeVar, cast

import msgspec

T = TypeVar("T")

_making = threading.RLock()
made: dict[Any, msgspec.msgpack.Decoder[Any]] = {}
"""By type, for whoever decodes each message: a look here is no call."""
_known: weakref.WeakSet[type] = weakref.WeakSet()


def decoder_of(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    """The decoder of this type: one of confcast's own, which are kept. Any thread may call it."""
    found = made.get(kind)
    if found is None:
        _hook_fork()
        with _making:
            found = made.get(kind) or msgspec.msgpack.Decoder(kind)
            made[kind] = found
    return found


def decode(body: bytes, kind: type[T]) -> T:
    """`msgspec.msgpack.decode(body, type=kind)`, for any thread. Raises what that raises."""
    return cast("T", decoder_of(kind).decode(body))


def learn(struct: type) -> None:
    """Have msgspec know a Struct of the user's, before this thread converts to it. What it refuses, it refuses then."""
    if struct in _known:
        return
    _hook_fork()
    with _making, contextlib.suppress(Exception):  # what the user's annotations raise when they are evaluated
        if struct not in _known:
            msgspec.msgpack.Decoder(struct)
            _known.add(struct)


@functools.cache
def _hook_fork() -> None:
    """Register the fork handlers: with the first decoder, since an import registers nothing."""
    if hasattr(os, "register_at_fork"):  # Windows has no fork
        os.register_at_fork(before=_making.acquire, after_in_parent=_making.release, after_in_child=_making.release)
