"""The loop watches for the exit of each process on the roster, and of the master.

A process that can't be watched now, because the owner has no descriptor left, is not dead: it stays on the roster, and
the watch is tried again. Rejected: taking it for dead (a reload would succeed while the process serves the old
version), and exiting (the next owner would have as many processes to watch).
"""

from __future__ import annotations

import logging
import selectors
from collections.abc import Callable

from confcast.wire.processes import Death

_log = logging.getLogger("confcast.owner")


class ExitWatch:
    """Calls back once when a process exits, by its pidfd on the loop's selector. For the loop's thread only.

    Args:
        selector: The loop's selector; every key's data is a function to call when the key is ready.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._pidfds: dict[int, Death] = {}
        self._unwatched: dict[int, Callable[[], None]] = {}

    def watch(self, pid: int, callback: Callable[[], None]) -> bool:
        """Call `callback` when this process is dead, at once if it is already. Returns False if it can't be watched."""
        if pid in self._pidfds:
            return True
        logged = self._unwatched.pop(pid, None) is not None
        try:
            death = Death(pid)
        except ProcessLookupError:
            callback()
            return True
        except OSError as error:
            if not logged:  # the watch is tried again each second
                _log.error("the exit of the process %d can't be watched for now: %s", pid, error)
            self._unwatched[pid] = callback
            return False
        self._pidfds[pid] = death
        self._selector.register(death, selectors.EVENT_READ, lambda mask: self._died(pid, callback))
        return True

    def try_again(self) -> bool:
        """Try to watch the processes that could not be watched. Returns whether all are watched now."""
        for pid, callback in list(self._unwatched.items()):
            self.watch(pid, callback)
        return not self._unwatched

    def forget(self, pid: int) -> None:
        """Stop watching this process, if it is watched."""
        self._unwatched.pop(pid, None)
        death = self._pidfds.pop(pid, None)
        if death is not None:
            self._selector.unregister(death)
            death.close()

    def close(self) -> None:
        """Stop watching all processes."""
        for pid in [*self._pidfds, *self._unwatched]:
            self.forget(pid)

    def _died(self, pid: int, callback: Callable[[], None]) -> None:
        self.forget(pid)
        callback()
