"""Whose deaths the loop listens for: each process on the roster, and the master.

A process that can't be listened for now, because the owner has no descriptor left, is no dead one: it stays on the
roster, and listening is tried again. Rejected: taking it for dead (a reload would succeed while it serves the old
version), and ending (the next owner would have as many to listen for).
"""

from __future__ import annotations

import logging
import selectors
from collections.abc import Callable

from confcast.wire.processes import Death

_log = logging.getLogger("confcast.owner")


class ExitWatch:
    """On the loop's selector; only the loop's thread may use it. Each death is told once, and then forgotten.

    Args:
        selector: The loop's; every key's data is a function to call when it is ready.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._pidfds: dict[int, Death] = {}
        self._unwatched: dict[int, Callable[[], None]] = {}

    def watch(self, pid: int, callback: Callable[[], None]) -> bool:
        """Call `callback` when this process is dead, at once if it is already; whether it can be heard from now on."""
        if pid in self._pidfds:
            return True
        said = self._unwatched.pop(pid, None) is not None
        try:
            death = Death(pid)
        except ProcessLookupError:
            callback()
            return True
        except OSError as error:
            if not said:  # it is tried again each second, for as long as it takes
                _log.error("the death of the process %d can't be heard for now: %s", pid, error)
            self._unwatched[pid] = callback
            return False
        self._pidfds[pid] = death
        self._selector.register(death, selectors.EVENT_READ, lambda mask: self._died(pid, callback))
        return True

    def try_again(self) -> bool:
        """Whether everyone can be heard now."""
        for pid, callback in list(self._unwatched.items()):
            self.watch(pid, callback)
        return not self._unwatched

    def forget(self, pid: int) -> None:
        """Listen for this one no more."""
        self._unwatched.pop(pid, None)
        death = self._pidfds.pop(pid, None)
        if death is not None:
            self._selector.unregister(death)
            death.close()

    def close(self) -> None:
        """Listen for nobody any more."""
        for pid in [*self._pidfds, *self._unwatched]:
            self.forget(pid)

    def _died(self, pid: int, callback: Callable[[], None]) -> None:
        self.forget(pid)
        callback()
