"""What holds for any engine whose server answers anything: each call gives what `engine.Store` says, or an EngineError.

And it ends, without waiting for an answer that does not come: an input that has no more ends the connection.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
from collections.abc import Awaitable, Callable
from typing import Any

from confcast.fleet.engines.engine import EngineError, OldPayload, Stored

DIGEST = "a" * 64
OLD = [OldPayload(DIGEST, 1)]

USES: list[Callable[[Any], Awaitable[Any]]] = [
    lambda store: store.head(),
    lambda store: store.subscribe(),
    lambda store: store.verify(),
    lambda store: store.payload(DIGEST),
    lambda store: store.report("host", b"{}"),
    lambda store: store.entries(5),
    lambda store: store.reports(),
    lambda store: store.old_payloads([]),
    lambda store: store.put_payload(DIGEST, b"x"),
    lambda store: store.swap(None, b"one", b"entry"),
    lambda store: store.swap(b"head", b"one", b"entry"),
    lambda store: store.drop_payloads(b"head", OLD),
]


@functools.cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    atexit.register(loop.close)
    return loop


def run(main: Awaitable[Any]) -> Any:
    """Run it in the one loop of this process: to make a loop takes longer than an input."""
    return _loop().run_until_complete(main)  # type: ignore[arg-type]


async def use(store: Any, uses: bytes) -> None:
    """Use a store as these bytes say, up to the first error, which ends its connection."""
    try:
        with contextlib.suppress(EngineError):
            for each in uses:
                check(await USES[each % len(USES)](store))
    finally:
        await store.close()


def check(found: Any) -> None:
    """It is what any of the calls gives."""
    if isinstance(found, list):
        for each in found:
            assert isinstance(each, bytes | Stored | OldPayload), type(each)
            if isinstance(each, Stored):
                assert isinstance(each.record, bytes)
                assert each.age >= 0.0
            if isinstance(each, OldPayload):
                assert isinstance(each.digest, str)
    else:
        assert found is None or isinstance(found, bytes | bool), type(found)
