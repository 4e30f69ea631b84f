"""Tells each source that follows what came of its contents on this host: applied, good, refused, held, undone.

Guarantees. An outcome is about the content that a load has read, whatever the source has by now. What a load of refused
or held content leaves running keeps its state: where only another source is to blame, or a person's hold, and the
source's content runs already, it is told to run. `good` is told once nothing can undo it by itself any more: neither
a trial nor a window nor a probation is under way, and each worker has it. What was good before is good at once.

How. Contents are remembered by their load's number, and by the number of the version, committed or on trial, that has
them; what a version is made of without a load (an undo, a reissue, a way back) comes from the version whose content it
has. After each event of the history the state of what the event is about is told; after each input of the core, what
was told to run is looked at again, as long as more may come of it. Without such sources nothing of this is called.

Stated limit: a version of a former owner has unknown contents until the first load that changes nothing. A content that
is refused then is told to be refused, though it may be what runs.

Rejected: to tell it from the state machine (the core would have to know sources), and a state for each worker (whoever
follows a thousand hosts asks what the host does).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from confcast.config.sources.following import Outcome, OutcomeState
from confcast.owner.core.effects import RecordEvent
from confcast.owner.core.machine import Core, ProposalState
from confcast.owner.store.handover import PAUSED
from confcast.owner.watch.followed_reads import Contents, FollowedReads, Read
from confcast.texts import shortened
from confcast.wire.messages import ReloadEvent, ReloadResult, WorkerStatus

LONGEST_REASON = 300
_MOST = 64
"""Versions whose contents are remembered."""

_CAN_BECOME_BETTER = ("applied", "partial")
_HELD = "a person has gone back to version {} here: `confcast resume` follows the sources again"
_DECLINED = "a worker has declined it before it has applied it"
_PARTIAL = "{} of {} workers have not applied it"
_SILENT = "{} of {} workers have it, and do not answer: {}"


class Outcomes:
    """What came of the contents of followed sources. For the loop's thread.

    Args:
        reads: What loads have read.
        tell: Called with the index of a source, and an outcome of one of its contents.
    """

    def __init__(self, reads: FollowedReads, tell: Callable[[int, Outcome], None]) -> None:
        self._reads, self._tell_source = reads, tell
        self._of_version: OrderedDict[int, Contents] = OrderedDict()
        self._told: dict[int, Outcome] = {}
        self._is_open = False  # whether something was told to run of which more may come
        self._heard = 0  # the latest load of which something was told

    def on_event(self, effect: RecordEvent, core: Core) -> None:
        """Tell what an event says of the contents that it is about."""
        event, subject = effect.event, effect.subject
        if any(problem.message == PAUSED for problem in event.problems):
            return  # nothing was read, and what this owner has is tried once it goes on
        read = self._reads.of(subject.load)
        self._heard = max(self._heard, subject.load)
        about = read.contents or self._of_version.get(subject.undoes) or {}
        if event.result is ReloadResult.ON_TRIAL:
            self._on_trial(event, read.contents, core)
            return
        self._remember(effect, read)
        running = self._of_version.get(core.committed.version, {})
        state: OutcomeState = _STATES.get(event.result, "refused")
        for index, content in about.items():
            if running.get(index) == content:
                self._tell_running(index, content, core)
            elif not event and (read.counts or subject.undoes):
                self._tell(index, Outcome(content, state, core.committed.version, _reason(event)))
        self._tell_what_a_person_took_back(running, core)
        self._look_again(core)

    def follow(self, core: Core) -> None:
        """Tell what has changed since an event: a probation is over, or a worker that was late has applied it."""
        if core.state is ProposalState.IDLE and (self._is_open or self._reads.latest > self._heard):
            self._look_again(core)
            self._tell_held(core)

    # ---- which contents a version has

    def _remember(self, effect: RecordEvent, read: Read) -> None:
        """Note the contents of the event's version."""
        event, subject = effect.event, effect.subject
        known = self._of_version
        if event and read.contents:
            self._note(event.version, read.contents)
        elif event.version not in known and (subject.undoes or event):
            self._note(event.version, known.get(subject.puts_back or event.previous_version, {}))

    def _note(self, version: int, contents: Contents) -> None:
        self._of_version[version] = contents
        self._of_version.move_to_end(version)
        if len(self._of_version) > _MOST:
            self._of_version.popitem(last=False)

    # ---- what is told

    def _on_trial(self, event: ReloadEvent, contents: Contents, core: Core) -> None:
        running = self._of_version.get(core.committed.version, {})
        contents = contents or self._of_version.get(event.version) or running
        self._note(event.version, contents)
        trial = core.operator.trial
        left = 0.0 if trial is None else max(0.0, trial.deadline - time.monotonic())
        for index, content in contents.items() - running.items():
            self._tell(index, Outcome(content, "applied", event.version, good_in=left + core.rules.probation))

    def _tell_running(self, index: int, content: bytes, core: Core) -> None:
        self._tell(index, self._running(content, core))

    def _running(self, content: bytes, core: Core) -> Outcome:
        """The state of what runs."""
        version, until = core.committed.version, core.provisional_until
        if lagging := core.roster.lagging(version):
            return Outcome(content, "partial", version, _why_partial(lagging, version, len(list(core.roster))))
        if core.roster.is_declined(version):
            return Outcome(content, "partial", version, _DECLINED)
        if until or not core.is_settled:
            return Outcome(content, "applied", version, good_in=max(0.0, until - time.monotonic()))
        return Outcome(content, "good", version)

    def _tell_held(self, core: Core) -> None:
        """Tell that the latest load found what is held back: the history has that once for each change only."""
        latest, self._heard = self._reads.latest, self._reads.latest
        running, hold = self._of_version.get(core.committed.version, {}), core.operator.hold
        if hold is None or hold.boot:
            return
        for index, content in self._reads.of(latest).contents.items() - running.items():
            self._tell(index, Outcome(content, "held", core.committed.version, _HELD.format(hold.version)))

    def _look_again(self, core: Core) -> None:
        """Tell what runs where its state is another one than was told."""
        running = self._of_version.get(core.committed.version, {})
        self._is_open = False
        for index, content in running.items():
            told = self._told.get(index)
            if told is None or told.fingerprint != content or told.state not in _CAN_BECOME_BETTER:
                continue
            now = self._running(content, core)
            if now.state != told.state:
                self._tell(index, now)
            self._is_open |= now.state in _CAN_BECOME_BETTER

    def _tell_what_a_person_took_back(self, running: Contents, core: Core) -> None:
        hold = core.operator.hold
        if hold is None or hold.boot:
            return
        for index, told in list(self._told.items()):
            if told.state in ("applied", "good", "partial") and running.get(index) != told.fingerprint:
                reason = _HELD.format(hold.version)
                self._tell(index, Outcome(told.fingerprint, "held", core.committed.version, reason))

    def _tell(self, index: int, outcome: Outcome) -> None:
        self._told[index] = outcome
        self._tell_source(index, outcome)


_STATES: dict[ReloadResult, OutcomeState] = {ReloadResult.HELD: "held", ReloadResult.UNDONE: "undone"}
"""The states of what does not run, by an event's result; any other result: refused."""


def _why_partial(lagging: list[WorkerStatus], version: int, workers: int) -> str:
    """Which workers have not got it; or, if they have it already, what they are late with."""
    if without := [each for each in lagging if each.version < version]:
        return _PARTIAL.format(len(without), workers)
    return shortened(_SILENT.format(len(lagging), workers, lagging[0].reason), LONGEST_REASON)


def _reason(event: ReloadEvent) -> str:
    """Why what the event is about does not run: masked already, as everybody sees it in the history."""
    return shortened(event.error_message or event.result.value, LONGEST_REASON)
