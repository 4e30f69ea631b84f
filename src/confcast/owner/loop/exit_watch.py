"""The loop watches for the exit of each process on the roster, and of the master, and finds out how it has ended.

A process that can't be watched now, because the owner has no descriptor left, is not dead: it stays on the roster, and
the watch is tried again. Rejected: taking it for dead (a reload would succeed while the process serves the old
version), and exiting (the next owner would have as many processes to watch).

A death is told at once. How the process has ended is told with it, or later, where nobody may see that before its
parent has reaped it; and of a process that has said Goodbye, if it dies soon after. What is watched for that reason
alone is bounded, in number and in time, and costs no timer: what is too old is found at the next call.
"""

from __future__ import annotations

import logging
import selectors
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from confcast.log_fields import about
from confcast.owner.loop.endings import why_it_failed
from confcast.wire.processes import Death

_log = logging.getLogger("confcast.owner")

_ENDS_WITHIN = 10.0
"""Seconds within which the end of a process that is on the roster no more still says something."""

_MOST_LEAVING = 64

Callback = Callable[[str], None]
"""Called with why the process's end speaks against what it ran, in words; empty for nothing, or if nobody knows."""


class _Leaving(NamedTuple):
    """A process that is on the roster no more.

    Attributes:
        until: When its end says nothing any more.
        said_goodbye: Whether it left by itself; else it is dead, and how it died is still to be found out.
    """

    death: Death
    until: float
    said_goodbye: bool


class ExitWatch:
    """Calls back once when a process exits, by its pidfd on the loop's selector. For the loop's thread only.

    Args:
        selector: The loop's selector; every key's data is a function to call when the key is ready.
    """

    def __init__(self, selector: selectors.BaseSelector) -> None:
        self._selector = selector
        self._pidfds: dict[int, tuple[Death, Callback]] = {}
        self._leaving: dict[int, _Leaving] = {}
        self._unwatched: dict[int, Callback] = {}

    def watch(self, pid: int, callback: Callback) -> bool:
        """Call `callback` when this process is dead, at once if it is already. Returns False if it can't be watched.

        It may be called once more, with a text, where that is known later than the death, or of one that has left.
        """
        if pid in self._pidfds:
            return True
        self._drop(pid)
        logged = self._unwatched.pop(pid, None) is not None
        try:
            death = Death(pid)
        except ProcessLookupError:
            callback("")
            return True
        except OSError as error:
            if not logged:  # the watch is tried again each second
                _log.error(
                    "the exit of the process %d can't be watched for now: %s",
                    pid,
                    error,
                    extra=about("exit_not_watched", pid=pid, error=error),
                )
            self._unwatched[pid] = callback
            return False
        self._pidfds[pid] = death, callback
        self._selector.register(death, selectors.EVENT_READ, lambda mask: self._died(pid))
        return True

    def try_again(self) -> bool:
        """Try to watch the processes that could not be watched. Returns whether all are watched now."""
        for pid, callback in list(self._unwatched.items()):
            self.watch(pid, callback)
        return not self._unwatched

    def leaves(self, pid: int) -> None:
        """The process is on the roster no more. If it lives, its end is told only if it comes soon, and failed."""
        self._unwatched.pop(pid, None)
        if (found := self._pidfds.pop(pid, None)) is not None:
            self._look_on(*found, selectors.EVENT_READ, said_goodbye=True)

    def forget(self, pid: int) -> None:
        """Stop watching this process, if it is watched."""
        self._unwatched.pop(pid, None)
        self._drop(pid)
        if (found := self._pidfds.pop(pid, None)) is not None:
            self._close(found[0])

    def close(self) -> None:
        """Stop watching all processes."""
        for pid in [*self._pidfds, *self._unwatched, *self._leaving]:
            self.forget(pid)

    def _died(self, pid: int) -> None:
        death, callback = self._pidfds.pop(pid)
        status = death.status()
        if status is None and death.tells_once_reaped():
            self._look_on(death, callback, selectors.EVENT_WRITE)  # by which a selector reports EPOLLHUP: it is reaped
            callback("")
        else:
            self._close(death)
            callback(why_it_failed(status))

    def _look_on(self, death: Death, callback: Callback, event: int, *, said_goodbye: bool = False) -> None:
        now = time.monotonic()
        old = [pid for pid, leaving in self._leaving.items() if leaving.until <= now]
        for pid in old or list(self._leaving)[: max(0, len(self._leaving) + 1 - _MOST_LEAVING)]:
            self._drop(pid)
        self._leaving[death.pid] = _Leaving(death, now + _ENDS_WITHIN, said_goodbye)
        self._selector.modify(death, event, partial(self._ended, death.pid, callback))

    def _ended(self, pid: int, callback: Callback, mask: int) -> None:
        death, until, said_goodbye = self._leaving[pid]
        status = death.status()
        if status is None and mask & selectors.EVENT_READ and death.tells_once_reaped():
            self._selector.modify(death, selectors.EVENT_WRITE, partial(self._ended, pid, callback))
            return
        self._drop(pid)
        why = why_it_failed(status, said_goodbye=said_goodbye) if status is not None else ""
        if why and time.monotonic() < until:
            callback(why)

    def _drop(self, pid: int) -> None:
        if (leaving := self._leaving.pop(pid, None)) is not None:
            self._close(leaving.death)

    def _close(self, death: Death) -> None:
        self._selector.unregister(death)
        death.close()
