"""`Generations` manages the owners of one configuration in one gunicorn, through full reloads and upgrades (USR2).

An upgrade begins as a full reload does, with a pause; the new master starts the next owner. If the new master dies or
is backed out, the present owner resumes. Only one generation begins at a time: neither master reloads fully until the
other one is gone, because an owner coordinates its version numbers only with the owner before it.

Rejected: an upgrade without a pause (both owners would load).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from confcast import ConfcastError
from confcast.log_fields import about
from confcast.servers.common.owners import CalledOff, Manager, Owners


class Generations(Owners):
    """`Owners`, and upgrades. For the master's main thread only.

    Args:
        first: The manager of the first generation; the caller starts it.
    """

    def __init__(self, first: Manager) -> None:
        super().__init__(first)
        self._upgrading = False

    def begin(self, server: Any, make: Callable[[], Manager]) -> Manager:
        """Start the next generation's owner; `replace` or `call_off` must follow. Raises CalledOff if that fails."""
        if self._upgrading or _may_be_backed_out(server):
            raise CalledOff("an upgrade is under way: end one of the two masters first")
        return self.succeed(make)

    def upgrade(self, server: Any, execute: Callable[[], None]) -> None:
        """Pause the owner, and start a new master by `execute`; `tick` resumes when that master is gone."""
        if server.reexec_pid == 0 and server.master_pid == 0:  # otherwise gunicorn only logs a warning
            self._is_requested = False
            try:
                self.present.pause()
            except ConfcastError as error:
                server.log.error(
                    "confcast: the upgrade is called off: %s", error, extra=about("upgrade_called_off", reason=error)
                )
                self._repeat_request()
                return
            self._upgrading = True
        execute()

    def tick(self, server: Any, others: frozenset[int] = frozenset()) -> None:
        """Do what `ensure` does, and resume the owner when the new master is gone; called in each turn of the loop.

        Args:
            server: gunicorn's arbiter.
            others: The pids of processes that the owners serve besides the workers.
        """
        self.ensure(lambda: others.union(server.WORKERS))
        if self._upgrading and server.reexec_pid == 0:
            self._upgrading = False
            self._resume()
            server.log.warning(
                "confcast: the new master is gone: configuration %r is loaded by this one again",
                self.present.name,
                extra=about("upgrade_called_off", name=self.present.name),
            )


def _may_be_backed_out(server: Any) -> bool:
    """Whether this is the new master of an upgrade, and the old master lives."""
    return bool(server.master_pid) and server.master_pid == os.getppid()
