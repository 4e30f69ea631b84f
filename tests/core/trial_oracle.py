"""What must hold of versions on trial, judged as `oracle.py` judges all else: by frames, by the journal, by workers.

A trial is what the journal has beside the committed version. Its content is committed to everyone by its own promotion
alone; only workers that were told so run it; it ends; what was undone does not come back by itself.
"""

from __future__ import annotations

from typing import Any

from confcast.owner.core import effects as fx
from confcast.owner.core.operator_state import Trial
from confcast.wire.messages import Confirm, Counts, Install, Reload, ReloadResult, Settled, Tried, Try, Unhealthy
from confcast.worker.connection import machine as worker

_NEW = ("start", "restart", "signal", "watch", "call", "command", "set", "unset", "resume")


def forces(asked: Any) -> bool:
    """Whether this is past all trials."""
    return isinstance(asked, Reload) and asked.force


def asks_for_a_trial(asked: Any) -> bool:
    """Whether this may bring back what was undone."""
    return isinstance(asked, Reload) and asked.canary is not None


class TrialOracle:
    world: Any

    def __init__(self) -> None:
        self.trials: set[int] = set()  # every number that was ever on trial
        self.renewals: set[int] = set()  # versions by which a trial was undone, or what was put back in their place
        self._last_trial = 0  # the number of the trial that was undone last
        self._own_content = False  # a load has given what is on trial, and nothing was done about that yet
        self._ended_by = "", 0  # what a call has ended, and begins anew: by which origin, and the number on trial
        self._forget_trial()

    def _forget_trial(self) -> None:
        self.trial_values: bytes | None = None  # what the sources gave to it
        self.trial_has_asked: tuple[bool, bool] = False, False  # for a window, for the end of a hold
        self._times_set = 0
        self._here_at_use: set[int] | None = None  # whom its use could wait for; None: it has not begun
        self._must_end = False  # its undo is ordered
        self._extends = False  # it is to go on, by the write that is under way
        self._decided_at = 0.0  # when its end is looked at again, since it could not be written that it goes on
        self._have_had_it: set[int] = set()
        self._have_it: set[int] = set()  # by what they have said on their present pipes
        self._promotion_began = False
        self._heard: dict[int, Counts] = {}
        self._spoken: list[str] = []
        self._used = False

    @property
    def open_trial(self) -> Trial | None:
        return self.world.journal.operator.trial

    # ---- what the owner does

    def ends_trial(self, effect: Any) -> bool:
        """Whether this write undoes what is on trial, and nothing else."""
        mine = self.world.journal.rows.get(self.newest_row)
        same = isinstance(effect, fx.Record) and effect.payload == mine and effect.origin in ("undo", "rollback")
        return same and self.open_trial is not None and effect.operator.trial is None

    def promotes(self, effect: Any) -> bool:
        """Whether this write commits what is on trial."""
        trial = self.open_trial
        return isinstance(effect, fx.Record) and trial is not None and effect.version == trial.version

    def trial_written(self, effect: Any) -> None:
        """The owner orders this write."""
        assert not self._own_content, "E6: the content on trial was loaded, and something is written"
        self.load_number = 0
        before, after = self.open_trial, effect.operator.trial
        self._must_end, self._extends = self._must_end or after is None, False
        if self.world.journal.deleted:  # with its folder; the next write makes it anew
            before = None if after is None or before is None or after.version != before.version else before
        if before is None and after is not None:
            self._begins(effect, after)
        elif before is not None and after is not None:
            assert (after.version, after.digest) == (before.version, before.digest), "a trial became another one"
            assert after.extended >= before.extended
            assert not before.extended or after.deadline == before.deadline, "a trial goes on once, and not once more"
            self._extends = after.extended and not before.extended
        elif before is not None:
            assert isinstance(effect, fx.Record), "a trial has ended, and its number is above what is committed"
            self._ends(effect, before)
        if isinstance(effect, fx.Record):
            self._was_tried_first(effect)

    def _begins(self, effect: Any, trial: Trial) -> None:
        assert isinstance(effect, fx.RecordState), "a trial begins with a version"
        assert trial.version > max(self.contents, default=0), "a number on trial was used before"
        asked = self._is_open(asks_for_a_trial)
        assert asked or self.world.rules.canary is not None, "a trial, and nobody has asked for one"
        follows = trial.sources != b""
        if follows and not (asked or self._asks_for_a_window()):
            again = self.read_values in self.undone_sources and not self._is_open(self._resumes)
            assert not again, "U1: what was undone is on trial again"

    def trial_begins(self, trial: Trial | None) -> None:
        """This is about to be in the journal beside the committed version."""
        if trial is None or trial.version in self.trials:
            return
        follows = trial.sources != b""
        self._forget_trial()
        self.trials.add(trial.version)
        self._one_content(trial.version, trial.digest)
        self.trial_values = self.read_values if follows else None
        self.trial_has_asked = self._asks_for_a_window(), self._is_open(self._resumes)
        if follows:
            self.undone_sources.clear()

    def _ends(self, effect: fx.Record, trial: Trial) -> None:
        if not self.promotes(effect):
            assert effect.undo or self.ends_trial(effect), (
                "E6: other content was committed while a version was on trial"
            )
            assert effect.version > trial.version, "E7: the number of the undo is below the one on trial"
            return
        assert effect.payload == trial.digest, "E5: something else was promoted"
        assert not self._spoken, f"promoted, though {self._spoken}"
        assert self._promotion_began, "E5: promoted, and put to nobody"

    def promotion_begins(self) -> None:
        """A round begins that no dry run has asked for; while a version is on trial, there is no other."""
        trial = self.open_trial
        if trial is not None:
            self._promotion_began = True
            if not self._is_open(lambda asked: isinstance(asked, Confirm)):
                self._has_evidence(trial)

    def _has_evidence(self, trial: Trial) -> None:
        canary, by_entity = trial.canary, trial.canary.by == "entity"
        ended = sum(each.entities if by_entity else each.answered for each in self._heard.values())
        assert self._have_it, "E3: nobody has taken it up"
        enough = ended >= canary.min_requests or (trial.extended and canary.inconclusive == "promote")
        assert enough, f"promoted on {ended} of {canary.min_requests} requests"
        assert self.world.now >= (trial.opened + canary.time if by_entity else trial.deadline), (
            "promoted before its time"
        )

    def _was_tried_first(self, effect: fx.Record) -> None:
        """What the rules want tried is committed to everyone by its own promotion alone."""
        new = (
            effect.origin in _NEW and not effect.undo and effect.payload != self.world.journal.rows.get(self.newest_row)
        )
        if self.world.rules.canary is None or not new or not self.newest_row or self._is_open(forces):
            return
        if self.world.journal.was_good(effect.payload):
            return
        here = [each for each in self.world.processes if each.alive and each.knows_trials]
        able = [each.pid for each in here if each.pid in self.knows_trials & self.world.owner.known]
        assert len(able) < 2 or self.promotes(effect), "committed to everyone, and untried"

    def trial_write_failed(self) -> None:
        """What could not be written, if that was an extension, is tried again in a second, and holds up nothing."""
        if self._extends:
            self._decided_at = self.world.now + 1.0

    def trial_is_loaded(self, given: fx.Input) -> None:
        """E6: the same content leaves a trial alone; the end of a window goes before."""
        self._own_content = False
        if isinstance(given, fx.Loaded) and given.number == self.load_number:
            trial, window = self.open_trial, self.world.journal.operator.window
            over = window is not None and 0.0 < window.deadline <= self.world.now
            self._own_content = not (self.dry or over) and trial is not None and given.digest == trial.digest

    def trial_event(self, event: Any) -> None:
        """E6 and D6: what has ended a trial begins anew, and finds nothing else than what it has asked for."""
        if event.result is ReloadResult.ON_TRIAL:
            self._own_content = False
        ended = [why.partition(" ")[0] for why in event.evidence if "ended the trial of" in why]
        if event.result is ReloadResult.UNDONE and ended:
            self._ended_by = ended[0], self._last_trial

    def trial_outcome(self, asked: Any, event: Any) -> None:
        """The first call that is answered since is the one that has ended the trial, where a call has."""
        (origin, number), self._ended_by = self._ended_by, ("", 0)
        mine = origin == type(asked).__name__.lower()
        conflict = event.result is ReloadResult.CONFLICT and getattr(asked, "expect", None) == number
        assert not (mine and conflict), "D6: what it expected was compared before the trial was undone"

    def trial_ended(self, effect: fx.Record) -> None:
        """This write, which ends a trial, is about to be in the journal."""
        trial = self.open_trial
        if trial is None:
            return
        if self.ends_trial(effect):
            self.renewals.add(effect.version)
            self._last_trial = trial.version
            mine = self.world.journal.values.get(self.newest_row)
            if effect.origin == "undo" and self.trial_values not in (None, mine):
                self.undone_sources.add(self.trial_values)
        self._forget_trial()

    def load_begins(self) -> None:
        trial = self.open_trial
        if trial is not None:
            assert not self._spoken, f"a load begins, though {self._spoken}"
            over = trial.canary.by == "worker" and self.world.now >= max(trial.deadline, self._decided_at)
            assert not over, "D7: the time of a trial is over, and something else goes first"

    def trial_time_is_set(self) -> None:
        """By entity, first until when its use begins at the latest, and next that it begins: for who is here then."""
        trial = self.open_trial
        if trial is not None and trial.canary.by == "entity":
            self._times_set += 1
            if self._times_set == 2:
                self._here_at_use = self.world.known() & self.knows_trials

    def trial_frame(self, pipe: int, frame: Any) -> None:
        """The owner sends this."""
        pid, trial = self.world.pipes[pipe].pid, self.open_trial
        given = frame.version if isinstance(frame, Try) else 0
        if isinstance(frame, Install) and frame.trial is not None:
            given = frame.trial.version
            assert trial is None or trial.canary.by == "entity", "E9: by worker, a newcomer was given the trial"
        if isinstance(frame, Try):
            assert (pipe, frame.round) in self.yes, f"E2: {pid} is to try what it has not agreed to on this pipe"
        if given:
            assert trial is not None, "tried, and not in the journal"
            assert given == trial.version, "tried, and something else is on trial"
            assert pid in self.knows_trials, f"{pid} knows no trials, and was sent one"
        if isinstance(frame, Install) and self._here_at_use is not None and not self._must_end:
            known = pid in self._here_at_use or pid in self.refused_here
            late = frame.trial is None and pid in self.knows_trials and not known
            assert not late, f"E9: {pid} comes when others use the trial, and is given what is committed alone"
        if isinstance(frame, Settled) and trial is not None and frame.version == trial.version and not self._used:
            self._used = True
            assert trial.canary.by == "entity"
            assert self._here_at_use is not None, "E9: its use begins, and its time has not begun"
            missing = (self._here_at_use & self.world.known()) - self._have_had_it - {*frame.named}
            assert not missing, f"E9: its use begins, and {missing} have not got it"

    # ---- what it is told

    def trial_hears(self, pid: int, message: Any) -> None:
        """On its present pipe, the owner is told this by a member."""
        trial = self.open_trial
        if trial is None or getattr(message, "version", 0) != trial.version:
            return
        match message:
            case Tried():
                self._have_had_it.add(pid)
                self._have_it.add(pid)
            case Counts():
                self._heard[pid] = message
            case Unhealthy():
                self._spoken.append(f"{pid} says that it is unhealthy")

    def has_lost_trial(self, pid: int, *, present: bool = True) -> None:
        """The pipe on which it has said that it has it is not its present one any more."""
        self._have_it -= {pid} if present else set()

    def trial_buries(self, process: Any) -> None:
        self.has_lost_trial(process.pid)
        if process.failed and process.pid in self._have_had_it:
            self._spoken.append(f"{process.pid} died of it")

    # ---- workers

    def takes_trial(self, process: Any, slot: worker.Slot) -> None:
        """A worker has this in its slot; without one, it has given it up."""
        held = slot.held
        if held is None:
            assert process.held.version >= self.highest[process.pid], "E7: a number went down with the trial's end"
            return
        self._one_content(held.version, held.digest)
        assert held.version in self.trials, f"version {held.version} is tried, and was never on trial"
        assert held.version >= self.highest[process.pid], "a version went down"
        self.highest[process.pid] = held.version
