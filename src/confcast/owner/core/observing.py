"""The callers that wait, after a version is applied, until the observers of all workers have run for it.

A call with `wait_observers` is answered when the barrier is closed *and* each worker that is to run the version has
reported that all its observers have run for it. When the call's seconds are over first, the outcome names the observers
that have not run. Meanwhile other callers are answered, and the next load may begin. A worker that died, or declined
the version, is not waited for; one that lost its pipe is asked again on its next pipe. So no lost message and no worker
that hangs holds the caller beyond its seconds.

Each wait has a number, counted up while an owner runs. `Observe(number)` goes to a worker once it has applied that
wait's version; its answer counts for that wait and for all older ones that the worker does not answer separately: an
observer of an older version may run longer, or for ever, in an executor or on a loop.

Rejected: the observers as a part of the barrier (one that hangs would hold each reload, and its worker's vote with it),
and an acknowledgement from each worker at each reload (a message for which mostly no caller waits).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from confcast.owner.core import effects as fx
from confcast.owner.core.members import Member, Roster
from confcast.owner.core.requests import Caller
from confcast.wire.messages import Observed, ObserverError, ReloadEvent, ToOwner

_MOST_OF_ONE = 20
_LONGEST = 2000
_LONGEST_NAME = 200
_LONGEST_WAIT = 24 * 3600.0
_MOST_FAILURES = 2**53
"""What a worker says is not believed beyond this: the sum travels as an integer of 64 bits."""
_NO_TOKEN = -1
"""The token of the deadlines of all waits, and of no other deadline: `check` compares the time at each input anyway."""


@dataclass(slots=True)
class _Wait:
    """One caller, what it will be answered, and what workers have reported since.

    Attributes:
        open: By pid of each worker that has not reported that all have run: the observers that it named last.
        errors: How often an error was raised, by process, observer and text.
    """

    number: int
    call: fx.Call
    event: ReloadEvent
    seconds: float
    until: float
    open: dict[int, tuple[str, ...]]
    errors: dict[tuple[int, str, str], int] = field(default_factory=dict)

    def outcome(self) -> ReloadEvent:
        """The event for the caller, with the observers that failed and those that have not finished."""
        failed = [ObserverError(*which, count) for which, count in self.errors.items()]
        why = f"has not finished within {self.seconds:g} s (wait_observers)"
        unfinished = [ObserverError(pid, name, why, 0) for pid, names in self.open.items() for name in names or ("",)]
        found = sorted(failed + unfinished, key=lambda error: (error.pid, error.observer))
        return msgspec.structs.replace(self.event, observer_errors=found) if found else self.event


class Observing:
    """The callers that wait for observers.

    Args:
        roster: The workers whose observers they wait for.

    Attributes:
        waits: The waits, mostly none. Users of this class look here before each call, since a reload makes many calls.
        failures: How often observers have failed in the workers that this owner has had, also in those that are gone. A
            worker that an owner before had served reports all its failures anew.
    """

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self.waits: list[_Wait] = []
        self.failures = 0
        self._number = 0

    # ---- callers

    def answer(self, served: Iterable[Caller], event: ReloadEvent, now: float) -> list[fx.Effect]:
        """Answer the callers of a finished load that wait for no observers; the other callers wait from now on."""
        effects: list[fx.Effect] = []
        for call, seconds in served:
            waits_for = [member.pid for member in self._roster if member.refuses() is None]
            if seconds is None or not event or not waits_for:
                effects.append(fx.Answer(call, event))
                continue
            self._number += 1
            until = now + min(max(0.0, seconds), _LONGEST_WAIT)  # so a value that is no number counts as 0
            self.waits.append(_Wait(self._number, call, event, seconds, until, dict.fromkeys(waits_for, ())))
            effects.append(self._wake_at())
        return effects

    def check(self, now: float) -> list[fx.Effect]:
        """Answer, after each input, the callers with nothing to wait for any more, and those whose time is over."""
        waited_for = {member.pid for member in self._roster if member.refuses() is None}
        for wait in self.waits:
            wait.open = {pid: names for pid, names in wait.open.items() if pid in waited_for}
        done = [wait for wait in self.waits if not wait.open or now >= wait.until]
        if not done:
            return []
        self.waits = [wait for wait in self.waits if wait.open and now < wait.until]
        return [*self._answers(done), *([self._wake_at()] if self.waits else [])]

    def close(self) -> list[fx.Effect]:
        """Answer, as the owner ends, every caller that still waits: the load that it requested is over."""
        waits, self.waits = self.waits, []
        return self._answers(waits)

    # ---- workers

    def wanted(self, member: Member) -> int:
        """The number of the Observe that this member must have been sent by now; 0 for none."""
        mine = (wait.number for wait in self.waits if member.pid in wait.open and wait.event.version <= member.acked)
        return max(mine, default=0)

    def observed(self, member: Member, observed: ToOwner) -> None:
        """Take a worker's report on its observers. An answer to an Observe of an earlier pipe does not count."""
        assert isinstance(observed, Observed)
        if observed.failures >= member.observer_failures:
            self.failures = min(self.failures + observed.failures - member.observer_failures, _MOST_FAILURES)
            member.observer_failures = observed.failures
            member.last_observer_error = observed.last_error[:_LONGEST]
        if observed.number > member.observes:
            return
        for wait in self.waits:
            if observed.since < wait.number <= observed.number and member.pid in wait.open:
                self._note(wait, member.pid, observed)

    def _note(self, wait: _Wait, pid: int, observed: Observed) -> None:
        for error in observed.errors[:_MOST_OF_ONE]:
            wait.errors[pid, error.observer[:_LONGEST_NAME], error.error[:_LONGEST]] = error.count
        if observed.waits_for:
            wait.open[pid] = tuple(name[:_LONGEST_NAME] for name in observed.waits_for[:_MOST_OF_ONE])
        else:
            del wait.open[pid]

    def _answers(self, waits: Sequence[_Wait]) -> list[fx.Effect]:
        return [fx.Answer(wait.call, wait.outcome()) for wait in waits]

    def _wake_at(self) -> fx.WakeAt:
        return fx.WakeAt(fx.Timer.OBSERVERS, _NO_TOKEN, min(wait.until for wait in self.waits))
