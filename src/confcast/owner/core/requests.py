"""The requests for a load, by callers and by triggers: each is served by a load that begins after the request.

Requests that come while a proposal is under way wait for the next load, which serves all of them at once; so no trigger
is lost, and none causes two loads. A load that was refused because workers timed out is owed: a worker's answer
requests it again, and the next load serves it, whatever requested that load. Rejected: joining the load that is running
(it may have read the sources before the caller changed them), and a load for each caller.
"""

from __future__ import annotations

from typing import NamedTuple

from confcast.owner.core.effects import Call
from confcast.wire.messages import Who

_UNASKED = frozenset({"start", "restart", "watch"})


class Cause(NamedTuple):
    """What requested a load: the origin of its version, the process that called, if one did, and why."""

    origin: str
    who: Who | None = None
    reason: str = ""


class Caller(NamedTuple):
    """A caller that waits for an outcome, then up to `wait_observers` seconds for observers; None: for no observer."""

    call: Call
    wait_observers: float | None = None


class Requests:
    """The calls and triggers that wait for the next load, and the calls that the present one serves."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Caller, Cause]] = []
        self._triggers: list[Cause] = []
        self._serving: list[Caller] = []
        self._owed: tuple[Cause, bool] | None = None
        self._insists = False

    def __bool__(self) -> bool:
        return bool(self._waiting or self._triggers)

    def call(self, caller: Caller, cause: Cause) -> None:
        """Request a load for a caller that waits for the outcome."""
        self._waiting.append((caller, cause))

    def trigger(self, cause: Cause) -> None:
        """Request a load for whose outcome no caller waits."""
        if cause not in self._triggers:
            self._triggers.append(cause)

    @property
    def called(self) -> bool:
        """Whether the present load serves a caller, including a caller that was answered that the load is owed."""
        return bool(self._serving) or self._insists

    @property
    def owes(self) -> bool:
        """Whether the last load was refused because workers timed out, and no load has begun since."""
        return self._owed is not None

    def owe(self, cause: Cause) -> None:
        """The present load was refused because workers timed out: `retry_owed` will request it again."""
        self._owed = (cause, self.called)

    def retry_owed(self) -> None:
        """A worker has answered: request the owed load, if there is one."""
        if self._owed is not None:
            self.trigger(self._owed[0])

    def cancel_owed(self) -> None:
        """Drop the owed load: after all, a worker voted no to it."""
        self._owed = None

    def begin(self) -> tuple[Cause, bool]:
        """Begin a load. Returns the cause of its first request, and whether any origin is a call or a signal."""
        causes = [*(cause for _, cause in self._waiting), *self._triggers]
        self._serving = [caller for caller, _ in self._waiting]
        self._insists, self._owed = self._owed is not None and self._owed[1], None  # this load serves the owed one, too
        self._waiting, self._triggers = [], []
        return causes[0], not _UNASKED.issuperset(cause.origin for cause in causes)

    def served(self) -> list[Caller]:
        """End the load. Returns the callers that it served."""
        served, self._serving = self._serving, []
        return served

    def all_calls(self) -> list[Call]:
        """Every call that still waits for an outcome; asked when there will be no further load."""
        calls = [caller.call for caller in (*self._serving, *(caller for caller, _ in self._waiting))]
        self._serving, self._waiting = [], []
        return calls


class Loads:
    """The number of the present load, and whether one that was given up still runs.

    Loads run in one thread beside the loop, so a load that hangs holds up every further one.
    """

    def __init__(self) -> None:
        self.number = 0
        self._hanging = 0

    def begin(self) -> int:
        """Begin a load. Returns its number."""
        self.number += 1
        return self.number

    def is_present(self, number: int) -> bool:
        """Return whether this load is the present one; the result of another one is of no use."""
        return number == self.number

    def ended(self, number: int) -> None:
        """A load gave its last result."""
        if number == self._hanging:
            self._hanging = 0

    def give_up(self) -> bool:
        """Give up the present load, at its deadline. Returns whether an earlier load hangs already."""
        hung_before = self._hanging != 0
        self._hanging = self._hanging or self.number
        self.number += 1
        return hung_before
