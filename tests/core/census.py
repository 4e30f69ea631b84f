"""What happened in a world, counted by name: a simulation that never gets somewhere finds nothing there.

`SITUATIONS` lists what the runs of the suite must reach, each at least once; the test of the simulation says which
were not. The world reports to it, as to the oracle; it judges nothing.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from confcast.owner.core import effects as fx
from confcast.owner.core.machine import ProposalState
from confcast.owner.core.proposal import CUT_SHORT, OWED, STILL_REFUSED
from confcast.wire.messages import (
    Commit,
    Declined,
    Hello,
    Install,
    Prepare,
    Refused,
    ReloadResult,
    Unhealthy,
)
from confcast.worker.connection import machine as worker
from tests.core import trial_census

_WRITES, _SPEAKS = (fx.Record, fx.RecordState), (Unhealthy, fx.Probed)
_SILENT = 2.5
"""Seconds that a silent worker has at the most, gathering included."""
_SPOKEN = {"was killed": "deaths", "is unhealthy": "a worker's word", "failed with": "errors", "a probe": "a probe"}
"""What evidence says in each case."""
_PLACES = ("before its first version", "before its vote", "between vote and commit", "before it reads the commit")

SITUATIONS = (
    *(f"a worker attaches, {state.name}" for state in ProposalState),
    *(f"a worker comes back, {state.name}" for state in ProposalState),
    *(f"a worker is {what} {place}" for what in ("stopped", "killed") for place in _PLACES),
    *(f"the owner dies, {state.name}" for state in ProposalState),
    "the owner dies after the write, and knows nothing of it",
    "the owner dies before the first commit",
    "the owner dies between two commits",
    "the journal is lost",
    "a restarted owner gathers",
    "the journal goes back",
    "the journal goes back to before a trial",
    "a re-issue is written",
    "a re-issue fails",
    "a Hello is refused",
    "a message without Hello",
    "a roster write fails",
    "a snapshot write fails",
    "a retired number is not written",
    "an Install is declined",
    "a Commit is declined",
    "a Commit of a round that is unknown here",
    "a check ends before a vote",
    "a check ends after all votes",
    "a check ends after a no",
    "a check fails",
    "a check comes too late",
    "a Prepare is a patch",
    "an Install is a patch",
    "a patch does not fit",
    "silence refuses",
    "what silence refused is tried again",
    "a worker works past the deadline of the silent",
    "one worker votes first",
    "the first worker agrees",
    "the first worker refuses",
    "the first worker refuses a dry run",
    "the first worker does not answer",
    "another worker votes first",
    "what nobody runs is undone",
    "an undo can't be written",
    "what was undone is refused",
    "a worker starts without an owner",
    "a vote refuses",
    "one load answers several callers",
    "a caller is gone when it is answered",
    "observers have run for a caller",
    "observers have failed for a caller",
    "observers have not finished for a caller",
    "an owner dies while a caller waits for observers",
    "the owner dies with a hold",
    "a hold stops a call",
    "a hold stops a trigger",
    "what a hold stops is told once",
    "a way back is committed",
    "a way back is refused by a no",
    "a way back goes on though everyone is silent",
    "a way back to what runs holds it",
    "what is not kept can't be put back",
    "a server starts on an older good version",
    "a server starts on the newest version, which was good",
    "a server finds no good version",
    "the owner dies with a boot's hold",
    "a boot's hold ends with a version",
    "a boot's hold ends and nothing differs",
    "a value is set on a boot's hold",
    "a hold ends with a version",
    "a hold ends and nothing differs",
    "a forced load passes a hold",
    "what people have set can't be written",
    "the owner dies while it writes what people have set",
    "a dry run would apply",
    "a dry run would be refused",
    "a dry run would change nothing",
    "a dry run has silent workers",
    "a dry run gives way",
    "a dry run goes on after a no",
    "an override is set",
    "an override is set on what is held",
    "an override is refused",
    "an override ends",
    "an override ends while the sources are bad",
    "the end of an override is refused",
    "what an override may have hidden is loaded once that has ended",
    "overrides are put back with their version",
    "a value waits for a restart",
    "a window is opened",
    "a window is opened and nothing differs",
    "a window is opened on what is held",
    "a window is carried on",
    "a window gets another deadline",
    "a window is confirmed",
    "nothing waits to be confirmed",
    *(f"a window ends, {state.name}" for state in ProposalState),
    "a window ends and nothing is undone",
    "a window's undo can't be written",
    "a window ended while no owner lived",
    "a window ends at a first start",
    "a window ends for a next generation",
    "an owner goes on with a window",
    "a way back takes back what is provisional",
    "a way back to a number carries a window on",
    "a hold stays through a window's end",
    *(f"a version on probation is undone, {state.name}" for state in ProposalState),
    *(f"it was undone for {what}" for what in ("deaths", "a worker's word", "errors", "a probe")),
    "a probation begins",
    "a probation ends",
    "a probation's undo can't be written",
    "an owner goes on with a probation",
    "what is on probation is superseded",
    "what was good ends a probation",
    "a way back takes back what is on probation",
    "what is proven is spoken against",
    "what was superseded is spoken against",
    "what a window has undone is refused",
    "what a window has undone comes back with another window",
    *trial_census.SITUATIONS,
    *(f"an outcome is {result.value}" for result in ReloadResult),
)


class Census(trial_census.TrialCensus):
    """Of one world; `counts` by situation."""

    def __init__(self, world: Any) -> None:
        self.counts: Counter[str] = Counter()
        self._world = world
        self._commits = 0
        self._answered: fx.Answer | None = None
        self._owed = False
        self._overslept = False

    def notes(self, situation: str) -> None:
        self.counts[situation] += 1

    # ---- processes

    def stops(self, process: Any) -> None:
        self._suffers(process, "stopped")

    def dies(self, process: Any) -> None:
        self._suffers(process, "killed")

    def _suffers(self, process: Any, what: str) -> None:
        place = _place_of(process)
        if place:
            self.notes(f"a worker is {what} {place}")

    def worker_reads(self, frame: Any, effects: list[Any]) -> None:
        if any(isinstance(effect, worker.Reply) and isinstance(effect.message, Declined) for effect in effects):
            self.notes("an Install is declined" if isinstance(frame, Install) else "a Commit is declined")
        ended = any(isinstance(effect, worker.Disconnect) for effect in effects)
        if isinstance(frame, Commit) and ended:
            self.notes("a Commit of a round that is unknown here")
        if isinstance(frame, Install | Prepare) and frame.base:
            self.notes("a Prepare is a patch" if isinstance(frame, Prepare) else "an Install is a patch")
            if ended:
                self.notes("a patch does not fit")

    # ---- the owner

    def owner_turned(self, before: ProposalState, window: Any, effects: list[fx.Effect]) -> None:
        """An input was handed over in this state, with this window."""
        core = self._world.owner.core
        self._votes_first(core._first_vote.member, effects)
        if window is None:
            return
        evidence = core._proposal.evidence
        ordered = [each for each in effects if isinstance(each, _WRITES)]
        if core.operator.window is None and not ordered and not window.deadline:
            self.notes("a probation ends")
        if not evidence or not ordered:
            return
        if self._is_spoken_against():
            self.notes(f"a version on probation is undone, {before.name}")
            self.notes(next(f"it was undone for {what}" for word, what in _SPOKEN.items() if word in evidence[0]))
            return
        self.notes(f"a window ends, {before.name}" if core._proposal.undo else "a window ends and nothing is undone")
        if "anew" in evidence[0]:
            self.notes("a window ends at a first start")
        elif "reloaded" in evidence[0]:
            self.notes("a window ends for a next generation")
        elif self._overslept:
            self.notes("a window ended while no owner lived")
        if ordered[0].operator.hold is not None:
            self.notes("a hold stays through a window's end")

    def _is_spoken_against(self) -> bool:
        """Whether the proposal undoes what was on probation, for what was said against it."""
        proposal = self._world.owner.core._proposal
        return proposal.takes_back > 0 and any(word in each for word in _SPOKEN for each in proposal.evidence[:1])

    def owner_hears(self, given: fx.Input) -> None:
        """An input is about to be handed over."""
        message = given.message if isinstance(given, fx.Received) else given
        if not isinstance(message, _SPEAKS):
            return
        core = self._world.owner.core
        if not core.operator.window:
            self.notes("what is proven is spoken against")
        elif message.version < core.committed.version:
            self.notes("what was superseded is spoken against")

    def _votes_first(self, member: Any, effects: list[fx.Effect]) -> None:
        """Which worker alone is asked now, if one is."""
        former, self._first = self._first, member
        if former is member:
            return
        if former is None:
            self.notes("one worker votes first")
        elif member is not None:
            self.notes("another worker votes first")
        elif former.vote:
            self.notes("the first worker agrees")
        elif self._world.owner.core.state is ProposalState.STAGING:
            self.notes("the first worker does not answer")
        elif any(isinstance(each, fx.RecordEvent) and _is_refused(each.event) for each in effects):
            self.notes("the first worker refuses")
        elif any(isinstance(each, fx.Answer) and each.event.dry_run and _is_refused(each.event) for each in effects):
            self.notes("the first worker refuses a dry run")

    def owner_begins(self, *, gathering: bool) -> None:
        self._first: Any = None
        window = self._world.journal.operator.window
        if window is not None and not window.deadline:
            self.notes("an owner goes on with a probation")
            window = None
        self._overslept = window is not None and window.deadline <= self._world.now
        if window is not None and not self._overslept:
            self.notes("an owner goes on with a window")
        if gathering:
            self.notes("a restarted owner gathers")

    def owner_dies(self, owner: Any) -> None:
        state = owner.core.state
        self.notes(f"the owner dies, {state.name}")
        if self._world.journal.operator.hold is not None:
            boot = self._world.journal.operator.hold.boot
            self.notes("the owner dies with a boot's hold" if boot else "the owner dies with a hold")
        if state is ProposalState.RECORDING and owner.core._proposal.state_only:
            self.notes("the owner dies while it writes what people have set")
        if any(wake.timer is fx.Timer.OBSERVERS for wake in owner.timers):
            self.notes("an owner dies while a caller waits for observers")
        waiting = any(isinstance(effect, fx.Send) and isinstance(effect.message, Commit) for effect in owner.effects)
        newest = self._world.journal.newest()
        if state is ProposalState.RECORDING and newest and newest.version > owner.core.committed.version:
            self.notes("the owner dies after the write, and knows nothing of it")
        elif state is ProposalState.COMMITTING and waiting:
            self.notes(f"the owner dies {'between two commits' if self._commits else 'before the first commit'}")

    def owner_receives(self, message: Any, *, first: bool) -> None:
        if first and not isinstance(message, Hello):
            self.notes("a message without Hello")
        if isinstance(message, Hello) and message.role == "replica":
            how = "comes back" if message.version else "attaches"
            self.notes(f"a worker {how}, {self._world.owner.core.state.name}")

    def check_ends(self, number: int, *, fails: bool) -> None:
        core = self._world.owner.core
        if core.state is not ProposalState.STAGING or not core._loads.is_present(number):
            self.notes("a check comes too late")
        elif fails:
            self.notes("a check fails")
        elif core._proposal.vetoed:
            self.notes("a check ends after a no")
        else:
            voted = [member.vote for member in core.roster]
            self.notes("a check ends after all votes" if voted and all(voted) else "a check ends before a vote")

    def owner_does(self, effect: fx.Effect) -> None:
        self._operations(effect)
        match effect:
            case fx.WakeAt(timer):
                self._waits(timer, effect.when - self._world.now)
            case fx.Record():
                self._commits = 0
            case fx.Send(_, frame):
                self._commits += isinstance(frame, Commit)
                self.counts["a Hello is refused"] += isinstance(frame, Refused)
                self.trial_sent(frame)
            case fx.RecordEvent(event):
                self._ends(event)
                self.trial_event(event)
            case fx.Answer():
                self._answers(effect)
            case fx.AddMember() | fx.RemoveMember() if self._world.disk_is_full:
                self.notes("a roster write fails")
            case fx.WriteSnapshot() if self._world.disk_is_full:
                self.notes("a snapshot write fails")
            case fx.Retire() if self._world.disk_is_full:
                self.notes("a retired number is not written")

    def _operations(self, effect: fx.Effect) -> None:
        match effect:
            case fx.Send() | fx.WakeAt():
                pass  # most of them
            case fx.Record() | fx.RecordState():
                held = self._world.journal.operator.hold
                self._hold_changes(effect, held, effect.operator.hold)
                self._window_changes(effect, self._world.journal.operator, effect.operator)
                self.trial_written(effect)
                if isinstance(effect, fx.Record):
                    self._operation_is_written(effect, held)
            case fx.Answer(event=event) if event.dry_run:
                self._dry_run_ends(event)
            case fx.RecordEvent(event):
                self._operation_ends(event)

    def _hold_changes(self, effect: fx.Record | fx.RecordState, before: Any, after: Any) -> None:
        by = "with a version" if isinstance(effect, fx.Record) else "and nothing differs"
        if after and after.boot and after != before:
            older = isinstance(effect, fx.Record)
            self.notes(
                f"a server starts on {'an older good version' if older else 'the newest version, which was good'}"
            )
        elif isinstance(effect, fx.RecordState) and after and after != before:
            self.notes("a way back to what runs holds it")
        if before and after is None:
            self.notes(f"a boot's hold ends {by}" if before.boot else f"a hold ends {by}")
            if getattr(effect, "origin", "") == "call":
                self.notes("a forced load passes a hold")

    def _window_changes(self, effect: fx.Record | fx.RecordState, operator: Any, now: Any) -> None:
        before, after, version = operator.window, now.window, isinstance(effect, fx.Record)
        origin = getattr(effect, "origin", "")
        if after is not None and before is None and not after.deadline:
            self.notes("a probation begins")
        elif after is not None and before is None:
            self.notes("a window is opened" + ("" if version else " and nothing differs"))
            if after.hold is not None:
                self.notes("a window is opened on what is held")
            if operator.unconfirmed is not None and version and now.unconfirmed is None:
                self.notes("what a window has undone comes back with another window")
        elif after is not None and before is not None and not after.deadline:
            self.notes("what is on probation is superseded")
        elif after is not None and before is not None:
            self.notes(
                "a window is carried on" if after.deadline == before.deadline else "a window gets another deadline"
            )
            if origin == "rollback":
                self.notes("a way back to a number carries a window on")
        elif before is not None and origin == "rollback":
            what = "what is provisional" if before.deadline else "what is on probation"
            self.notes(f"a way back takes back {what}")
        elif before is not None and not before.deadline and after is None:
            self.notes(
                "what was good ends a probation" if version and not effect.undo else "a probation is written off"
            )

    def _operation_is_written(self, effect: fx.Record, held: Any) -> None:
        before, after, roster = self._world.journal.operator, effect.operator, self._world.owner.core.roster
        if effect.origin == "rollback":
            self.notes("a way back is committed")
            if roster.excused and not roster.agrees():
                self.notes("a way back goes on though everyone is silent")
            if after.layer not in (b"", before.layer):
                self.notes("overrides are put back with their version")
        elif effect.origin == "set":
            what = "a value is set on a boot's hold" if held and held.boot else "an override is set on what is held"
            self.notes(what if held else "an override is set")
        elif effect.origin == "expiry":
            bad = self._world.sources is None
            self.notes("an override ends while the sources are bad" if bad else "an override ends")

    def _dry_run_ends(self, event: Any) -> None:
        messages = [problem.message for problem in event.problems]
        if CUT_SHORT in messages:
            self.notes("a dry run gives way")
        elif event.result is ReloadResult.REJECTED:
            self.notes("a dry run would be refused")
        elif event.result is ReloadResult.UNCHANGED:
            self.notes("a dry run would change nothing")
        elif event:
            self.notes("a dry run would apply")
        if event.lagging:
            self.notes("a dry run has silent workers")
        core = self._world.owner.core
        if "refused" in messages and any(member.vote for member in core.roster):
            self.notes("a dry run goes on after a no")

    def _operation_ends(self, event: Any) -> None:
        refused = event.result is ReloadResult.REJECTED and event.version == event.previous_version
        match event.origin, event.result:
            case _, ReloadResult.HELD:
                self.notes("a hold stops a call" if event.who or event.origin == "call" else "a hold stops a trigger")
            case "confirm", ReloadResult.CONFLICT:
                self.notes("nothing waits to be confirmed")
            case "confirm", _ if event:
                self.notes("a window is confirmed")
            case "last_good", ReloadResult.VALIDATION_FAILED:
                self.notes("a server finds no good version")
            case "rollback", ReloadResult.VALIDATION_FAILED:
                self.notes("what is not kept can't be put back")
            case "rollback", _ if refused:
                self.notes("a way back is refused by a no")
            case "set", _ if refused:
                self.notes("an override is refused")
            case "expiry", _ if refused:
                self.notes("the end of an override is refused")

    def load_ends(self, given: fx.Input) -> None:
        """A load is about to be handed over: whether a hold stops it, and that was told before."""
        if getattr(given, "pending", ()):
            self.notes("a value waits for a restart")
        operator = self._world.journal.operator
        known = isinstance(given, fx.Loaded) and operator.is_held and given.digest == operator.tried
        if known and not self._world.owner.core._requests.called:
            self.notes("what a hold stops is told once")

    def _waits(self, timer: fx.Timer, seconds: float) -> None:
        if timer in (fx.Timer.STAGE, fx.Timer.BARRIER) and seconds > _SILENT:
            self.notes("a worker works past the deadline of the silent")
        elif timer is fx.Timer.UNDO:
            evidence = self._world.owner.core._proposal.evidence
            what = "a window's undo" if evidence else "an undo"
            if evidence and self._world.owner.core._outbox.canaries is not None:
                what = "a trial's undo"
            elif self._is_spoken_against():
                what = "a probation's undo"
            self.notes(f"{what} can't be written")

    def _ends(self, event: Any) -> None:
        self.notes(f"an outcome is {event.result.value}")
        if event.origin == "reissue":
            self.notes("a re-issue is written" if event else "a re-issue fails")
        elif event.result is ReloadResult.REJECTED:
            self.notes(_why_rejected([problem.message for problem in event.problems]))
        if self._owed and event and event.version > event.previous_version:
            self.notes("what silence refused is tried again")
        self._owed = any(problem.message == OWED for problem in event.problems)

    def _observers_of(self, event: Any) -> None:
        counts = {bool(error.count) for error in event.observer_errors}
        told = {True: "observers have failed for a caller", False: "observers have not finished for a caller"}
        for which in counts:
            self.notes(told[which])
        if event and not counts:
            self.notes("observers have run for a caller")

    def _answers(self, effect: fx.Answer) -> None:
        self.notes(f"an outcome is {effect.event.result.value}")
        if self._answered is not None and self._answered.event is effect.event:
            self.notes("one load answers several callers")
        self._answered = effect
        if effect.call in self._world.oracle.waiting:
            self._observers_of(effect.event)
        if not self._world.pipes[effect.call[0]].peer_open:
            self.notes("a caller is gone when it is answered")


def _is_refused(event: Any) -> bool:
    return any(problem.message == "refused" for problem in event.problems)


def _why_rejected(messages: list[str]) -> str:
    if STILL_REFUSED in messages:
        return "what was undone is refused"
    if messages[-1].startswith("the sources have what was undone"):
        return "what a window has undone is refused"
    if OWED in messages:
        return "silence refuses"
    return "what nobody runs is undone" if messages[-1].startswith("nobody runs") else "a vote refuses"


def _place_of(process: Any) -> str:
    pipe = process.pipe
    if pipe is None:
        return ""
    unread = [*pipe.down, pipe.leaving]
    if any(isinstance(frame, Commit) for frame in unread):
        return "before it reads the commit"
    if any(isinstance(frame, Prepare) for frame in unread):
        return "before its vote"
    if process.machine.state is worker.ReplicaState.STAGED:
        return "between vote and commit"
    return "" if process.held else "before its first version"
