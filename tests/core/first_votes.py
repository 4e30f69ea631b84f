"""The oracle's rule for the one worker that votes first: judged by frames, pipes and deadlines alone.

Where a worker's functions took long at the last vote, one worker is asked; the others not before it has agreed, or has
left, or its time is over. Which worker that is, and when the owner was told of a function, the rule finds out itself.
"""

from __future__ import annotations

from typing import Any

SLOW = 0.1
_MOST_SILENCES = 3
"""After so many refusals by silence in a row a vote has too much time for two turns."""


class FirstVotes:
    """What one owner was told, and whom it has asked in the present vote.

    Attributes:
        alone: Whether one worker alone is to be asked now.
        deadlines: How many were set for the present vote.
    """

    def __init__(self, rules: Any) -> None:
        self.alone = False
        self._rules = rules
        self._began: dict[int, float] = {}  # by pipe: a function runs there, for a vote
        self._slowest = self._last = 0.0
        self.deadlines = 0
        self._since = 0.0
        self._asked: list[int] = []
        self._agreed: set[int] = set()
        self._silences = 0

    def over(self) -> None:
        """The vote has ended, or the next one has not begun."""
        self.alone, self.deadlines, self._asked, self._agreed = False, 0, [], set()

    def refused_by_silence(self) -> None:
        assert not self.alone, "refused for the silence of workers that have not been asked"
        self._silences += 1

    def decided(self) -> None:
        self._silences = 0

    # ---- what the owner receives

    def works(self, pipe: int, asked: int, now: float) -> None:
        if asked:  # not for an Install
            self._began.setdefault(pipe, now)

    def votes(self, pipe: int, *, ok: bool, present: bool, now: float) -> None:
        began = self._began.pop(pipe, None)
        if began is not None and (ok or now - began > SLOW):
            self._slowest = max(self._slowest, now - began)
        if ok and present and pipe in self._asked:
            self._agreed.add(pipe)

    def answers(self, pipe: int) -> None:
        """It has applied or declined something, so the function that it had reported has ended."""
        self._began.pop(pipe, None)

    def ends(self, pipe: int) -> None:
        """Nothing that was asked on it will be answered."""
        self._began.pop(pipe, None)
        self._asked = [each for each in self._asked if each != pipe]

    # ---- what the owner does

    def sets_deadline(self, able: set[int], now: float) -> bool:
        """A vote begins, or goes on. Returns whether all are asked from now on, in place of one."""
        self.deadlines += 1
        if self.deadlines == 1:
            slowest = max([self._slowest, *(now - began for began in self._began.values())])
            self._last, self._slowest, self._since = slowest or self._last, 0.0, now
            slow = SLOW < self._last <= self._rules.precommit_timeout / 3
            self.alone = slow and len(able) > 1 and self._silences < _MOST_SILENCES
            return False
        if not self.alone:
            return False
        waits = not self._agreed and len(able) > 1
        in_time = now < self._since + self._rules.vote_timeout
        assert not (waits and in_time), "all are asked, and the first worker has neither agreed nor left"
        self.alone = False
        return True

    def asks(self, pipe: int) -> None:
        assert not (self.alone and self._asked), "another worker is asked, and the first has neither agreed nor left"
        self._asked.append(pipe)
