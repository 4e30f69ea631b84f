"""A way back: which kept version is meant, and its content, as the result of a load in which no source is read.

It is done in the loop's own thread, since a source may hang in the thread that loads.

At a boot whose sources were refused it is the newest good version that can be read: one of another schema, or one that
is damaged, is passed over, and the event says so.
"""

from __future__ import annotations

import dataclasses
import logging

from msgspec.structs import replace

from confcast.errors import ConfcastError, Problem
from confcast.log_fields import about
from confcast.owner.core.effects import Guarding, Load, Loaded, LoadFailed, Restore
from confcast.owner.core.operator_state import Trial
from confcast.owner.core.rules import Rules
from confcast.owner.core.version_numbers import Proven
from confcast.owner.loop.core_clock import own_time_of
from confcast.owner.loop.load_thread import LoadThread
from confcast.owner.store.journal import Journal, JournalError, VersionRow
from confcast.owner.store.kept_versions import KeptVersion, before
from confcast.wire.messages import ReloadResult

_log = logging.getLogger("confcast.owner")

_MOST_NAMED = 10
_A_FEW = 6
_NONE_IS_GOOD = "no version is kept that was good, so the server can't start on one (on_start_error='last_good')"


def restored(order: Restore, journal: Journal, rules: Rules, loading: LoadThread) -> Loaded | LoadFailed:
    """The content of the version that is meant, or why it can't be put back."""
    try:
        if order.boot:
            return _newest_good(order, journal, rules, loading)
        number = _before(journal) if order.version is None else order.version
        if not number:
            return _failed(order, "there is no good version before the one that runs: `confcast versions` lists them")
        row = journal.version(number)
    except JournalError as error:
        return _failed(order, str(error))
    if row.schema != rules.schema:
        return _failed(order, _other_schema(row, journal, rules))
    return loading.restore(order.number, row)


def still_set(proven: Proven, loading: LoadThread) -> Proven:
    """A version with those of its overrides that have not ended; the others are values of it. Raises nothing."""
    version = proven.committed
    try:
        left, values = loading.without_ended(version.version, proven.layer, version.values)
    except ConfcastError as error:
        text = "what was set for a time in version %d ends again, since it can't be made a value of it: %s"
        _log.error(text, version.version, error, extra=about("override_not_kept", version=version.version, error=error))
        return proven
    return Proven(dataclasses.replace(version, values=values), left.encode(), own_time_of(left.next_expiry or 0.0))


def contents_past_guards(order: Load, journal: Journal, trial: Trial | None) -> frozenset[bytes]:
    """The digests of the contents that the order's guards are not asked about.

    That is what is on trial, which has passed them; and for a resumption the content of each kept version. If those
    can't be read, guards are asked about content that ran before, too, which may refuse too much.
    """
    tried = frozenset[bytes]() if trial is None else frozenset((trial.digest,))
    if order.guarding is not Guarding.UNLESS_KNOWN:
        return tried
    try:
        return tried.union(kept.digest for kept in journal.versions())
    except JournalError as error:
        _log.error(
            "which contents ran before can't be read, so guards are asked about each: %s",
            error,
            extra=about("history_unreadable", error=error),
        )
        return tried


def _newest_good(order: Restore, journal: Journal, rules: Rules, loading: LoadThread) -> Loaded | LoadFailed:
    """The content of the newest good version that can be read; its notes say which newer ones can't be."""
    passed_over = list[str]()
    for kept in journal.versions():
        if not kept.proven:
            continue
        found = _read_at_boot(order, kept, journal, rules, loading)
        if isinstance(found, Loaded):
            return replace(found, notes=tuple(passed_over[:_MOST_NAMED]))
        passed_over += [problem.message for problem in found.problems]
    problems = (_NONE_IS_GOOD, *passed_over[:_MOST_NAMED])
    return LoadFailed(order.number, ReloadResult.VALIDATION_FAILED, tuple(Problem("", each) for each in problems))


def _read_at_boot(
    order: Restore, kept: KeptVersion, journal: Journal, rules: Rules, loading: LoadThread
) -> Loaded | LoadFailed:
    try:
        row = journal.version(kept.version)
    except JournalError as error:
        return _failed(order, str(error))
    if row.schema != rules.schema:
        return _failed(order, _other_schema(row, journal, rules))
    return loading.restore(order.number, row, boot=True)


def _before(journal: Journal) -> int:
    """The version to go back to; mostly it is among the newest, so that not all rows are read."""
    return before(journal.versions(_A_FEW), whole=False) or before(journal.versions())


def _failed(order: Restore, why: str) -> LoadFailed:
    return LoadFailed(order.number, ReloadResult.VALIDATION_FAILED, (Problem("", why),))


def _other_schema(row: VersionRow, journal: Journal, rules: Rules) -> str:
    """Which fields of this version's schema differ from today's, in words."""
    then, now = journal.described(row.schema), rules.fields
    differing = sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
    text = f"version {row.version} was committed under another schema, so its content can't be put back"
    if not then or not differing:
        return text
    more = f" and {len(differing) - _MOST_NAMED} more" if len(differing) > _MOST_NAMED else ""
    return f"{text}; these fields differ: {', '.join(differing[:_MOST_NAMED])}{more}"
