"""The number that a version gets: one number never stands for two contents, whatever was lost.

The *high-water number* is the highest number in the journal or in a worker's Hello, or given out for a write that
failed. New content gets the number above it. Rejected: counting on from the committed version (after a lost journal, v1
would be given out a second time with other content).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

_UNKNOWN = b""
_AMBIGUOUS = 2
"""How many contents of one number are kept: a third changes nothing, and Hellos may bring any number of contents."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A version and its content; version 0 is none. `undo`: it put back the content before an undone version.

    `values`: what the sources gave below the overrides, encoded; empty where that is not known.
    """

    version: int
    digest: bytes = field(repr=False)
    payload: bytes = field(repr=False)
    undo: bool = False
    values: bytes = field(default=b"", repr=False)


class Proven(NamedTuple):
    """A version that was settled, declined by no worker, and not provisional; and the overrides that it had.

    Attributes:
        committed: The version and its content.
        layer, expires: As in OperatorState.
    """

    committed: Committed
    layer: bytes = b""
    expires: float = 0.0


class Numbers:
    """The committed version, the high-water number, and the contents that are known to have had that number.

    Args:
        committed: The version that the journal holds; None when it holds none.
        high_water: The highest number that the journal knows of.
    """

    def __init__(self, committed: Committed | None, high_water: int) -> None:
        self.committed = committed or Committed(0, _UNKNOWN, b"")
        self.high_water = self.committed.version
        self._contents = {self.committed.digest}
        self.retire(high_water)

    def seen(self, version: int, digest: bytes) -> None:
        """Note that a process holds this content under this number."""
        if version > self.high_water:
            self.high_water, self._contents = version, set()
        if version == self.high_water and len(self._contents) < _AMBIGUOUS:
            self._contents.add(digest)

    def retire(self, version: int) -> None:
        """Never use this number again: it was given out, and no row of the journal has it."""
        if version > self.committed.version:
            self.seen(version, _UNKNOWN)

    def commit(self, committed: Committed) -> None:
        """Make this version the committed one: it is in the journal."""
        self.committed = committed
        self.seen(committed.version, committed.digest)

    def for_new_content(self) -> int:
        """The number of a version with new content."""
        return self.high_water + 1

    def for_the_same_content(self) -> int:
        """The number of a reissue: the high-water number, or the next one if that may have had other content."""
        return self.high_water if self._contents == {self.committed.digest} else self.high_water + 1

    def contradicted_by(self, version: int, digest: bytes) -> bool:
        """Whether a worker's version has a higher number than the committed one, or its number and other content."""
        mine = self.committed
        return mine.version > 0 and (version > mine.version or (version == mine.version and digest != mine.digest))
