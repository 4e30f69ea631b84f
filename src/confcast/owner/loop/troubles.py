"""What the owner could not write, or found deleted: each is counted by its kind, which a status shows, and logged.

A write that the core tries again until it succeeds is logged when it fails first, and when it has succeeded; between
the two each failure is counted, and so is what else each of its tries can't write.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from confcast.errors import ConfcastError
from confcast.owner.core.effects import Retried, RowState
from confcast.owner.loop import loop_log
from confcast.owner.store.journal import JournalError


class Troubles:
    """The counts of one loop. For the loop's thread.

    Attributes:
        counts: How often, by what it was.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._retries = False

    def attempt(self, what: str, write: Callable[[], None]) -> bool:
        """Write a file that nothing depends on: a failure is logged and counted, and stops nothing.

        Args:
            what: What is written, in words.
            write: Writes it.

        Returns:
            Whether it was written.
        """
        return self._attempt(what, write, logs=True)

    def burn(self, write: Callable[[], None]) -> None:
        """Note a number that a failed write has burnt. Each try burns another one: of a row one failure is logged."""
        self._attempt("burnt number", write, logs=not self._retries)

    def _attempt(self, what: str, write: Callable[[], None], *, logs: bool) -> bool:
        try:
            write()
            return True
        except (ConfcastError, OSError) as error:
            self.counts[what] += 1
            if logs:
                loop_log.not_written(what, self.counts[what], error)
            return False

    def retried(self, effect: Retried) -> None:
        """Count and log a write that is tried again until it succeeds, as the effect says."""
        self._retries = effect.problem is not None
        if effect.problem is None:
            loop_log.written_at_last(effect.what, effect.version, effect.times)
            return
        self.counts[effect.what] += 1
        if effect.times == 1:
            loop_log.tried_again(effect.what, effect.version, effect.problem)


def row_state(holds: Callable[[], bool]) -> RowState:
    """What became of a journal write that has failed. `holds`: whether the journal has it; raises JournalError."""
    try:
        return RowState.PRESENT if holds() else RowState.ABSENT
    except JournalError:
        return RowState.UNREADABLE
