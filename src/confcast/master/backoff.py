"""How long after an owner's death the next one starts.

An owner that served for a while is replaced at once. Those that die young are replaced ever more slowly, from 0.1 to
30 seconds, in two rows of their own: those that never came to serve (the code can't be imported: a deploy is under
way), and those that served and died soon after. Who comes to serve ends the first row, since what kept the others
from it is over; only who serves for a while ends the second, or a loop of starts and deaths would never slow down.

Rejected: the time since the start (a slow import that fails would count as a long life, and a healthy owner would
pay for the ones before it that could not start), and one row for both.
"""

from __future__ import annotations

_FIRST, _LONGEST = 0.1, 30.0
_FOR_A_WHILE = 5.0


class Backoff:
    """The pauses between the owners of one manager, in seconds. Keeps no clock."""

    def __init__(self) -> None:
        self._unserved = self._young = 0.0

    def after(self, served: float | None) -> float:
        """The pause after a death.

        Args:
            served: How many seconds the dead one had served; None: it never came to it.
        """
        if served is None:
            self._unserved = _next(self._unserved)
            return self._unserved
        self._unserved = 0.0
        self._young = 0.0 if served > _FOR_A_WHILE else _next(self._young)
        return self._young


def _next(pause: float) -> float:
    return min(max(pause * 2, _FIRST), _LONGEST)
