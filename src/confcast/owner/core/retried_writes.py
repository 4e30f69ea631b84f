"""The writes that are tried again until they succeed: an undo, the end of a window, a trial that goes on once more.

No caller is told when one fails: it is answered only after the undo, and most undos have no caller. So the first
failure in a row of them is an effect that a person reads, each further one is counted, and the write that ends the row
is told, too. Meanwhile `why` is what a status shows, if the owner waits for the write; for the extension of a trial it
does not. The end of an override needs none of this: each of its tries has an event of its own.

Rejected: an event of the history for each try (on the disk that is full, one a second).
"""

from __future__ import annotations

from confcast.errors import Problem
from confcast.owner.core.effects import Retried

UNDO_RETRY = 1.0
"""Seconds until an undo that could not be written is tried again."""

EXPIRY_RETRY = 30.0
"""Seconds until the end of an override that could not be written is tried again, unless a load comes before."""

WHY = "the journal, since the {} of version {} could not be written, and is tried again: {}"


class RetriedWrites:
    """The row of failures that lasts, if one does.

    Attributes:
        why: What is waited for, and why, in words; empty while no write is tried again.
        since: When the first of the row failed, of the core's clock.
    """

    def __init__(self) -> None:
        self.why = ""
        self.since = 0.0
        self._last = Retried("", 0, 0)

    def failed(self, what: str, version: int, problem: Problem, now: float) -> Retried:
        """Count a failure of this write, which is tried again. `what`: the write, of this version, in words."""
        self.since = self.since if self.why else now
        self.why = WHY.format(what, version, problem)
        same = (self._last.what, self._last.version) == (what, version)
        self._last = Retried(what, version, self._last.times + 1 if same else 1, problem)
        return self._last

    def written(self) -> list[Retried]:
        """Something is in the journal: that ends the row."""
        last, self._last, self.why = self._last, Retried("", 0, 0), ""
        return [Retried(last.what, last.version, last.times)] if last.times else []
