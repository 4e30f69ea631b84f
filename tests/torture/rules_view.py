"""A recorded history, arranged for the rules: who lived, slept or was down when, what ran under which number.

Nothing here judges. What a rule has to excuse (a stopped worker, an owner that is dead, a full disk) comes from the
acts and the processes that were recorded, and never from what confcast says of itself.

Times are those of the records, `time.monotonic()`. A span that something is excused in is a little longer than what it
excuses: whoever wakes has to be scheduled first.
"""

from __future__ import annotations

import functools
import itertools
import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from tests.torture.history import (
    Act,
    Agreed,
    Applied,
    Call,
    Calm,
    Died,
    Left,
    Outcome,
    Process,
    Record,
    Request,
    Run,
    Seen,
    State,
    Veto,
    Written,
)

R = TypeVar("R", bound=Record)

GRACE = 1.0
"""Seconds that a process may need to be scheduled, on a machine that does much else."""
CHANGES = ("reload", "reload_config", "set", "unset", "rollback", "resume", "confirm")
"""The verbs whose outcome promises a barrier."""
COMMITTED = ("success", "unchanged", "partial")
"""The results that are true: what the outcome names is committed, and the barrier holds."""

LOSSES = ("tear_journal", "remove_files")
"""The acts after which less is promised of what lies in files."""

_KNOCKS = 2.0
"""Seconds within which a worker without an owner asks again for one, at the most: PROTOCOL 1."""


class Violation(msgspec.Struct, frozen=True):
    """A guarantee that did not hold.

    Attributes:
        rule: The rule's name, as in `checker.RULES`.
        what: What was seen, and what should have been.
        records: The few records that show it.
    """

    rule: str
    what: str
    records: list[Record] = []


class Span(NamedTuple):
    """From a time to a time, which may be infinite."""

    began: float
    ended: float


class Content(NamedTuple):
    """What a version is made of, as far as a look shows it."""

    serial: int
    tuned: int
    published: int


class Barrier(NamedTuple):
    """What a true outcome promises: from `at` on, every worker that is not excused shows `version` or a newer one."""

    at: float
    version: int
    call: Call

    def binds(self, worker: int) -> bool:
        """Whether this worker was not named. If nobody was named by a partial outcome, those that had it are bound."""
        if self.call.result == "success" or self.call.lagging:
            return worker not in self.call.lagging
        return worker in self.call.applied


class Trial(NamedTuple):
    """A trial, by what has begun it.

    Attributes:
        shown: The record of it.
        began: Before it was on trial.
        at: When it was, at the latest.
        by: `worker` or `entity`.
        seconds: For how long it goes on, before it is decided, or goes on once more.
        most: How many workers may run it, by worker.
    """

    shown: Call | Outcome
    began: float
    at: float
    by: str
    seconds: float
    most: int


