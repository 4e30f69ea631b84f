"""Config owners as a person or a program chooses one: what each serves, where it was started, and what to type.

Each owner is asked for its version, since two servers of one name may differ in nothing else that a person knows. One
that does not answer is listed all the same. Guaranteed: the choice that is shown means this owner, and no other one of
the list.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from confcast.errors import ConfcastError
from confcast.texts import printable, shortened
from confcast.wire.files import owner_dirs
from confcast.wire.files.owner_dirs import OwnerDir
from confcast.wire.messages import Message, Request, Stats, StatsRequest, Workers, WorkersRequest
from confcast.worker.client.connection_per_call import AddressClient

A = TypeVar("A", bound=Message)

_EACH, _ALL = 1.0, 3.0
"""Seconds to wait for one owner's answer, and for the answers of all."""

_LONGEST_COMMAND = 60


def running() -> list[OwnerDir]:
    """The owners that a command could ask: of this user, for root of every user; first those that were started here."""
    found = owner_dirs.loading(None, [*owner_dirs.living(), *owner_dirs.of_other_users()])
    return sorted(found, key=lambda each: (not owner_dirs.is_here(each), each.label, each.master))


def described(found: list[OwnerDir], *, with_workers: bool = False) -> list[dict[str, Any]]:
    """What is known of each of these owners, for a program.

    Returns:
        For each, `name`, `choose` (the option that means it), `address`, `master` (a pid), `uid`, `version` and `last`
        (None if the owner does not answer), `provisional` (why a version may still be undone by itself: `trial`,
        `confirm`, `probation`, "" for none), `deadline` (until when, in seconds since 1970, or None), `trial` (the
        number of the version on trial, or None), `working_directory` and `command` ("" if not known); and `workers`
        (None if the owner does not answer), if they are wanted.
    """
    end = time.monotonic() + _ALL
    choices = _choices(found)
    return [_described(each, choices[each], end, with_workers) for each in found]


def as_lines(found: list[OwnerDir]) -> list[str]:
    """The same for who writes Python: a line for each owner, which begins with the client that asks it."""
    choices = _choices(found)
    return [
        f"  Client({', '.join(f'{name}={value!r}' for name, value in choices[each].items())})  "
        + printable(_about(known))
        for each, known in zip(found, described(found), strict=True)
    ]


def _about(known: dict[str, Any]) -> str:
    version = "no answer" if known["version"] is None else f"version {known['version']}"
    place = f", started in {known['working_directory']}" if known["working_directory"] else ""
    command = f": {shortened(known['command'], _LONGEST_COMMAND)}" if known["command"] else ""
    return f"{known['name']!r}, process {known['master']}, {version}{place}{command}"


def _choices(found: list[OwnerDir]) -> dict[OwnerDir, dict[str, Any]]:
    """For each owner, the fewest arguments that mean it alone. A name stays the same when the server starts again.

    Another user's owner is not found by its name where a variable names a place for one server.
    """
    names, masters = Counter(each.label for each in found), Counter(each.master for each in found)
    both = Counter((each.label, each.master) for each in found)

    def choice(each: OwnerDir) -> dict[str, Any]:
        if names[each.label] == 1 and each.user() == os.geteuid():
            return {"name": each.label}
        if masters[each.master] == 1:
            return {"pid": each.master}
        if both[each.label, each.master] == 1:
            return {"pid": each.master, "name": each.label}
        return {"address": each.address}

    return {each: choice(each) for each in found}


def _described(each: OwnerDir, choice: dict[str, Any], end: float, with_workers: bool) -> dict[str, Any]:
    stats = _answer(each, Stats, lambda number: StatsRequest(number), end)
    data = {
        "name": each.label,
        "choose": " ".join(f"--{name} {value}" for name, value in choice.items()),
        "address": each.address,
        "master": each.master,
        "uid": each.user(),
        "version": stats.stats.get("version") if stats is not None else None,
        "last": stats.stats.get("last_reload_result") or "start" if stats is not None else None,
        **_provisional({} if stats is None else stats.stats),
        "working_directory": each.started_in(),
        "command": each.command(),
    }
    if with_workers:
        workers = _answer(each, Workers, lambda number: WorkersRequest(number), end) if stats is not None else None
        data["workers"] = workers.workers if workers is not None else None
    return data


def _provisional(stats: dict[str, Any]) -> dict[str, Any]:
    trial = stats.get("trial")
    return {
        "provisional": stats.get("provisional", ""),
        "deadline": stats.get("deadline"),
        "trial": None if trial is None else trial["version"],
    }


def _answer(each: OwnerDir, kind: type[A], make: Callable[[int], Request], end: float) -> A | None:
    """This owner's answer; None if it gives none, another one, or not in time."""
    left = min(_EACH, end - time.monotonic())
    with contextlib.suppress(ConfcastError):
        answer = AddressClient(each.address, each.label).ask(make, left) if left > 0 else None
        return answer if isinstance(answer, kind) else None
    return None
