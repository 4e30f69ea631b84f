"""What happened to versions on trial, counted by name; as in `census.py`."""

from __future__ import annotations

from collections import Counter
from typing import Any

from confcast.owner.core import effects as fx
from confcast.wire.messages import Install, Prepare, ReloadResult, Settled

_ENDS = {
    "has ended": "an owner finds a trial",
    "fully reloaded": "a trial ends for a next generation",
    "killed by signal": "a canary dies of a trial",
    "is unhealthy": "a canary speaks against a trial",
    "a probe says no": "a probe speaks against a trial",
    "refuses version": "a canary refuses a trial",
    "was to be committed": "a promotion is refused",
    "requests have ended": "a trial has too few requests",
    "no request named an entity": "a trial by entity has no requests",
    "no worker has had": "a trial is not taken up",
    "a worker with a higher number": "a worker with a higher number ends a trial",
    "the undo of what no worker runs": "a trial ends since nobody runs what is committed",
    "the end of what was provisional": "a window ends in a trial",
    "set ended": "a value that is set ends a trial",
    "resume ended": "a resumption ends a trial",
    "rollback ended": "a way back to a number ends a trial",
    "call ended": "a call ends a trial",
    "watch ended": "a changed file ends a trial",
}
_RARE = ("a worker with a higher number ends a trial", "a trial ends since nobody runs what is committed")
SITUATIONS = (
    "a trial begins",
    "a trial by entity begins",
    "a trial of a value that is set begins",
    "a trial begins while a window is open",
    "what a trial has undone is tried again",
    "too few workers know trials",
    "a trial can't be written",
    "a canary is asked for its vote again",
    "a newcomer is given a trial",
    "a trial by entity begins at a deadline",
    "a trial goes on for once",
    "a trial is promoted by its time",
    "a trial is promoted by a person",
    "a trial's promotion opens a window",
    "a way back ends a trial",
    "a way back ends a trial and a window",
    "the same content leaves a trial alone",
    "what a trial has undone is refused",
    "a trial's undo can't be written",
    *(name for name in _ENDS.values() if name not in _RARE),
)


def why_it_ended(evidence: list[str]) -> list[str]:
    """The situations that these texts tell of."""
    return [name for words, name in _ENDS.items() if any(words in text for text in evidence)]


class TrialCensus:
    counts: Counter[str]
    _world: Any
    _newest_trial = 0  # that was told

    def trial_sent(self, frame: Any) -> None:
        """The owner sends this."""
        canaries = self._world.owner.core._outbox.canaries
        if isinstance(frame, Prepare) and canaries is not None and frame.round == canaries.round:
            self.counts["a canary is asked for its vote again"] += 1
        if isinstance(frame, Install) and frame.trial is not None:
            self.counts["a newcomer is given a trial"] += 1
        if isinstance(frame, Settled) and canaries is not None and frame.version == canaries.trial.version:
            self.counts["a trial by entity begins at a deadline"] += bool(frame.named)

    def trial_written(self, effect: fx.Record | fx.RecordState) -> None:
        """The owner orders this."""
        before, after = self._world.journal.operator, effect.operator
        origin = getattr(effect, "origin", "")
        if before.trial is None and after.trial is not None:
            self._begins(before, after)
        elif before.trial is not None and after.trial is not None and after.trial.extended > before.trial.extended:
            self.counts["a trial goes on for once"] += 1
        elif before.trial is not None and after.trial is None and effect.version == before.trial.version:
            self.counts[f"a trial is promoted by {'a person' if origin == 'confirm' else 'its time'}"] += 1
            if after.window is not None and before.window is None:
                self.counts["a trial's promotion opens a window"] += 1
        elif before.trial is not None and after.trial is None and origin == "rollback":
            both = before.window is not None and effect.undo
            self.counts["a way back ends a trial and a window" if both else "a way back ends a trial"] += 1

    def _begins(self, before: Any, after: Any) -> None:
        by_entity = after.trial.canary.by == "entity"
        self.counts["a trial by entity begins" if by_entity else "a trial begins"] += 1
        if self._world.owner.core._proposal.origin == "set":
            self.counts["a trial of a value that is set begins"] += 1
        if before.window is not None:
            self.counts["a trial begins while a window is open"] += 1
        if before.unconfirmed is not None and after.unconfirmed is None:
            self.counts["what a trial has undone is tried again"] += 1

    def _is_known(self, version: int) -> bool:
        known, self._newest_trial = self._newest_trial, version
        return known == version

    def trial_event(self, event: Any) -> None:
        """The owner tells this."""
        if event.result is ReloadResult.UNDONE:
            self.counts.update(why_it_ended(event.evidence))
        elif event.result is ReloadResult.ON_TRIAL and not event.evidence and self._is_known(event.version):
            self.counts["the same content leaves a trial alone"] += 1
        if any("to be tried" in note for note in event.notes):
            self.counts["too few workers know trials"] += 1
        if event.result is ReloadResult.REJECTED and any("canary" in problem.message for problem in event.problems):
            self.counts["what a trial has undone is refused"] += 1
