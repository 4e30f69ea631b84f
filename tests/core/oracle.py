"""What must hold, judged only by what passed over the pipes, what the journal holds, and what workers hold.

Each event is reported to it by one call; `check()` follows each step. It never looks into the owner's core.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from confcast.owner.core import effects as fx
from confcast.owner.core.proposal import OWED
from confcast.wire.messages import (
    Applied,
    Check,
    Commit,
    Confirm,
    Counts,
    Declined,
    Goodbye,
    Hello,
    Install,
    Observed,
    Prepare,
    Reload,
    ReloadResult,
    Resume,
    Rollback,
    Set,
    Settled,
    Unhealthy,
    Unset,
    Vote,
    Working,
)
from confcast.worker.connection import machine as worker
from tests.core import overrides
from tests.core.first_votes import FirstVotes
from tests.core.trial_oracle import TrialOracle, asks_for_a_trial

_APPLIED = (ReloadResult.SUCCESS, ReloadResult.UNCHANGED, ReloadResult.PARTIAL)
_WRITTEN = (fx.Recorded, fx.RecordFailed)
_FOLLOWING = ("start", "restart", "signal", "watch", "call", "command")


def _resumes(asked: Any) -> bool:
    """Whether this ends a hold."""
    return isinstance(asked, Resume) or (isinstance(asked, Reload) and asked.force)


def _goes_back(asked: Any) -> bool:
    """Whether this takes back what is provisional, where anything is."""
    return isinstance(asked, Rollback) and asked.version is None


class Oracle(TrialOracle):
    _resumes = staticmethod(_resumes)

    def __init__(self, world: Any) -> None:
        super().__init__()
        self.world = world
        self.contents: dict[int, bytes] = {}
        self.rows: dict[int, bytes] = {}
        self.answered: set[int] = set()
        self.highest: dict[int, int] = {}
        self._known_to_hold: dict[int, Any] = {}
        self.refused_last: dict[int, int] = {}
        self.newest_row = 0
        self._clock = 0
        self._last_trigger = 0
        self._last_load = 0
        self._open_calls: dict[fx.Call, int] = {}
        self._asked: dict[fx.Call, Any] = {}
        self.last_outcome: Any = None
        self.last_event: Any = None
        self.undos: set[int] = set()
        self.lost_numbers: set[int] = set()  # given out, and lost with rows when the journal went back
        self.given_twice: set[int] = set()  # of these: what was due was written before anybody had told of them
        self.provisional: set[int] = set()  # versions of a window, unless they were confirmed
        self.proving: dict[int, float] = {}  # versions on probation, unless they were confirmed, and until when
        self.spoiled: set[int] = set()  # versions that were on probation when they, or later ones, were undone
        self.against = 0  # the version on probation that somebody has said no to
        self.window_sources: bytes | None = None  # what the sources gave to the newest version of the window
        self._sources_of: dict[bytes, bytes | None] = {}  # the same, by the content of each version of it
        self.undone_sources: set[bytes | None] = set()  # what they gave to what was undone, until they change
        self.stopped: bytes | None = None  # what the last load that follows them found, if a hold has stopped it
        self._fresh_owner()

    # ---- owners

    def _fresh_owner(self) -> None:
        self.first_vote = FirstVotes(self.world.rules)
        self.loads_begun = 0
        self.read: bytes | None = None
        self.read_values: bytes | None = None
        self.read_was_good: bytes | None = None  # what was read last, if it was good by then
        self.rebuilds = self._held_back = False
        self.reissue_waits = False  # it could not be written, and nobody has called since
        self.hidden: tuple[bytes, bytes] | None = None  # what the last load that follows them read below an override
        self.connecting: set[int] = set()
        self.knows_trials: set[int] = set()  # by their Hellos to this owner
        self._open_calls, self._asked = {}, {}
        self._loading = self._checked = self.load_number = 0
        self.dry = False
        self.waiting: set[fx.Call] = set()
        self._closes: list[tuple[Any, int, set[int]]] = []  # events, when, and who had the version then
        self._observed: dict[int, int] = {}  # when a process said last that all of its observers have run
        self.round = 0
        self.asked: set[tuple[int, int]] = set()
        self.pipe_of: dict[int, int] = {}
        self.yes: set[tuple[int, int]] = set()
        self.open_round = 0
        self.vetoed: set[int] = set()
        self.timed_out: set[int] = set()
        self.working: set[int] = set()
        self.overdue: set[int] = set()
        self.applied_here: dict[int, set[int]] = {}
        self._told_of = 0  # the highest number that a Hello has told of, held or on trial
        self.recorded_here: set[int] = set()
        self.rows_here: set[int] = set()  # of its journal, also where that has been made anew since
        self.closed: set[int] = set()
        self.stage_token = -1
        self.stage_began = 0.0
        self.votes_until: float | None = None
        self.proven = False
        self.recording = self._late_no = self.hands_over = False
        self._undo_due = 0, 0.0, False  # which version is to be undone, since when, and whether nobody ran it then
        self.excused: set[int] = set()
        self.disturbed: set[int] = set()
        self.against = 0
        self.refuted: set[int] = set()  # the versions to which somebody has said no, once for good
        self.seen: Counter[int] = Counter()  # by version, what this owner has seen that may speak against it
        self.refused_here: dict[int, int] = {}
        self.given: dict[int, int] = {}  # by process, the version that it was sent last
        self._deaths: list[int] = []  # for each that speaks against a version, which; 0: perhaps another one
        self.ran_here: dict[int, int] = {}  # by process, the newest version that it has applied

    def owner_began(self, newest: Any, *, first: bool = False) -> None:
        self._fresh_owner()
        self.rows_here = {*self.world.journal.rows}
        self._may_fall_back, self._falls_back = first, False
        self._note_is_lost = False
        self.last_event = None  # it loads, whatever the one before has owed
        found = newest.version if newest else 0
        assert found == self.newest_row, f"G6: version {self.newest_row} was committed, the next owner found {found}"

    def journal_was_lost(self) -> None:
        self.newest_row = 0
        self.window_sources = None
        self.undone_sources.clear()
        self._forget_trial()

    def journal_went_back(self, newest: int) -> None:
        self.lost_numbers |= {version for version in self.contents if version > newest}
        self.newest_row = newest
        self.spoiled.clear()  # an undo is lost with its row
        self._forget_windows_after(newest)
        window = self.world.journal.operator.window
        self.window_sources = self._sources_of.get(self.rows[newest]) if window is not None else None
        self.undone_sources.clear()
        self._forget_trial()

    def _forget_windows_after(self, newest: int) -> None:
        """Their windows are lost with their rows: a number that comes again is one of what the journal has now."""
        self.provisional = {version for version in self.provisional if version <= newest}
        self.proving = {version: until for version, until in self.proving.items() if version <= newest}

    def journaled(self, version: int, content: bytes, effect: fx.Record) -> None:
        """About to be in the journal."""
        if version in self.lost_numbers and not self._is_told_of(version):
            self.given_twice.add(version)
        self._one_content(version, content)
        self._note_sources(effect)
        self._note_what_is_provisional(version, content, effect)
        self.trial_ended(effect)
        if content == self.stopped and not effect.operator.is_held:
            self.stopped = None  # what ends the hold has brought just that
        self.rows[version] = content
        self.rows_here.add(version)
        assert version > self.newest_row, "a number was used again"
        self.newest_row = version
        self._note_is_lost = False

    def state_written(self, version: int, operator: Any) -> None:
        """About to be there: a window that is closed without a version has been confirmed, or had nothing to undo."""
        self.trial_begins(operator.trial)
        self._window_begins(operator.window)
        if operator.window is None:
            self.provisional.discard(version)
            self.proving.pop(version, None)
            self.window_sources, self.against = None, 0
        if operator.unconfirmed is None and self.read_values not in self.undone_sources:
            self.undone_sources.clear()

    def owner_does(self, effect: fx.Effect) -> None:
        match effect:
            case fx.WakeAt():
                self._time_is_set(effect)
            case fx.Accept():
                self._who_connects()
            case fx.Load() | fx.Restore():
                self._load_begins(effect)
            case fx.Send(pipe, frame):
                self._owner_sends(pipe, frame)
            case fx.NoteState(_, _, operator):
                forgotten = self.against == self.newest_row > 0 and operator.window is None
                assert not forgotten, "U6: spoken against, and forgotten"
            case fx.Record() | fx.RecordState():
                self._is_no_load(effect)
                self._a_no_goes_first(effect)
                self._window_is_kept(effect)
                self._has_its_probation(effect)
                self._sources_that_were_undone_stay_out(effect)
                self._what_people_have_set_stays(effect)
                self._what_ran_last_is_put_back(effect)
                self._write_ordered(effect)
                self.trial_written(effect)
            case fx.AddMember(pid):
                assert self.world.process(pid).fits, "somebody whom no owner can serve is on the roster"
            case fx.Answer(call, event):
                self._outcome(call, event)
            case fx.RecordEvent(event):
                self._event(event)
                self._what_waits_is_noted(event)

    def _time_is_set(self, effect: fx.WakeAt) -> None:
        if effect.timer is fx.Timer.STAGE:
            self._votes_have_until(effect.token, effect.when)
            if self.first_vote.deadlines == 1 and not self.dry:
                self.promotion_begins()
        elif effect.timer is fx.Timer.TRIAL:
            self.trial_time_is_set()

    def _load_begins(self, effect: fx.Load | fx.Restore) -> None:
        boots = isinstance(effect, fx.Restore) and effect.boot
        assert self._falls_back or not boots, "the last good version is put back, and no first load was refused"
        self.dry = isinstance(effect, fx.Load) and effect.dry
        self.load_number = effect.number
        self.rebuilds = isinstance(effect, fx.Restore) or effect.rebuild
        self._held_back = isinstance(effect, fx.Load) and effect.compare and self.world.journal.operator.is_held
        self.disturbed = set()
        self.loads_begun += 1
        self.load_begins()
        if not self.dry and not isinstance(effect, fx.Restore):
            self._last_load = self._tick()

    def _event(self, event: Any) -> None:
        assert not event.dry_run, "C1: a dry run is in the history"
        self.last_event = event
        self._may_be_given_up(event)
        if event.origin == "reissue":
            self.reissue_waits = not event
        if event.result is ReloadResult.UNCHANGED and event.origin in (*_FOLLOWING, "resume"):
            asked = self._is_open(_resumes) or self._asks_for_a_window() or self._is_open(asks_for_a_trial)
            self.undone_sources &= set() if asked else {self.read_values}
        self.trial_event(event)
        self._judge(event)
        self._closes.append((event, self._tick(), self.world.known()))
        no_vote_ends = self._late_no and event.result is ReloadResult.REJECTED  # it was of an earlier load, and owed
        if event.origin != "late" and not no_vote_ends:
            if any(problem.message == OWED for problem in event.problems):
                self.first_vote.refused_by_silence()
            elif event.result is ReloadResult.REJECTED:
                self.first_vote.decided()
            self._vote_ends()
            self._barrier(event)
            self.timed_out |= {status.pid for status in event.lagging if status.state == "late"}

    def _may_be_given_up(self, event: Any) -> None:
        """A load whose time is over, and nobody knows what it would have found, has tried what was hidden or stopped.

        It counts as one that fails: nobody begins it again, and the history says so.
        """
        present = self.load_number not in (0, self._loading) and not self.rebuilds
        if event.result is ReloadResult.IO_ERROR and present:
            self.stopped = self.stopped if self._held_back else None
            if self.hidden is not None and self._has_ended(self.hidden[1]):
                self.hidden = None

    def _judge(self, event: Any) -> None:
        """Whether this is a first start's load, and it was refused."""
        if event.origin in _FOLLOWING:
            self._may_fall_back = self._may_fall_back and not event
            self._falls_back = self._may_fall_back
            hold = self.world.journal.operator.hold
            assert not (event and hold is not None), "the sources are applied, and a hold is left"

    def note_was_lost(self) -> None:
        """What was to be noted beside the version could not be written, which stops nothing."""
        self._note_is_lost = True

    def _what_waits_is_noted(self, event: Any) -> None:
        """What waits for a restart is in the journal before the outcome is told: the next owner shows it, too."""
        if event and event.origin not in ("reissue", "late") and not self._note_is_lost:
            assert self.world.journal.operator.pending == tuple(event.pending), f"{event.pending} was not noted"

    def _owner_sends(self, pipe: int, frame: Any) -> None:
        self.trial_frame(pipe, frame)
        match frame:
            case Prepare(round=round):
                if round > self.round:
                    self.round = self.open_round = round
                if round == self.open_round:
                    self.first_vote.asks(pipe)
                self.asked.add((pipe, round))
            case Settled(version=version):
                assert version in self.closed | self.trials, "settled before its barrier was closed"
            case Commit(version=version):
                self.given[self.world.pipes[pipe].pid] = version
            case Install(version=version, digest=content):
                self.given[self.world.pipes[pipe].pid] = version
                assert self.rows.get(version) == content, f"version {version} was installed, and is in no journal"

    def _write_ordered(self, effect: fx.Record | fx.RecordState) -> None:
        before, after = self.world.journal.operator, effect.operator
        assert not self.dry or self._leaves_dry_run(effect), "C1: a dry run has written"
        self.dry = False
        self.first_vote.over()
        if isinstance(effect, fx.RecordState):  # who attaches meanwhile has missed no vote
            if before.trial is None and after.trial is not None:
                self._are_voted_for(effect)
            self.disturbed = set()
            return
        if effect.undo:
            self.undos.add(effect.version)
            if effect.undoes in self.renewals:  # nobody ran it: this one is told as the trial's undo, in its place
                self.renewals.add(effect.version)
            if self._undo_due[0] != effect.undoes:  # else its write has failed before
                self._undo_due = effect.undoes, self.world.now, not effect.takes_back and self._is_unrun()
        if self.rows.get(self.newest_row) not in (None, effect.payload):  # else there is nothing that could be put back
            self.recorded_here.add(effect.version)
        if self.promotes(effect):
            asked = self.open_round or not self.world.owner.known
            assert asked, "E5: promoted, and never put to everyone"
        unvoted = self._are_voted_for(effect, asks=not (effect.undo or self.ends_trial(effect)))
        self.excused = self.timed_out | unvoted
        self.disturbed = set()
        self.first_vote.decided()
        self.open_round, self.recording = 0, True

    def _leaves_dry_run(self, effect: fx.Record | fx.RecordState) -> bool:
        """U3: whether this is what a load is given up for, or what goes before that: the undo of what nobody runs."""
        before, after = self.world.journal.operator, effect.operator
        window, newest = before.window, self.newest_row
        if window is None or before.trial is not None or after.window is None:
            return before.trial is not None or window is not None
        over = window.deadline > 0.0 and (self.hands_over or window.deadline <= self.world.now)
        unrun = isinstance(effect, fx.Record) and effect.undo and effect.undoes == newest
        return unrun and (over or self.seen[newest] >= 2)

    def _are_voted_for(self, effect: fx.Record | fx.RecordState, *, asks: bool = True) -> set[int]:
        """Returns who has not voted yes."""
        vetoed = self.open_round in self.vetoed and asks
        assert not self.open_round or not vetoed, "G1: committed against a no that came in time"
        unvoted = self._unvoted()
        if self.open_round and asks:
            early = unvoted - self.timed_out - self.overdue
            assert not early, f"G1: committed before {early} voted, and before the deadline"
            heard = self.world.owner.known
            agree = {pid for pid in heard if (self.pipe_of.get(pid, 0), self.open_round) in self.yes}
            unasked = getattr(effect, "origin", "") in ("rollback", "last_good")
            assert agree or not heard or unasked, "G1: committed without a yes"
            exact = self._checked == self._loading or self.promotes(effect)
            assert exact, "G8: committed before it was proven to be exact"
        return unvoted

    def _unvoted(self) -> set[int]:
        """Of those who are known, whose yes to the open round was not received on the pipe that they have now."""
        return {pid for pid in self.world.known() if (self.pipe_of.get(pid, 0), self.open_round) not in self.yes}

    # ---- callers

    def triggered(self) -> None:
        self._last_trigger = self._tick()

    def called(self, call: fx.Call, asked: Any) -> None:
        self._open_calls[call], self._asked[call] = self.loads_begun, asked
        if getattr(asked, "wait_observers", None) is not None:
            self.waiting.add(call)

    def load_read(self, number: int, content: bytes | None, values: bytes | None) -> None:
        if number == self.load_number:  # else one that was given up
            self.read, self._loading, self.read_values = content, number, values
            good = content is not None and self.world.journal.was_good(content)
            self.read_was_good = content if good else None
            if not (self.dry or self.rebuilds):
                self.stopped = content if self._held_back else None

    def load_looks(self, number: int, values: bytes | None, layer: bytes) -> None:
        """What a load of the sources without an edit has read, below this override: that may hide what is new in it."""
        if number == self.load_number and not (self.dry or self.rebuilds):
            if self.hidden is not None and self._has_ended(self.hidden[1]):
                self.world.census.notes("what an override may have hidden is loaded once that has ended")
            is_new = values not in (None, self.world.journal.values.get(self.newest_row))
            self.hidden = (values, layer) if is_new and layer and not self._held_back else None

    def _has_ended(self, layer: bytes) -> bool:
        return self.world.journal.operator.layer != layer

    def load_checked(self, number: int, *, holds: bool) -> None:
        if number == self._loading:  # a later one may have come in between
            self._checked = number if holds else 0

    def _outcome(self, call: fx.Call, event: Any) -> None:
        assert call in self._open_calls, "G5: answered twice, or never asked"
        begun, asked = self._open_calls.pop(call), self._asked.pop(call)
        self.last_outcome = event
        if call not in self.waiting:
            self.trial_outcome(asked, event)
        if call not in self.waiting:  # or others have asked for something since
            self._operated(asked, event)
        unserved = event.result in (ReloadResult.OWNER_UNAVAILABLE, ReloadResult.CONFLICT)
        self.reissue_waits = self.reissue_waits and (unserved or call in self.waiting)
        if not unserved and not isinstance(asked, Confirm):
            assert self.loads_begun > begun, "G5: served by a load that began before the call"
        if event.dry_run:
            self._vote_ends()
            self.dry = False
            return
        if call in self.waiting and event.result in _APPLIED:
            self._have_observed(event)
            return  # all else was judged when its barrier was closed
        if event.result in _APPLIED and not isinstance(asked, Confirm):
            assert self.rows[event.version] == self.read, "G5: not what this load has read"
        self._barrier(event)

    # ---- windows

    def _asks_for_a_window(self) -> bool:
        return self._is_open(lambda asked: getattr(asked, "confirm_within", 0.0) > 0.0)

    def _is_no_load(self, effect: fx.Record | fx.RecordState) -> None:
        """A way back from a window needs no load: what it puts back is in the row."""
        before, after = self.world.journal.operator, effect.operator
        back = isinstance(effect, fx.Record) and effect.undo and effect.origin == "rollback"
        ends = before.window is not None and after.window is None and (back or self._is_open(_goes_back))
        if ends or (self.ends_trial(effect) and effect.origin == "rollback"):
            self.loads_begun += 1
            self.read = effect.payload if isinstance(effect, fx.Record) else self.rows[self.newest_row]

    def _window_is_kept(self, effect: fx.Record | fx.RecordState) -> None:
        """One fallback and one deadline, until somebody confirms, or what came in it is gone."""
        journal, now = self.world.journal, self.world.now
        before, after = journal.operator.window, effect.operator.window
        undo = isinstance(effect, fx.Record) and (effect.undo or self.ends_trial(effect))
        asks = self._asks_for_a_window() or (self.promotes(effect) and self.trial_has_asked[0])
        if journal.deleted or not self.newest_row:
            return
        if before is None:
            assert not after or not after.deadline or asks, "a window, and nobody has asked for one"
            assert after is None or not self._is_provisional(after.fallback), "U4: what is provisional itself"
            assert after is None or after.fallback in journal.rows, "U4: the fallback is not kept"
            return
        over = 0.0 < before.deadline <= now
        assert not over or undo or after is None, "D7: its time is over, and something else goes first"
        if after is not None:
            assert after.fallback == before.fallback, "F2: another fallback"
            assert after.deadline == before.deadline or undo or asks, "F2: another deadline"
        elif undo and effect.undo and effect.takes_back:
            assert effect.payload == self.rows[before.fallback], "U4: not what the row says is put back"
        elif undo and effect.undo:
            good = {self.rows[version] for version in self.rows_here if not self._is_provisional(version)}
            assert effect.payload in good, "U4: what is put back is provisional itself"
        elif journal.rows[self.newest_row] != journal.rows[before.fallback]:
            if not before.deadline and isinstance(effect, fx.Record):
                was_good = journal.was_good(effect.payload) or effect.payload == journal.rows[before.fallback]
                assert was_good, "a commit of new content has ended a probation"
                return
            assert isinstance(effect, fx.RecordState), "F2: a commit has closed the window"
            assert self._is_open(lambda asked: isinstance(asked, Confirm)), "F2: nobody has confirmed"
            assert not over, "F3: confirmed at the deadline"

    # ---- probations

    def _note_what_is_provisional(self, version: int, content: bytes, effect: fx.Record) -> None:
        """About to be in the journal: what it begins, and what it takes back."""
        window, now = effect.operator.window, self.world.now
        if effect.undo and window is None and (effect.origin == "rollback" or effect.takes_back):
            self.spoiled |= {each for each, until in self.proving.items() if until > now}
        if self.rows.get(self.newest_row) == content:  # a reissue, or a trial is over
            self.against = version if self.against else 0
            self._goes_on_as(self.newest_row, version)
        else:
            self.against = 0
            if effect.undo and window is not None:  # nobody ran what came after it: its time goes on
                self._goes_on_as(max(each for each, known in self.rows.items() if known == content), version)
        if window is not None and window.deadline:
            self.provisional.add(version)
        if window is not None and window.proves:
            self.proving[version] = window.proves
        new = self.rows.get(self.newest_row) != content and not effect.undo and not self.promotes(effect)
        on_probation = new and window is not None and window.proves > 0.0
        assert not (on_probation and content == self.read_was_good), "it was good, and is on probation"

    def _goes_on_as(self, former: int, version: int) -> None:
        """What was seen of a content is seen of it under its next number, too."""
        self.seen[version] += self.seen[former]
        if former in self.refuted:
            self.refuted.add(version)

    def _is_provisional(self, version: int) -> bool:
        proves = self.proving.get(version, 0.0)
        return version in self.provisional or version in self.spoiled or proves > self.world.now

    def _has_its_probation(self, effect: fx.Record | fx.RecordState) -> None:
        """Each commit of new content sets the clock, where anything is proven that could be put back."""
        journal, rules, after = self.world.journal, self.world.rules, effect.operator.window
        old = isinstance(effect, fx.RecordState) or effect.undo or effect.origin in ("reissue", "last_good")
        old = old or self.ends_trial(effect)
        if old or journal.deleted or not rules.probation or not journal.good or journal.was_good(effect.payload):
            return
        known = {content for version, content in journal.rows.items() if not self._is_provisional(version)}
        if effect.payload not in known:  # else what is put back by an undo may have it, though no barrier has closed
            assert after is not None, "new content is committed, and is on no probation"
            assert after.proves >= self.world.now + rules.probation, "new content has not its whole probation"

    def _may_be_undone(self, version: int) -> bool:
        """Whether a no to this version undoes it: it is committed, and on probation, and its content not good."""
        journal = self.world.journal
        window = journal.operator.window
        if version != self.newest_row or window is None or window.proves <= self.world.now or journal.deleted:
            return False
        return journal.rows[version] != journal.rows[window.fallback]

    def _must_be_undone(self, version: int) -> None:
        if version in self.refuted and self._may_be_undone(version):
            self.against = version

    def _is_spoken_against(self, version: int, times: int = 1) -> None:
        """Once for good, or one of several times that together may be enough."""
        self.seen[version] += times
        if version != self.newest_row and self.rows.get(version) == self.rows.get(self.newest_row):
            self.seen[self.newest_row] += times  # perhaps that has only another number
        if times > 1:
            self.refuted |= {version} & self.rows.keys()
            self._must_be_undone(version)

    def _a_no_goes_first(self, effect: fx.Record | fx.RecordState) -> None:
        """U3: nothing else is ordered before the undo; and nothing is undone by itself without a reason."""
        if self.against and self.against == self.newest_row and not self.world.journal.deleted:
            assert isinstance(effect, fx.Record), "U3: spoken against, and something else is written first"
            first = effect.undo or effect.origin == "reissue" or self.ends_trial(effect)
            assert first, "U3: spoken against, and something else goes first"
        if isinstance(effect, fx.Record) and effect.takes_back and effect.origin == "undo":
            before = self.world.journal.operator.window
            deadline = before is not None and before.deadline > 0.0
            enough = self.seen[self.newest_row] >= 2
            assert deadline or enough or self.world.journal.deleted, "undone, and nothing speaks against it"

    def _what_ran_last_is_put_back(self, effect: fx.Record | fx.RecordState) -> None:
        """A4: where nobody runs what is committed, nothing older comes back than what anybody has run since."""
        journal = self.world.journal
        if journal.deleted or not (isinstance(effect, fx.Record) and effect.undo) or effect.takes_back:
            return
        if effect.origin == "undo" and not self.ends_trial(effect):
            known = [version for pid, version in self.ran_here.items() if pid in self.world.owner.known]
            last = max((each for each in known if each < self.newest_row), default=0)  # who starts now runs the newest
            since = [content for version, content in self.rows.items() if last <= version < self.newest_row]
            few = len(since) <= 3  # of more, some are not kept
            assert effect.payload in since or not few, "A4: put back, and something newer has run"

    def _is_unrun(self) -> bool:
        """A4: whether somebody has declined what is committed, and nobody who lives has ever run it."""
        here, newest = self.world.owner.known, self.newest_row
        run = any(pids & here for version, pids in self.applied_here.items() if version >= newest)
        return not run and any(self.refused_here.get(pid) == newest for pid in here)

    def _dies_of(self, pid: int) -> None:
        """As many as may die of the version that they were sent last, answered or not, where nobody else has died."""
        perhaps = self.open_trial is not None or pid in self.refused_here
        self._deaths.append(0 if perhaps else self.given.get(pid, 0))
        version, most = self.newest_row, self.world.rules.max_deaths
        if set(self._deaths) == {version} and len(self._deaths) >= most:
            self.refuted.add(version)
            self._must_be_undone(version)

    def _hears(self, pid: int, message: Unhealthy | Counts) -> None:
        if isinstance(message, Unhealthy):
            self._is_spoken_against(message.version, 2)
        elif message.failed:  # how many of how many is not judged here
            self._is_spoken_against(message.version)
            self._is_spoken_against(message.version)

    def _sources_that_were_undone_stay_out(self, effect: fx.Record | fx.RecordState) -> None:
        """U1: what a window has undone comes back only when the sources change, or somebody asks for just that."""
        if isinstance(effect, fx.Record) and self._follows(effect) and effect.values in self.undone_sources:
            asked = self._asks_for_a_window() or self._is_open(_resumes) or self._is_open(asks_for_a_trial)
            assert asked, "U1: what was undone is committed again"

    def _follows(self, effect: fx.Record) -> bool:
        """Whether its content was made from what the sources said."""
        if self.promotes(effect):
            return self.open_trial.sources != b""
        return not (effect.undo or self.rebuilds or effect.origin == "reissue" or self.ends_trial(effect))

    def _note_sources(self, effect: fx.Record) -> None:
        """It is in the journal: what the sources gave is in a window, or undone with it, or out of both."""
        before, after = self.world.journal.operator.window, effect.operator.window
        self._window_begins(after)
        if effect.undo:
            back = before is not None and after is None and effect.payload == self.rows[before.fallback]
            _, since, unrun = self._undo_due
            over = before is not None and 0.0 < before.deadline <= since and not unrun  # D7: A4 goes before its end
            refused = effect.operator.unconfirmed
            ends = over or (refused is not None and refused.version == self.newest_row)
            if back and effect.origin == "undo" and ends:  # else nobody has run it, within the window
                given, self.window_sources = self.window_sources, None
                if given != self.world.journal.values[before.fallback]:
                    self.undone_sources |= {given} - {None}
            else:  # nobody ran it: back to what was in the window before, or before the window
                self.window_sources = self._sources_of.get(effect.payload) if after is not None else None
        elif self._follows(effect):
            self.undone_sources.clear()
            self.window_sources, self.hidden = effect.values, None
        self.window_sources = self.window_sources if after is not None else None
        self._sources_of = {} if after is None else self._sources_of | {effect.payload: self.window_sources}

    def _window_begins(self, after: Any) -> None:
        """Its end undoes what runs already, too, where that is not what it falls back to."""
        journal, newest = self.world.journal, self.newest_row
        if journal.operator.window is None and after is not None and newest in journal.rows:
            proven = journal.rows[newest] == self.rows.get(after.fallback)
            self.window_sources = None if proven else journal.values[newest] or None

    # ---- operations

    def _is_open(self, what: Any) -> bool:
        return any(what(asked) for asked in self._asked.values())

    def _what_people_have_set_stays(self, effect: fx.Record | fx.RecordState) -> None:
        """A hold and overrides change by the write of what somebody has asked for, and by no other one."""
        journal, after = self.world.journal, effect.operator
        held = journal.operator.hold
        if journal.deleted or (isinstance(effect, fx.Record) and (effect.undo or effect.origin == "reissue")):
            return  # an undo has the state of what it puts back
        origin = getattr(effect, "origin", "")
        resumes = self._is_open(_resumes) or (self.promotes(effect) and self.trial_has_asked[1])
        if held is not None and not held.boot and after.hold is None:
            assert resumes, "D5: a hold has ended, and nobody has asked for it"
        if held is not None and not held.boot and origin in _FOLLOWING:
            assert resumes, "D5: a load that nobody has forced was committed past a hold"
        if after.hold is not None and after.hold.boot:
            self._is_held_by_a_boot(effect, held)
        elif held is None and after.hold is not None:
            assert self._is_open(lambda asked: isinstance(asked, Rollback)), "held, and nobody has gone back"
        assert after.serial > journal.operator.serial, "a serial number was used again"

    def _is_held_by_a_boot(self, effect: fx.Record | fx.RecordState, before: Any) -> None:
        hold, origin = effect.operator.hold, getattr(effect, "origin", "")
        assert origin not in _FOLLOWING, "the sources are committed, and a boot's hold is left"
        if hold == before:
            return
        assert self._falls_back, "held by a boot, and no first load was refused"
        assert hold.version in self.world.journal.good, "a server starts on a version that was not good"

    def _operated(self, asked: Any, event: Any) -> None:
        """What a caller is told is what the journal has."""
        expect = getattr(asked, "expect", None)
        if event.result is ReloadResult.OWNER_UNAVAILABLE:
            return
        assert event.dry_run == isinstance(asked, Check)
        if event.dry_run:
            self._tried(event)
        if event.result is ReloadResult.CONFLICT and isinstance(asked, Confirm):
            people, mine = self.world.journal.operator, asked.version
            open_here = people.window is not None and mine in (0, event.version)
            if people.trial is not None:
                open_here = (people.window is not None and mine == event.version) or mine in (0, people.trial.version)
            assert not open_here, "F3: a conflict, and what was to be confirmed waits for it"
        elif event.result is ReloadResult.CONFLICT:
            newest = event.version if self.open_trial is None else self.open_trial.version
            assert expect not in (None, newest), "D6: a conflict with the version that was expected"
        elif expect is not None:
            assert event.previous_version == expect or expect in self.trials, "D6: another version ran when this began"
        self._is_in_the_journal(asked, event)

    def _is_in_the_journal(self, asked: Any, event: Any) -> None:
        operator = self.world.journal.operator
        match asked:
            case Reload() if operator.hold is not None and not asked.force:
                assert not event, "D5: true, and held"
            case Rollback() if event:
                assert operator.hold is not None, "D1: it has gone back, and nothing holds it"
                assert asked.version in (None, operator.hold.version)
            case Reload() | Resume() if event and _resumes(asked):
                assert operator.hold is None, "D2: answered well, and still held"
            case Set() if event:
                assert overrides.is_of(asked.id, operator.layer), "D1: set, and not in the journal"
            case Set():
                assert not overrides.is_of(asked.id, operator.layer), "D1: refused, and in the journal"
            case Confirm() if event and event.version == event.previous_version:
                assert operator.window is None, "F3: confirmed, and the window is open"
            case Unset() if event:
                assert operator.layer == b"", "D1: unset, and still in the journal"

    def _tried(self, event: Any) -> None:
        """A dry run: nobody counts as timed out for it, and a true answer has a yes where anybody has a vote."""
        if self.open_round and event.result in (ReloadResult.SUCCESS, ReloadResult.PARTIAL):
            heard = self.world.owner.known
            agree = {pid for pid in heard if (self.pipe_of.get(pid, 0), self.open_round) in self.yes}
            assert agree or not heard, "C2: it would be committed, and nobody has agreed"
            assert self.open_round not in self.vetoed, "C2: it would be committed, and somebody has refused it"

    def _have_observed(self, event: Any) -> None:
        """Everybody who was to run it, and lives, has reported that the observers have run, or is named."""
        plain = msgspec.structs.replace(event, observer_errors=[])
        began, there = next((when, known) for closed, when, known in self._closes if closed == plain)
        excused = {error.pid for error in event.observer_errors if error.count == 0}
        for pid in (there & self.world.known()) - excused - self.refused_here.keys():
            assert self._observed.get(pid, 0) > began, f"{pid} has not reported that its observers have run"

    def _barrier(self, event: Any) -> None:
        undos = self.undos | self.renewals
        undone = event.result in (ReloadResult.REJECTED, ReloadResult.UNDONE) and event.version in undos
        undone = undone and event.version > event.previous_version
        if event.result not in _APPLIED and not undone:
            return
        self.closed.add(event.version)
        if event.result is ReloadResult.UNDONE:
            assert event.evidence, "undone by itself, and nobody says why"
            assert not self._is_provisional(event.version) or event.version in self.renewals, "undone, and provisional"
        assert event.version == self.newest_row, "G6: what was answered is not what the journal holds"
        excused = {status.pid for status in event.lagging}
        assert event.result is not ReloadResult.SUCCESS or not excused
        declined = any(status.state == "declined" for status in event.lagging)
        if declined and event.version in self.recorded_here - self.undos:
            assert self.applied_here.get(event.version), "G1: true, and somebody declined what nobody has run"
        for pid in (self.disturbed - self.excused) & self.world.known():
            assert pid in excused, f"G1: {pid} had no vote, and is not named"
        for status in event.lagging:
            if status.state == "declined":
                assert self.refused_here.get(status.pid) == event.version, "named for refusing another version"
        for process in self._served():
            if process.pid not in excused:
                version = process.held.version
                assert version >= event.version, f"G3: {process.pid} serves {version} and is not named"

    def _served(self) -> list[Any]:
        """Everyone who lives, serves, and is known to an owner: by a Hello, or by the notes it began with."""
        known = self.world.known() | self.connecting
        here = [p for p in self.world.processes if p.alive and p.held is not None and p.serves and p.pid in known]
        return [
            process for process in here if process.machine.state is not worker.ReplicaState.CLOSED
        ]  # who left, left

    # ---- what the owner receives

    def owner_turns(self, given: fx.Input) -> None:
        """An input is about to be handed over: who connects later is too late for what comes of it."""
        self.trial_is_loaded(given)
        self._late_no = False
        if isinstance(given, fx.Received):
            said = given.message
            self._late_no = isinstance(said, Vote) and not said.ok and said.round != self.open_round
        elif isinstance(given, fx.HandsOver):
            self.hands_over = given.on
        elif isinstance(given, _WRITTEN):
            self.recording = False
            if isinstance(given, fx.RecordFailed) and given.row is fx.RowState.ABSENT:
                self.trial_write_failed()
            self._must_be_undone(self.newest_row)  # what is put back may have been spoken against meanwhile
        elif isinstance(given, fx.Probed):
            self._is_spoken_against(given.version, 2)
        elif isinstance(given, fx.Loaded) and given.number == self._loading:
            self.votes_until, self.proven = None, given.checked
            self.first_vote.over()
        elif isinstance(given, fx.Checked) and given.number == self._checked == self._loading:
            self.proven = True
            self._votes_are_over()
        elif given == fx.Wake(fx.Timer.STAGE, self.stage_token) and self.proven:
            self._votes_are_over()

    def _votes_are_over(self) -> None:
        """Whoever has not voted at the deadline is excused, and not before the candidate is proven."""
        now, began = self.world.now, self.stage_began
        if self.dry or self.first_vote.alone:
            return
        if self.votes_until is not None and now >= self.votes_until:
            over = now >= began + self.world.rules.precommit_timeout
            self.overdue |= self._unvoted() - (set() if over else self.working)
            self.timed_out |= self.overdue

    def _vote_ends(self) -> None:
        self.load_number = self.open_round = 0
        self.proven = True  # nothing is loaded now; and a promotion needs no load
        self.first_vote.over()

    def _votes_have_until(self, token: int, when: float) -> None:
        self.stage_token = token
        if self.first_vote.sets_deadline(self._able(), self.world.now) or self.votes_until is None:
            self.votes_until = when
        if self.first_vote.deadlines == 1:
            self.stage_began, self.overdue = self.world.now, set()
            self.votes_until = min(self.votes_until, when)  # a promotion has no load: the last vote's time may be there

    def _able(self) -> set[int]:
        """Who can be asked for a vote."""
        heard = (self.world.owner.known & self.pipe_of.keys()) - self.timed_out - self.working
        return {pid for pid in heard if self.world.process(pid).fits}

    def _who_connects(self) -> None:
        pipes = [pipe for pipe in self.world.pipes.values() if pipe.owner_open]
        self.connecting = {pipe.pid for pipe in pipes if any(isinstance(message, Hello) for message in pipe.up)}

    def frames_are_lost(self, pid: int) -> None:
        """A Hello among them: no owner can know of this process before it says another one."""
        self.connecting.discard(pid)

    def owner_receives(self, pipe: Any, message: Any) -> None:
        present = self.pipe_of.get(pipe.pid) == pipe.number
        if present:
            self.trial_hears(pipe.pid, message)
            self.working -= {pipe.pid} if isinstance(message, Vote | Applied | Declined) else set()
        match message:
            case Working(round=round) if present:
                self.working.add(pipe.pid)
                self.first_vote.works(pipe.number, round, self.world.now)
            case Hello(role="replica"):
                self._owner_receives_hello(pipe, message)
            case Applied() | Declined():
                self.first_vote.answers(pipe.number)
                self._owner_receives_what_runs(pipe.pid, message, present=present)
            case Unhealthy() | Counts() if present:
                self._hears(pipe.pid, message)
            case Observed(number=number, waits_for=()) if number and present:
                self._observed[pipe.pid] = self._tick()
            case Goodbye():
                self.first_vote.ends(pipe.number)
                self.has_lost_trial(pipe.pid, present=present)
            case Vote(round=round) if present and (pipe.number, round) in self.asked:
                self._owner_receives_vote(pipe, message)

    def _owner_receives_vote(self, pipe: Any, vote: Vote) -> None:
        present = vote.round == self.open_round
        self.first_vote.votes(pipe.number, ok=vote.ok, present=present, now=self.world.now)
        if vote.ok:
            self.yes.add((pipe.number, vote.round))
        elif present:
            self.vetoed.add(vote.round)

    def _owner_receives_hello(self, pipe: Any, hello: Hello) -> None:
        if self.pipe_of.get(pipe.pid) == pipe.number:  # a second one: the owner ends this pipe
            self.pipe_ended(pipe)
            return
        if hello.trial is None:
            self.knows_trials.discard(pipe.pid)
        else:
            self.knows_trials.add(pipe.pid)
        self.first_vote.ends(self.pipe_of.get(pipe.pid, 0))
        self.has_lost_trial(pipe.pid)
        self.pipe_of[pipe.pid] = pipe.number
        self.working.discard(pipe.pid)
        self.applied_here.setdefault(hello.version, set()).add(pipe.pid)
        self._told_of = max(self._told_of, hello.version, hello.trial or 0)
        self._while_recording(pipe.pid)

    def _owner_receives_what_runs(self, pid: int, message: Applied | Declined, *, present: bool) -> None:
        if message.version == self.newest_row and present:
            self.timed_out.discard(pid)
            self.overdue.discard(pid)
        if isinstance(message, Declined):
            self.refused_here[pid] = message.version
        else:
            self.applied_here.setdefault(message.version, set()).add(pid)
            self.ran_here[pid] = max(self.ran_here.get(pid, 0), message.version if present else 0)

    def pipe_ended(self, pipe: Any) -> None:
        if self.pipe_of.get(pipe.pid) == pipe.number:
            self.first_vote.ends(pipe.number)
            self.has_lost_trial(pipe.pid)
            del self.pipe_of[pipe.pid]
            self.working.discard(pipe.pid)
            self._while_recording(pipe.pid)

    def _while_recording(self, pid: int) -> None:
        if self.recording:
            self.disturbed.add(pid)

    def owner_buries(self, pid: int, failed: str) -> None:
        """What the dead said last is no veto any more; and it may have died of any version that it was sent."""
        self.first_vote.ends(self.pipe_of.pop(pid, 0))
        self.trial_buries(self.world.process(pid))
        if failed:
            self.seen[self.newest_row] += 1
            self._dies_of(pid)

    # ---- workers

    def process_began(self, process: Any) -> None:
        held = process.held.version if process.held else 0
        self.highest[process.pid] = max(held, process.machine.trial)

    def worker_reads(self, process: Any, frame: Any) -> None:
        """A patch is sent to no process that does not take it, and to none that holds anything but its base."""
        if isinstance(frame, Install | Prepare) and frame.base:
            assert process.machine.patches, f"process {process.pid} takes no patches, and was sent one"
            assert process.held, f"process {process.pid} holds nothing, and was sent a patch"
            assert process.held.digest == frame.base, f"process {process.pid} was sent a patch of what it does not hold"

    def worker_answers(self, frame: Any, effects: list[Any]) -> None:
        """Every Commit and every Install gets one answer, or ends the pipe."""
        if isinstance(frame, Install | Commit):
            replies = [effect.message for effect in effects if isinstance(effect, worker.Reply)]
            answers = [reply.version for reply in replies if isinstance(reply, Applied | Declined)]
            ended = any(isinstance(effect, worker.Disconnect | worker.Terminate) for effect in effects)
            assert answers == ([] if ended else [frame.version]), f"{frame} was answered by {effects}"

    def worker_did(self, process: Any, effect: Any) -> None:
        if isinstance(effect, worker.Swap):
            changed = (effect.old.config, effect.new.config) if effect.old is not None else None
            asked = changed is None or changed in process.passed or effect.new.version in self.undos
            assert asked, f"G1: {changed} was never asked of its precommit"
            process.passed = {each for each in process.passed if each[0] == effect.new.config}  # for what is on trial
        match effect:
            case worker.Swap(_, new) | worker.Renumber(new):
                self._one_content(new.version, new.digest)
                assert new.digest == new.config, "the number of one content, and another content"
                assert self.rows.get(new.version) == new.digest, f"G1: version {new.version} runs, and is in no journal"
                promoted = new.version == self.highest[process.pid] and new.version in self.trials
                assert promoted or new.version > self.highest[process.pid], "a version went down"
                self.highest[process.pid] = new.version
            case worker.Slot():
                self.takes_trial(process, effect)
            case worker.Reply(Declined(version=version)):
                self.refused_last[process.pid] = version

    # ---- at every step, and at the end

    def check(self) -> None:
        for process in self.world.living:
            held = process.machine.held
            if held is not self._known_to_hold.get(process.pid):
                self._known_to_hold[process.pid] = held
                self._one_content(held.version, held.digest)

    def check_rest(self) -> None:
        world = self.world
        assert world.journal.operator.trial is None, "a trial has no end"
        assert world.journal.operator.window is None, "F1: nobody has confirmed, and nothing was undone"
        assert not self.against, "U3: spoken against while on probation, and it was never undone"
        assert self.newest_row not in self.provisional, "F1: what nobody has confirmed runs for good"
        for number, _ in self._open_calls:
            pipe = world.pipes[number]
            assert not (pipe.peer_open and pipe.owner_open), "G5: a caller was never answered"
        assert self._last_load > self._last_trigger, "G5: a trigger was lost"
        stopped = self.stopped not in (None, self.rows.get(self.newest_row))
        assert not stopped or world.journal.operator.is_held, "D5: a hold has stopped an edit, and nobody loads it now"
        self._what_was_hidden_runs()
        owed = self.last_event is not None and any(p.message == OWED for p in self.last_event.problems)
        here = [process for process in self.world.processes if process.pid in self.world.known()]
        awake = [process.pipe is not None for process in here]  # whose Goodbye was lost with an owner is not, for good
        answers = all(awake) if self.world.rules.silent == "refuse" else any(awake)
        assert not (owed and awake and answers), "A2: silence refused it, and nobody has tried it again since all woke"
        newest = self.newest_row
        for process in world.processes:
            if process.alive and process.pipe is not None and newest:
                version = process.held.version if process.held else 0
                assert version == newest or self.refused_last.get(process.pid) == newest, (
                    f"{process.pid} stays at {version}, {newest} is committed"
                )
                other = process.trial == newest or (version == newest and process.held.digest != self.rows[newest])
                assert not other or self.reissue_waits, f"{process.pid} has another content as version {newest}"

    def _what_was_hidden_runs(self) -> None:
        """G5: what the sources say, apart from what is set, runs, or has been tried since nothing hides it any more."""
        operator = self.world.journal.operator
        if self.hidden is not None and self.newest_row and not operator.is_held and self._has_ended(self.hidden[1]):
            values, _ = self.hidden
            runs = self.rows[self.newest_row] == overrides.content_of(values, operator.layer)
            assert runs or values in self.undone_sources, "G5: an override has hidden an edit, and nobody loads it now"

    def check_last_outcome(self) -> None:
        operator = self.world.journal.operator
        if self.last_outcome:
            assert operator.hold is None, "resumed, and still held"
            assert not 0 < operator.expires <= self.world.now, "an override outlives its time"
        self._nobody_awake_is_silent()

    def _nobody_awake_is_silent(self) -> None:
        """Nobody who is awake and has a pipe passes for silent: only its refusal may stand in the way."""
        event = self.last_outcome
        awake = {process.pid for process in self.world.processes if process.alive and process.pipe is not None}
        assert {s.state for s in event.lagging if s.pid in awake} <= {"declined"}, "somebody awake passes for silent"
        if event.result is not ReloadResult.REJECTED:
            assert event.result in _APPLIED
        elif not any(status.state == "declined" for status in event.lagging) and "refused" not in str(event.problems):
            assert {status.pid for status in event.lagging} - awake, "refused, and nobody was silent"

    def _is_told_of(self, version: int) -> bool:
        """Whether anybody has told this owner of this number, or of a higher one."""
        return self._told_of >= version or any(number >= version for number in self.applied_here)

    def _one_content(self, version: int, content: bytes) -> None:
        if version in self.given_twice:
            return
        assert self.contents.setdefault(version, content) == content, f"version {version} has two contents"

    def _tick(self) -> int:
        self._clock += 1
        return self._clock
