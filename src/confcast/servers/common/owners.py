"""The owners of one configuration in one server: the present one, and those that it has replaced.

A full reload begins a next generation with a pause: the present owner finishes what is under way, leaves a copy of its
journal, and loads no more, so that no version's number is given out twice. The next owner goes on with versions,
history and totals. Workers are served by the owner that they began with, to their end; then it leaves. When the next
generation does not come about (the configuration is refused, no new worker serves), the present owner goes on, and
loads what it missed if it watches. It refuses a reload while it is paused: one that is asked for between the pause and
the successor's start, or before the call-off, is asked for once more of whoever loads then.

Rejected: two owners that load side by side (two contents under one number).
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any, NamedTuple

from confcast import ConfcastError, ConfigReloadManager

NO_OWNER = (ConfcastError, ImportError, OSError, TypeError)
"""What `ConfigReloadManager.start` raises when no owner can be had."""

Manager = ConfigReloadManager[Any]


class CalledOff(Exception):
    """The next generation can't begin; everything is as it was."""


class _Former(NamedTuple):
    """An owner that was replaced, and the pids of the workers that it serves to their end."""

    manager: Manager
    workers: frozenset[int]


class Owners:
    """The managers of one configuration, by generation. For the master only, and its one thread; but `request_reload`.

    Args:
        first: The manager of the first generation; the caller starts it.

    Attributes:
        present: Whose owner loads, unless a next generation has begun.
    """

    def __init__(self, first: Manager) -> None:
        self.present = first
        self._coming: Manager | None = None
        self._asked = False  # for a reload, since a next generation began
        self._former: list[_Former] = []

    def request_reload(self) -> None:
        """Trigger the owner that loads. Returns at once, in any thread, and in a signal handler."""
        self._asked = True  # first: whoever changes the owner that loads looks at this afterwards
        (self._coming or self.present).request_reload()

    def succeed(self, make: Callable[[], Manager]) -> Manager:
        """Start the next generation's owner; whoever calls says `replace` or `call_off` then. Raises CalledOff."""
        self._asked = False
        try:
            self.present.pause()
        except ConfcastError as error:
            self._ask_again()
            raise CalledOff(str(error)) from error
        try:
            self._coming = make().succeed(self.present).start()
        except NO_OWNER as error:
            self._go_on()
            raise CalledOff(str(error)) from error
        except BaseException:
            self._go_on()
            raise
        self._ask_again()
        return self._coming

    def call_off(self, successor: Manager) -> None:
        """It will not be used."""
        self._coming = None
        successor.close()
        self._go_on()

    def replace(self, successor: Manager, workers: frozenset[int]) -> None:
        """It is the present one from now on; these workers stay with the one before."""
        self._former.append(_Former(self.present, workers))
        self.present, self._coming = successor, None

    def _go_on(self) -> None:
        self.present.resume()
        self._ask_again()

    def _ask_again(self) -> None:
        """Whoever was asked until now may have been paused, or was closed."""
        if self._asked:
            (self._coming or self.present).request_reload()

    def ensure(self, workers: Callable[[], Container[int]]) -> None:
        """In each turn of the master's loop: restart the dead, release owners whose workers are gone.

        Args:
            workers: Gives the pids of those that there are.
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
        """Have every owner go on in the log file that is there now."""
        for manager in filter(None, (*(former.manager for former in self._former), self.present, self._coming)):
            manager.log_was_rotated()

    def close(self) -> None:
        """The workers are gone."""
        for manager in filter(None, (*(former.manager for former in self._former), self.present, self._coming)):
            manager.close()
