"""The workers of a server that has ended, where the next one takes its place, as `confcast serve` at its address does.

They live on, serve what they have, and look for an owner every 2 s at the most. They find this one only once its first
load is applied: the address leads to it from then on. So that load waits for none of them, and no silence refuses it;
they are voters of what comes after it, as the end of an override is that was over by then. Whom the journal's roster
has is on the roster then, and is waited for, and named. Where others may live, too, this owner gathers from then on. A
server that lives, and gives its place away, names its workers (`Core.expect`): whom it does not name has left.

Rejected: a first load that waits for them (they can't find its owner meanwhile, and a stopped one would keep the server
from starting), and a roster that begins empty (a reload that somebody calls for at once would be a success, while they
serve the version before, and nobody is named).
"""

from __future__ import annotations

from collections.abc import Iterable

from confcast.owner.core.members import Roster


class FormerWorkers:
    """The workers of the server before, until they are awaited.

    Args:
        pids: Those that the journal's roster has; None: there are none, or they are on the roster of this server.
        gathers: Whether others may live, too.

    Attributes:
        may_live: Whether a server before has left any, as far as is known.
        gathers: Whether others than those of the roster may live, and have not been awaited yet.
    """

    def __init__(self, pids: Iterable[int] | None = None, *, gathers: bool = False) -> None:
        self.may_live = pids is not None
        self.gathers = self.may_live and gathers
        self._pids = set(pids or ())
        self._awaited = not self.may_live

    @property
    def pids(self) -> frozenset[int]:
        """Those of the journal's roster that have neither connected here, nor died, nor left the server before."""
        return frozenset(self._pids)

    @property
    def are_to_come(self) -> bool:
        """Whether they live, and can't find this server yet."""
        return not self._awaited

    def has_come_or_gone(self, pid: int) -> None:
        """This process has connected, is dead, or has left: the roster says what it is from now on."""
        self._pids.discard(pid)

    def join(self, roster: Roster) -> bool:
        """Have all that live be on the roster from now on. Returns False if they are already, or there are none."""
        if self._awaited:
            return False
        self._awaited, self.gathers = True, False
        roster.expect(sorted(self._pids))
        return True
