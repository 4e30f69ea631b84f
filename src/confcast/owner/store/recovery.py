"""A new owner starts from the files of a former owner: of the same master, or of the generation before.

In this order: a journal that was kept elsewhere is moved to its place, a lost one is made anew, the roster keeps the
processes that live and have not said goodbye, and the snapshot file of the generation before is read, which may have a
version that the copy of its journal has not. Versions, high-water number, history and totals continue; the
configuration continues only under the code that wrote it, or if the owner was restarted and serves workers of that
code.

If the journal is torn or gone, versions are counted on from the clock, in milliseconds since 1970, or from above the
snapshot file's version: higher than any that was given out, so that no number repeats with other content. A restarted
owner starts from the snapshot file, as workers do: the committed version is lost only if journal and snapshot file both
are. Roster, kept versions, history and totals are lost; the owner gathers its workers, and if it dies before it has, so
does the next one. A journal whose log was damaged is whole and older, since SQLite reads a log up to the damage and
reports nothing: then the snapshot file has the version that was committed last. If only the runtime directory was
deleted, notes of workers went with it, and the owner gathers, too.

Workers of `confcast serve` outlive it, and look for the next one at its address. So the roster of a state folder is
kept there at a first start, too, if the schema is the same. If the address was left by a server that was killed, others
may live that no roster has: those that began on its snapshot file, or all, where its journal was in its own folder.
Then the new owner gathers, once it serves, and without a journal counts on from the clock. After a clean stop the
address is gone, and only the roster counts. So it is where a server takes over from one that lives, and its workers
come along: those of the copy are known, though they find this owner only once the address leads to it. Just after it
does, the former names all of its workers, and the master tells this owner (`Expect`): from then on it knows those that
have attached after the copy was written, and has forgotten those that have left since. Rejected for those: gathering
after each take-over (each reload in the first 2.5 s would wait, and one that is stopped would be missed all the same),
a former that refuses workers in its pause (one that starts meanwhile would be without an owner for as long as the next
first load lasts), and copying again (the next owner has read the copy by then).

Rejected: counting on in seconds (who makes more than one version in each is ahead of the clock, and a server that is
begun anew has no snapshot file to tell it), starting from the snapshot file alone (it has neither the high-water number
nor the roster), reading on in a torn journal (what can be read of it need not be what was written), and starting from
another master's snapshot file at a first start (its workers are gone).
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
from confcast.log_fields import about
from confcast.owner.store import handover, incomplete_roster
from confcast.owner.store.journal import Journal, JournalError, StateRow, TornJournal, VersionRow
from confcast.owner.store.runtime_dir import RuntimeDir
from confcast.wire import processes
from confcast.wire.files import goodbye_files, snapshot_file
from confcast.wire.master_channel import StartupConfig

_log = logging.getLogger("confcast.owner")

_RELEASED_WITHIN = 2.0
"""Seconds for which a next generation waits for the state folder of a former owner that has left it no journal."""

_HIDDEN = 100
"""How many numbers above the snapshot file's may have been given out at most: that of a trial, and of failed writes."""

_LOST = "a new one is begun: kept versions, history and totals are lost, and versions are counted on from the clock"


class Recovered(NamedTuple):
    """What a new owner starts from: the version, the high-water number, and the roster.

    Attributes:
        row: The committed version; None when there is none, or none that this owner may serve.
        high_water: The high-water number: no number up to this one is given out again.
        roster: The pids of the processes that attached to a former owner, and live.
        fields: The field table of the code that made `row`; this owner's table when there is no row.
        lost: Whether there was a journal that is gone or torn.
        gathers: Whether the roster may lack workers that live, so that they have to connect before a commit.
        outlived: Whether these workers are of a server that has ended, and whose place this one takes: they can connect
            only once this one serves.
    """

    row: VersionRow | None
    high_water: int
    roster: tuple[int, ...]
    fields: dict[str, str]
    lost: bool
    gathers: bool
    outlived: bool = False


