"""`Owners` manages the owners of one configuration in one server: the present one, and those that it has replaced.

A full reload begins a next generation with a pause: the present owner finishes its current reload, writes a copy of its
journal, and loads no more, so that no version number is given out twice. The next owner continues versions, history and
totals. The owner that a worker attached to first serves it until the worker ends; an owner without such workers exits.
If the next generation is called off (the configuration is refused, no new worker serves), the present owner resumes,
and loads what it missed if it watches. A paused owner refuses a reload: a request that comes between the pause and the
successor's start, or before the call-off, is repeated to the owner that loads then.

Rejected: two owners that load side by side (one number could have two contents).
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any, NamedTuple

from confcast import ConfcastError
from confcast.master.embedded import EmbeddedManager

NO_OWNER = (ConfcastError, ImportError, OSError, TypeError)
"""The errors that `ConfigReloadManager.start` raises if no owner can be started."""

Manager = EmbeddedManager[Any]


class CalledOff(Exception):
    """The next generation can't begin; nothing has changed."""


class _Former(NamedTuple):
    """An owner that was replaced, and the pids of the workers that it serves to their end."""

    manager: Manager
    workers: frozenset[int]


class Owners:
    """The managers of one configuration, by generation. For the master's main thread only, except `request_reload`.

    Args:
        first: The manager of the first generation; the caller starts it.

    Attributes:
        present: The manager whose owner loads, unless a next generation has begun.
    """

    def __init__(self, first: Manager) -> None:
        self.present = first
        self._coming: Manager | None = None
        self._is_requested = False  # whether a reload was requested since a next generation began
        self._former: list[_Former] = []

    def request_reload(self) -> None:
        """Trigger a reload by the owner that loads. Returns at once; for any thread, and for signal handlers."""
        self._is_requested = True  # set first: it is read after each change of the owner that loads
        (self._coming or self.present).request_reload()

    def succeed(self, make: Callable[[], Manager]) -> Manager:
        """Start the next generation's owner; `replace` or `call_off` must follow. Raises CalledOff if that fails."""
        self._is_requested = False
        try:
            self.present.pause()
        except ConfcastError as error:
            self._repeat_request()
            raise CalledOff(str(error)) from error
        try:
            self._coming = make().succeed(self.present).start()
        except NO_OWNER as error:
            self._resume()
            raise CalledOff(str(error)) from error
        except BaseException:
            self._resume()
            raise
        self._repeat_request()
        return self._coming

    def call_off(self, successor: Manager) -> None:
        """Close this successor, which has no workers, and let the present owner load again."""
        self._coming = None
        successor.close()
        self._resume()

    def replace(self, successor: Manager, workers: frozenset[int]) -> None:
        """Make the successor the present one; these workers, by pid, stay with the former one."""
        self._former.append(_Former(self.present, workers))
        self.present, self._coming = successor, None

    def _resume(self) -> None:
        self.present.unpause()
        self._repeat_request()

    def _repeat_request(self) -> None:
        """Request the reload of the owner that loads now: the owner of the first request may be paused or closed."""
        if self._is_requested:
            (self._coming or self.present).request_reload()

    def ensure(self, workers: Callable[[], Container[int]]) -> None:
        """Restart dead owners, and close owners whose workers are gone. Called in each turn of the master's loop.

        Args:
            workers: Returns the pids of all present workers.
        """
        for manager in filter(None, (self._coming, self.present)):
            manager.ensure_owner()
        for former in list(self._former):
            if any(pid in workers() for pid in former.workers):
                former.manager.ensure_owner()
            else:
                former.manager.close()
                self._former.remove(former)

    def log_was_rotated(self) -> None:
        """Have every owner write to the log file that exists now."""
        for manager in filter(None, (*(former.manager for former in self._former), self.present, self._coming)):
            manager.log_was_rotated()

    def close(self) -> None:
        """Close every owner, when the workers are gone."""
        for manager in filter(None, (*(former.manager for former in self._former), self.present, self._coming)):
            manager.close()
