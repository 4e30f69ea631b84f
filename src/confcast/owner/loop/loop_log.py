"""What the owner's loop logs of its files, and its loads, with the fields of each line (log_fields.py)."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from pathlib import Path

from confcast.errors import Problem
from confcast.log_fields import about
from confcast.texts import Lines

_log = logging.getLogger("confcast.owner")


def transitions() -> Callable[[str], None] | None:
    """What the core says its transitions to; None where no level lets them through."""
    if not _log.isEnabledFor(logging.DEBUG):
        return None
    return functools.partial(_log.debug, "%s", extra=about("core_transition"))


def core_warning(text: str) -> None:
    """Log what the core has found."""
    _log.warning("%s", text, extra=about("core_warning", warning=text))


def journal_not_moved(trouble: str, error: Exception) -> None:
    """Log that the journal can't move into the state folder, or out of it, yet; that is tried again."""
    _log.error("%s: %s", trouble, error, extra=about("journal_not_moved", error=error))


def journal_behind(error: Exception) -> None:
    """Log that the newest entries are in the ahead file only; that is tried again."""
    text = "SQLite has not taken in what was written last, which waits beside the journal: %s"
    _log.error(text, error, extra=about("journal_behind", error=error))


def not_written(what: str, failures: int, error: Exception) -> None:
    """Log that a file is not what it should be."""
    extra = about("file_not_written", what=what, failures=failures, error=error)
    _log.error("the %s could not be written (failure %d): %s", what, failures, error, extra=extra)


def tried_again(what: str, version: int, problem: Problem) -> None:
    """Log that a write has failed which is tried again until it succeeds; what comes of its tries is counted only."""
    text = "the %s of version %d could not be written, and is tried again each second until it is: %s"
    _log.error(text, what, version, problem, extra=about("write_retried", what=what, version=version, error=problem))


def written_at_last(what: str, version: int, failures: int) -> None:
    """Log that the journal is written again, after these failures of a write that is tried again."""
    text = "the journal is written again: the %s of version %d had failed %d times"
    extra = about("written_at_last", what=what, version=version, failures=failures)
    _log.warning(text, what, version, failures, extra=extra)


def made_anew(path: Path, without: str = "") -> None:
    """Log that a file or folder which is gone is made anew; `without`: what it has not any more, in words."""
    text = "%s was deleted while in use: it is made anew%s"
    _log.error(text, path, without, extra=about("file_made_anew", path=path))


def not_listed(kind: str) -> None:
    """Log that overrides can't be told to people; they are in force."""
    _log.warning("what is set can't be listed: %s", kind, extra=about("not_listed", error=kind))


def not_settable(error: Exception) -> None:
    """Log that `set` would be refused while this version is held."""
    extra = about("not_settable", error=error)
    _log.debug("nothing can be set on this version once it is held: %s", error, extra=extra)


def load_raised(error: BaseException, trace: str) -> None:
    """Log the traceback of a source or validator, which the event of the load leaves out."""
    text = "a source or a validator raised what is no answer to a bad configuration\n%s"
    _log.error(text, Lines(trace), extra=about("load_raised", error=type(error).__name__))


def no_patch(kind: str) -> None:
    """Log that workers get a whole payload: slower, and as good."""
    text = "no patch could be made, and the whole configuration travels: %s"
    _log.warning(text, kind, extra=about("no_patch", error=kind))