class View:
    """A history, read once.

    Args:
        records: All of it, in any order.

    Attributes:
        run: The record of the run; None if there is none.
        looks: The requests that have looked at least once, by their beginning.
        written: What was put into the file, by its beginning; without what was set above it.
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self._by_type: dict[type, list[Record]] = defaultdict(list)
        for record in sorted(records, key=lambda each: each.at):
            self._by_type[type(record)].append(record)
        self.run = next(iter(self._all(Run)), None)
        self.requests, self.calls, self.states = self._all(Request), self._all(Call), self._all(State)
        self.outcomes, self.acts, self.processes = self._all(Outcome), self._all(Act), self._all(Process)
        self.agreed, self.vetoes, self.applied = self._all(Agreed), self._all(Veto), self._all(Applied)
        self.died = self._all(Died)
        self.calms, self.left = self._all(Calm), self._all(Left)
        self._whole = sorted(self._all(Written), key=lambda each: each.began)
        self.written = [each for each in self._whole if each.how != "set"]
        self.looks = sorted((each for each in self.requests if each.seen), key=lambda each: each.began)

    def looks_from(self, began: float) -> list[Request]:
        """Those of the requests that began then, or later."""
        return self.looks[bisect_left(self._look_times, began) :]

    @functools.cached_property
    def _look_times(self) -> list[float]:
        return [each.began for each in self.looks]

    @property
    def followed(self) -> Iterator[tuple[Written, Written | None]]:
        """Each content of the file, with the one after it."""
        return itertools.zip_longest(self.written, self.written[1:])

    def _all(self, kind: type[R]) -> list[R]:
        return self._by_type[kind]  # type: ignore[return-value]

    # ---- what the run was started with

    def option(self, name: str, default: float) -> float:
        """A number among the run's options."""
        value = self.run.options.get(name) if self.run is not None else None
        return float(value) if isinstance(value, int | float) else default

    @functools.cached_property
    def one_load(self) -> float:
        """Seconds that one load may take, votes and barrier included: DESIGN 4a, `timeout=None`."""
        votes = max(self.option("vote_timeout", 2.0), self.option("precommit_timeout", 30.0))
        return self.option("load_timeout", 10.0) + 2 * votes + 1.0

    # ---- what ran under which number, and where contents come from

    @functools.cached_property
    def contents(self) -> dict[int, Content]:
        """By version, what was seen of it first."""
        found: dict[int, Content] = {}
        for request in sorted(self.looks, key=lambda each: each.at):
            for look in request.seen:
                found.setdefault(look.version, content_of(look))
        return found

    def serial_of(self, version: int) -> int:
        """0 if neither a request nor an observer has seen it."""
        if version in self.contents:
            return self.contents[version].serial
        sight = self.first_sight.get(version)
        return sight.serial if isinstance(sight, Applied) else 0

    @functools.cached_property
    def first_sight(self) -> dict[int, Applied | Request]:
        """By version, what saw it first: a request, or an observer; for some contents kill whoever serves them."""
        found: dict[int, Applied | Request] = dict(self.first_seen)
        for each in self.applied:
            if each.version and (each.version not in found or each.at < found[each.version].at):
                found[each.version] = each
        return found

    @functools.cached_property
    def first_seen(self) -> dict[int, Request]:
        """By version, the request that was answered first with it."""
        found: dict[int, Request] = {}
        for request in sorted(self.looks, key=lambda each: each.at):
            found.setdefault(request.seen[0].version, request)
        return found

    @functools.cached_property
    def valid(self) -> dict[int, Written]:
        """By serial, where a valid content was first put into the file, or set above it."""
        found: dict[int, Written] = {}
        for each in self._whole:
            if each.kind == "valid" and each.serial:
                found.setdefault(each.serial, each)
        return found

    def harm_of(self, serial: int) -> str:
        """What this content does where it runs."""
        return self.valid[serial].harm if serial in self.valid else ""

    def file_between(self, began: float, ended: float) -> set[int]:
        """The serials that the file may have had at some time of this span. 0: none, or nobody knows."""
        latest = [each for each in self.written if each.at <= began and each.ok][-1:]
        meanwhile = [each for each in self.written if each.at > began and each.began < ended]
        return {each.serial if each.kind == "valid" else 0 for each in (*latest, *meanwhile)}

    def is_overlaid(self, began: float, ended: float) -> bool:
        """Whether what people have set may have stood above the file at some time of this span.

        An undo, and a way back, bring back what was set when their version was made.
        """
        since = self._told_before(began)
        backs = (each for each in self.outcomes if each.result == "undone" or each.origin == "rollback")
        brought = any(since - GRACE < each.began < ended for each in backs)
        return brought or any(self.calls_between(since, ended, "rollback")) or self._is_set(began, ended)

    def _is_set(self, began: float, ended: float) -> bool:
        """Whether a status tells of something that people have set, or a call has set it, in this span."""
        since = self._told_before(began)
        calls = any(self.calls_between(since, ended, "set", "unset"))
        return calls or any(each.overrides for each in self.states_between(since, ended))

    def _told_before(self, time: float) -> float:
        """When the last status before began."""
        return next((each.began for each in reversed(self.states) if each.at <= time), 0.0)

    def had_overrides(self, version: int) -> bool:
        """Whether a version that was seen may have been made with what people had set."""
        seen = self.first_seen[version].at
        began = min((each.began for each in self.outcomes if each.version == version), default=seen - self.one_load)
        return self._is_set(min(began, seen), seen)

    def states_between(self, began: float, ended: float) -> Iterator[State]:
        """Those that were answered in this span."""
        first, last = bisect_left(self._state_times, began), bisect_right(self._state_times, ended)
        return iter(self.states[first:last])

    @functools.cached_property
    def _state_times(self) -> list[float]:
        return [each.at for each in self.states]

    # ---- calls

    @functools.cached_property
    def barriers(self) -> list[Barrier]:
        """By the time of the answer."""
        promising = (each for each in self.calls if each.verb in CHANGES and each.result in COMMITTED and each.version)
        return [Barrier(each.at, each.version, each) for each in promising]

    def calls_between(self, began: float, ended: float, *verbs: str) -> Iterator[Call]:
        """Those of these verbs that were under way at some time of this span, and may have had an effect."""
        return (each for each in self.calls if each.verb in verbs and each.began <= ended and each.at >= began)

    @functools.cached_property
    def trials(self) -> dict[int, Trial]:
        """By number, the trial that a call has begun, or that something else has, where every change is tried first.

        Of one that was there before a call, nobody knows by whom it was begun.
        """
        found = {number: self._trial_by_itself(told) for number, told in self._begun_by_others.items() if self._canary}
        for each in sorted(self.calls, key=lambda each: each.loaded or each.at):  # who comes later finds it
            begins = each.result == "on_trial" and each.version and not self._known_before(each.version, each.began)
            asks = bool(self._canary) or any(name.startswith("canary") for name in each.arguments)  # else it found one
            if begins and asks and each.version not in self._begun_by_others:
                found.setdefault(each.version, self._trial_by(each))
        return found

    @property
    def _canary(self) -> str:
        """By what every change is tried first; empty if it is not."""
        return str(self.run.options.get("canary") or "") if self.run is not None else ""

    @functools.cached_property
    def _begun_by_others(self) -> dict[int, Outcome]:
        """By number, what is told first of a trial, where that is not a call: a later trigger finds it on trial."""
        first: dict[int, Outcome] = {}
        for each in sorted(self.outcomes, key=lambda each: each.began):
            if each.result == "on_trial":
                first.setdefault(each.version, each)
        return {number: each for number, each in first.items() if each.origin not in ("call", "command")}

    def _known_before(self, version: int, time: float) -> bool:
        seen = version in self.first_seen and self.first_seen[version].at < time
        return seen or any(version in (each.trial, each.version) for each in self.states if each.at < time)

    def _trial_by_itself(self, told: Outcome) -> Trial:
        """What an edit begins, as the manager's options say. By when it was on trial, its load tells."""
        at = min(told.at, told.began + self.one_load)
        return Trial(told, told.began, at, self._canary, self.option("trial", 60.0), 1)

    def _trial_by(self, call: Call) -> Trial:
        """What a call begins, as it says, or else the manager's options."""
        given, size = call.arguments.get("canary_seconds"), call.arguments.get("canary_size", 1)
        seconds = float(given) if isinstance(given, int | float) else self.option("trial", 60.0)
        by = str(call.arguments.get("canary_by") or self._canary or "worker")
        return Trial(call, call.began, call.at, by, seconds, self._most_canaries(size))

    def _most_canaries(self, size: object) -> int:
        """How many workers may run what is on trial by worker: never all of them."""
        workers = int(self.option("workers", 4))
        share = float(size[:-1]) / 100 if isinstance(size, str) and size.endswith("%") else 0.0
        wanted = math.ceil(workers * share) if share else int(size) if isinstance(size, int) else 1
        return max(1, min(wanted, workers - 1))

    # ---- who lived, slept, or was down

    @functools.cached_property
    def lives(self) -> dict[int, Span]:
        """By a worker's pid, from its first sign of life to its last: in between it was there for sure."""
        signs: dict[int, list[float]] = defaultdict(list)
        for request in self.looks:
            signs[request.worker].append(request.at)
        for each in (*self.agreed, *self.vetoes, *self.applied):
            signs[each.by].append(each.at)
        for process in self.processes:
            if process.role == "worker" and process.what == "ready":
                signs[process.pid].append(process.at)
        return {pid: Span(min(times), max(times)) for pid, times in signs.items()}

    def is_off_the_roster(self, worker: int, time: float) -> bool:
        """Whether the roster was lost with its journal, and this worker has not been asked for anything since."""
        losses = (each for each in self.acts if each.name in LOSSES and each.at < time)
        lost = max(
            (each.at for each in losses if each.arguments.get("which") not in ("snapshot", "folder")), default=0.0
        )
        asked = (*self.agreed, *self.vetoes, *self.applied)
        return lost > 0.0 and not any(each.by == worker and lost < each.at < time for each in asked)

    def is_yet_to_knock(self, worker: int, time: float) -> bool:
        """Whether no owner may have heard of this worker: it began while none could be, and what it left was removed.

        It leaves a note in the run-time folder, which the next owner reads; without the folder it is heard of once it
        asks again, each two seconds. Where an owner only stood still, it waits at its socket.
        """
        born = self.lives[worker].began
        spans = (each for each in self._unreachable if each.began <= born <= each.ended and each.began <= time)
        heard = any(each.by == worker and each.at < time for each in (*self.agreed, *self.vetoes))
        listed = any(str(worker) in each.workers for each in self.states if each.at < time)
        return not heard and not listed and any(time < each.ended + _KNOCKS and self._swept(each) for each in spans)

    def _swept(self, span: Span) -> bool:
        """Whether the run-time folder was removed in this span."""
        removed = (each for each in self._done(LOSSES) if each.arguments.get("which") == "folder")
        return any(_overlap(span, each.began, each.at) for each in removed)

    @functools.cached_property
    def _unreachable(self) -> list[Span]:
        """When there was no owner, or none had a socket."""
        deaths = [*self.killed("owner"), *self.killed("master")]
        ends = [(each.began, each.pid) for each in deaths]
        ends += [(each.at - GRACE, each.pid) for each in self.processes if _is_end(each)]
        ends += [(each.began, 0) for each in self._done(LOSSES) if each.arguments.get("which") == "folder"]
        return merged(Span(end, self._served_again(end, pid)) for end, pid in ends)

    def was_unmanned(self, began: float, ended: float) -> bool:
        """Whether at some time of this span no worker was there for sure."""
        spans = sorted(each for each in self.lives.values() if each.began <= ended and each.ended >= began)
        reached = began
        for span in spans:
            if span.began > reached:
                return True
            reached = max(reached, span.ended)
        return reached < ended

    def was_deserted(self, began: float, ended: float) -> bool:
        """Whether in all of this span no worker lived that had begun, nor an owner to which a new one attaches."""
        workers = [each for each in self.processes if each.role == "worker"]
        left = {each.pid: each.at for each in workers if each.what == "ended"}
        there = [each for each in workers if each.what == "began" and each.at <= ended]
        lived = not there or any(left.get(each.pid, math.inf) > began for each in there)
        return not lived and any(each.began <= began and ended <= each.ended for each in self._unreachable)

    @functools.cached_property
    def sleeps(self) -> dict[int, list[Span]]:
        """By pid, when the process was stopped, or had just been continued."""
        found: dict[int, list[Span]] = defaultdict(list)
        for act in self._done(("stop",)):
            wakes = (each for each in self._done(("continue",)) if each.pid == act.pid and each.at >= act.at)
            found[act.pid].append(Span(act.began, next((each.at for each in wakes), math.inf) + GRACE))
        return found

    def slept(self, pid: int, began: float, ended: float) -> bool:
        """Whether this process was stopped at some time of this span."""
        return any(_overlap(each, began, ended) for each in self.sleeps.get(pid, ()))

    def _done(self, names: Sequence[str]) -> list[Act]:
        return [each for each in self.acts if each.name in names and each.ok]

    @functools.cached_property
    def owners(self) -> dict[int, Span]:
        """By an owner's pid, from its first answer to its end."""
        began: dict[int, float] = {}
        for state in self.states:
            began.setdefault(state.owner, state.at)
        ended = {each.pid: each.at for each in self.processes if each.role == "owner" and each.what == "ended"}
        for act in self.killed("owner"):
            ended[act.pid] = min(act.began, ended.get(act.pid, math.inf))
        return {pid: Span(at, ended.get(pid, math.inf)) for pid, at in began.items() if pid}

    @functools.cached_property
    def downs(self) -> list[Span]:
        """When no owner could answer: dead, stopped, without its socket, or its master could start no other one."""
        losses = (each.began for each in self.acts if each.name in LOSSES)
        found = [*self._unreachable, *(Span(each, self._served_again(each, 0)) for each in losses)]
        for act in self._done(("stop",)):
            if act.role in ("owner", "master"):
                found += self.sleeps[act.pid]
        return merged(found)

    def _served_again(self, end: float, pid: int) -> float:
        answers = (each.at for each in self.states if each.began > end and each.owner not in (0, pid))
        return next(answers, math.inf) + GRACE

    @functools.cached_property
    def full_disks(self) -> list[Span]:
        """When the journal could not be written; until it is sure to have been tried again."""
        ends = [each.at for each in self._done(("free_disk",))]
        acts = self._done(("fill_disk",))
        return merged(
            Span(each.began, next((end for end in ends if end >= each.at), math.inf) + 2 * GRACE) for each in acts
        )

    def down(self, began: float, ended: float) -> float:
        """For how many seconds of this span no owner could answer, or write."""
        return sum(
            max(0.0, min(ended, each.ended) - max(began, each.began)) for each in (*self.downs, *self.full_disks)
        )

    def lost(self, began: float, ended: float) -> bool:
        """Whether files that hold what was committed were torn or removed in this span."""
        losses = (each for each in self.acts if each.name in LOSSES)
        return any(began <= each.at and each.began <= ended for each in losses)

    def may_forget(self, began: float, ended: float) -> bool:
        """Whether journal and snapshot file may both be gone, or older: either of them has what was committed.

        The file belongs to a server: what takes the place of a dead one has its journal alone.

        `began`: when it was committed, or shortly afterwards: a snapshot file that could not be written then is older.
        """
        losses = [each for each in self.acts if each.name in LOSSES and began <= each.at and each.began <= ended]
        kinds = {str(each.arguments.get("which") or each.name) for each in losses}
        full = any(_overlap(each, began - 3 * GRACE, began) for each in self.full_disks)
        journal = [each for each in losses if each.arguments.get("which") not in ("snapshot", "folder")]
        anew = any(loss.began <= each.at and each.began <= ended for loss in journal for each in self.begun_anew)
        return len(kinds) > 1 or (full and bool(losses)) or anew

    @functools.cached_property
    def begun_anew(self) -> list[Act]:
        """Where a server was started in another's place."""
        return [each for each in self.acts if each.role == "master" and each.name in ("start_again", "take_over")]

    def killed(self, role: str) -> list[Act]:
        """Where such a process was killed, and not only asked to end. Who tears a journal kills its owner first."""
        kills = [each for each in self._done(("kill",)) if each.arguments.get("signal", "KILL") == "KILL"]
        return [each for each in (*kills, *self._done(("tear_journal",))) if each.role == role]

    def disturbed(self, began: float, ended: float) -> bool:
        """Whether anything was done to a process or a disk in this span, or a process began or ended."""
        gentle = ("touch", "hup")
        acts = any(each.began <= ended and each.at >= began and each.name not in gentle for each in self.acts)
        return acts or any(
            began <= each.at <= ended and each.role in ("worker", "owner", "master") for each in self.processes
        )


def content_of(look: Seen) -> Content:
    return Content(look.serial, look.tuned, look.published)


def _is_end(process: Process) -> bool:
    return process.what == "ended" and process.role in ("owner", "master")


def _overlap(span: Span, began: float, ended: float) -> bool:
    return span.began <= ended and span.ended >= began


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same time, in spans that have none in common."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.began <= found[-1].ended:
            found[-1] = Span(found[-1].began, max(found[-1].ended, span.ended))
        else:
            found.append(span)
    return found


Rule = Callable[[View], Iterator[tuple[str, list[Record]]]]
"""A rule gives what was seen, in words, and the records that show it."""
