"""Goodbyes that found no owner: notes in the run-time folder, for the next owner to read.

A process that closes its replica while no owner lives is still on the roster, in the journal; as long as it lives, the
next owner would wait for it and name it. So it leaves a note, and then knocks once: an owner that has begun to listen
by then hears the Goodbye itself, and one that begins later reads the notes after it has begun to listen. Whoever
attaches again takes its note back first. Nothing of it is left in a closed process: it may fork, or end.

Rejected: a thread that goes on knocking (a process often closes in order to fork), and an owner that gives up whom it
does not hear of (a silent process that lives may serve an old version, and must be named).
"""

from __future__ import annotations

import os
from pathlib import Path

from confcast.wire import processes

NOTES = "left-*"
"""Their names, as a pattern."""


def leave(folder: Path) -> None:
    """Note that this process has left. Raises OSError."""
    _mine(folder).touch(mode=0o600)


def take_back(folder: Path) -> None:
    """This process attaches again. Raises OSError, but not for a note, or a folder, that is not there."""
    _mine(folder).unlink(missing_ok=True)


def collect(folder: Path) -> set[tuple[int, int]]:
    """Who has left a note, as pid and start time; each is told once. To be called when the control socket listens."""
    left = set()
    for note in folder.glob(NOTES):
        pid, _, since = note.name.removeprefix("left-").partition("-")
        if pid.isdecimal() and since.isdecimal():
            left.add((int(pid), int(since)))
        note.unlink(missing_ok=True)
    return left


def _mine(folder: Path) -> Path:
    me = os.getpid()
    return folder / f"left-{me}-{processes.started(me)}"
