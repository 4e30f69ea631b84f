"""Which owners there are, and the client of the one that a request means.

Without options these are the owners of this user that load, as `confcast` lists them; with `--name`, `--address` or
`--pid`, or a variable of a server's process, it is the one that `confcast` would ask; with
`CONFCAST_RUNTIME_DIR`, those in that place. They are looked for again at most once a second, so that an owner of a
restarted server is found, and a page that many look at costs no more than one.

An owner's id is its configuration's name where one owner alone has that; else the name and its master's pid, which
means it, too, where it is alone: `app`, `app.4711`. A master with several of one name has eight digits for each.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from confcast.admin.calls import Calls
from confcast.admin.problems import ProblemError, unavailable
from confcast.errors import OwnerUnavailable
from confcast.wire import processes
from confcast.wire.address import address_variable
from confcast.wire.files import lasting_address, owner_dirs
from confcast.wire.messages import Answer, Operation, Reload, Request
from confcast.worker.client import known_owners, which_owner
from confcast.worker.client.owner_client import OwnerClient

_FOR = 1.0
"""Seconds for which what was found is believed."""

_ANSWERS_WITHIN = 5.0
"""Seconds in which an owner that lives answers what needs no load."""

_LOOKING = ""
"""The owner, in the bound of calls, that stands for looking for owners."""


class Which(NamedTuple):
    """Which owner is meant by the options of the command.

    Attributes:
        name: The configuration's name; None for any.
        address: Its control socket; None for any.
        pid: A process of the server; None for any.
    """

    name: str | None = None
    address: str | None = None
    pid: int | None = None

    def is_one(self) -> bool:
        """Whether one owner is meant, and not all of them."""
        if self.name or self.address or self.pid is not None or os.environ.get(address_variable("app")):
            return True
        return any(each.startswith(address_variable("")) and value for each, value in os.environ.items())


class Owner(NamedTuple):
    """One owner.

    Attributes:
        id: How requests mean it.
        name: The configuration's name.
        address: The path of its control socket.
        master: The pid of its master; 0 if the address does not show it.
    """

    id: str
    name: str
    address: str
    master: int

    def client(self, actor: str = "") -> OwnerClient:
        """A client for one thread; `actor`: for whom it calls, as the history has it."""
        return ActingClient(self.address, self.name, actor)


class ActingClient(OwnerClient):
    """A client that says in each call for whom it calls, and calls no owner that hangs.

    An owner that is stopped would do what it is asked when it goes on, long after the caller was told that it hangs.

    Args:
        address: The path of the control socket.
        name: The configuration's name.
        actor: For whom; empty: for nobody else.
    """

    def __init__(self, address: str, name: str, actor: str) -> None:
        super().__init__(address, name)
        self._actor = actor

    def _answers_within(self) -> float:
        if not self.answers(_ANSWERS_WITHIN):
            self.check_address()
            text = f"{self._whom()} did not answer within {_ANSWERS_WITHIN:g} s, so that nothing was asked of it"
            raise OwnerUnavailable(text)
        return super()._answers_within()

    def _ask(self, make: Callable[[int], Request], timeout: float) -> Answer | None:
        def acting(number: int) -> Request:
            asked = make(number)
            calls = isinstance(asked, Reload | Operation)
            return msgspec.structs.replace(asked, actor=self._actor) if calls else asked

        return super()._ask(acting, timeout)


class Owners:
    """The owners that this process asks. For one loop.

    Args:
        which: The owner that is meant.
        calls: Runs what blocks.
    """

    def __init__(self, which: Which, calls: Calls) -> None:
        self._which, self._calls = which, calls
        self._found: list[Owner] = []
        self._error: OwnerUnavailable | None = None
        self._until = 0.0
        self._one = asyncio.Lock()

    def described(self, found: list[Owner]) -> list[dict[str, Any]]:
        """What is known of each of these, for a program; it blocks, for some seconds at the most."""
        dirs = [lasting_address.owner_at(each.address) for each in found]
        known = {each["address"]: each for each in known_owners.described([each for each in dirs if each is not None])}
        return [
            _described(each, None if there is None else known.get(there.address))
            for each, there in zip(found, dirs, strict=True)
        ]

    async def all(self) -> list[Owner]:
        """The owners there are; empty if there are none."""
        await self._look()
        return self._found

    async def find(self, wanted: str | None) -> Owner:
        """The owner of this id; without one, the only one. Raises ProblemError."""
        await self._look()
        if wanted is not None:
            found = [each for each in self._found if wanted in (each.id, f"{each.name}.{each.master}")]
            if len(found) == 1:
                return found[0]
            if any(each.name == wanted for each in self._found):
                text = f"several config owners are called {wanted!r} by now: say which one is meant, by ?owner=ID"
                raise ProblemError(409, "several_owners", text, owners=self._ids())
            raise ProblemError(404, "no_such_owner", "no config owner has this id", owners=self._ids())
        if len(self._found) == 1:
            return self._found[0]
        if self._found:
            text = "several config owners run: say which one is meant, by ?owner=ID"
            raise ProblemError(409, "several_owners", text, owners=self._ids())
        raise unavailable(str(self._error or "no config owner runs for this user: start the server"))

    def _ids(self) -> list[str]:
        return [each.id for each in self._found]

    async def _look(self) -> None:
        async with self._one:  # of many who come at once, one looks, and the others wait for it
            if time.monotonic() < self._until:
                return
            try:
                found = await self._calls.do(_LOOKING, self._there)
                self._found, self._error = found, None
            except OwnerUnavailable as error:
                self._found, self._error = [], error
            self._until = time.monotonic() + _FOR

    def _there(self) -> list[Owner]:
        if not self._which.is_one():
            found = known_owners.running()
            if os.environ.get("CONFCAST_RUNTIME_DIR"):
                found = owner_dirs.in_named_places(found)
            return _with_ids([(each.label, each.address, each.master) for each in found])
        place = which_owner.find(*self._which[:1], address=self._which.address, pid=self._which.pid, warns=False)
        there = lasting_address.owner_at(place.address)
        return _with_ids([(place.name, place.address, 0 if there is None else there.master)])


def _with_ids(found: list[tuple[str, str, int]]) -> list[Owner]:
    names, both = Counter(name for name, _, _ in found), Counter((name, master) for name, _, master in found)

    def id_of(name: str, address: str, master: int) -> str:
        if names[name] == 1:
            return name
        if both[name, master] == 1:
            return f"{name}.{master}"
        return f"{name}.{master}.{hashlib.sha256(address.encode()).hexdigest()[:8]}"

    return [Owner(id_of(*each), *each) for each in found]


def _described(owner: Owner, known: dict[str, Any] | None) -> dict[str, Any]:
    known = known or {"version": None, "command": "", "working_directory": ""}
    return {
        "id": owner.id,
        "name": owner.name,
        "address": owner.address,
        "pid": owner.master,
        "version": known["version"],
        "command": known["command"],
        "directory": known["working_directory"],
        "started": _began(owner.master),
    }


def _began(pid: int) -> float | None:
    """When a process began, in seconds since 1970; None if that is not known."""
    ticks = processes.started(pid) if pid else 0
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return round(booted + ticks / os.sysconf("SC_CLK_TCK"), 2) if ticks else None
