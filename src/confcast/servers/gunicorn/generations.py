"""The owners of one configuration in one gunicorn: owners.py, and what an upgrade (USR2) adds to a full reload.

An upgrade begins as a full reload does, with a pause; the next owner is the new master's. When that master dies or is
backed out, the present owner goes on. There is one generation at a time: no full reload in either master until the
other one is gone, for an owner notes its numbers with the one before it only.

Rejected: an upgrade without a pause.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from confcast import ConfcastError
from confcast.servers.common.owners import NO_OWNER, CalledOff, Manager, Owners

__all__ = ["NO_OWNER", "CalledOff", "Generations"]


class Generations(Owners):
    """For the master only, and its one thread.

    Args:
        first: The manager of the first generation; the caller starts it.
    """

    def __init__(self, first: Manager) -> None:
        super().__init__(first)
        self._upgrading = False

    def begin(self, server: Any, make: Callable[[], Manager]) -> Manager:
        """Start the next generation's owner; whoever calls says `replace` or `call_off` then. Raises CalledOff."""
        if self._upgrading or _may_be_backed_out(server):
            raise CalledOff("an upgrade is under way: end one of the two masters first")
        return self.succeed(make)

    def upgrade(self, server: Any, execute: Callable[[], None]) -> None:
        """Have gunicorn start a new master, by `execute`; `tick` notices when that one is gone again."""
        if server.reexec_pid == 0 and server.master_pid == 0:  # else gunicorn only warns
            self._asked = False
            try:
                self.present.pause()
            except ConfcastError as error:
                server.log.error("confcast: the upgrade is called off: %s", error)
                self._ask_again()
                return
            self._upgrading = True
        execute()

    def tick(self, server: Any, others: frozenset[int] = frozenset()) -> None:
        """In each turn of the master's loop: what `ensure` does, and going on after an upgrade's end.

        Args:
            server: gunicorn's arbiter.
            others: What is served beside its workers, by pid.
        """
        self.ensure(lambda: others.union(server.WORKERS))
        if self._upgrading and server.reexec_pid == 0:
            self._upgrading = False
            self._go_on()
            server.log.warning(
                "confcast: the new master is gone: configuration %r is loaded by this one again", self.present.name
            )


def _may_be_backed_out(server: Any) -> bool:
    """Whether it is the new master of an upgrade, and the old one lives."""
    return bool(server.master_pid) and server.master_pid == os.getppid()
