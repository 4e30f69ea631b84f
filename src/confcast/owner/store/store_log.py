"""What the journal logs of its files, with the fields of each line (log_fields.py)."""

from __future__ import annotations

import logging
from pathlib import Path

from confcast.log_fields import about

_log = logging.getLogger("confcast.journal")


def made_anew(path: str | Path) -> None:
    """Log that a file which is gone is made anew, empty."""
    _log.error("%s was deleted while in use: it is made anew", path, extra=about("file_made_anew", path=path))


def fields_unreadable(path: str | Path, error: Exception) -> None:
    """Log that it is not known which fields the schema of before had."""
    extra = about("journal_damaged", path=path, error=error)
    _log.warning("the journal %s has a field table that can't be read: %s", path, error, extra=extra)


def row_unreadable(path: str | Path, error: Exception) -> None:
    """Log that a row is damaged, and what that loses."""
    _log.warning("in the journal %s, %s", path, error, extra=about("journal_damaged", path=path, error=error))


def stays_ahead(path: str | Path, error: Exception) -> None:
    """Log that what SQLite could not take in at the end waits in the ahead file for the next owner."""
    extra = about("journal_behind", path=path, error=error)
    _log.warning("what was written last stays in %s: %s", path, error, extra=extra)


def left_with_log(path: str | Path, error: Exception) -> None:
    """Log that SQLite's log could not be written into the file at the end; the next owner has both."""
    extra = about("journal_behind", path=path, error=error)
    _log.warning("the journal %s was left with its log: %s", path, error, extra=extra)
