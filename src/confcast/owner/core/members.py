"""Who must be waited for: every process from its Hello to its death, with or without a pipe.

The end of a pipe is not a death: a forked child may hold it open, and a process whose pipe broke still serves what
it has. So a member stays until its pidfd speaks or it says Goodbye. Whoever was silent past a deadline is *named*
in the outcome, and *late* from then on: not waited for again until it has answered what is committed. A worker that
has said which function it runs is not silent: it has a later deadline, and its name is given with the function's.

Rejected: the list of open pipes as the electorate (a reload would then succeed while a worker with a broken pipe
serves the old version, unnamed), and naming without lateness (one stopped worker costs every reload the deadline).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from confcast.errors import Problem
from confcast.wire.messages import WorkerStatus

_State = Literal["current", "behind", "late", "declined", "disconnected"]

NO_PIPE = "lives, and has no pipe to the owner"
_LONGEST_REASON = 4000
_LONGEST_NAME = 200
"""Characters that are kept of a function's name, as a worker gives it."""


@dataclass(slots=True, eq=False)
class Member:
    """One process on the roster, and what has passed on its present pipe.

    Attributes:
        pid: The process.
        pipe: Its pipe; None while it has none.
        busy: A frame is on its way; the next one is computed when it has left.
        held: What its last Hello said it holds: version and digest.
        sent: The version that was sent on this pipe by Commit or Install.
        prepared: The round that was sent on this pipe by Prepare and not closed by another frame; 0 for none.
        vote: It voted yes in the present round.
        acked: The newest version that it applied, said on this pipe.
        runs: The newest committed version that it is known to run, on whatever pipe it said so.
        declined: Why it keeps an older version than the committed one; None when it does not.
        asked_again: The same, while what is committed is installed there once more.
        follows: Somebody there waits for the settling of what it applied last.
        told: The version whose settling was sent on this pipe.
        observes: The number of the Observe that was sent last on this pipe; 0 for none.
        observer_failures: How often its observers have failed, as it has said.
        last_observer_error: Which of them the last time, and why.
        choked: Its pipe was full when a deadline named it.
        timed_out: A deadline named it, and it has not answered the committed version since.
        working: The function that it runs, and since when; None while it runs none that it has told of.
    """

    pid: int
    pipe: int | None = None
    busy: bool = False
    held: tuple[int, bytes] = (0, b"")
    sent: int = 0
    prepared: int = 0
    vote: bool = False
    acked: int = 0
    runs: int = 0
    declined: tuple[Problem, ...] | None = None
    asked_again: tuple[Problem, ...] | None = None
    follows: bool = True
    told: int = 0
    observes: int = 0
    observer_failures: int = 0
    last_observer_error: str = ""
    choked: bool = False
    timed_out: bool = False
    working: tuple[str, float] | None = None

    def answered(self, version: int) -> bool:
        """Whether it has applied this version (or a newer one), or declined it."""
        return self.acked >= version or self.declined is not None

    def works(self, function: str, now: float) -> None:
        """It has said that it runs this function."""
        self.working = (function[:_LONGEST_NAME], now)

    def refuses(self) -> tuple[Problem, ...] | None:
        """Why it declined what is committed, also while it is asked again; None if it did not."""
        return self.declined if self.declined is not None else self.asked_again

    def _begin(self, pipe: int | None) -> None:
        self.pipe, self.busy = pipe, False
        self.sent = self.prepared = self.acked = self.told = self.observes = 0
        self.vote = False
        self.declined = self.asked_again = self.working = None
        self.choked = False


