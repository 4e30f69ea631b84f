"""What is put back where a worker declined the committed version and no worker runs it: the version that ran last.

That need not be the version before: where all workers were silent, several may have been committed that nobody applied.
Nor is it decided at the commit: a worker that was silent applies them later, one after the other. So the candidates are
kept until a worker has applied the committed version, and looked at when one must be put back.

Rejected: the newest version that a worker had applied when it was superseded (workers that have since applied a later
one, and run it, would be given an older content, perhaps just that which they decline).
"""

from __future__ import annotations

import msgspec

from confcast.owner.core.members import Roster
from confcast.owner.core.operator_state import OperatorState
from confcast.owner.core.version_numbers import Committed

_MOST = 4
"""How many candidates are kept, each with its content: what ran for certain, and the newest ones after it."""


class WhatRan:
    """The versions that were committed before the present one, from the last that is known to have run.

    Args:
        roster: The workers that report what they have applied.
    """

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._known: list[tuple[Committed, OperatorState]] = []

    def __bool__(self) -> bool:
        """Whether there is anything that could be put back."""
        return bool(self._known)

    def superseded(self, version: Committed, operator: OperatorState) -> None:
        """Note a version, and what people had set beside it: another one is committed."""
        if self._roster.anybody_runs(version.version):
            self._known.clear()
        self._known.append((version, operator))
        del self._known[1 : 1 - _MOST]

    def last(self) -> tuple[Committed, OperatorState]:
        """The newest version that any worker has applied, if one has, and what people had set beside it."""
        ran = [each for each in self._known if self._roster.anybody_runs(each[0].version)]
        return ran[-1] if ran else self._known[0]

    def sets(self, operator: OperatorState) -> None:
        """Note what people have set beside the present version: an undo of it leaves that, but for its overrides."""
        self._known = [
            (version, msgspec.structs.replace(operator, layer=former.layer, expires=former.expires))
            for version, former in self._known
        ]

    def clear(self) -> None:
        """Nothing is to be put back: a worker runs what is committed, or that is an undo itself."""
        self._known.clear()
