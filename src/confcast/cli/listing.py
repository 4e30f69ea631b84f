"""Config owners as a table from which a person chooses one; `worker/client/known_owners.py` asks them.

Guaranteed: the option that is shown means this owner, and no other one of the list. Rejected: the control socket's path
as a column (it is the longest, and nobody recognises a server by it; `--json` has it).
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any, TextIO

from confcast.cli import terminal
from confcast.cli.report import line, spoken, table, user_name
from confcast.texts import shortened
from confcast.wire.messages import WorkerStatus

_COMMAND = "COMMAND"
_LONGEST_COMMAND, _SHORTEST_COMMAND = 60, 12
_UNKNOWN = "?"


def as_table(owners: list[dict[str, Any]], stream: TextIO | None = None) -> list[str]:
    """The owners, as `described` gives them, as the lines of a table for this stream.

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
        _COMMAND: lambda each: shortened(spoken(each["command"]), _LONGEST_COMMAND) or _UNKNOWN,
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
