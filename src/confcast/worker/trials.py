"""What a replica knows of a version on trial: its snapshot, whom it is for, and whom a request is for.

A trial by worker gives all pins of this process the version on trial. A trial by entity gives it to a share of the
entities, in every process to the same ones: eight bytes of BLAKE2b over the salt and the entity, read as a number from
0 to 1, are below the share. Each trial has a salt of its own: not the same entities are tried on each time.

Rejected: Python's `hash` (of a text it differs between processes), a checksum such as CRC-32 (with another salt of the
same length it chooses the same entities or their complement), and hashing an entity for each of its requests (it takes
longer than the pin: the answers for the latest entities are kept).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Generic, TypeAlias, TypeVar

from confcast.log_fields import about
from confcast.worker.precommit import path_of
from confcast.worker.snapshot import Snapshot

_log = logging.getLogger("confcast.worker")

T = TypeVar("T")

Entity: TypeAlias = "str | int"
Identify: TypeAlias = Callable[[Mapping[str, str]], "str | None"]
"""Gives the entity of a request with these headers."""

_MOST_REMEMBERED = 4096


def position(entity: Entity, salt: str) -> bytes:
    """Where an entity stands, as eight bytes, the same in each process. 42 and "42" are one entity."""
    text = entity if isinstance(entity, str) else str(int(entity))
    # `join` takes the text itself of a subclass, too, such as an enumeration's.
    return blake2b("\0".join((salt, text)).encode("utf-8", "surrogatepass"), digest_size=8).digest()


class Trial(Generic[T]):
    """A version on trial in this process.

    Attributes:
        snapshot: The version.
        share: 0.0: all pins get it. Otherwise the share of the entities, of 1, that get it.
        salt: The trial's own.
        begun: Whether pins get it; a trial by entity does not begin before all workers have the version.
        chosen: Whether a pin for an entity gets it, for those that were asked for most lately; None names nobody.
    """

    __slots__ = ("_end", "_has_refused", "begun", "chosen", "salt", "share", "snapshot")

    def __init__(self, snapshot: Snapshot[T], share: float = 0.0, salt: str = "", *, begun: bool = True) -> None:
        self.snapshot = snapshot
        self.share = share
        self.salt = salt
        self.begun = begun
        self._has_refused = False
        self._end = min(int(share * 2**64), 2**64 - 1).to_bytes(8, "big")
        self.chosen: dict[Entity | None, bool] = {None: begun and not share}

    @property
    def is_by_entity(self) -> bool:
        """Whether it has begun, and entities are chosen."""
        return self.begun and self.share > 0.0

    def choose(self, entity: Entity | None) -> bool:
        """Whether a pin for this entity gets the version; remembered. None and "" name nobody."""
        if entity is None or entity == "" or not self.is_by_entity:
            return self.chosen[None]
        if len(self.chosen) >= _MOST_REMEMBERED:
            self.chosen = {None: False}
        try:
            chosen = position(entity, self.salt) < self._end
        except (TypeError, ValueError):  # a mistake that shows only while a version is on trial must fail no request
            self._refuse(entity)
            return False
        self.chosen[entity] = chosen
        return chosen

    def _refuse(self, entity: object) -> None:
        if not self._has_refused:
            self._has_refused = True
            text = (
                "pin(entity=…) was given a %s, not a text or a number: it names no entity, and gets what is committed. "
            )
            _log.error(text + "This is logged once", type(entity).__name__, extra=about("entity_refused"))

    def given(self, entity: Entity | None, committed: Snapshot[T]) -> Snapshot[T]:
        """What a pin for this entity gets: the version on trial, or what is committed."""
        chosen = self.chosen.get(entity)
        if chosen is None:
            chosen = self.choose(entity)
        return self.snapshot if chosen else committed


class Identity:
    """Whom a request is for, as the application tells: `Replica.identify` declares the function.

    Attributes:
        function: The application's; None: it has declared none.
        failures: How many calls have raised, or given neither a text nor a number nor None.
    """

    def __init__(self) -> None:
        self.function: Identify | None = None
        self.failures = 0

    def of(self, headers: Mapping[str, str]) -> Entity | None:
        """The entity of a request with these headers; None: it names none, also where the function fails."""
        if self.function is None:
            return None
        try:
            entity = self.function(headers)
        except Exception as error:  # its text may show a header, which may be a secret
            self._failed(f"raised {type(error).__name__}")
            return None
        if entity is None or isinstance(entity, str | int):
            return None if entity == "" else entity
        self._failed(f"has given a {type(entity).__name__}, not a text or None")
        return None

    def _failed(self, what: str) -> None:
        self.failures += 1
        if self.failures == 1:
            path = path_of(self.function)  # type: ignore[arg-type]
            text = "%s %s: such a request names no entity, and gets what is committed. This is logged once"
            _log.error(text, path, what, extra=about("entity_refused", function=path, reason=what))
