"""Who asked for a load, and which load is theirs: one that begins after the asking.

Everyone who asks while a proposal is on its way waits for the next load, which serves all of them at once; so no
trigger is lost and none is doubled. Rejected: joining the load that is running (it may have read the sources before
the caller changed them), and a load for each caller.
"""

from __future__ import annotations

from confcast.owner.effects import Call

_UNASKED = frozenset({"start", "restart", "watch"})


class Requests:
    """The calls and triggers that wait for the next load, and the calls that the present one serves."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Call, str]] = []
        self._triggers: list[str] = []
        self._serving: list[Call] = []

    def __bool__(self) -> bool:
        return bool(self._waiting or self._triggers)

    def ask(self, call: Call, origin: str) -> None:
        """Somebody waits for the outcome."""
        self._waiting.append((call, origin))

    def trigger(self, origin: str) -> None:
        """Nobody waits for the outcome."""
        if origin not in self._triggers:
            self._triggers.append(origin)

    @property
    def called(self) -> bool:
        """Whether the present load serves a call: a person, or a program, waits for its outcome."""
        return bool(self._serving)

    def begin(self) -> tuple[str, bool]:
        """A load begins. Gives what asked for it first, and whether anybody insists, beyond starting and watching."""
        origins = [*(origin for _, origin in self._waiting), *self._triggers]
        self._serving = [call for call, _ in self._waiting]
        self._waiting, self._triggers = [], []
        return origins[0], not _UNASKED.issuperset(origins)

    def served(self) -> list[Call]:
        """The load is over: those whom it served."""
        calls, self._serving = self._serving, []
        return calls

    def everyone(self) -> list[Call]:
        """There will be no further load: all that still wait for an outcome."""
        calls = [*self._serving, *(call for call, _ in self._waiting)]
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