def recover(
    runtime_dir: RuntimeDir,
    startup: StartupConfig,
    open_journal: Callable[..., Journal],
    fingerprint: bytes,
    fields: dict[str, str],
) -> Recovered:
    """Read what a former owner left, and repair the journal. Raises JournalError, OSError.

    Args:
        runtime_dir: Its socket listens already, so that a worker that writes a note from now on can connect.
        startup: This owner's StartupConfig; `restarts` and `former` say which owner it follows.
        open_journal: Opens the journal of the runtime directory; called with a path, another one.
        fingerprint: The fingerprint of this owner's schema.
        fields: This owner's field table.
    """
    restarted = startup.restarts > 0
    lasts = bool(startup.address) and not restarted
    is_copy = _place_journal(runtime_dir, startup, open_journal)
    lost = is_journal_lost(runtime_dir, open_journal, restarted=restarted)
    with contextlib.closing(open_journal()) as journal:
        if not restarted:
            _begin_roster(journal, may_lack=lasts and (lost or startup.address_left), lasts=lasts)
        number = handover.number(runtime_dir.folder)
        _take_in_snapshot_file(journal, runtime_dir.folder, lost=lost, restarted=restarted)
        _go_on_after_handover(journal, startup, is_copy=is_copy)
        keeps = restarted or (lasts and _is_of_schema(journal, fingerprint))
        living = _living_members(journal, runtime_dir, keeps=keeps)
        unread = restarted and _are_notes_lost(journal, runtime_dir)
        if not restarted and startup.former:
            _continue_versions(journal, Path(startup.former), fingerprint)
        row, high_water = journal.latest(), max(journal.high_water, number)
        whole = incomplete_roster.is_whole(journal) and not (lasts and startup.address_left)
        gathers = is_copy or unread or (restarted and (lost or row is None)) or ((restarted or lasts) and not whole)
        row, fields = _go_on_under(journal, row, fingerprint, fields, restarted=restarted)
        _note_start(journal, restarted=restarted)
    if row is None and (restarted or (lasts and startup.address_left and not high_water)):
        high_water = max(high_water, _number_of_the_clock())
    return Recovered(row, high_water, living, fields, lost, gathers, lasts and (gathers or bool(living)))


def try_to_write(what: str, write: Callable[[], None]) -> bool:
    """Write what nothing depends on. A failure is logged: on a full disk a new owner serves what is committed.

    Returns:
        Whether it was written.
    """
    try:
        write()
    except (JournalError, OSError, ValueError) as error:  # ValueError: a path in it that is no UTF-8
        _log.error(
            "the %s could not be written: %s", what, error, extra=about("file_not_written", what=what, error=error)
        )
        return False
    return True


def _place_journal(runtime_dir: RuntimeDir, startup: StartupConfig, open_journal: Callable[..., Journal]) -> bool:
    """Move or copy the former owner's journal to this owner's path; a paused owner that restarts uses its own copy.

    So does one that restarts once its pause was called off, if the next generation may have taken the state folder: the
    journal there is that one's, with what it has committed, and without the workers that live here.

    Returns:
        Whether it may lack workers: it is such a copy, on whose roster nobody is who has attached since it was written,
        or nobody could write one.
    """
    small = runtime_dir.folder / runtime_dir.journal.name
    if startup.former and not startup.restarts:
        handover.take_over(Path(startup.former), small)
        if runtime_dir.awaited is not None and not small.exists():
            _await_state_folder(runtime_dir)
        if runtime_dir.state_folder != runtime_dir.folder and not small.exists():
            _leave_copy(Path(startup.former), runtime_dir, open_journal)
    apart, is_copy = runtime_dir.state_folder != runtime_dir.folder, False
    if apart and _is_called_off(startup) and handover.is_taken_up(runtime_dir.folder):
        handover.take_over(runtime_dir.folder, small)
        is_copy = True
    elif runtime_dir.awaited is not None and startup.paused:
        is_copy = handover.take_over(runtime_dir.folder, small)
    if apart and small.exists():
        with contextlib.closing(open_journal(small)) as journal:
            if startup.former:
                handover.write_number(Path(startup.former), journal.high_water)  # that one knows by it
            handover.move_journal(journal, runtime_dir.journal)
        handover.delete_journal(small)
    return is_copy


def _leave_copy(former: Path, runtime_dir: RuntimeDir, open_journal: Callable[..., Journal]) -> None:
    """The former owner died before it could leave a copy: this one leaves it, before it changes that journal."""
    number = 0
    if runtime_dir.journal.exists():
        with contextlib.suppress(TornJournal), contextlib.closing(open_journal()) as journal:
            copy = functools.partial(handover.leave_copy, former, journal)
            try_to_write("copy of the journal for the former owner", copy)
            number = journal.high_water
    handover.write_number(former, number)


def _is_called_off(startup: StartupConfig) -> bool:
    """Whether a copy in this owner's folder is of a hand-over that is over, and its predecessor did not live to see."""
    return startup.restarts > 0 and not startup.paused


