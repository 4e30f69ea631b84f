"""When a process begins to serve without an owner, and the note for the next owner that it writes before.

It begins a second after `attach()`, or earlier if the caller waits less; at once, if the process has inherited a
version from `confcast exec`: only an owner that answers within `AT_ONCE` comes first. The note in the runtime directory
makes the next owner wait for this process; it is removed at the first answer to an owner, and by `close()`. A note that
can't be written or removed is logged and stops nothing.

Rejected: serving first (an owner that starts in between would close a barrier without this process).
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from confcast.log_fields import about
from confcast.wire.files import goodbye_files

_log = logging.getLogger("confcast.worker")

FALLBACK_AFTER = 1.0
"""Seconds without an owner's answer after which a process serves what it holds, or the snapshot file's version."""


AT_ONCE = 0.05
"""The same, for a process that has inherited a version."""


class Fallback:
    """The fallback of one link. Used by the link's reading thread, and by `close()` when that thread has ended."""

    def __init__(self, patience: float) -> None:
        self._at = time.monotonic() + min(0.8 * patience, FALLBACK_AFTER)
        self._is_over = False  # an owner has answered, or this process serves without one
        self._has_note = False

    @property
    def is_due(self) -> bool:
        """Whether the time to serve without an owner has come, and no owner has answered."""
        return not self._is_over and time.monotonic() >= self._at

    def limit(self, otherwise: float | None) -> float | None:
        """The seconds that another wait may take; when the fallback is over, `otherwise` (None: for ever)."""
        if self._is_over:
            return otherwise
        left = max(0.05, self._at - time.monotonic())
        return left if otherwise is None else min(left, otherwise)

    def begin(self, folder: Path | None) -> None:
        """Write the note, if there is a folder. If there is nothing to serve, the fallback is due again in a second."""
        self._at = time.monotonic() + FALLBACK_AFTER
        if folder is None:
            return
        try:
            goodbye_files.write(folder, "here")
            self._has_note = True
        except OSError as error:
            if not folder.exists():
                return  # the runtime directory is gone with its server, so no owner will read a note there
            _log.warning(
                "the next config owner may not know of this process, which serves without one: %s",
                error,
                extra=about("note_not_written", error=error),
            )

    def finish(self) -> None:
        """Note that an owner has answered, or that this process serves without one from now on."""
        self._is_over = True

    def take_note_back(self, folder: Path) -> None:
        """Remove the note: an owner has this process on its roster and in its journal, or the link is closed."""
        if self._has_note:
            self._has_note = False
            take_back(folder, "here")


def take_back(folder: Path, kind: goodbye_files.Kind) -> None:
    """Remove a note of this process; a failure is logged."""
    try:
        goodbye_files.take_back(folder, kind)
    except OSError as error:
        _log.warning(
            "a note for the next config owner can't be taken back: %s",
            error,
            extra=about("note_not_written", error=error),
        )
