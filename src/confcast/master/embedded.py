"""`EmbeddedManager`: the manager that server modules use, with methods that are not for applications.

Rejected: these methods in `ConfigReloadManager` (after an application's call of `pause()` no reload would work).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self, TypeVar, Unpack

from confcast.config.loader import ConfigLoader
from confcast.errors import ConfcastError
from confcast.master.manager import ConfigReloadManager, former_variable
from confcast.master.start import fresh_loader
from confcast.wire.address import address_variable
from confcast.wire.messages import Reload, ReloadEvent, StatsRequest
from confcast.wire.options import EmbeddedOptions, checked
from confcast.worker.client.connection_per_call import AddressClient

T = TypeVar("T")


class EmbeddedManager(ConfigReloadManager[T]):
    """A manager that a server module embeds in its server, for one generation. Constructed like any manager."""

    def succeed(self, former: ConfigReloadManager[Any]) -> Self:
        """Take over from a manager of this name, which the caller closes later. Must be called before `start()`."""
        self._former_manager, former._former_manager = former, None  # else all former managers would be chained
        return self

    @staticmethod
    def find_afresh(path: str, **options: Unpack[EmbeddedOptions]) -> ConfigLoader[Any]:
        """Find a loader as `ConfigLoader.find` does, in a new process, under the code that is on disk now.

        This process imports nothing, and the loader can only be given to a manager. The options are that manager's:
        those that say how a process is started are followed, and checked. Raises ConfigError, ValueError.
        """
        found = checked({name: value for name, value in options.items() if name in ("executable", "instrument_owner")})
        return fresh_loader.find_afresh(path, found.executable, instrument=found.instrument_owner)

    def pause(self) -> None:
        """Have the owner load no more, since a next generation of this server begins.

        Returns when no reload is under way, so that no version's number is given out twice. The owner goes on serving
        its workers, and refuses reloads with an explanation. `start()` of another manager of this name in this process,
        or in a program that has `successor_environment()`, continues the versions, the history and the totals. Raises
        NotAttached before `start()`; OwnerUnavailable if the owner does not answer, and then nothing changes.
        """
        self._mine().pause()

    def unpause(self) -> None:
        """Have the owner load again, since there is no next generation; if it watches, it loads what it has missed."""
        self._mine().resume()

    def supersede(self) -> None:
        """Have the paused owner release the state folder to the next generation's, which can't be called off any more.

        It serves its workers until `close()`. Raises NotAttached before `start()`.
        """
        self._mine().supersede()

    def expect(self, pids: list[int]) -> None:
        """Have the owner know these workers of another server's, which are sent to it, before they connect.

        Raises NotAttached before `start()`.
        """
        self._mine().expect(pids)

    def accepts_on(self, listener: int) -> None:
        """Set the descriptor of a listening Unix socket on which each owner accepts, besides its control socket.

        Must be called before `start()`; it stays open while the manager is.
        """
        self._listener = listener

    def lasts_at(self, address: str, *, left: bool = False) -> None:
        """Set the lasting address that will lead to the owner. Must be called before `start()`.

        `left`: it leads to an owner that was killed, whose workers may live, and look for the next one there.
        """
        self._address, self._address_left = address, left

    def successor_environment(self) -> dict[str, str]:
        """The environment variables that a program needs to take this server's place."""
        return {former_variable(self.name): str(Path(self.address).parent), address_variable(self.name): ""}

    def workers_run_as(self, uid: int, gid: int) -> None:
        """Set the user as which workers run, if it is not this process's. Must be called before `start()`."""
        if uid != os.geteuid():
            self._workers = uid, gid

    def lets_in(self, uid: int, gid: int, *, each_of_the_group: bool) -> None:
        """Set who may attach beside this process's user: a user (-1: none), and perhaps each member of a group.

        Must be called before `start()`.
        """
        self._workers, self._group_attaches = (uid, gid), each_of_the_group

    def ring(self, bell: int) -> None:
        """Have owners write a byte into this descriptor at each event. Must be called before `start()`.

        The descriptor must not block, and stays open until `close()`. A byte that has no room is lost.
        """
        self._bell = bell

    def reload_by_signal(self) -> ReloadEvent:
        """Reload as a HUP does, and wait for the outcome, as `reload()` does."""
        return self._reload(self._answers_within(), Reload(0, "signal"))

    @property
    def answers_within(self) -> float:
        """Seconds within which the owner answers a reload."""
        return self._answers_within()

    def owner_answers(self, within: float) -> bool:
        """Whether the owner answers a question within these seconds. Starts no owner, and raises nothing."""
        try:
            return AddressClient(self.address, self.name).ask(lambda number: StatsRequest(number), within) is not None
        except ConfcastError:
            return False

    def owner_lives(self) -> bool:
        """Whether the owner's process lives; if not, the supervisor starts the next one. Raises NotAttached."""
        death = self._mine().death()
        return death is not None and not death.wait(0)

    def is_mine(self) -> bool:
        """Whether this manager is started, in this process."""
        return self._is_mine()
