"""`confcast` without a command: what runs here, on one screen, and the commands of a bad night.

The owners are those that a command could ask: of this user, and for root of every user. Of many, the first are shown.
It changes nothing, and has failed only if none of those that run answers. Rejected: the help in their place (whoever is
woken up asks first what runs).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from confcast.cli import listing, owners
from confcast.cli.report import ExitCode, Report, line, when
from confcast.wire.files import lasting_address
from confcast.wire.listener import SOCKET
from confcast.worker.client import known_owners

_SCREEN, _FEWEST = 23, 3
"""Lines of a screen that leave one for the prompt; and how many owners are shown, though the commands need the room."""
_MOST_WAITING = 2
"""How many lines are spent on versions that may be undone by themselves."""


def run(commands: Mapping[str, str]) -> Report:
    """Ask the owners, and report. `commands`: each command, and what it does on a bad night, or "" if nothing."""
    found = known_owners.running()
    asked = owners.asked_without_options()
    address = f"{lasting_address.folder_of(asked.address)}/{SOCKET}" if asked else ""
    return report(known_owners.described(found, with_workers=True), address, commands)


def report(running: list[dict[str, Any]], asked: str, commands: Mapping[str, str]) -> Report:
    """The report on what runs; `asked` is the address of the owner that a command without options asks, or ""."""
    night = {command: text for command, text in commands.items() if text}
    lines = [_headline(len(running)), ""]
    waiting = _waiting(running)
    if running:
        most = max(_FEWEST, _SCREEN - 7 - len(night) - len(waiting))  # seven other lines
        lines += listing.as_table(running[:most])
        lines += [f"and {more} more: `confcast --json` lists all"] if (more := len(running) - most) > 0 else []
        lines += [*waiting, "", _which(running, asked)]
    width = max(map(len, night), default=0)
    lines += [f"confcast {command:{width}}  {text}" for command, text in night.items()]
    lines.append(f"confcast {'--help':{width}}  all commands; each has a --help of its own")
    silent = running and all(each["version"] is None for each in running)
    code = ExitCode.NO_OWNER if silent else ExitCode.DONE
    return Report(code, "\n".join(lines), {"owners": running, "asked": asked, "commands": night})


def _headline(number: int) -> str:
    whom = "for any user" if os.geteuid() == 0 else f"for this user (uid {os.geteuid()})"
    if not number:
        return f"no config owner runs {whom}: start the server; one in another CONFCAST_RUNTIME_DIR is not seen here"
    return "1 config owner runs" if number == 1 else f"{number} config owners run"


def _waiting(running: list[dict[str, Any]]) -> list[str]:
    """A line for each owner whose version may be undone by itself: until when, and what to type."""
    found = [each for each in running if each.get("deadline") is not None]
    lines = [_waits(each) for each in sorted(found, key=lambda each: (_waits_for_nobody(each), each["deadline"]))]
    if len(lines) <= _MOST_WAITING:
        return lines
    shown = lines[: _MOST_WAITING - 1]
    return [*shown, f"and {len(lines) - len(shown)} more may be undone: `confcast status` says which"]


def _waits(each: dict[str, Any]) -> str:
    name, end, choose = line(each["name"]), when(each["deadline"]), each["choose"]
    if each.get("provisional") == "trial":
        return f"{name}: version {each['trial']} is on trial until {end}: type `confcast confirm {choose}` to commit it"
    if _waits_for_nobody(each):
        return f"{name}: version {each['version']} is on probation until {end}"
    return f"{name}: version {each['version']} is undone at {end} unless you type `confcast confirm {choose}`"


def _waits_for_nobody(each: dict[str, Any]) -> bool:
    return bool(each.get("provisional") == "probation")


def _which(running: list[dict[str, Any]], asked: str) -> str:
    if len(running) == 1 and asked == running[0]["address"]:
        return "On a bad night:"
    chosen = next((each for each in running if each["address"] == asked), None)
    if chosen is None:
        return "On a bad night, with one of the options above behind the command:"
    return f"On a bad night, for {chosen['name']} (process {chosen['master']}); for another one, with its option:"
