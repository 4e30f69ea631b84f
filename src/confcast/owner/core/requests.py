"""Who asked for a load, and which load is theirs: one that begins after the asking.

Everyone who asks while a proposal is on its way waits for the next load, which serves all of them at once; so no
trigger is lost and none is doubled. A load that silence refused is owed: a worker's answer asks for it, and the next
load serves it, whoever asked. Rejected: joining the load that is running (it may have read the sources before the
caller changed them), and a load for each caller.
"""

from __future__ import annotations

from typing import NamedTuple

from confcast.owner.core.effects import Call

_UNASKED = frozenset({"start", "restart", "watch"})


class Asked(NamedTuple):
    """Somebody waits for an outcome; and, for so many seconds, until the observers have run (None: does not wait)."""

    call: Call
    wait_observers: float | None = None


class Requests:
    """The calls and triggers that wait for the next load, and the calls that the present one serves."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Asked, str]] = []
        self._triggers: list[str] = []
        self._serving: list[Asked] = []
        self._owed: tuple[str, bool] | None = None
        self._insists = False

    def __bool__(self) -> bool:
        return bool(self._waiting or self._triggers)

    def ask(self, asked: Asked, origin: str) -> None:
        """Somebody waits for the outcome."""
        self._waiting.append((asked, origin))

    def trigger(self, origin: str) -> None:
        """Nobody waits for the outcome."""
        if origin not in self._triggers:
            self._triggers.append(origin)

    @property
    def called(self) -> bool:
        """Whether the present load serves a call: of somebody who waits for it, or who was told that it is owed."""
        return bool(self._serving) or self._insists

    @property
    def owes(self) -> bool:
        """Whether the last load was refused by silence, and none has begun since."""
        return self._owed is not None

    def owe(self, origin: str) -> None:
        """The present load was refused by silence: it is to be tried again when somebody answers."""
        self._owed = (origin, self.called)

    def pay(self) -> None:
        """Somebody has answered."""
        if self._owed is not None:
            self.trigger(self._owed[0])

    def forgive(self) -> None:
        """It was refused by a no after all."""
        self._owed = None

    def begin(self) -> tuple[str, bool]:
        """A load begins. Gives what asked for it first, and whether anybody insists, beyond starting and watching."""
        origins = [*(origin for _, origin in self._waiting), *self._triggers]
        self._serving = [asked for asked, _ in self._waiting]
        self._insists, self._owed = self._owed is not None and self._owed[1], None  # this load serves it, too
        self._waiting, self._triggers = [], []
        return origins[0], not _UNASKED.issuperset(origins)

    def served(self) -> list[Asked]:
        """The load is over: those whom it served."""
        served, self._serving = self._serving, []
        return served

    def everyone(self) -> list[Call]:
        """There will be no further load: all that still wait for an outcome."""
        calls = [asked.call for asked in (*self._serving, *(asked for asked, _ in self._waiting))]
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
        """The number of a load that begins now."""
        self.number += 1
        return self.number

    def ended(self, number: int) -> bool:
        """A load gave its result. Whether it is the present one; the result of another is of no use."""
        if number == self._hanging:
            self._hanging = 0
        return number == self.number

    def give_up(self) -> bool:
        """The present load passed its deadline. Whether an earlier one hangs already."""
        hung_before = self._hanging != 0
        self._hanging = self._hanging or self.number
        self.number += 1
        return hung_before
