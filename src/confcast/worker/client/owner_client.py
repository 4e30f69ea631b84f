"""A client that waits for an owner that is restarted, and says who ought to restart it when nobody does.

The command line has one for each command, and the public `Client` for each request. Guaranteed: an operation that an
owner may have received is not sent again, since to go back twice is to go back two versions. Rejected: to wait until
the caller's own time is over (a master that is gone restarts nothing).
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import stat
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from confcast.errors import ConfigError, OwnerUnavailable
from confcast.texts import printable
from confcast.wire.files import lasting_address
from confcast.wire.files.owner_dirs import TAKE_OVER
from confcast.wire.listener import peer_of
from confcast.wire.messages import (
    Answer,
    Check,
    ConfigRequest,
    Configuration,
    Described,
    News,
    NewsRequest,
    Operation,
    Reload,
    ReloadEvent,
    Request,
    SchemaKey,
    SchemaRequest,
    Shown,
    ShowRequest,
    Stats,
    StatsRequest,
    Status,
)
from confcast.wire.plain_values import plain_values
from confcast.worker.client.connection_per_call import AddressClient

A = TypeVar("A")

_RETRY = 0.05
_RESTART = 3.0
_LATE = 2.0
"""Seconds that an answer may come later than it was asked for."""
_UNANSWERED = 5.0
"""Seconds to wait for a reload by an owner that has not answered even a request that needs no load."""


class OwnerClient(AddressClient):
    """A client that waits some seconds for a dead owner to be restarted, while its socket exists or its master lives.

    After that, it raises an error that names the master. For use by one thread.

    Args:
        address: The path of the control socket.
        name: The configuration's name.
    """

    def __init__(self, address: str, name: str) -> None:
        super().__init__(address, name)
        self._nobody_listens = False  # as found when the owner was asked last
        self._asked = False  # whether an owner got the request, answered or not
        self._pid = 0  # that owner's pid, as far as the system shows it
        self._end = math.inf

    def reload_by_command(self, timeout: float | None, reason: str = "", **how: Any) -> ReloadEvent:
        """Reload with the origin `command`; later requests have the time that is left of `timeout`.

        `how`: further fields of the request.
        """
        asked = Reload(0, "command", reason=reason, **how)
        return self.within(timeout, lambda seconds: self._reload(seconds, asked))

    def within(self, timeout: float | None, ask: Callable[[float], A]) -> A:
        """What `ask(timeout)` returns; later requests have the time that is left of `timeout`."""
        timeout = self._answers_within() if timeout is None else timeout
        self._end = time.monotonic() + timeout
        return ask(timeout)

    def _answers_within(self) -> float:
        """Seconds within which the owner answers, as it says; some if it does not answer. Raises OwnerUnavailable."""
        answer = self._ask(lambda number: StatsRequest(number), _UNANSWERED)
        if not isinstance(answer, Stats):
            return _UNANSWERED
        return float(answer.stats.get("answers_within") or super()._answers_within())

    def stats_and_status(self) -> tuple[dict[str, Any], Status | None]:
        """The totals and the status, of one moment; None from an owner of an earlier build. Raises OwnerUnavailable."""
        answer = self._stats(with_status=True)
        return answer.stats, answer.status

    def shown(self, key: str = "") -> list[tuple[str, Any]]:
        """What runs at and below a key, or all of it, secrets masked; a value's own key gives that value alone.

        Raises ConfigError if the configuration has no such key, and OwnerUnavailable.
        """
        answer = self._answer(Shown, lambda number: ShowRequest(number, key), self._answers_within())
        if answer.problems:
            raise ConfigError(answer.problems)
        return list(answer.values)

    def described(self, key: str = "") -> tuple[SchemaKey, ...]:
        """What the schema says of a key and of those below, or of all, secrets masked; no source is read for it.

        There are at most 1,000, and a last one that counts the others. Raises ConfigError if the schema has no such
        key, and OwnerUnavailable, also for an owner of an earlier build, which does not know this request.
        """
        answer = self._answer(Described, lambda number: SchemaRequest(number, key), self._answers_within())
        if answer.problems:
            raise ConfigError(answer.problems)
        return answer.fields

    def configuration(self, key: str = "", text: str = "") -> Configuration:
        """All keys of what runs, each with its origin, secrets masked; at most 10,000, and how many there are besides.

        `key`: only at and below this one. `text`: only those that have it in key, value, origin or description. Raises
        ConfigError if the configuration has no such key, and OwnerUnavailable, also for an owner of an earlier build.
        """
        answer = self._answer(Configuration, lambda number: ConfigRequest(number, key, text), self._answers_within())
        if answer.problems and not answer.values and not answer.left_out and not answer.version:
            raise ConfigError(answer.problems)
        return answer

    def news(self, after: str, seconds: float) -> str:
        """Wait until something has changed that a status shows, for so many seconds at the most.

        `after`: what the call before has returned. An owner that has ended is not waited for. Raises OwnerUnavailable,
        also for an owner of an earlier build.
        """
        answer = self.ask(lambda number: NewsRequest(number, after, seconds), seconds + _LATE)
        if not isinstance(answer, News):
            raise OwnerUnavailable(f"{self._whom()} has ended, hangs, or tells no news")
        return answer.state

    def answers(self, seconds: float) -> bool:
        """Whether an owner answers within so many seconds; it is not waited for."""
        return self.ask(StatsRequest, seconds) is not None

    def check_contents(self, values: Mapping[str, Any], files: dict[str, bytes]) -> ReloadEvent:
        """`check(values=…, files=…)` by a caller who has the contents of the files, and no files."""
        plain = plain_values(values)
        return self._outcome(lambda number: Check(number, plain, files), self._seconds(None), "dry run")

    def check_address(self) -> None:
        """Raise OwnerUnavailable if there is no such socket, and no master that could restart the owner."""
        try:
            there = stat.S_ISSOCK(Path(self.address).stat().st_mode)
        except PermissionError:  # Python 3.14's `is_socket()` returns False
            raise self._not_for_us() from None
        except (OSError, ValueError):
            there = False
        if not there and self._master() is None:
            raise OwnerUnavailable(f"no config owner listens at {printable(self.address)}: there is no such socket")

    def _ask(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        self.check_address()
        self._asked = False
        deadline = min(time.monotonic() + timeout, self._end)
        give_up = min(deadline, time.monotonic() + _RESTART)
        while True:
            answer = self.ask(make, max(_RETRY, deadline - time.monotonic()))
            if answer is not None:
                return answer
            if self._asked and isinstance(make(0), Operation):  # to go back twice is to go back two versions
                return None
            if time.monotonic() + _RETRY > give_up:
                self._check_owner()
                return None
            time.sleep(_RETRY)

    def _open(self, request: Request, timeout: float) -> socket.socket:
        self._nobody_listens = False
        try:
            connection = super()._open(request, timeout)
        except (ConnectionRefusedError, FileNotFoundError):
            self._nobody_listens = True
            raise
        except PermissionError:
            raise self._not_for_us() from None
        self._asked = True
        with contextlib.suppress(OSError):
            self._pid = peer_of(connection).pid
        return connection

    def _whom(self) -> str:
        """The owner in words, with its pid: a person has to look at an owner that is stopped, or hangs."""
        return f"the config owner (process {self._pid})" if self._asked and self._pid else super()._whom()

    def _not_for_us(self) -> OwnerUnavailable:
        return OwnerUnavailable(
            f"this user (uid {os.geteuid()}) may not ask the config owner at {printable(self.address)}: ask as the "
            "server's user, as its workers', or as root"
        )

    def _check_owner(self) -> None:
        """Raise OwnerUnavailable if no owner listens, though its master will restart it."""
        master = self._master()
        if not self._nobody_listens or master is None:
            return
        unknown = "; it ended over what it was asked: whether that was done is unknown" if self._asked else ""
        raise OwnerUnavailable(
            f"the config owner of {self.name!r} is down; its master (process {master}) restarts it, after a pause of "
            "at most 30 s, and says why in its log; workers keep serving with the version they have" + unknown
        )

    def master(self) -> dict[str, Any] | None:
        """The owner's master: pid, uid, working directory and command; None if the address does not show it."""
        found = lasting_address.owner_at(self.address)
        if found is None:
            return None
        place = {"working_directory": found.started_in(), "command": found.command()}
        return {"pid": found.master, "uid": found.user(), **place}

    def is_of_a_serve(self) -> bool:
        """Whether the owner's master is a `confcast serve`, and no server."""
        with contextlib.suppress(OSError):
            return (lasting_address.folder_of(self.address) / TAKE_OVER).exists()
        return False

    def will_be_restarted(self) -> bool:
        """Whether the owner's master lives and has not closed it, so that an owner that is down comes back."""
        return self._master() is not None and lasting_address.folder_of(self.address).exists()

    def _master(self) -> int | None:
        """The pid of the living master that restarts this owner; None if there is none, or it is not known."""
        found = lasting_address.owner_at(self.address)
        return found.master if found is not None and found.lives() else None
