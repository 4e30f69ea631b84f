"""What commands say of a version that is to be confirmed (`--confirm-within`), and of one that nobody confirmed.

All of them say the same: until when, who asked for it and why, to which content its end leads, and what to type to keep
what runs. What was undone is told as long as the version that put the former content back runs.
"""

from __future__ import annotations

from typing import Any

from confcast.cli.report import line, user_name, when
from confcast.wire.load_events import last_load
from confcast.wire.messages import ReloadEvent, ReloadResult


def fields(stats: dict[str, Any]) -> dict[str, Any]:
    """What a program is told of it: `provisional` ("confirm" or ""), `deadline` (seconds since 1970) and `window`."""
    return {
        "provisional": stats.get("provisional", ""),
        "deadline": stats.get("deadline"),
        "window": stats.get("window"),
    }


def is_open(stats: dict[str, Any], version: int) -> bool:
    """Whether this version waits for `confirm`: it is one of those that the window's end would undo."""
    window = stats.get("window")
    return window is not None and version > window["fallback"]


def opened(stats: dict[str, Any]) -> str:
    """One sentence about the window that is open; "" for none."""
    if (window := stats.get("window")) is None:
        return ""
    end, version, why = when(stats["deadline"]), stats["version"], _asked_for(window)
    if window["fallback"] == version:
        return f"what is changed until {end} is undone then; `confcast confirm` ends that{why}"
    back = f"the content of version {window['fallback']} is put back at {end}"
    return f"version {version} is to be confirmed: else {back}; `confcast confirm` keeps it{why}"


def _asked_for(window: dict[str, Any]) -> str:
    """By whom, and why, as far as that is known."""
    by = "" if window.get("who") is None else f" by {user_name(window['who']['uid'])}"
    why = f": {line(window['reason'])}" if window.get("reason") else ""
    return f"; asked for{by}{why}" if by or why else ""


def undone(events: list[ReloadEvent], running: int) -> str:
    """One sentence about what nobody confirmed, if what was put back for it still runs; "" otherwise.

    `events`: the newest first.
    """
    event = next((each for each in events if each.result is ReloadResult.UNDONE), None)
    if event is None or event.version != running:
        return ""
    why = "; ".join(map(line, event.evidence)) or "nobody confirmed it"
    again = "; `confcast resume` loads what the sources say" if last_load(events) is event else ""
    return f"{why}; what was good before was put back at {when(event.timestamp)}{again}"