class Roster:
    """The members, by process and by pipe, and who of them is named in the present proposal.

    Attributes:
        excused: By pid, why a member is not waited for.
    """

    def __init__(self, pids: Iterable[int] = ()) -> None:
        self.excused: dict[int, str] = {}
        self._by_pid = {pid: Member(pid) for pid in pids}
        self._by_pipe: dict[int, Member] = {}
        self._declined_version = 0
        self._decliners: set[int] = set()

    def __iter__(self) -> Iterator[Member]:
        return iter(self._by_pid.values())

    def of(self, pid: int) -> Member | None:
        """The member with this pid."""
        return self._by_pid.get(pid)

    def on(self, pipe: int) -> Member | None:
        """The member whose present pipe this is."""
        return self._by_pipe.get(pipe)

    def waited_for(self) -> Iterator[Member]:
        """Everyone who is not named: the voters, and those whom the barrier waits for."""
        return (member for member in self if member.pid not in self.excused)

    def all_voted(self) -> bool:
        """Whether every voter said yes on a pipe that it still has."""
        return all(member.vote or member.pid in self.excused for member in self._by_pid.values())

    def agrees(self) -> bool:
        """Whether anybody said yes; nobody needs to where nobody is on the roster."""
        return not self._by_pid or any(member.vote for member in self._by_pid.values())

    def nobody_runs(self, version: int) -> bool:
        """Whether somebody declined this version, and nobody on the roster runs it."""
        declined = any(member.refuses() is not None for member in self._by_pid.values())
        return declined and not self.anybody_runs(version)

    def anybody_runs(self, version: int) -> bool:
        """Whether somebody has said, on whatever pipe, that it runs this version or a newer one."""
        return any(member.runs >= version for member in self._by_pid.values())

    def renumber(self, former: int, version: int) -> None:
        """The content of the former version goes out under a new number: who runs it runs that."""
        for member in self:
            if member.runs >= former:
                member.runs = version

    def all_answered(self, version: int) -> bool:
        """Whether everyone who is waited for has applied or declined this version."""
        return all(member.answered(version) or member.pid in self.excused for member in self._by_pid.values())

    # ---- coming and going

    def greet(self, pid: int, pipe: int, version: int, digest: bytes) -> Member:
        """Take a process in, or take it up again on its newest pipe: nothing was sent or said on it yet."""
        member = self._by_pid.setdefault(pid, Member(pid))
        self._move(member, pipe)
        member.held = (version, digest)
        return member

    def lose_pipe(self, member: Member) -> None:
        """Its pipe ended, and what was staged behind it died with it. The process stays on the roster."""
        self._move(member, None)

    def remove(self, member: Member) -> None:
        """It is dead, or has said Goodbye."""
        self._move(member, None)
        self.excused.pop(member.pid, None)
        del self._by_pid[member.pid]

    def _move(self, member: Member, pipe: int | None) -> None:
        if member.pipe is not None:
            del self._by_pipe[member.pipe]
        if pipe is not None:
            self._by_pipe[pipe] = member
        member._begin(pipe)

    # ---- who is silent

    def any_timed_out(self) -> bool:
        """Whether a deadline named somebody who has not answered since."""
        return any(member.timed_out for member in self)

    def excuse_timed_out(self, version: int, why: Callable[[Member], str]) -> None:
        """A new proposal begins: those who are late are named at once. Before the first version nobody can be."""
        for member in self:
            member.timed_out = member.timed_out and version > 0
        self.excused = {member.pid: why(member) for member in self if member.timed_out}

    def ask_timed_out_again(self, version: int, digest: bytes) -> None:
        """A proposal came to nothing: who was late with its vote has nothing left to answer, and would stay late.

        So what is committed is installed there once more; the answer says that it is awake.
        """
        for member in self if version else ():
            if member.timed_out and member.acked >= version:
                member.held = (version, digest)
                member.sent = member.acked = 0
            elif member.timed_out and member.declined is not None:
                member.sent = 0

    def mark_timed_out(self, overdue: Iterable[Member], why: Callable[[Member], str]) -> None:
        """A deadline has come: name these, and don't wait for them again until they have answered."""
        for member in list(overdue):
            self.excused[member.pid] = why(member)
            member.timed_out, member.choked = True, member.busy

    def answered_at_last(self, member: Member) -> None:
        """It has answered what is committed. Who was named for its silence only is waited for again."""
        if member.timed_out:
            member.timed_out = False
            self.excused.pop(member.pid, None)

    def is_news(self, pid: int, version: int) -> bool:
        """Whether this process has not declined this version before: on whatever pipe, and however often it says so."""
        if self._declined_version != version:
            self._declined_version, self._decliners = version, set()
        known = pid in self._decliners
        self._decliners.add(pid)
        return not known

    # ---- what is said of them

    def status(self, member: Member, committed: int) -> WorkerStatus:
        """What the owner knows of this member, given the committed version."""
        state, reason = self._state(member, committed)
        failures, error = member.observer_failures, member.last_observer_error
        return WorkerStatus(member.pid, max(member.acked, member.held[0]), state, reason, failures, error)

    def _state(self, member: Member, committed: int) -> tuple[_State, str]:
        reason = self.excused.get(member.pid, "")
        said = "; ".join(map(str, member.refuses() or ()))[:_LONGEST_REASON]
        if member.timed_out and member.declined is None:
            why = reason or "did not answer in time"
            return "late", f"{why}; before, it declined: {said}" if said else why
        if member.refuses() is not None:
            return "declined", said
        if member.pipe is None:
            return "disconnected", reason or NO_PIPE
        return "current" if member.acked >= committed else "behind", reason

    def statuses(self, committed: int) -> list[WorkerStatus]:
        """Everyone, by pid."""
        return [self.status(member, committed) for member in sorted(self, key=lambda member: member.pid)]

    def lagging(self, committed: int) -> list[WorkerStatus]:
        """Those that an outcome must name, by pid."""
        excused = [member for member in self if member.pid in self.excused or member.declined is not None]
        return [self.status(member, committed) for member in sorted(excused, key=lambda member: member.pid)]