def _go_on_after_handover(journal: Journal, startup: StartupConfig, *, is_copy: bool) -> None:
    """Note whom a copy lacks; if the hand-over is called off, delete it, and never give out a number of the other's."""
    if is_copy:
        try_to_write("roster", functools.partial(incomplete_roster.mark, journal, whole=False))
    folder = Path(startup.folder)
    if _is_called_off(startup) and try_to_write("number", lambda: journal.retire(handover.number(folder))):
        try_to_write("end of a hand-over", functools.partial(handover.forget, folder))


def _await_state_folder(runtime_dir: RuntimeDir) -> None:
    """The former owner has left no copy: it is exiting, as its master was killed, and releases its journal itself.

    If it goes on all the same (on a full disk it could write no copy), this owner begins a journal of its own.
    """
    deadline = time.monotonic() + _RELEASED_WITHIN
    while time.monotonic() < deadline:
        with runtime_dir.moving() as free:
            if free:
                return
        time.sleep(_RELEASED_WITHIN / 100)


def _go_on_under(
    journal: Journal, row: VersionRow | None, fingerprint: bytes, fields: dict[str, str], *, restarted: bool
) -> tuple[VersionRow | None, dict[str, str]]:
    """The version that an owner of this schema goes on from, and the field table of the schema that it serves by it."""
    if row is not None and row.schema != fingerprint:
        if restarted:
            return row, journal.described(row.schema)
        row = None
    try_to_write("field table", functools.partial(journal.describe, fingerprint, fields))
    return row, fields


def _note_start(journal: Journal, *, restarted: bool) -> None:
    if restarted:
        try_to_write("count of restarts", journal.count_restart)
    elif journal.state.operator.unconfirmed is None:  # who starts a server asks for what the sources say
        try_to_write("end of a refusal", journal.forgive)


def _continue_versions(journal: Journal, former: Path, fingerprint: bytes) -> None:
    """Continue from the version in the former owner's snapshot file, which that owner serves to its last workers."""
    saved = snapshot_file.load(former)
    if saved is None or saved.version <= journal.high_water:
        return
    if saved.schema == fingerprint and digest(saved.payload) == saved.digest:
        _record(journal, saved)
    else:
        journal.retire(saved.version)


def _begin_roster(journal: Journal, *, may_lack: bool, lasts: bool) -> None:
    """Note, at a first start, whether the roster may lack workers that live; those of most servers are gone."""
    whole = incomplete_roster.is_whole(journal)
    if may_lack and whole:
        try_to_write("roster", functools.partial(incomplete_roster.mark, journal, whole=False))
    elif not whole and not lasts:
        try_to_write("roster", functools.partial(incomplete_roster.mark, journal, whole=True))


def _is_of_schema(journal: Journal, fingerprint: bytes) -> bool:
    """Whether the workers that the journal knows have this schema: others are refused, and never come."""
    row = journal.latest()
    return row is not None and row.schema == fingerprint


def _living_members(journal: Journal, runtime_dir: RuntimeDir, *, keeps: bool) -> tuple[int, ...]:
    """The processes on the roster of a former owner that live and have not said goodbye, if it keeps them.

    The others are removed. A process that serves without an owner, as its note says, or that a full disk has kept from
    the roster, is added before its note is deleted.
    """
    left, uids, living = _notes(runtime_dir, "left"), runtime_dir.allowed_uids.uids(), set[int]()
    for pid, since in incomplete_roster.members(journal):
        if keeps and processes.is_alive(pid, since) and (pid, since) not in left:
            living.add(pid)
        else:
            try_to_write("roster", functools.partial(journal.remove_member, pid))
    unwritten = set[goodbye_files.Writer]()
    for pid, since in sorted((_notes(runtime_dir, "here") | _notes(runtime_dir, "member")) - left):
        ours = runtime_dir.allowed_uids.shared or processes.user_of(pid) in uids
        if processes.is_alive(pid, since) and ours:
            living.add(pid)
            if not try_to_write("roster", functools.partial(journal.add_member, pid, since)):
                unwritten.add((pid, since))
    clear = functools.partial(goodbye_files.clear, runtime_dir.folder)
    try_to_write("notes of workers", functools.partial(clear, "left"))
    for kind in ("here", "member"):
        try_to_write("notes of workers", functools.partial(clear, kind, keep=frozenset(unwritten)))
    return tuple(sorted(living))


