"""When a process that receives nothing from an owner serves without one, and the note that tells the next owner of it.

A second after `attach()`, or earlier where the caller waits less, the process serves what it holds or the snapshot
file. Before, it writes a note into the runtime directory, so that the next owner waits for it; the first answer to an
owner takes the note back, and so does `close()`. A note that can't be written or removed is logged and stops nothing.

Rejected: serving first (an owner that starts in between would close a barrier without this process).
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

from confcast.wire.files import goodbye_files

_log = logging.getLogger("confcast.worker")

FALLBACK_AFTER = 1.0
"""Seconds without an owner's answer after which a process goes on with what it has, or with the snapshot file."""
_SHORTEST_WAIT = 0.05


class Fallback:
    """One link's. Used by its reading thread, and by `close()`.

    Args:
        patience: Seconds that somebody will wait for a first value: the fallback comes before they are over.
    """

    def __init__(self, patience: float) -> None:
        self._at = time.monotonic() + min(0.8 * patience, FALLBACK_AFTER)
        self._is_over = False  # an owner has answered, or this process serves without
        self._has_note = False

    @property
    def is_due(self) -> bool:
        """Whether the time is over, and no owner has answered."""
        return not self._is_over and time.monotonic() >= self._at

    def limit(self, otherwise: float | None) -> float | None:
        """Seconds to wait for something else, so that the fallback is not late; None: for ever."""
        if self._is_over:
            return otherwise
        left = max(_SHORTEST_WAIT, self._at - time.monotonic())
        return left if otherwise is None else min(left, otherwise)

    def begin(self, folder: Path | None) -> None:
        """Write the note. If nothing can be served now, the fallback is due again a second later.

        Args:
            folder: The owner's runtime directory; None where no owner was ever found.
        """
        self._at = time.monotonic() + FALLBACK_AFTER
        if folder is None:
            return
        try:
            goodbye_files.write(folder, "here")
            self._has_note = True
        except OSError as error:
            _log.warning("the next config owner may not know of this process, which serves without one: %s", error)

    def serves(self) -> None:
        """This process serves without an owner from now on."""
        self._is_over = True

    def answered(self, folder: Path) -> None:
        """An owner has given a version: this process is on its roster, and in its journal."""
        self._is_over = True
        self.end(folder)

    def end(self, folder: Path) -> None:
        """Take the note back, if there is one."""
        if self._has_note:
            self._has_note = False
            take_back(folder, "here")


def take_back(folder: Path, kind: goodbye_files.Kind) -> None:
    """Remove a note of this process; a failure is logged."""
    try:
        goodbye_files.take_back(folder, kind)
    except OSError as error:
        _log.warning("a note for the next config owner can't be taken back: %s", error)
