"""The roster: every worker process from its Hello to its death or Goodbye, with or without a pipe.

The end of a pipe is not a death: a forked child may hold the pipe open, and a process whose pipe broke still serves
what it holds. A member that did not answer by a deadline is *excused* (the outcome names it) and *timed out*: excused
at once in later proposals, until it has answered what is committed. A worker that has reported which function it runs
has a later deadline, and the reason for which it is excused names the function.

Rejected: the list of open pipes as the electorate (a reload would then succeed while a worker with a broken pipe serves
the old version, unnamed), and excusing for one proposal only (with one stopped worker every reload would last until the
deadline).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from confcast.errors import Problem
from confcast.wire.messages import WorkerState, WorkerStatus

NO_PIPE = "lives, and has no pipe to the owner"
_LONGEST_REASON = 4000
_LONGEST_NAME = 200
"""How many characters are kept of the function's name that a worker reports."""

_MOST_LEFT = 64
"""How many members that have left are remembered."""


@dataclass(slots=True, eq=False)
class Member:
    """One worker process on the roster, and what was sent and received on its present pipe.

    Attributes:
        pid: The process.
        pipe: The number of its pipe; None while it has none.
        busy: Whether a frame was sent that the kernel has not taken; the next frame is computed afterwards.
        patches: Whether it takes a patch of what it holds for a payload, as its last Hello says.
        trial: As in its last Hello; None: its build knows neither trials nor probations.
        held: The version and digest that it holds, as its last Hello says.
        holds: The digest of what it holds now, for certain; empty: not known, as while an answer is awaited.
        sent: The version that was sent on this pipe by Commit or Install.
        prepared: The round of the Prepare that was sent last on this pipe; 0 if none was, or a later frame closed it.
        vote: Whether it voted yes in the present round.
        willing: Whether its last vote, on any pipe, was yes.
        acked: The newest version that it reported as applied on this pipe.
        runs: The newest committed version that it reported as applied on any pipe.
        given: The newest version that it was sent, on any pipe, or came with: what it dies of.
        had: Since when it runs that; None while it has not reported that it does.
        provisional_until: Until when what it runs is provisional, as it was told on this pipe; 0.0: it is not.
        declined: Why it keeps an older version than the committed one; None when it does not.
        asked_again: The former value of `declined`, while the committed version is being installed once more.
        follows: Whether it waits for the Settled of the version that it applied last.
        settled: The version whose Settled was sent on this pipe.
        observes: The number of the Observe that was sent last on this pipe; 0 for none.
        observer_failures: How often its observers have failed, as it reports.
        last_observer_error: The observer that failed last, and why.
        pipe_was_full: Whether its pipe was full when a deadline excused it.
        timed_out: Whether a deadline excused it, and it has not answered the committed version since.
        working: The function that it has reported it runs, and since when; None while it runs none.
        shows: The number on trial that it held when it sent its last Hello; 0 for none.
        shown: The digest of what had that number; empty where its build does not tell it.
        agreed: The round of the Prepare that was sent last on this pipe, once it has voted yes to it; 0 before.
        trying: The number on trial that was sent on this pipe, by Try or in an Install; 0 for none.
        tried: The number on trial that it has on this pipe, as it reports; 0 for none.
        tried_since: When it first reported that, on whatever pipe; None: it did not.
        begun: The number on trial whose use has begun, as it was told on this pipe.
    """

    pid: int
    pipe: int | None = None
    busy: bool = False
    patches: bool = False
    trial: int | None = None
    held: tuple[int, bytes] = (0, b"")
    holds: bytes = field(default=b"", repr=False)
    sent: int = 0
    prepared: int = 0
    vote: bool = False
    willing: bool = False
    acked: int = 0
    runs: int = 0
    given: int = 0
    had: float | None = None
    provisional_until: float = 0.0
    declined: tuple[Problem, ...] | None = None
    asked_again: tuple[Problem, ...] | None = None
    follows: bool = True
    settled: int = 0
    observes: int = 0
    observer_failures: int = 0
    last_observer_error: str = ""
    pipe_was_full: bool = False
    timed_out: bool = False
    working: tuple[str, float] | None = None
    shows: int = 0
    shown: bytes = field(default=b"", repr=False)
    agreed: int = 0
    trying: int = 0
    tried: int = 0
    tried_since: float | None = None
    begun: int = 0

    def answered(self, version: int) -> bool:
        """Whether the member has applied this version (or a newer one), or declined it."""
        return self.acked >= version or self.declined is not None

    def takes_patch_of(self, base: bytes) -> bool:
        """Whether a patch of the content with this digest may be sent to the member in place of a payload."""
        return self.patches and self.holds == base

    def is_sent(self, version: int, digest: bytes) -> None:
        """Commit or Install of this content is sent: until the answer, the member holds that or what it held before."""
        if self.holds != digest:
            self.holds = b""
        if version > self.given:
            self.given, self.had = version, None

    def has_applied(self, version: int, now: float) -> None:
        """The worker has reported that it runs this version, or has come with it."""
        self.runs = max(self.runs, version)
        if version >= self.given:
            self.had = now if self.had is None or version > self.given else self.had
            self.given = version

    def begin_function(self, function: str, now: float) -> None:
        """The worker has reported that it begins to run this function."""
        self.working = (function[:_LONGEST_NAME], now)

    def refuses(self) -> tuple[Problem, ...] | None:
        """Why the member declined the committed version, also while it is installed there again; None if it did not."""
        return self.declined if self.declined is not None else self.asked_again

    def _begin(self, pipe: int | None) -> None:
        self.pipe, self.busy = pipe, False
        self.sent = self.prepared = self.acked = self.settled = self.observes = 0
        self.vote, self.holds = False, b""
        self.declined = self.asked_again = self.working = None
        self.pipe_was_full, self.provisional_until = False, 0.0
        self.agreed = 0
        self.forget_trial()

    @property
    def knows_trials(self) -> bool:
        """Whether its build knows trials."""
        return self.trial is not None

    def forget_trial(self) -> None:
        """No trial is under way any more, or the pipe on which the member was sent it has ended."""
        self.trying = self.tried = self.begun = 0


