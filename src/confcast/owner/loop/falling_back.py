"""What people have set and what the end of a window puts back, taken from the journal when an owner starts.

An owner that runs has that content in memory. The one after it takes the open window's fallback, which the journal
keeps beyond its limit; where no window is open, the newest version that is proven, for the window that may come. A
fallback that can't be read, or is of a schema other than the row's, can't be put back: the window is closed, loudly,
and what runs goes on. A hold and a window stand on the committed version: where that is of another schema than this
server's, the sources are followed, and that is said loudly, too.
"""

from __future__ import annotations

import logging
from collections import Counter

import msgspec

from confcast.config.overrides import Overrides
from confcast.errors import ConfcastError
from confcast.log_fields import about
from confcast.owner.core.effects import Loaded
from confcast.owner.core.machine import Committed, OperatorState, Proven
from confcast.owner.loop.core_clock import own_time_of
from confcast.owner.store.journal import Journal, JournalError, VersionRow
from confcast.wire.messages import UNDECODABLE

_log = logging.getLogger("confcast.owner")

_A_FEW = 3


def falls_back(
    operator: OperatorState, row: VersionRow | None, journal: Journal
) -> tuple[OperatorState, Proven | None]:
    """What people have set, and what a window falls back to; None: the committed version, `row`, or nothing.

    Args:
        operator: What people have set, with times of the core's clock.
        row: The committed version; None if there is none that this owner may serve.
        journal: The journal, which has both.
    """
    if row is None:
        return _without_a_version(operator), None
    window = operator.window
    if window is None:
        return operator, _newest_proven(row, journal)
    try:
        found = journal.fallback(window.fallback)
    except JournalError as error:
        return _closed(operator, row, str(error)), None
    if found.schema != row.schema:
        return _closed(operator, row, f"version {window.fallback} is of another schema"), None
    return operator, Proven(_committed(found), window.layer, window.expires)


def with_goodness(given: Loaded, journal: Journal, failures: Counter[str]) -> Loaded:
    """A candidate, with whether its content was good before; where the journal can't be read, it counts as new."""
    try:
        return msgspec.structs.replace(given, good=journal.was_good(given.digest))
    except JournalError as error:
        failures["goodness"] += 1
        _log.error(
            "whether this content was good before can't be read: %s; it counts as new",
            error,
            extra=about("history_unreadable", error=error),
        )
        return given


def _without_a_version(operator: OperatorState) -> OperatorState:
    """What people had set, for an owner that starts from no version: a hold and a window have nothing to stand on."""
    if operator.hold is not None:
        _log.error(
            "the content of version %d was held, and this server's schema is not that version's: the sources are "
            "followed",
            operator.hold.version,
            extra=about("schema_changed", version=operator.hold.version, was="held"),
        )
    if operator.window is not None and operator.window.deadline:
        _log.error(
            "nobody confirmed what runs, and this server's schema is not that of version %d, which would be put back: "
            "the sources are followed, confirmed by nobody",
            operator.window.fallback,
            extra=about("schema_changed", version=operator.window.fallback, was="confirm"),
        )
    if operator.trial is not None:
        _log.error(
            "version %d was on trial, and this server's schema is not that of what ran beside it: the sources are "
            "followed",
            operator.trial.version,
            extra=about("schema_changed", version=operator.trial.version, was="trial"),
        )
    tried = operator.tried if operator.hold is None else b""
    return msgspec.structs.replace(operator, hold=None, tried=tried, window=None, unconfirmed=None, trial=None)


def _newest_proven(row: VersionRow, journal: Journal) -> Proven | None:
    try:
        few = [each for each in journal.versions(_A_FEW) if each.proven] or journal.versions()
        kept = next((each for each in few if each.proven and each.schema == row.schema), None)
        if kept is None or kept.version == row.version:
            return None
        found = journal.version(kept.version)
        return Proven(_committed(found), found.layer, own_time_of(Overrides.decode(found.layer).next_expiry or 0.0))
    except (ConfcastError, *UNDECODABLE) as error:
        _log.warning(
            "the newest version that is proven can't be read: %s", error, extra=about("history_unreadable", error=error)
        )
        return None


def _committed(row: VersionRow) -> Committed:
    return Committed(row.version, row.digest, row.payload, False, row.values)


def _closed(operator: OperatorState, row: VersionRow, why: str) -> OperatorState:
    window = operator.window
    waits = window is not None and window.deadline
    text = (
        "version %d waits to be confirmed, and what its end would put back can't be had: %s; it is kept as it is, "
        "confirmed by nobody"
        if waits
        else "version %d is on probation, and what an undo would put back can't be had: %s; it is kept as it is, "
        "whatever speaks against it"
    )
    _log.error(text, row.version, why, extra=about("fallback_impossible", version=row.version, reason=why))
    return msgspec.structs.replace(operator, window=None)
