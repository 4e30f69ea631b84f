"""Which number a version gets: one number never stands for two contents, whatever was lost.

The *floor* is the highest number that anybody ever heard of: the journal's, a worker's Hello, or one that was given
out for a write that failed. What is new gets the number above it. Rejected: counting on from the committed version
(after a lost journal, v1 would be given out a second time with other content).
"""

from __future__ import annotations

from dataclasses import dataclass, field

_UNKNOWN = b""
_AMBIGUOUS = 2
"""Contents of one number that need be known: a third changes nothing, and whoever says Hello may name any."""


@dataclass(frozen=True, slots=True)
class Committed:
    """A version and its content; version 0 is none. `undo`: it put back what had run before."""

    version: int
    digest: bytes = field(repr=False)
    payload: bytes = field(repr=False)
    undo: bool = False


class Numbers:
    """What is committed, the floor, and the contents that are known to have had the floor's number.

    Args:
        committed: What the journal holds; None when it holds nothing.
        high_water: The highest number that it knows of.
    """

    def __init__(self, committed: Committed | None, high_water: int) -> None:
        self.committed = committed or Committed(0, _UNKNOWN, b"")
        self.high_water = self.committed.version
        self._contents = {self.committed.digest}
        self.retire(high_water)

    def seen(self, version: int, digest: bytes) -> None:
        """Somebody holds this content under this number."""
        if version > self.high_water:
            self.high_water, self._contents = version, set()
        if version == self.high_water and len(self._contents) < _AMBIGUOUS:
            self._contents.add(digest)

    def retire(self, version: int) -> None:
        """This number was given out, and is in no row."""
        if version > self.committed.version:
            self.seen(version, _UNKNOWN)

    def commit(self, committed: Committed) -> None:
        """This is in the journal."""
        self.committed = committed
        self.seen(committed.version, committed.digest)

    def for_new_content(self) -> int:
        """The number of the next version."""
        return self.high_water + 1

    def for_the_same_content(self) -> int:
        """What is committed goes out again: under the floor, unless that may have had other content."""
        return self.high_water if self._contents == {self.committed.digest} else self.high_water + 1

    def contradicted_by(self, version: int, digest: bytes) -> bool:
        """Whether who holds this has a newer number than ours, or other content under ours."""
        mine = self.committed
        return mine.version > 0 and (version > mine.version or (version == mine.version and digest != mine.digest))
