"""What a new owner stands on: what one before it has left, of this master or of the generation before.

In this order: a journal that lies where the former one had to live is brought to its place, what was lost is looked
for, the roster keeps who lives and has not left, and the generation before has a last word: its snapshot file may have
a version that its journal's copy has not. Versions, floor, history and totals go on; the configuration does only under
the code that it was written with, or with an owner that was restarted and serves workers of that code.

Rejected: standing on the snapshot file alone (it has neither the floor nor the roster).

A journal that is torn or gone: what is saved of it, and said.

The numbers of versions are counted on from the clock, in seconds since 1970: higher than any that was given out, so
that none repeats with other content. A restarted owner stands on the snapshot file, which workers start on too: the
committed version is lost only with both. Roster, history and totals are lost. A journal whose log was damaged is whole
and older, since SQLite reads a log up to the damage and says nothing: then the snapshot file has the version that was
committed last.

Rejected: reading on in a torn journal (what can be read of it need not be what was written), and standing on another
master's snapshot file at a first start (its workers are gone).
"""

from __future__ import annotations

import contextlib
import functools
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from confcast.config.codec import digest
from confcast.owner.store import handover
from confcast.owner.store.journal import Journal, JournalError, TornJournal, VersionRow
from confcast.owner.store.runtime_dir import RuntimeDir
from confcast.wire import processes
from confcast.wire.files import goodbye_files, snapshot_file
from confcast.wire.master_channel import StartupConfig

_log = logging.getLogger("confcast.owner")


class Recovered(NamedTuple):
    """The version to stand on, the highest number ever used, and who lived under it.

    Attributes:
        row: The committed version; None when there is none, or none of this code.
        high_water: No number up to this one is given out again.
        roster: The pids of those who said Hello to an owner before, and live.
        fields: The field table of the code that `row` was made with; this owner's own when there is none.
        lost: Whether there was a journal that is gone or torn.
    """

    row: VersionRow | None
    high_water: int
    roster: tuple[int, ...]
    fields: dict[str, str]
    lost: bool


def recover(
    runtime_dir: RuntimeDir,
    startup: StartupConfig,
    open_journal: Callable[[], Journal],
    fingerprint: bytes,
    fields: dict[str, str],
) -> Recovered:
    """Take over what was left, and leave the journal as the next owner is to find it.

    Args:
        runtime_dir: Entered, and listening: who writes a note later finds it listening.
        startup: Whose place this owner takes.
        open_journal: Opens the journal of the run-time directory.
        fingerprint: This owner's schema's.
        fields: This owner's field table.

    Raises:
        JournalError: The journal can't be used.
        OSError: What the generation before has left can't be read or moved.
    """
    restarted = startup.restarts > 0
    _begin_where_the_former_was(runtime_dir, startup)
    lost = find_losses(runtime_dir, open_journal, restarted=restarted)
    with contextlib.closing(open_journal()) as journal:
        if lost:
            make_good(journal, runtime_dir.folder, restarted=restarted)
        elif restarted:
            catch_up(journal, runtime_dir.folder)
        living = _living(journal, runtime_dir, restarted=restarted)
        if not restarted and startup.former:
            _go_on_from_the_former(journal, Path(startup.former), fingerprint)
        row, high_water = journal.latest(), journal.high_water
        if row is not None and row.schema != fingerprint and not restarted:
            row = None
        if row is not None and row.schema != fingerprint:
            fields = journal.described(row.schema)
        else:
            attempt("field table", functools.partial(journal.describe, fingerprint, fields))
        if restarted:
            attempt("count of restarts", journal.count_restart)
        else:  # somebody starts it with these sources, and no worker lives that could keep an older version
            attempt("end of a refusal", journal.forgive)
    if restarted and row is None:
        high_water = max(high_water, int(time.time()))
    return Recovered(row, high_water, living, fields, lost)


def attempt(what: str, write: Callable[[], None]) -> bool:
    """A write that nothing depends on: on a full disk a new owner serves what is committed all the same.

    Returns:
        Whether it was written.
    """
    try:
        write()
    except (JournalError, OSError, ValueError) as error:  # ValueError: a path in it that is no UTF-8
        _log.error("the %s could not be written: %s", what, error)
        return False
    return True


