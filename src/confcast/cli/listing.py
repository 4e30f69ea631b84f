"""Config owners as a list from which a person chooses one: what each serves, where it was started, and what to type.

Each owner is asked for its version, since two servers of one name may differ in nothing else that a person knows. One
that does not answer is listed all the same. Guaranteed: the option that is shown means this owner, and no other one of
the list. Rejected: the control socket's path as a column (it is the longest, and nobody recognises a server by it;
`--json` has it).
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TextIO, TypeVar

from confcast.cli import terminal
from confcast.cli.report import line, table, user_name
from confcast.errors import ConfcastError
from confcast.texts import shortened
from confcast.wire.files.owner_dirs import OwnerDir
from confcast.wire.messages import Message, Request, Stats, StatsRequest, Workers, WorkersRequest, WorkerStatus
from confcast.worker.client.connection_per_call import Client

A = TypeVar("A", bound=Message)

_EACH, _ALL = 1.0, 3.0
"""Seconds to wait for one owner's answer, and for the answers of all."""

_COMMAND = "COMMAND"
_LONGEST_COMMAND, _SHORTEST_COMMAND = 60, 12
_UNKNOWN = "?"


def described(found: list[OwnerDir], *, with_workers: bool = False) -> list[dict[str, Any]]:
    """What is known of each of these owners, for a program.

    Returns:
        For each, `name`, `choose` (the option that means it), `address`, `master` (a pid), `uid`, `version` and `last`
        (None if the owner does not answer), `working_directory` and `command` ("" if not known); and `workers`
        (None if the owner does not answer), if they are wanted.
    """
    end = time.monotonic() + _ALL
    options = _options(found)
    return [_described(each, options[each], end, with_workers) for each in found]


def as_table(owners: list[dict[str, Any]], stream: TextIO | None = None) -> list[str]:
    """The same for a person, as the lines of a table for this stream.

    On a terminal a command line has the room that the other columns leave: its beginning says enough. If they leave
    none, an overview (with workers) does without it, so that each owner has one line; any other list has blocks.
    """
    if not owners:
        return []
    columns: dict[str, Callable[[dict[str, Any]], object]] = {
        "NAME": lambda each: each["name"],
        "PID": lambda each: each["master"],
        "VERSION": lambda each: _UNKNOWN if each["version"] is None else each["version"],
        "STARTED IN": lambda each: each["working_directory"] or _UNKNOWN,
        _COMMAND: lambda each: shortened(each["command"], _LONGEST_COMMAND) or _UNKNOWN,
        "TYPE": lambda each: each["choose"],
    }
    if any("workers" in each for each in owners):
        state = {"LAST": _last, "WORKERS": lambda each: _count(each["workers"])}
        columns = {name: columns.get(name) or state[name] for name in ("NAME", "PID", "VERSION", *state, *columns)}
    if any(each["uid"] != os.geteuid() for each in owners):
        columns = {"USER": lambda each: user_name(each["uid"]), **columns}
    rows = [{name: cell(each) for name, cell in columns.items()} for each in owners]
    room = terminal.columns(stream or sys.stdout)
    if room and (left := _left(rows, room)) >= _SHORTEST_COMMAND:
        rows = [{**row, _COMMAND: shortened(line(row[_COMMAND]), left)} for row in rows]
    elif room and left >= -2 and "workers" in owners[0]:
        rows = [{name: cell for name, cell in row.items() if name != _COMMAND} for row in rows]
    return table(tuple(rows[0]), [list(row.values()) for row in rows], stream)


def _left(rows: list[dict[str, object]], room: int) -> int:
    """The characters that the other columns leave for the command lines; below 0 if they do not fit."""
    others = [(name, *(line(row[name]) for row in rows)) for name in rows[0] if name != _COMMAND]
    return room - sum(2 + max(map(terminal.cells, cells)) for cells in others)


def _options(found: list[OwnerDir]) -> dict[OwnerDir, str]:
    """For each owner, the shortest option that means it alone. A name stays the same when the server starts again.

    Another user's owner is not found by its name where a variable names a place for one server.
    """
    names, masters = Counter(each.label for each in found), Counter(each.master for each in found)
    both = Counter((each.label, each.master) for each in found)

    def option(each: OwnerDir) -> str:
        if names[each.label] == 1 and each.user() == os.geteuid():
            return f"--name {each.label}"
        if masters[each.master] == 1:
            return f"--pid {each.master}"
        if both[each.label, each.master] == 1:
            return f"--pid {each.master} --name {each.label}"
        return f"--address {each.address}"

    return {each: option(each) for each in found}


def _described(each: OwnerDir, option: str, end: float, with_workers: bool) -> dict[str, Any]:
    stats = _answer(each, Stats, lambda number: StatsRequest(number), end)
    data = {
        "name": each.label,
        "choose": option,
        "address": each.address,
        "master": each.master,
        "uid": each.user(),
        "version": stats.stats.get("version") if stats is not None else None,
        "last": stats.stats.get("last_reload_result") or "start" if stats is not None else None,
        "working_directory": each.started_in(),
        "command": each.command(),
    }
    if with_workers:
        workers = _answer(each, Workers, lambda number: WorkersRequest(number), end) if stats is not None else None
        data["workers"] = workers.workers if workers is not None else None
    return data


def _answer(each: OwnerDir, kind: type[A], make: Callable[[int], Request], end: float) -> A | None:
    """This owner's answer; None if it gives none, another one, or not in time."""
    left = min(_EACH, end - time.monotonic())
    with contextlib.suppress(ConfcastError):
        answer = Client(each.address, each.label).ask(make, left) if left > 0 else None
        return answer if isinstance(answer, kind) else None
    return None


def _last(each: dict[str, Any]) -> str:
    if each["last"] is None:
        return "no answer"
    return "none yet" if each["last"] == "start" else str(each["last"])


def _count(workers: list[WorkerStatus] | None) -> str:
    """How many workers there are, and how many of them do not run the owner's version, by state."""
    if workers is None:
        return _UNKNOWN
    others = Counter(worker.state for worker in workers if worker.state != "current")
    return ", ".join([str(len(workers)), *(f"{number} {state}" for state, number in sorted(others.items()))])
