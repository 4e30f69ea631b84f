"""The garbage collector rests while a load runs, and while an owner starts: both make many objects that stay."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

_MANY_OBJECTS = 1_000_000
"""Objects that a load may have made, and not freed, before the garbage collector looks at them: about 100 MB."""

_START = ExitStack()


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Let the garbage collector run only once in `_MANY_OBJECTS` new objects, in all threads of this process.

    What a load makes is in use until its end, so that a collection finds nothing, and costs half of the time of a large
    document. What dies meanwhile dies without the collector, unless it is in a circle; the loop makes few of those, and
    a validator that hangs or makes millions of them still gets a collection. If somebody else changes the threshold
    within the load (a schema's module may tune the collector for its servers), that stays.

    Rejected: `gc.disable()`, which has no such bound, and whose end would turn on what the schema's module turned off.
    """
    found = gc.get_threshold()
    ours = (max(_MANY_OBJECTS, found[0]), *found[1:])
    if found[0]:
        gc.set_threshold(*ours)
    try:
        yield
    finally:
        if found[0] and gc.get_threshold() == ours:
            gc.set_threshold(*found)


def rest_at_start() -> None:
    """Let the collector rest until `freeze()`; to be called before the owner's modules are imported."""
    _START.enter_context(collector_at_rest())


def freeze() -> None:
    """End the rest of the start. What is there by now is never looked at: it lives as long as this process.

    Rejected: to collect before. Of 36,000 objects that the imports make, 900 are garbage, and to find them takes 5 % of
    an owner's start.
    """
    gc.freeze()
    _START.close()
