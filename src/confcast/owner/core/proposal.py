"""One proposal: its state, its content, the times at which its parts began, and the event that reports its outcome.

Times are of the core's clock; the event loop turns an event's timestamp into a date. Rejected: measuring the parts of
the duration in the event loop (it does not know when a vote was complete).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from confcast.errors import Problem, first_of
from confcast.owner.core import effects as fx
from confcast.owner.core.members import Member, Roster
from confcast.owner.core.operator_state import OperatorState
from confcast.owner.core.requests import Asked, Cause
from confcast.wire.messages import (
    LONGEST_TTL,
    Change,
    Check,
    Reload,
    ReloadEvent,
    ReloadResult,
    Resume,
    Rollback,
    Set,
    Vote,
    Who,
)


class ProposalState(enum.IntEnum):
    """Where the one proposal is: the column of the table in `machine.py`, which explains the states."""

    IDLE = 0
    LOADING = 1
    STAGING = 2
    RECORDING = 3
    COMMITTING = 4


OWED = "nothing was changed, since not everybody whose yes is needed gave one; it is tried again when a worker answers"
NOT_OWED = "nothing was changed, since not everybody whose yes is needed gave one; ask again when a worker answers"
CONFLICT = "version {} runs, and version {} was expected: look at what has changed, and ask again"
NOTHING_TO_CONFIRM = "nothing waits to be confirmed: what runs is not provisional, or was confirmed before"
TOO_LATE = "version {} was undone: there is nothing to confirm any more"
NOT_THIS_ONE = "version {} runs, and version {} was to be confirmed: look at what has changed, and confirm that"
UNCONFIRMED = "nobody confirmed version {} within {:g} s"
UNCONFIRMED_AT_START = "nobody confirmed version {} before the server was started anew"
UNCONFIRMED_AT_HANDOVER = "nobody confirmed version {} before the server was fully reloaded"
TAKEN_BACK = (
    "{}, so the content of version {} has been put back under the next number. What was undone is put to the vote "
    "again when the sources change, or by resume()"
)
STILL_UNCONFIRMED = (
    "the sources have what was undone with version {}, since {}: it is put to the vote again when they change, by "
    "resume(), or by reload() with confirm_within or canary"
)
ENDED_BY = "{} ended the trial of version {}"
NOT_ON_TRIAL = "version {} is on trial, and version {} was to be confirmed: look at what has changed, and confirm that"
TRIAL_UNDONE = (
    "{}, so version {} has been undone: version {} goes on under the next number. What was undone is put to the vote "
    "again when the sources change, by resume(), or by reload() with canary"
)
TRIAL_OF_DEAD_OWNER = "the owner that had version {} on trial has ended"
TRIAL_AT_HANDOVER = "version {} was still on trial when the server was fully reloaded"
TRIAL_REFUSED = "worker {} refuses version {}: {}"
NOT_PROMOTED = "version {} was to be committed: {}"
TOO_FEW_CANARIES = (
    "it was to be tried by some workers first, and of the {} that live and know trials none can be left with what "
    "runs: it was committed at once"
)
NO_CANARY = "it was to be tried first, and no worker that knows trials lives: it was committed at once"
NOBODY_AGREED = "no worker has agreed"
TO_DO = (
    "version {0} is on trial: confirm() commits it, rollback() takes it back, wait({0}) waits until it is good or gone"
)
NOT_TAKEN = "no worker has had version {} on trial"
NO_ENTITY = "no request named an entity"
FEW_REQUESTS = "{} of {} requests have ended on version {}"
GOES_ON = "{}: it is on trial for another {:g} s"
PROMOTED = "{}; nothing was said against it"
HELD = (
    "a person has gone back to version {}, so what the sources say is put to no worker; resume() or `confcast resume` "
    "follows the sources again"
)
CROWDED = "{} other changes wait for their turn, so nothing was begun: ask again later"
CUT_SHORT = "the dry run gave way to another request before all workers had voted: ask again"
STILL_REFUSED = (
    "this content was committed, and undone since no worker ran it: it is put to the vote again when it changes, or by "
    "a call of reload()"
)
NO_END = (
    "without what is set, this is the content that was undone before: so it stays set beyond its time, until the "
    "sources change, or by unset() or resume()"
)
UNDONE = (
    "nobody runs version {}, so it was undone: the content of version {} has been put back under the next number. "
    "What was undone is put to the vote again when it changes, or by a call of reload()"
)


_WITHOUT_SOURCES = ("rollback", "reissue", "undo", "confirm")


class Phase(NamedTuple):
    """What an owner is doing: the state, since when (of the core's clock), and the workers that it waits for.

    Each pid has the function that the worker runs, and since when; None where it has reported none. `retried`: the
    write that is tried again until it succeeds, and why, in words; empty for none.
    """

    state: ProposalState
    since: float
    waits_for: tuple[tuple[int, tuple[str, float] | None], ...]
    retried: str = ""


@dataclass(slots=True)
class Proposal:
    """A candidate between the beginning of its load and its outcome. A time of 0.0 means that its part has not begun.

    Attributes:
        checked: Whether the candidate is proven to decode to itself: it is proposed before, and committed after.
        vetoed: Why it is refused once it is checked; empty if no worker voted no.
        patch: Makes its content of the one with the digest `base`; empty where its payload travels whole.
        undo: Whether it puts back the content before an undone version, without a vote.
        refused: The digest of the content that is not put to the vote again until it changes; empty for none.
        undone: Why the version that this proposal committed was declined, and is undone; empty if it is not.
        undoes: The number of the version that this proposal undoes; 0 for none.
        evidence: Why it ends a window: nobody has confirmed, or what speaks against what was committed in it; empty for
            what ends none. Its write is tried until it is there.
        puts_back: The number that its content had before, where it puts a former content back; else 0.
        takes_back: As in Record.
        good: As in Loaded.
        who: The process that called; None where none did.
        reason: Why it called, in its words.
        asked: The operation that this is; None for a plain load, a reissue and an undo.
        restores: The kept version whose content it has; 0 where it was loaded.
        values: What the sources gave below the overrides, as the loading thread encodes it.
        operator: What people will have set once it is written; None until that is known.
        state_only: Whether it writes what people have set, and no version.
        rebuilds: Whether it reads no source, and builds on what the committed version was made from.
        refusals: By pid, why workers voted no to a dry run.
        pending: What the sources would change, and waits for a restart.
        boot: Whether it puts back the newest good version, since the sources were refused at a first start.
        tries: Whether it writes that its content is on trial, and no version.
        promotes: The proposal whose content was on trial, and is put to everyone by this one; None otherwise.
        same: Whether its content is the committed content, since what was on trial beside it is undone.
        load: The number of its load; 0 where it needs none.
    """

    origin: str
    began: float
    previous: int
    digest: bytes = b""
    payload: bytes = b""
    base: bytes = b""
    patch: bytes = b""
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()
    version: int = 0
    unchanged: bool = False
    checked: bool = True
    vetoed: tuple[Problem, ...] = ()
    loaded: float = 0.0
    ordered: float = 0.0
    recorded: float = 0.0
    undo: bool = False
    refused: bytes = field(default=b"", repr=False)
    undone: tuple[Problem, ...] = ()
    undoes: int = 0
    evidence: tuple[str, ...] = ()
    who: Who | None = None
    reason: str = ""
    asked: Asked | None = None
    restores: int = 0
    values: bytes = field(default=b"", repr=False)
    operator: OperatorState | None = None
    state_only: bool = False
    rebuilds: bool = False
    refusals: dict[int, tuple[Problem, ...]] = field(default_factory=dict)
    pending: tuple[Change, ...] = ()
    boot: bool = False
    puts_back: int = 0
    takes_back: int = 0
    good: bool = False
    tries: bool = False
    promotes: Proposal | None = None
    same: bool = False
    load: int = 0

    @property
    def dry(self) -> bool:
        """Whether nothing of it is to stay: no version, no number, no event, no worker that counts as timed out."""
        return isinstance(self.asked, Check)

    @property
    def resumes(self) -> bool:
        """Whether it ends a hold: by the row that commits it, or the one that says that nothing differs."""
        return isinstance(self.asked, Resume) or (isinstance(self.asked, Reload) and self.asked.force)

    @property
    def follows_sources(self) -> bool:
        """Whether its content is what the sources say, so that a hold stops it unless it ends the hold."""
        if self.rebuilds or self.boot:
            return False
        return self.asked is None or isinstance(self.asked, Reload | Resume)

    @property
    def reads_sources(self) -> bool:
        """Whether its content was made from what the sources say now."""
        if self.promotes is not None:
            return self.promotes.reads_sources
        return self.origin not in _WITHOUT_SOURCES and not (self.rebuilds or self.undo or self.boot or self.tries)

    @property
    def confirm_within(self) -> float:
        """For how many seconds from its commit on it opens or extends a window; 0.0 for none."""
        asked = self.asked if self.promotes is None else self.promotes.asked
        within = asked.confirm_within if isinstance(asked, Reload | Set) and not (self.undo or self.tries) else 0.0
        return min(within, LONGEST_TTL) if within > 0.0 else 0.0  # not a number counts as none

    @property
    def passes_refusal(self) -> bool:
        """Whether what was undone is put to the vote by it all the same: somebody has asked for just that."""
        canary = self.asked.canary if isinstance(self.asked, Reload) else None
        return self.resumes or self.confirm_within > 0.0 or canary is not None

    @property
    def guarding(self) -> fx.Guarding:
        """What guards do with its candidate, unless it is a start's."""
        if isinstance(self.asked, Resume):
            return fx.Guarding.UNLESS_KNOWN
        expires = self.rebuilds and self.asked is None
        return fx.Guarding.NONE if self.resumes or expires else fx.Guarding.REFUSE

    @property
    def allow(self) -> tuple[str, ...]:
        """The names of the guards that may trip."""
        return self.asked.allow if isinstance(self.asked, Reload | Set) else ()

    @property
    def needs_yes(self) -> bool:
        """Whether a worker must vote yes: a way back needs only that no worker votes no."""
        return not (self.boot or isinstance(self.asked, Rollback))

    @property
    def reissue(self) -> bool:
        """Whether the proposal's content is the committed content, under a new number."""
        return self.origin == "reissue" or self.same

    def applied(self, roster: Roster, version: int, now: float) -> ReloadEvent:
        """The outcome at the barrier's end: SUCCESS, PARTIAL (names workers), UNCHANGED, or REJECTED (undone)."""
        lagging = roster.lagging(version)
        if self.undone:
            undone = ReloadResult.UNDONE if self.evidence else ReloadResult.REJECTED
            return self._event(undone, version, self.undone, now, lagging=lagging)
        result = ReloadResult.PARTIAL if lagging else ReloadResult.SUCCESS
        if self.unchanged and not (self.state_only and roster.nobody_runs(version)):  # what was set is written
            # the sources' content runs nowhere if every worker declines it
            result = ReloadResult.REJECTED if roster.nobody_runs(version) else ReloadResult.UNCHANGED
        problems = refusals(roster)
        applied = sorted(member.pid for member in roster if member.acked >= version)
        return self._event(
            result,
            version,
            problems,
            now,
            applied=applied,
            lagging=lagging,
            notes=list(self.notes),
        )

    def failed(
        self, result: ReloadResult, problems: Sequence[Problem], roster: Roster, version: int, now: float
    ) -> ReloadEvent:
        """The outcome of a proposal that changed nothing: `version` still runs."""
        return self._event(result, version, problems, now, lagging=roster.lagging(version))

    def tried(
        self, result: ReloadResult, problems: Sequence[Problem], roster: Roster, version: int, now: float
    ) -> ReloadEvent:
        """The outcome of a dry run: nothing was changed, and `version` still runs."""
        lagging = [status for status in roster.lagging(version) if status.pid in roster.excused]
        return self._event(result, version, problems, now, lagging=lagging, notes=list(self.notes))

    def on_trial(self, trial: int, roster: Roster, version: int, now: float) -> ReloadEvent:
        """The outcome of a proposal whose content is on trial under this number: `version` still runs."""
        lagging, notes = roster.lagging(version), list(self.notes)
        event = self._event(ReloadResult.ON_TRIAL, trial, (), now, lagging=lagging, notes=notes)
        return msgspec.structs.replace(event, error_message=TO_DO.format(trial))

    @property
    def cause(self) -> Cause:
        """What requested the proposal's load."""
        return Cause(self.origin, self.who, self.reason)

    @property
    def subject(self) -> fx.Subject:
        """Which content its outcome is about."""
        loaded = self if self.promotes is None else self.promotes
        return fx.Subject(loaded.load, self.undoes, self.puts_back or self.restores)

    def record(self) -> fx.Record:
        """The write of this proposal's version. Nobody has called for the version that puts back what ran before."""
        content = (self.version, self.digest, self.payload, self.undo, self.refused)
        operator = self.operator or OperatorState()
        record = fx.Record(*content, values=self.values, operator=operator, takes_back=self.takes_back)
        if self.undoes:
            return msgspec.structs.replace(record, origin="undo", undoes=self.undoes)
        return msgspec.structs.replace(
            record, origin=self.origin, who=self.who, reason=self.reason, restores=self.restores
        )

    def _event(
        self, result: ReloadResult, version: int, problems: Sequence[Problem], now: float, **more: Any
    ) -> ReloadEvent:
        problems = first_of(problems)
        return ReloadEvent(
            timestamp=self.began,
            result=result,
            origin=self.origin,
            version=version,
            previous_version=self.previous,
            changes=list(self.changes),
            problems=problems,
            error_message=_text(problems),
            duration_ms=_ms(self.began, now),
            load_ms=_ms(self.began, self.loaded or now),
            stage_ms=_ms(self.loaded, self.ordered or self.recorded or now),
            journal_ms=_ms(self.ordered, self.recorded or now),
            commit_ms=_ms(self.recorded, now),
            reason=self.reason,
            who=self.who,
            dry_run=self.dry,
            pending=list(self.pending),
            evidence=list(self.evidence),
            **more,
        )


def late_refusal(roster: Roster, member: Member, version: int, now: float) -> ReloadEvent:
    """The event for a member that declined the committed version after that version's outcome was published."""
    mine = member.declined or ()
    first = [member, *(each for each in roster if each is not member)]
    problems = grouped((each.pid, reason) for each in first for reason in each.declined or () if reason in mine)
    return ReloadEvent(
        timestamp=now,
        result=ReloadResult.PARTIAL,
        origin="late",
        version=version,
        previous_version=version,
        problems=list(problems),
        error_message=_text(problems),
        lagging=[roster.status(member, version)],
    )


def late_no(version: int, why: tuple[str, ...], now: float) -> ReloadEvent:
    """The event for a version that was superseded on probation, and then spoken against: it does not become good."""
    problems = first_of([Problem("", each) for each in why])
    return ReloadEvent(
        timestamp=now,
        result=ReloadResult.PARTIAL,
        origin="late",
        version=version,
        previous_version=version,
        problems=problems,
        error_message=_text(problems),
        evidence=list(why),
    )


def reasons(problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """Why a worker refuses, never empty: a refusal without a reason is still a refusal."""
    return tuple(first_of(problems)) or (Problem("", "refused without a reason"),)


def veto(member: Member, vote: Vote) -> tuple[Problem, ...]:
    """Why this member voted no."""
    return grouped((member.pid, reason) for reason in reasons(vote.problems))


def refusals(roster: Roster) -> tuple[Problem, ...]:
    """Why workers decline the committed version, and why those did that have died, lost their pipe or applied it since.

    The latter no outcome names as lagging, and yet the version was declined.
    """
    present = grouped((member.pid, reason) for member in roster for reason in member.refuses() or ())
    return (*present, *grouped(roster.earlier_refusals(), ", earlier"))


def grouped(reported: Iterable[tuple[int, Problem]], when: str = "") -> tuple[Problem, ...]:
    """Problems that workers reported, as (pid, problem): equal ones are one, with the first worker and how many more.

    The worker is the problem's location; if that is in the sources, the message names the worker. `when` follows it.
    """
    pids: dict[Problem, list[int]] = {}
    for pid, problem in reported:
        pids.setdefault(problem, []).append(pid)
    return tuple(_attributed(problem, [*dict.fromkeys(who)], when) for problem, who in pids.items())


def _attributed(problem: Problem, pids: list[int], when: str) -> Problem:
    who = f"worker {pids[0]}" + (f" and {len(pids) - 1} more" if len(pids) > 1 else "") + when
    if problem.location:
        return Problem(problem.key, f"{problem.message} ({who})", problem.location)
    return Problem(problem.key, problem.message, who)


def _text(problems: Sequence[Problem]) -> str | None:
    return "\n".join(map(str, problems)) or None


def _ms(begin: float, end: float) -> float:
    return round((end - begin) * 1000, 3) if begin else 0.0
