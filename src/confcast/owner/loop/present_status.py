"""The owner's status: what runs, who changed it last, what is set, what the sources would bring, what is under way.

Guaranteed: it is made of the core and the journal between two inputs of the core, so it never shows half a step; and it
reads no source, so it answers while one hangs. What the sources say is therefore as of their last load, which every
change that the watcher notices causes. Rejected: a load for each status (a person who looks repeatedly would run the
validators each time).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Literal, NamedTuple

from confcast.owner.core.machine import Core, OperatorState
from confcast.owner.core.proposal import Phase, ProposalState
from confcast.owner.loop.core_clock import date_of
from confcast.owner.loop.provisional import Provisional
from confcast.owner.store.journal import Journal
from confcast.wire.load_events import LOOK_BACK, last_word
from confcast.wire.messages import Held, Override, ReloadEvent, ReloadResult, Status, Waiting


class Present(NamedTuple):
    """What the loop knows beside the core and the journal, for one answer.

    Attributes:
        people: What people have set, with dates.
        overrides: The overrides among it.
        phase: What the core is doing.
        hangs: What a load waits for, in words; empty where that is not known, or nothing is loaded.
    """

    people: OperatorState
    overrides: Sequence[Override]
    phase: Phase
    hangs: str


def status_of(core: Core, journal: Journal, present: Present, provisional: Provisional) -> Status:
    """The status. Raises JournalError when the journal can't be read."""
    committed, people, hold = core.committed, present.people, present.people.hold
    kept = next((each for each in journal.versions(1) if each.version == committed.version), None)
    last = last_word(journal.events(LOOK_BACK), refused=is_undone(core))
    disk = disk_state(core, last)
    return Status(
        version=committed.version,
        digest=committed.digest.hex(),
        since=0.0 if kept is None else kept.timestamp,
        origin="" if kept is None else kept.origin,
        who=None if kept is None else kept.who,
        reason="" if kept is None else kept.reason,
        disk=disk,
        differs=list(last.changes) if last is not None and not last and last.result is not ReloadResult.UNDONE else [],
        problems=[str(each) for each in last.problems] if last is not None and disk == "refused" else [],
        held=None if hold is None else Held(hold.version, hold.since, hold.who, hold.reason, hold.boot),
        provisional=provisional.kind,
        deadline=provisional.deadline,
        evidence=provisional.evidence,
        overrides=list(present.overrides),
        stale=_stale(),
        pending=list(people.pending),
        phase=present.phase.state.name.lower(),
        phase_since=date_of(present.phase.since),
        waiting_for=waiting_for(present.phase, present.hangs),
        workers=core.statuses(),
    )


_STALE = ("confcast.config.sources.polled", "confcast.fleet.followed")
"""The modules that know which sources give no answer; where there is no such source, they have not been imported."""


def _stale() -> list[str]:
    """What the sources that are asked, and those that follow, say of themselves."""
    modules = [module for name in _STALE if (module := sys.modules.get(name)) is not None]
    return [sentence for module in modules for sentence in module.stale()]


def waiting_for(phase: Phase, hangs: str) -> list[Waiting]:
    """The workers that the owner waits for, each with the function that it runs; and itself, for a load or a write."""
    found = [
        Waiting(pid, date_of(phase.since)) if work is None else Waiting(pid, date_of(work[1]), work[0])
        for pid, work in phase.waits_for
    ]
    if phase.state is ProposalState.LOADING:
        found.append(Waiting(os.getpid(), date_of(phase.since), source=hangs))
    if phase.retried:
        found.append(Waiting(os.getpid(), date_of(phase.since), source=phase.retried))
    return found


def is_undone(core: Core) -> bool:
    """Whether the sources have what was undone, so that no load that follows them commits it."""
    return core.operator.unconfirmed is not None and core.operator.hold is None


def disk_state(core: Core, last: ReloadEvent | None) -> Literal["in step", "differs", "refused"]:
    """What became of the sources' content when it was loaded last; without an event of that, what the hold says."""
    if core.operator.hold is not None and core.operator.hold.boot:
        return "refused"
    if last is not None and last.result is ReloadResult.ON_TRIAL:
        return "differs"
    if last is not None and not last and last.result is not ReloadResult.HELD:
        return "refused"
    if core.operator.hold is not None and core.operator.tried != core.committed.digest:
        return "differs"
    return "in step"
