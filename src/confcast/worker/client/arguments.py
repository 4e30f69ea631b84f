"""What callers give to the verbs, as a request carries it: durations, guards, canaries, files; and what it refuses.

A value that no owner could take is refused here, before anything is sent, so that the traceback shows the call.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path

import msgspec

from confcast.wire.canary import Canary
from confcast.wire.messages import LONGEST_TTL, ReloadEvent, ReloadResult

_MOST_TRIED = 1_000_000
"""Bytes of the files that a dry run may be given: an owner reads no longer request."""
_NO_WINDOW = (
    "no window was opened, so nothing undoes this by itself: the config owner is of an earlier build, or no version "
    "was good before"
)
_TO_BE_TRIED = "was to be tried"
"""What an owner's note has that says why a version was not tried."""
_NO_TRIAL = (
    "it was committed at once, without a trial: its content was good before, or the config owner is of an earlier build"
)
_NOTHING_TO_TRY = (
    "nothing is on trial: this content is committed already. Where the sources are watched, an edit is loaded "
    "by itself, and is tried only if the manager's option `canary` says so"
)


def check_wait(seconds: float | None) -> None:
    """Raise ValueError if this is no number of seconds, 0 or more."""
    if seconds is not None and (type(seconds) not in (int, float) or not 0 <= seconds < math.inf):
        raise ValueError(f"wait_observers={seconds!r}: a number of seconds is expected, 0 or more")


def check_side(side: object) -> None:
    """Raise ValueError if this names nothing that can be compared."""
    if not (side in ("running", "sources") or (type(side) is int and side > 0)):
        raise ValueError(f"{side!r}: a version's number, 'running' or 'sources' is expected")


def contents(files: Mapping[str, str | os.PathLike[str]]) -> dict[str, bytes]:
    """The contents of these files. Raises OSError, ValueError."""
    found: dict[str, bytes] = {}
    left = _MOST_TRIED
    for name, path in files.items():
        with Path(path).open("rb") as file:
            found[name] = file.read(left + 1)  # one byte more detects what is too large: a pipe may have no end
        if (left := left - len(found[name])) < 0:
            raise ValueError(
                f"the files have more than {_MOST_TRIED} bytes: put them in place, and check what the sources say"
            )
    return found


def seconds_of(name: str, given: float | timedelta) -> float:
    """The seconds of a duration. Raises ValueError, which names the argument that gave it."""
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if type(seconds) not in (int, float) or not 0 < seconds <= LONGEST_TTL:
        raise ValueError(
            f"{name}={given!r}: a number of seconds above 0 is expected, or a timedelta, of at most ten years"
        )
    return float(seconds)


def window(confirm_within: float | timedelta | None) -> float:
    """The seconds of a window; 0.0 for none. Raises ValueError."""
    return 0.0 if confirm_within is None else seconds_of("confirm_within", confirm_within)


def without_window(event: ReloadEvent) -> ReloadEvent:
    """The outcome of a change that was to open a window; with a note if it is applied, and none is open."""
    if not event or event.confirm_by is not None:
        return event
    return msgspec.structs.replace(event, notes=[*event.notes, _NO_WINDOW])


def without_trial(event: ReloadEvent) -> ReloadEvent:
    """The outcome of a change that was to be tried; with a note if it runs, and nobody says why it was not tried."""
    if event.result is ReloadResult.UNCHANGED:
        return msgspec.structs.replace(event, notes=[*event.notes, _NOTHING_TO_TRY])
    at_once = bool(event) and event.version != event.previous_version
    if not at_once or any(_TO_BE_TRIED in note for note in event.notes):
        return event
    return msgspec.structs.replace(event, notes=[*event.notes, _NO_TRIAL])


def guards(allow: Iterable[str]) -> tuple[str, ...]:
    """The names of guards that may trip. Raises TypeError if they are one text, or no texts."""
    if isinstance(allow, str):
        raise TypeError(f"allow={allow!r}: a list of guards is expected, as [{allow!r}]")
    names = tuple(allow)
    if wrong := next((each for each in names if not isinstance(each, str)), None):
        raise TypeError(f"allow: {wrong!r} is no name of a guard, which is a text such as 'shrinks:upstreams'")
    return names


def canary(given: Canary | None) -> Canary | None:
    """How a version is tried. Raises TypeError if it is no Canary."""
    if given is not None and not isinstance(given, Canary):
        raise TypeError(f"canary={given!r}: a Canary is expected, such as Canary('25%', seconds=60)")
    return given
