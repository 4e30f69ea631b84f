"""The owners of one configuration in one gunicorn: the present one, and those that it has replaced.

A next generation, by gunicorn's full reload or by an upgrade (USR2), begins with a pause: the present owner finishes
what is under way, leaves a copy of its journal, and loads no more, so that no version's number is given out twice.
The next one goes on with versions, history and totals. Workers are served by the owner that they began with, to their
end; then it leaves. When the next generation does not come about (a refused configuration, a new master that dies or
is backed out), the present owner goes on, and loads what it missed if it watches. There is one at a time: no full
reload in either master until the other one is gone, for an owner notes its numbers with the one before it only.

Rejected: two owners that load side by side (two contents under one number), and an upgrade without a pause.
"""

from __future__ import annotations

import os
from collections.abc import Callable
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


class Generations:
    """For the master only, and its one thread.

    Args:
        first: The manager of the first generation; the caller starts it.
    """

    def __init__(self, first: Manager) -> None:
        self.present = first
        self._former: list[_Former] = []
        self._upgrading = False

    def begin(self, server: Any, make: Callable[[], Manager]) -> Manager:
        """Start the next generation's owner; whoever calls says `replace` or `call_off` then. Raises CalledOff."""
        if self._upgrading or _may_be_backed_out(server):
            raise CalledOff("an upgrade is under way: end one of the two masters first")
        try:
            self.present.pause()
        except ConfcastError as error:
            raise CalledOff(str(error)) from error
        try:
            return make().succeed(self.present).start()
        except NO_OWNER as error:
            self.present.resume()
            raise CalledOff(str(error)) from error
        except BaseException:
            self.present.resume()
            raise

    def call_off(self, successor: Manager) -> None:
        """It will not be used."""
        successor.close()
        self.present.resume()

    def replace(self, successor: Manager, workers: frozenset[int]) -> None:
        """It is the present one from now on; these workers stay with the one before."""
        self._former.append(_Former(self.present, workers))
        self.present = successor

    def upgrade(self, server: Any, execute: Callable[[], None]) -> None:
        """Have gunicorn start a new master, by `execute`; `attend` notices when that one is gone again."""
        if server.reexec_pid == 0 and server.master_pid == 0:  # else gunicorn only warns
            try:
                self.present.pause()
            except ConfcastError as error:
                server.log.error("confcast: the upgrade is called off: %s", error)
                return
            self._upgrading = True
        execute()

    def attend(self, server: Any, others: frozenset[int] = frozenset()) -> None:
        """In each turn of the master's loop: restart the dead, release former owners, go on after an upgrade's end.

        Args:
            server: gunicorn's arbiter.
            others: What is served beside its workers, by pid.
        """
        self.present.ensure_owner()
        if self._upgrading and server.reexec_pid == 0:
            self._upgrading = False
            self.present.resume()
            server.log.warning(
                "confcast: the new master is gone: configuration %r is loaded by this one again", self.present.name
            )
        for former in list(self._former):
            if former.workers.isdisjoint(others.union(server.WORKERS)):
                former.manager.close()
                self._former.remove(former)
            else:
                former.manager.ensure_owner()

    def log_was_rotated(self) -> None:
        """Have every owner go on in the log file that is there now."""
        for manager in (*(former.manager for former in self._former), self.present):
            manager.log_was_rotated()

    def close(self) -> None:
        """The workers are gone."""
        for manager in (*(former.manager for former in self._former), self.present):
            manager.close()


def _may_be_backed_out(server: Any) -> bool:
    """Whether it is the new master of an upgrade, and the old one lives."""
    return bool(server.master_pid) and server.master_pid == os.getppid()