class Roster:
    """The members, by process and by pipe, and those that the present proposal does not wait for.

    Attributes:
        excused: By pid, why the present proposal does not wait for a member.
    """

    def __init__(self, pids: Iterable[int] = ()) -> None:
        self.excused: dict[int, str] = {}
        self._by_pid = {pid: Member(pid) for pid in pids}
        self._by_pipe: dict[int, Member] = {}
        self._left: dict[int, Member] = {}
        self._missing: Member | None = None
        self._declined_version = 0
        self._decliners: dict[int, tuple[Problem, ...]] = {}
        self._unreported: set[int] = set()

    def __iter__(self) -> Iterator[Member]:
        return iter(self._by_pid.values())

    def of(self, pid: int) -> Member | None:
        """The member with this pid."""
        return self._by_pid.get(pid)

    def on(self, pipe: int) -> Member | None:
        """The member whose present pipe this is."""
        return self._by_pipe.get(pipe)

    def waited_for(self) -> Iterator[Member]:
        """The members that are not excused: a staging and a barrier wait for them."""
        return (member for member in self if member.pid not in self.excused)

    def all_voted(self) -> bool:
        """Whether every member that is not excused voted yes, on a pipe that it still has."""
        return self._nobody_misses(lambda member: member.vote)

    def agrees(self) -> bool:
        """Whether a member voted yes, or the roster is empty."""
        return not self._by_pid or any(member.vote for member in self._by_pid.values())

    def nobody_runs(self, version: int) -> bool:
        """Whether a member declined this version, and no member runs it."""
        declined = any(member.refuses() is not None for member in self._by_pid.values())
        return declined and not self.anybody_runs(version)

    def is_declined(self, version: int) -> bool:
        """Whether any process has declined this version since it was committed, also one that has applied it since."""
        declined = self._declined_version == version and bool(self._decliners)
        return declined or any(member.refuses() is not None for member in self._by_pid.values())

    def anybody_runs(self, version: int) -> bool:
        """Whether a member has reported, on any pipe, that it applied this version or a newer one."""
        return any(member.runs >= version for member in self._by_pid.values())

    def renumber(self, former: int, version: int) -> None:
        """Give the content of the former version a new number: a member that runs the former one runs the new one."""
        for member in self:
            if member.runs >= former:
                member.runs = version
            if member.given == former:
                member.given = version

    def all_answered(self, version: int) -> bool:
        """Whether every member that is not excused has applied or declined this version."""
        return self._nobody_misses(lambda member: member.answered(version))

    def _nobody_misses(self, done: Callable[[Member], bool]) -> bool:
        """Whether each member is done or excused. A scan remembers the member that was not: the next one begins there.

        Members answer one by one, and each answer asks this: with scans of all, the answers of n workers take n² steps.
        """
        missing = self._missing
        if missing is not None and self._by_pid.get(missing.pid) is missing and not self._is_done(missing, done):
            return False
        # Frames leave in the roster's order, and so do most answers come: the last member is most likely the last one.
        self._missing = next((each for each in reversed(self._by_pid.values()) if not self._is_done(each, done)), None)
        return self._missing is None

    def _is_done(self, member: Member, done: Callable[[Member], bool]) -> bool:
        return member.pid in self.excused or done(member)

    # ---- members come and go

    def expect(self, pids: Iterable[int]) -> None:
        """Add processes that live, and have not connected yet."""
        for pid in pids:
            self._by_pid.setdefault(pid, Member(pid))

    def connect(self, pid: int, pipe: int, version: int, digest: bytes) -> Member:
        """Add a process, or move it to its newest pipe, on which nothing has been sent or received after Hello."""
        self._left.pop(pid, None)
        member = self._by_pid.setdefault(pid, Member(pid))
        self._move(member, pipe)
        member.held, member.holds = (version, digest), digest
        return member

    def shows_another(self, known: dict[int, bytes]) -> bool:
        """Whether a member came with something on trial whose number is none of these, or has other content here.

        Lower numbers than these are behind, and of no interest. The number of a trial that was lost with its row may
        have been given out again. A build that does not tell what it has is believed to have what is known.
        """
        nothing, ahead = b"", (member for member in self if member.shows >= min(known))
        return any(member.shows not in known or member.shown not in (nothing, known[member.shows]) for member in ahead)

    def lose_pipe(self, member: Member) -> None:
        """Note that the member's pipe ended: what was staged over it is dropped, and the member stays on the roster."""
        self._move(member, None)

    def remove(self, member: Member) -> None:
        """Remove a member that is dead, or has sent Goodbye, from the roster."""
        self._move(member, None)
        self.excused.pop(member.pid, None)
        del self._by_pid[member.pid]

    def remember(self, member: Member) -> None:
        """Keep what is known of a member that leaves: its process may be found to have failed at its end."""
        self._left.pop(member.pid, None)
        self._left[member.pid] = member
        if len(self._left) > _MOST_LEFT:
            del self._left[next(iter(self._left))]

    def left(self, pid: int) -> Member | None:
        """What is known of a process that has left, once; None if it has come again, or is long gone."""
        return self._left.pop(pid, None)

    def _move(self, member: Member, pipe: int | None) -> None:
        if member.pipe is not None:
            del self._by_pipe[member.pipe]
        if pipe is not None:
            self._by_pipe[pipe] = member
        member._begin(pipe)

    # ---- members that time out

    def any_timed_out(self) -> bool:
        """Return whether a deadline has passed for a member that has not answered since."""
        return any(member.timed_out for member in self)

    def excuse_timed_out(self, version: int, why: Callable[[Member], str]) -> None:
        """Excuse exactly the members that timed out, as a proposal begins; before the first version, excuse none."""
        for member in self:
            member.timed_out = member.timed_out and version > 0
        self.excused = {member.pid: why(member) for member in self if member.timed_out}

    def reinstall_timed_out(self, version: int, digest: bytes) -> None:
        """After a refused proposal, install the committed version once more at each member that timed out.

        Otherwise such a member has nothing left to answer, and would stay timed out though it may be awake.
        """
        for member in self if version else ():
            if member.timed_out and member.acked >= version:
                member.held = (version, digest)
                member.sent = member.acked = 0
            elif member.timed_out and member.declined is not None:
                member.sent = 0

    def excuse(self, overdue: Iterable[Member], why: Callable[[Member], str]) -> None:
        """Excuse these members from the present proposal alone."""
        for member in list(overdue):
            self.excused[member.pid] = why(member)

    def mark_timed_out(self, overdue: Iterable[Member], why: Callable[[Member], str]) -> None:
        """Excuse these members at a deadline, until they have answered the committed version."""
        for member in list(overdue):
            self.excused[member.pid] = why(member)
            member.timed_out, member.pipe_was_full = True, member.busy

    def wait_for_again(self, member: Member) -> None:
        """Note that the member answered the committed version. If it was excused only by time-outs, it votes again."""
        if member.timed_out:
            member.timed_out = False
            self.excused.pop(member.pid, None)

    def declines_first(self, member: Member, version: int) -> bool:
        """Whether this is the first time that this process declines this version, on any pipe."""
        if self._declined_version != version:
            self._declined_version, self._decliners, self._unreported = version, {}, set()
        first = member.pid not in self._decliners
        if first:
            self._decliners[member.pid] = member.declined or ()
            self._unreported.add(member.pid)
        return first

    def earlier_refusals(self) -> Iterator[tuple[int, Problem]]:
        """By pid, why processes declined the committed version that have died, lost their pipe or applied it since.

        Until `refusals_reported()`: each is in one event, since a version that was declined is not good.
        """
        for pid in sorted(self._unreported):
            member = self._by_pid.get(pid)
            if member is None or member.refuses() is None:
                yield from ((pid, reason) for reason in self._decliners[pid])

    def refusals_reported(self) -> None:
        """Note that an event has all refusals of the committed version."""
        self._unreported.clear()

    # ---- what an outcome says of members

    def status(self, member: Member, committed: int) -> WorkerStatus:
        """What the owner knows of this member, given the number of the committed version."""
        state, reason = self._state_of(member, committed)
        failures, error = member.observer_failures, member.last_observer_error
        version = member.tried if state == "trial" else max(member.acked, member.held[0])
        return WorkerStatus(member.pid, version, state, reason, failures, error)

    def _state_of(self, member: Member, committed: int) -> tuple[WorkerState, str]:
        reason = self.excused.get(member.pid, "")
        said = "; ".join(map(str, member.refuses() or ()))[:_LONGEST_REASON]
        if member.timed_out and member.declined is None:
            why = reason or "did not answer in time"
            return "late", f"{why}; before, it declined: {said}" if said else why
        if member.refuses() is not None:
            return "declined", said
        if member.pipe is None:
            return "disconnected", reason or NO_PIPE
        if member.acked < committed:
            return "behind", reason
        return "trial" if member.tried else "current", reason

    def statuses(self, committed: int) -> list[WorkerStatus]:
        """The status of every member, by pid."""
        return [self.status(member, committed) for member in sorted(self, key=lambda member: member.pid)]

    def lagging(self, committed: int) -> list[WorkerStatus]:
        """The members that an outcome must name, by pid: those that are excused, and those that have declined."""
        excused = [member for member in self if member.pid in self.excused or member.declined is not None]
        return [self.status(member, committed) for member in sorted(excused, key=lambda member: member.pid)]