def _begin_where_the_former_was(runtime_dir: RuntimeDir, startup: StartupConfig) -> None:
    """With its journal; in the state folder, if it is free by now. A paused one stays with what it left itself."""
    small = runtime_dir.folder / runtime_dir.journal.name
    if startup.former and not startup.restarts:
        handover.take_over(Path(startup.former), small)
    if runtime_dir.awaited is not None and startup.paused:
        handover.take_over(runtime_dir.folder, small)
    if runtime_dir.state_folder != runtime_dir.folder and small.exists():
        with contextlib.closing(Journal(small)) as journal:
            handover.move_in(journal, runtime_dir.journal)
        handover.forget(small)


def _go_on_from_the_former(journal: Journal, former: Path, fingerprint: bytes) -> None:
    """A new generation's versions follow those of the one before, which still serves its last workers."""
    saved = snapshot_file.load(former)
    if saved is None or saved.version <= journal.high_water:
        return
    if saved.schema == fingerprint and digest(saved.payload) == saved.digest:
        journal.record(VersionRow(saved.version, saved.digest, saved.schema, saved.payload, time.time()))
    else:
        journal.retire(saved.version)


def _living(journal: Journal, runtime_dir: RuntimeDir, *, restarted: bool) -> tuple[int, ...]:
    """Who said Hello to a former owner of this master, lives, and has not left since; the others are struck.

    And who serves without having been answered by any owner, as its note says: put on the roster before its note goes.
    """
    living, left = {}, _noted(runtime_dir, "left")
    for pid, since in journal.roster():
        if restarted and processes.is_alive(pid, since) and (pid, since) not in left:
            living[pid] = since
        else:
            attempt("roster", functools.partial(journal.remove_member, pid))
    unwritten = set()
    for pid, since in sorted(_noted(runtime_dir, "here")):
        if (
            processes.is_alive(pid, since)
            and processes.user_of(pid) in runtime_dir.allowed_uids.uids()
            and (pid, since) not in left
        ):
            living[pid] = since
            if not attempt("roster", functools.partial(journal.add_member, pid, since)):
                unwritten.add((pid, since))
    attempt("notes of workers", functools.partial(goodbye_files.clear, runtime_dir.folder, "left"))
    attempt(
        "notes of workers",
        functools.partial(goodbye_files.clear, runtime_dir.folder, "here", keep=frozenset(unwritten)),
    )
    return tuple(sorted(living))


def _noted(runtime_dir: RuntimeDir, kind: goodbye_files.Kind) -> set[goodbye_files.Writer]:
    try:
        return goodbye_files.read(runtime_dir.folder, kind)
    except OSError as error:
        _log.error("the notes of workers can't be read: %s", error)
        return set()


_LOST = "a new one is begun: history and totals are lost, and versions are counted on from the clock"


def find_losses(runtime_dir: RuntimeDir, open_journal: Callable[[], Journal], *, restarted: bool) -> bool:
    """Whether there is no journal where one was written; a torn one is set aside. Raises JournalError, OSError."""
    if not runtime_dir.journal.exists():
        # The mark of what is being loaded is made where a journal is already, and stays with it.
        lost = restarted or runtime_dir.in_progress_file.exists()
        if lost:
            _log.error("the journal %s is gone; %s", runtime_dir.journal, _LOST)
        return lost
    try:
        with contextlib.closing(open_journal()) as journal:
            journal.latest()
    except TornJournal as error:
        aside = runtime_dir.journal.with_name(f"journal.torn-{int(time.time())}")
        _log.error("%s; it is kept as %s, and %s", error, aside.name, _LOST)
        runtime_dir.journal.rename(aside)
        return True
    return False


def make_good(journal: Journal, folder: Path, *, restarted: bool) -> None:
    """Put into a new journal what is known without the one that was lost. Raises JournalError."""
    saved = snapshot_file.load(folder) if restarted else None
    if saved is not None and digest(saved.payload) == saved.digest:
        _log.warning("version %d is taken from the snapshot file in %s", saved.version, folder)
        journal.record(VersionRow(saved.version, saved.digest, saved.schema, saved.payload, time.time()))
    journal.retire(int(time.time()))


def catch_up(journal: Journal, folder: Path) -> None:
    """Take a version from the snapshot file that the journal should have, and has not. Raises JournalError.

    The file is written after the journal, so what it has was committed, and workers may run it.
    """
    saved, row = snapshot_file.load(folder), journal.latest()
    known = 0 if row is None else row.version
    if saved is None or saved.version <= known or digest(saved.payload) != saved.digest:
        return
    _log.error(
        "the journal in %s ends at version %d, though version %d was committed: its log was damaged; version %d is "
        "taken from the snapshot file",
        folder,
        known,
        saved.version,
        saved.version,
    )
    journal.record(VersionRow(saved.version, saved.digest, saved.schema, saved.payload, time.time()))
