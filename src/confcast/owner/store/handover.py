"""From one generation to the next: what goes over when a server is fully reloaded, or upgraded.

The former owner, told to pause, leaves a copy of its journal in its run-time folder; the next one begins its own
journal as that copy, so that versions, history and totals go on. A state folder stays with the former owner, for as
long as that lives, and the next one lives in its run-time folder meanwhile: then the upgrade can be called off at any
moment, and nothing need be given back. Once the state folder is free, the next one's journal moves into it, in the
place of the one that the former left there. So a journal in the run-time folder is always the newer one of the two.
A paused owner that dies has lost the state folder: the one in its place lives on the copy that was left.

The next owner notes the newest number in the former's run-time folder: whoever goes on after an upgrade was backed
out gives none out again.

Until it has moved in, what was committed since outlives processes, and not the machine. Rejected: handing the state
folder over at once (whoever backs out finds a journal in it that was written under other code), and two owners that
share one journal.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from pathlib import Path

from confcast.owner.store.journal import Journal, TornJournal
from confcast.wire.master_channel import HANDOVER

_NUMBER = f"{HANDOVER}.number"

_log = logging.getLogger("confcast.owner")

WORDS = (
    "another config owner loads for this server since its full reload or upgrade; what this one serves keeps the "
    "version that it has until its last worker is replaced"
)
"""Why a paused owner loads nothing."""


def leave(journal: Journal, high_water: int, folder: Path) -> None:
    """What the next generation begins with; `high_water`: the highest number ever given out. Raises JournalError."""
    journal.retire(high_water)
    journal.copy_to(folder / HANDOVER)


def note(former: Path, version: int) -> None:
    """Tell the former owner, while there is one, that this number is given out. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        fd = os.open(former / _NUMBER, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(fd, b"%020d" % version, 0)  # over what stands there: a full disk has room for that, and keeps it
        finally:
            os.close(fd)


def take_back(folder: Path) -> int:
    """The next generation was called off, or has ended; the highest number that it gave out, or 0."""
    number = 0
    with contextlib.suppress(FileNotFoundError):
        number = int((folder / _NUMBER).read_text() or 0)
    for name in (HANDOVER, _NUMBER):
        (folder / name).unlink(missing_ok=True)
    return number


def take_over(former: Path, journal: Path) -> None:
    """Begin the journal at this path as what the former owner left, if it left one. Raises OSError."""
    left, new = former / HANDOVER, journal.with_name(journal.name + ".new")
    if left.exists() and not journal.exists():
        os.close(os.open(new, os.O_CREAT | os.O_WRONLY, 0o600))  # workers may walk through its folder
        shutil.copyfile(left, new)
        new.replace(journal)


def move_in(journal: Journal, there: Path) -> None:
    """Put the journal in the place of the one there, which nobody has open. Raises JournalError."""
    if there.exists():
        try:
            with contextlib.closing(Journal(there)) as former:
                journal.retire(former.high_water)
        except TornJournal as error:
            _log.error("%s; it is replaced by the journal that this server has written since", error)
    journal.copy_to(there)


def forget(journal: Path) -> None:
    """Take a journal away that has moved, and is closed. Raises OSError."""
    for path in journal.parent.glob(f"{journal.name}*"):
        path.unlink()