def _are_notes_lost(journal: Journal, runtime_dir: RuntimeDir) -> bool:
    """Whether a restarted owner's folder was deleted before it had read the notes; then the next one gathers, too.

    They may have named workers that began while no owner lived, or that a full disk had kept from the roster.
    """
    lost = runtime_dir.was_missing or runtime_dir.missing() is not None
    if lost:
        try_to_write("roster", functools.partial(incomplete_roster.mark, journal, whole=False))
    return lost


def _notes(runtime_dir: RuntimeDir, kind: goodbye_files.Kind) -> set[goodbye_files.Writer]:
    try:
        return goodbye_files.read(runtime_dir.folder, kind, shared=runtime_dir.allowed_uids.shared)
    except OSError as error:
        _log.error("the notes of workers can't be read: %s", error, extra=about("notes_unreadable", error=error))
        return set()


def is_journal_lost(runtime_dir: RuntimeDir, open_journal: Callable[[], Journal], *, restarted: bool) -> bool:
    """Whether the journal is gone or torn; a torn one is renamed. Raises JournalError, OSError."""
    if not runtime_dir.journal.exists():
        # The in-progress file is made after the journal, in the same folder: if it is there, the journal was.
        lost = restarted or runtime_dir.in_progress_file.exists()
        if lost:
            _log.error(
                "the journal %s is gone; %s",
                runtime_dir.journal,
                _LOST,
                extra=about("journal_lost", path=runtime_dir.journal),
            )
        return lost
    try:
        with contextlib.closing(open_journal()) as journal:
            journal.latest()
    except TornJournal as error:
        aside = runtime_dir.journal.with_name(f"journal.torn-{int(time.time())}")
        _log.error(
            "%s; it is kept as %s, and %s",
            error,
            aside.name,
            _LOST,
            extra=about("journal_lost", path=aside, error=error),
        )
        runtime_dir.journal.rename(aside)
        return True
    return False


def _take_in_snapshot_file(journal: Journal, folder: Path, *, lost: bool, restarted: bool) -> None:
    """Put into the journal what it should have, as far as it is known. `lost`: it is new. Raises JournalError."""
    if lost:
        restore_from_snapshot_file(journal, folder, restarted=restarted)
    elif restarted:
        catch_up(journal, folder)


def restore_from_snapshot_file(journal: Journal, folder: Path, *, restarted: bool) -> None:
    """Put the snapshot file's version, or a number from the clock, into a new journal. Raises JournalError."""
    saved = snapshot_file.load(folder) if restarted else None
    if restarted:
        incomplete_roster.mark(journal, whole=False)
    if saved is not None and digest(saved.payload) == saved.digest:
        _log.warning(
            "version %d is taken from the snapshot file in %s",
            saved.version,
            folder,
            extra=about("version_recovered", path=folder, version=saved.version),
        )
        _count_on(journal, saved.version)
        _record(journal, saved)
    else:
        _count_on(journal, 0)


def catch_up(journal: Journal, folder: Path) -> None:
    """Take the snapshot file's version into the journal, if the journal's is older. Raises JournalError.

    The file is written after the journal, so its version was committed, and workers may run it. What else the journal
    has lost is not known: workers may have had a version on trial, whose number is in no snapshot file. So the next
    number is from the clock, as after the loss of a whole journal: that one was given to the undo of an older trial,
    and stood for two contents. Nor is it known who attached since.
    """
    if not incomplete_roster.is_whole(journal):  # its owner was killed, perhaps before it counted on from the clock
        _count_on(journal, journal.high_water)
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
        extra=about("version_recovered", path=folder, version=saved.version, journaled=known),
    )
    incomplete_roster.mark(journal, whole=False)
    _count_on(journal, saved.version)
    _record(journal, saved)


def _count_on(journal: Journal, version: int) -> None:
    """Give out no number that may have been given out above this version, the newest known. Raises JournalError.

    Where the date was put back since, numbers are ahead of the clock.
    """
    journal.retire(max(_number_of_the_clock(), version + _HIDDEN))


def _number_of_the_clock() -> int:
    """A number above all that were given out, unless the date was put back: no owner makes a thousand each second."""
    return int(time.time() * 1000)


def _record(journal: Journal, saved: snapshot_file.Saved) -> None:
    """Record the file's version. What people have set is not in the file: what the journal knows of it stays."""
    row = VersionRow(saved.version, saved.digest, saved.schema, saved.payload, time.time())
    journal.record(row, StateRow(operator=journal.state.operator))
