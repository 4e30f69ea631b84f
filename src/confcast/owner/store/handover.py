"""A former owner hands over its journal to the next generation's owner when a server is fully reloaded or upgraded.

On Pause, the former owner writes a copy of its journal into its runtime directory; the next one begins its own journal
as that copy, so that versions, history and totals continue. The former owner keeps the state folder for as long as it
lives; meanwhile the next owner's journal is in the next owner's runtime directory. So the upgrade can be called off at
any moment, and nothing need be returned. Once the state folder is free, the next owner's journal moves into it and
replaces the former owner's. So a journal in the runtime directory is always the newer one of the two. A paused owner
that dies has lost the state folder: the owner that replaces it starts from the copy.

The next owner writes its newest version number into the former's runtime directory, so that a former owner that
resumes, because the upgrade was called off, gives out no number twice. It does so, too, before it takes the state
folder: if the former owner died in its pause, and the upgrade is called off only then, the owner that follows it goes
on from the copy. Else it would go on from what the next one has made of the journal, on whose roster no worker of the
former is. Where the former owner has left no copy, since it died before, or had no room, the next one writes it from
the journal that it is about to take; if it can't either, the owner that follows the former has its workers connect
before it commits.

Until the move, new versions outlive the processes, but not the machine. Rejected: handing the state folder over at once
(after an upgrade that was called off, the journal in it would be of other code), and two owners that share one journal.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
from pathlib import Path

from confcast.log_fields import about
from confcast.owner.store.journal import Journal, TornJournal
from confcast.owner.store.sqlite_file import companions
from confcast.wire.files import owner_dirs
from confcast.wire.files.owner_dirs import HANDOVER
from confcast.wire.files.whole_files import named

NUMBER = f"{HANDOVER}.number"
"""The file in its run-time folder that tells a paused owner the highest number that the next one has given out."""

_log = logging.getLogger("confcast.owner")

PAUSED = (
    "another config owner loads in place of this one, since a full reload, an upgrade or a take-over; what this one "
    "serves keeps the version that it has until its last worker is replaced"
)
"""Why a paused owner loads nothing."""


def write_copy(journal: Journal, high_water: int, folder: Path) -> None:
    """Write the copy for the next generation; `high_water`: the highest number ever given out. Raises JournalError."""
    journal.retire(high_water)
    journal.copy_to(folder / HANDOVER)


def write_number(former: Path, version: int) -> None:
    """Report to the former owner, while its folder exists, that this number is given out. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        fd = os.open(former / NUMBER, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.pwrite(fd, b"%020d" % version, 0)  # overwrites the former number: a full disk has room for that
        except OSError as error:
            raise named(error, str(former / NUMBER)) from None
        finally:
            os.close(fd)


def take_back(folder: Path) -> int:
    """Delete the copy, once the next generation has ended. Returns the highest number that it gave out, or 0.

    Raises OSError.
    """
    given = number(folder)
    forget(folder)
    return given


def forget(folder: Path) -> None:
    """Delete the copy, and the number. Raises OSError."""
    for name in (HANDOVER, NUMBER):
        (folder / name).unlink(missing_ok=True)


def number(folder: Path) -> int:
    """The highest number that the next generation has given out, as far as it has told; else 0. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        return int((folder / NUMBER).read_text() or 0)
    return 0


def is_taken_up(folder: Path) -> bool:
    """Whether the next generation has committed something, or may have replaced the journal in the state folder."""
    return (folder / NUMBER).exists()


def leave_copy(former: Path, journal: Journal) -> None:
    """Write the copy that a former owner has not left, from its journal: call it before that is changed.

    Nothing is written for an owner that can't go on: its folder is gone, or its master is dead. Raises JournalError.
    """
    found = owner_dirs.parse(former)
    goes_on = former.exists() and (found is None or found.lives())
    if goes_on and not (former / HANDOVER).exists():
        write_copy(journal, journal.high_water, former)


def before_the_move(former: Path | None, high_water: int, journal: Path) -> None:
    """Leave a former owner what it goes on from if the move is called off; `journal`: what is about to be replaced.

    `high_water`: the highest number that the next generation has given out. Raises JournalError, OSError.
    """
    if former is None:
        return
    if journal.exists():
        # Its limits are not known here: to open it must delete nothing, since the move may fail, or be called off.
        everything = functools.partial(Journal, history_limit=sys.maxsize, keep_versions=sys.maxsize)
        with contextlib.suppress(TornJournal), contextlib.closing(everything(journal)) as theirs:
            leave_copy(former, theirs)
    write_number(former, high_water)


def take_over(former: Path, journal: Path) -> bool:
    """Make the journal at this path from the former owner's copy, if there is a copy and no journal. Raises OSError.

    Returns:
        Whether it was made.
    """
    left, new = former / HANDOVER, journal.with_name(journal.name + ".new")
    if made := left.exists() and not journal.exists():
        import shutil  # imported here: few owners take over, and it costs as much as ten files of ours

        os.close(os.open(new, os.O_CREAT | os.O_WRONLY, 0o600))  # mode 0600, since workers may walk through its folder
        shutil.copyfile(left, new)
        for leftover in companions(journal):
            leftover.unlink(missing_ok=True)  # of a journal that has moved: it would be replayed into the copy
        new.replace(journal)
    return made


def move_journal(journal: Journal, there: Path) -> None:
    """Replace the journal at `there`, which no process has open, by a copy of this one. Raises JournalError."""
    if there.exists():
        try:
            with contextlib.closing(Journal(there)) as former:
                journal.retire(former.high_water)
        except TornJournal as error:
            _log.error(
                "%s; it is replaced by the journal that this server has written since",
                error,
                extra=about("journal_replaced", error=error),
            )
    journal.copy_to(there)


def delete_journal(journal: Path) -> None:
    """Delete a journal that has moved, and is closed. Raises OSError."""
    for path in journal.parent.glob(f"{journal.name}*"):
        path.unlink()
