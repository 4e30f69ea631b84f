"""`Canary`: who runs a version on trial, for how long, and what must have been seen before it is committed.

A size is refused where it is made, in words: a type checker accepts any text. Rejected: a float as the size (0.25 of
four workers and "25%" would be two ways to say one thing, and 1.0 would be all of them or one).
"""

from __future__ import annotations

import math
import re
from datetime import timedelta
from typing import Literal

import msgspec

_PER_CENT = re.compile(r"(\d{1,3}(?:\.\d{1,3})?)%")
_LONGEST = 7 * 86400.0
_DIGITS = 6
"""Behind the point of so many workers; the others are what a float has too many: 7% of 100 is a little above 7."""

_SIZE = "a number of workers, 1 or more, or a share such as '25%' is expected"


class _Size(msgspec.Struct, frozen=True, array_like=True):
    size: int | str


class Canary(_Size, frozen=True, kw_only=True, array_like=True):
    """How a new version is tried before it is committed: `Canary("25%", seconds=60)`.

    Attributes:
        size: How many workers run it (1 or more; at least one, and at most all but one, whatever is said), or a share
            such as `"25%"`: of the workers, rounded up, or of the entities.
        seconds: How long the trial lasts, a number or a `timedelta`; at most seven days.
        by: `worker`: some workers run it, for all of their requests. `entity`: every worker runs both versions, and
            requests that `identify()` or `pin(entity=)` names are given one by the entity's hash; the size is a share.
        min_requests: How many requests must have ended on it before its time is over; less is no evidence.
        inconclusive: What the end of a trial without that evidence does, after as much time again.

    Raises:
        ValueError: A value can't be used, or the two of `size` and `by` don't fit.
    """

    seconds: float | timedelta = 60.0
    by: Literal["worker", "entity"] = "worker"
    min_requests: int = 50
    inconclusive: Literal["undo", "promote"] = "undo"

    def __post_init__(self) -> None:
        if isinstance(self.seconds, timedelta):
            msgspec.structs.force_setattr(self, "seconds", self.seconds.total_seconds())
        if problem := self._problem():
            raise ValueError(f"Canary: {problem}")

    @property
    def share(self) -> float:
        """The size as a share of 1; 0.0 where it is a number of workers."""
        found = _PER_CENT.fullmatch(self.size) if isinstance(self.size, str) else None
        return float(found[1]) / 100 if found else 0.0

    def workers_of(self, total: int) -> int:
        """How many of so many workers run the version: at least one, at most all but one; 0 where there is only one."""
        wanted = self.size if isinstance(self.size, int) else math.ceil(round(total * self.share, _DIGITS))
        return max(0, min(max(1, wanted), total - 1))

    @property
    def time(self) -> float:
        """The seconds as a number."""
        assert not isinstance(self.seconds, timedelta)
        return self.seconds

    def _problem(self) -> str:
        size, seconds = self.size, self.seconds
        if isinstance(size, bool) or not (size >= 1 if isinstance(size, int) else 0 < self.share <= 1):
            hint = f"; did you mean {size + '%'!r}?" if isinstance(size, str) and size.isdecimal() else ""
            return f"size={size!r}: {_SIZE}{hint}"
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= _LONGEST:
            return f"seconds={seconds!r}: a number above 0, and at most {_LONGEST:g}, is expected"
        if self.by not in ("worker", "entity"):
            return f"by={self.by!r}: 'worker' or 'entity' is expected"
        if self.by == "entity" and isinstance(size, int):
            return f"size={size!r} with by='entity': a share of the entities such as '5%' is expected"
        if isinstance(self.min_requests, bool) or not isinstance(self.min_requests, int) or self.min_requests < 0:
            return f"min_requests={self.min_requests!r}: a number of requests, 0 or more, is expected"
        if self.inconclusive not in ("undo", "promote"):
            return f"inconclusive={self.inconclusive!r}: 'undo' or 'promote' is expected"
        return ""
