"""A journal moves into the state folder, once a former owner has released it, and out of it, for the next owner.

The order in which that is done leaves one whole journal wherever it is cut off: a copy is written, opened, and only
then does the lock move; what was left is deleted, or is the next owner's to replace.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from confcast.log_fields import about
from confcast.owner.store import handover
from confcast.owner.store.journal import Journal
from confcast.owner.store.recovery import try_to_write
from confcast.owner.store.runtime_dir import RuntimeDir

_log = logging.getLogger("confcast.owner")

Move = Callable[[RuntimeDir, Journal, Callable[[], Journal]], Journal | None]
"""Returns the journal that is in use now; None if it must be tried again."""


def into_state_folder(
    runtime_dir: RuntimeDir,
    journal: Journal,
    open_journal: Callable[[], Journal],
    tell: Callable[[Path], None] = lambda path: None,
) -> Journal | None:
    """Move the journal into the awaited state folder. Returns the journal there; None if the folder is not free.

    Raises ConfcastError, OSError; then nothing has changed.

    Args:
        runtime_dir: This owner's.
        journal: The one that is in use, in the runtime directory.
        open_journal: Opens the one of the folder that is in use by then.
        tell: Called just before, with the path of the one that is replaced: a former owner that goes on after all must
            know of that.
    """
    if runtime_dir.awaited is None:
        return journal
    small = runtime_dir.journal
    with runtime_dir.moving() as free:
        if not free:
            return None
        tell(runtime_dir.journal)
        handover.move_journal(journal, runtime_dir.journal)
        fresh = open_journal()
    journal.close()
    try_to_write("end of the old journal", lambda: handover.delete_journal(small))
    text = "the journal has moved into %s, which the former config owner has released"
    _log.info(text, runtime_dir.state_folder, extra=about("journal_moved", path=runtime_dir.state_folder))
    return fresh


def out_of_state_folder(runtime_dir: RuntimeDir, journal: Journal, open_journal: Callable[[], Journal]) -> Journal:
    """Release the state folder for the next owner, and go on with a copy of the journal in the runtime directory.

    What stays in the state folder is this owner's journal, which the next one replaces by its own: it continues it.
    Raises ConfcastError, OSError; then nothing has changed.
    """
    runtime_dir.awaited = None
    if runtime_dir.state_folder == runtime_dir.folder:
        return journal
    with runtime_dir.leaving():
        journal.copy_to(runtime_dir.journal)
        fresh = open_journal()
        journal.close()  # before the lock is released: what waits beside a journal is folded into it now
    text = "the state folder is released for the next config owner; this one serves its last workers"
    _log.info(text, extra=about("state_folder_released"))
    return fresh
