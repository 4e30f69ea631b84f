"""The public `Client`: the verbs alone, for scripts, cron and CI.

It holds no copy of the configuration, has no vote and is on no roster: no reload waits for it. The command line finds
and asks owners by the same files (`which_owner.py`, `owner_client.py`). The owner is looked for when the first verb is
called, so that a module may make one before the server starts, and again once the one that was found has a successor
or its master has ended. Rejected: to look for it in the constructor (a monitor would ask a server's old address after
each restart), and at each call (a monitor would read the folders of all owners each second).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from confcast.errors import OwnerUnavailable
from confcast.wire.files import lasting_address
from confcast.wire.messages import Answer, ReloadEvent, Request
from confcast.worker.client import which_owner
from confcast.worker.client.awaitable_verbs import AwaitableVerbs
from confcast.worker.client.owner_client import OwnerClient
from confcast.worker.client.unanswered import unanswered
from confcast.worker.client.which_owner import Place, SeveralOwners


class Client(AwaitableVerbs):
    """Asks the config owner of a server from outside: all verbs, and nothing else.

        event = Client(name="shop").check(files={"shop.toml": "proposed.toml"})
        for problem in event.problems:
            print(problem.location, problem.message)
        sys.exit(0 if event else 1)

    Without `address` and `pid`, the owner is found as `confcast` finds it: by `CONFCAST_ADDRESS_<NAME>`, else among
    those that run for this user. Nothing is opened or searched before the first verb; each request has a connection
    of its own. A dead owner whose master lives is waited for, three seconds at the most. Any thread may use it, also
    after a fork.

    A verb that returns an event never raises where no owner is found or answers: its result is OWNER_UNAVAILABLE, and
    `error_message` says which owners run, and how to choose one. Other verbs raise OwnerUnavailable with that text.

    Args:
        name: The configuration's name. With `address` or `pid` it is needed only to choose among several.
        address: The path of the owner's control socket.
        pid: A process of the server: its master, a worker, the owner, or one below them.

    Raises:
        ValueError: `name` or `address` is empty, or `address` and `pid` are both given.
        TypeError: One of them has another type.
    """

    __slots__ = ("_address", "_found", "_name", "_pid")

    def __init__(
        self, *, name: str = "app", address: str | os.PathLike[str] | None = None, pid: int | None = None
    ) -> None:
        if address is not None and pid is not None:
            raise ValueError("address= and pid= say the same in two ways: give one of them")
        if type(pid) not in (int, type(None)):
            raise TypeError(f"pid={pid!r}: the number of a process is expected")
        self._name = _text("name", name)
        self._address = None if address is None else _text("address", os.fspath(address))
        self._pid = pid
        self._found: Place | None = None

    def __repr__(self) -> str:
        given = {"address": self._address} if self._address else {"pid": self._pid} if self._pid is not None else {}
        return f"Client({', '.join(f'{key}={value!r}' for key, value in {'name': self._name, **given}.items())})"

    def _ask(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        return self._owner()._ask(make, timeout)

    def _outcome(self, make: Callable[[int], Request], timeout: float, what: str) -> ReloadEvent:
        began = time.time()
        try:
            return self._owner()._outcome(make, timeout, what)
        except OwnerUnavailable as error:
            return unanswered(began, str(error))

    def _answers_within(self) -> float:
        try:
            return self._owner()._answers_within()
        except OwnerUnavailable:
            return super()._answers_within()

    def _whom(self) -> str:
        return f"the config owner of {self._name!r}"

    def _owner(self) -> OwnerClient:
        """The owner, for one request. Raises OwnerUnavailable."""
        if self._found is None or _is_over(self._found):
            self._found = self._find()
        return OwnerClient(*self._found)

    def _find(self) -> Place:
        if self._address is not None:
            return which_owner.find(address=self._address)
        if self._pid is None:
            return which_owner.find(self._name)
        try:
            return which_owner.find(pid=self._pid)
        except SeveralOwners:
            return which_owner.find(self._name, pid=self._pid)


def _is_over(found: Place) -> bool:
    """Whether another owner has taken over from this one, its master has ended, or has closed its manager."""
    there = lasting_address.owner_at(found.address)
    return there is not None and (there.is_superseded() or not there.lives() or not there.path.exists())


def _text(what: str, given: object) -> str:
    if not isinstance(given, str):
        raise TypeError(f"{what}={given!r}: a text is expected")
    if not given:
        raise ValueError(f"{what} is empty: say which config owner is meant")
    return given
