"""`Thing` is one object that was built; `Things` are those of one version, and are swapped with its configuration.

A version's snapshot refers to its `Things`: so one reference swaps both, and a request that is pinned to a version
never sees an object of another. Nobody counts pins: whoever holds the snapshot (a pin does) holds the `Things`, and the
end of the last reference to them tells `closing.py` that the version is in use no more. What has to stay for another
reason is kept in the same way: by a reference to the snapshot.

Rejected: counting pins (a set costs each request a sixth of a pin, a number needs a lock), and a reference to the
things beside the one to the configuration (two reads may see two versions).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from confcast.worker.async_library import is_async

if TYPE_CHECKING:  # importing it takes 6 MiB, which a worker without a loop need not pay
    import asyncio


class Declaration:
    """What an application has declared by `Replica.derive`.

    Attributes:
        build: Builds a thing of its part, and of the things that it uses.
        select: Picks the part.
        using: What it is built with.
        close: Closes a thing; None: nothing closes it.
        linger: Seconds for which a former thing stays open after a swap.
        name: For messages.
        key: The key of the part; "" for the whole, or where `select` does not tell.
        is_async: Whether the build gives an awaitable, as far as that is known.
        failed_closes: How many closes have raised or not ended.
        instead: What unit tests have put in its place, the newest last.
    """

    __slots__ = ("build", "close", "failed_closes", "instead", "is_async", "key", "linger", "name", "select", "using")

    def __init__(
        self,
        build: Callable[..., Any],
        select: Callable[[Any], Any],
        using: tuple[Declaration, ...],
        close: Callable[[Any], Any] | None,
        linger: float,
    ) -> None:
        self.build = build
        self.select = select
        self.using = using
        self.close = close
        self.linger = linger
        self.name = self.key = ""
        self.is_async = is_async(build)
        self.failed_closes = 0
        self.instead: list[Any] = []

    @property
    def needs_loop(self) -> bool:
        """Whether its build, or that of something that it uses, is awaited on an event loop."""
        return self.is_async or any(each.needs_loop for each in self.using)

    def uses(self, other: Declaration) -> bool:
        """Whether it is built with the other, or with something that is."""
        return any(each is other or each.uses(other) for each in self.using)


class Thing:
    """One object that was built. Versions with the same part share it.

    Attributes:
        derived: What was declared.
        value: What the build returned.
        part: What it was built of: the part of the configuration.
        uses: The things that it was built with.
        config: The configuration whose secrets no text about it may show.
        version: The first version that it was built for; 0 while that has no number.
        loop: The event loop on which it was built; None if it was not built on one.
        serial: Its number in the order of building.
        holders: What it must stay open for: the contents of versions, and things that use it.
        lingers: Whether it stays open for some seconds after a swap; one of a test does not.
        left_at: The time (monotonic, in seconds) since which the newest version has another; 0.0: never.
        closed: Whether its closing has begun.
        written: What comparing has written of its part; empty before it was compared.
    """

    __slots__ = (
        "closed",
        "config",
        "derived",
        "holders",
        "left_at",
        "lingers",
        "loop",
        "part",
        "serial",
        "uses",
        "value",
        "version",
        "written",
    )

    def __init__(self, derived: Declaration, part: Any, uses: tuple[Thing, ...], things: Things, serial: int) -> None:
        self.derived = derived
        self.part = part
        self.uses = uses
        self.config = things.config
        self.version = things.version
        self.serial = serial
        self.value: Any = None
        self.loop: asyncio.AbstractEventLoop | None = None
        self.holders: set[object] = set()
        self.lingers = things.contents.lingers
        self.left_at = 0.0
        self.closed = False
        self.written = b""


class Contents:
    """The things of one version. It outlives `Things`, so that they can be closed after it.

    Attributes:
        things: By what was declared, in the order of building.
        lingers: As in `Thing`.
    """

    __slots__ = ("lingers", "things")

    def __init__(self, lingers: bool) -> None:
        self.things: dict[Declaration, Thing] = {}
        self.lingers = lingers


class Things:
    """What is derived of one version: built when it is voted on, or when it is first read.

    Attributes:
        config: The configuration.
        version: Its number; 0 while it is voted on.
        digest: The digest of its encoding; empty while it is voted on.
        values: The objects, by what was declared: the application's reads look here first.
        contents: The same with all that is known of each.
        building: Held while one of them is built, so that each is built once.
    """

    __slots__ = ("__weakref__", "building", "config", "contents", "digest", "values", "version")

    def __init__(self, config: Any, version: int, digest: bytes = b"", *, lingers: bool = True) -> None:
        self.config = config
        self.version = version
        self.digest = digest
        self.values: dict[Declaration, Any] = {}
        self.contents = Contents(lingers)
        self.building = threading.RLock()

    def forget(self) -> list[Thing]:
        """Have nothing built any more. Returns what was."""
        things = list(self.contents.things.values())
        self.values.clear()
        self.contents.things.clear()
        return things
