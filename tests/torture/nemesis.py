"""The nemesis: carries a plan out, and mends everything at its end.

One thread goes through the steps, and does to files and processes what they say. Each call of a verb has a thread of
its own, since a caller may have to wait as long as a load may take; that thread also asks what the call needs to know
(the version that runs, the number of an older one), so that the plan goes on meanwhile. `calm` waits for all callers:
who has no answer long after its deadline is recorded as having none.

Before an owner is killed, what it says of its loads is read once more, if it answers at once.

A worker attaches before it imports the application, where its server can have it so. A change that comes in between is
the earliest that it meets, and has its own acts: at the site's start, and where a worker that was killed is replaced.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from confcast import Client, ConfcastError, OwnerUnavailable, Status
from tests.torture import delays, doors
from tests.torture.acts_on_files import ActsOnFiles
from tests.torture.acts_on_fleet import ActsOnFleet
from tests.torture.acts_on_processes import ActsOnProcesses
from tests.torture.acts_on_storage import ActsOnStorage
from tests.torture.history import Act, Call, Calm, Recorder, Written, now
from tests.torture.plan import AT_THE_START, EARLY, Scalar, Step
from tests.torture.site import Site

_SOON = 0.5
"""Seconds that an owner has to tell its history before it is killed."""
_LATER = 15.0
"""Seconds after its deadline in which a caller may still come back."""
_REST = 90.0
"""Seconds in which everything comes to rest once it is mended: as long as owners that died early are waited for."""
_REPLACED = 8.0
"""Seconds in which a worker that was killed has a successor, or a change is made without one."""
_AT_ONCE = 0.005
"""Seconds between two looks for what has just attached: an import takes longer."""
_LOOK = 0.1
_AGAIN = 2.0
"""Seconds between two looks at a system that comes to rest, and between two attempts to end what a person ends."""


class Nemesis:
    """Tortures one site. For one thread.

    Args:
        site: The victim. It has begun with the content of number 1.
        recorder: Where the acts are recorded.
        tell: Records what the owner says of its loads; called before each of an owner's deaths.
    """

    def __init__(self, site: Site, recorder: Recorder, tell: Callable[[], None] = lambda: None) -> None:
        self._site, self._recorder, self._tell = site, recorder, tell
        self._numbers = itertools.count(1)
        self._files = ActsOnFiles(site.config, recorder)
        self._processes = ActsOnProcesses(site, recorder, self._numbers.__next__)
        self._storage = ActsOnStorage(site.runtime, site.state, self._processes, recorder)
        self._fleet = ActsOnFleet(site.fleet, recorder)
        self._callers = list[_Caller]()
        self._telling: threading.Thread | None = None
        self._threads = list[threading.Thread]()
        self._serial = 1

    @contextlib.contextmanager
    def greeting(self) -> Iterator[None]:
        """Around the site's start: a content is written and reloaded as soon as all workers have attached."""
        over = threading.Event()
        thread = self._begin(lambda: self._greet(over))
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _greet(self, over: threading.Event) -> None:
        while not over.wait(_AT_ONCE):
            if len(_attached(self._site)) >= self._site.options.workers:
                self._files.write(serial=AT_THE_START, veto="", harm="", padding=0, how="replace")
                self._call_and_wait("reload", reason=EARLY)
                return

    def run(self, steps: Sequence[Step]) -> None:
        """Do all of it, each when it is due, or at once if that is over."""
        began = now()
        self._serial = max([self._serial, *(int(step.arguments.get("serial") or 0) for step in steps)])
        for step in steps:
            _pause(began + step.at - now())
            self._do(step)

    def _do(self, step: Step) -> None:
        if step.act == "call":
            self._callers.append(_Caller(self._site, self._recorder, next(self._numbers), step.arguments))
            return
        if step.act in ("start_again", "take_over"):  # it takes as long as a program takes to begin
            begin = getattr(self._processes, step.act)
            self._begin(lambda: begin(step.role, step.rank))
            return
        if step.role == "owner" and step.act in ("kill", "tear_journal"):
            self._let_it_tell()
        for acts in (self._files, self._processes, self._storage, self._fleet):
            if (act := getattr(acts, step.act, None)) is not None:
                whom: dict[str, Any] = {"role": step.role, "rank": step.rank} if step.role else {}
                act(**whom, **step.arguments)
                return
        raise LookupError(f"there is no act {step.act!r}")

    def _let_it_tell(self) -> None:
        if self._processes.is_stopped(self._processes.find("owner")):
            return
        if self._telling is None or not self._telling.is_alive():
            self._telling = self._begin(self._tell)
        self._telling.join(_SOON)

    def _begin(self, function: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=function, daemon=True)
        thread.start()
        self._threads.append(thread)
        return thread

    # ---- afterwards

    def calm(self, within: float = _REST) -> bool:
        """Mend all, and wait until everything rests: whether it does. Recorded as `Calm`, or as an act without success.

        Everything rests when each worker runs the version that the last content has made, which nothing can undo, and
        nothing is held, set, or under way.
        """
        for thread in self._threads:
            thread.join()
        self._processes.mend()
        self._files.mend()
        self._storage.mend()
        terrain = self._site.terrain()
        for role in (*terrain.roles, *(("master",) if terrain.master_survives else ())):
            if role not in ("owner", "worker"):  # theirs come by themselves
                self._processes.start_again(role, 0)
        self._fleet.mend()
        began = now()
        self._write_the_last()
        rests = _Rest(self._site, self._call_and_wait).come(within)
        for caller in self._callers:
            caller.end()
        self._callers.clear()
        if rests:
            self._recorder.write(Calm(at=now(), by=os.getpid(), began=began))
        else:
            self._recorder.write(Act(at=now(), by=os.getpid(), began=began, name="never_at_rest", ok=False))
        return rests

    def _call_and_wait(self, verb: str, **given: Scalar) -> None:
        """As a person who mends things, by the library."""
        arguments = {"door": "client", "verb": verb, "reason": "calm", **given}
        _Caller(self._site, self._recorder, next(self._numbers), arguments).end()

    def _write_the_last(self) -> None:
        self._serial += 1
        self._files.write(serial=self._serial, veto="", harm="", padding=0, how="replace")


class _Rest:
    """Brings a mended site to rest, by what a person would do: ends what was set, and a hold; waits for the others.

    Args:
        site: What is to rest.
        call: Calls a verb, and records that; returns when it is answered.
    """

    def __init__(self, site: Site, call: Callable[..., None]) -> None:
        self._site, self._call, self._asked = site, call, 0.0

    def come(self, within: float) -> bool:
        """Whether it rests."""
        end = now() + within
        while not self._rests():
            if now() > end:
                return False
            _pause(_LOOK)
        return True

    def _rests(self) -> bool:
        try:
            status = self._site.client.status()
            self._help(status)
            waits = {each.key for each in status.pending}  # for another server: this one may have begun on other values
            differs = any(each.key not in waits for each in self._site.client.diff())
            return _is_at_rest(status) and self._is_whole(status) and not differs
        except ConfcastError:
            return False

    def _is_whole(self, status: Status) -> bool:
        """Whether all workers are there, and attached."""
        found = self._site.processes()
        attached = {each.pid for each in status.workers if each.version}
        return len(found["worker"]) >= self._site.options.workers and {*found["worker"]} <= attached

    def _help(self, status: Status) -> None:
        if now() < self._asked + _AGAIN or status.phase != "idle" or status.provisional:
            return
        self._asked = now()
        if status.overrides:
            self._call("unset", keys=" ".join(each.key for each in status.overrides))
        elif status.held is not None or status.disk != "in step":
            self._call("resume")


def _is_at_rest(status: Status) -> bool:
    nothing_waits = not (status.provisional or status.held or status.overrides)
    alike = all(each.state == "current" and each.version == status.version for each in status.workers)
    return status.phase == "idle" and nothing_waits and status.disk == "in step" and alike


class _Caller:
    """Calls one verb, in a thread of its own, and records the answer; once, whatever comes."""

    def __init__(self, site: Site, recorder: Recorder, number: int, given: Mapping[str, Scalar]) -> None:
        self._site, self._recorder, self._number = site, recorder, number
        self._given = {name: value for name, value in given.items() if name not in ("door", "verb", "once_replaced")}
        there = site.processes() if given.get("once_replaced") else {}
        self._replaced = {pid for role in ("worker", "booting") for pid in there.get(role, ())}
        self._door, self._verb = str(given["door"]), str(given["verb"])
        self._began = now()
        self._deadline = doors.deadline(self._door, self._verb, self._given, site.options.answers_within)
        self._lock, self._is_told = threading.Lock(), False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Wait for it, as long as it may take."""
        self._thread.join(max(0.0, self._began + self._deadline + _LATER - now()))
        self._record(doors.Answer(answered=False, error="the call has not returned"))

    def _run(self) -> None:
        end = now() + _REPLACED
        while self._replaced and not _attached(self._site) - self._replaced and now() < end:
            _pause(_AT_ONCE)
        given = resolved(self._site.client, self._given)
        self._began, self._given = now(), given
        if self._verb == "set" and "serial" in given:
            self._record_content()
        admin = self._site.admin
        door = None if admin is None else (admin.port, self._site.admin_token())
        where = doors.Where(self._site.client, self._site.found_by, door)
        waited = delays.of_this_thread()
        answer = doors.call(where, self._door, self._verb, given, self._deadline)
        waited = delays.of_this_thread() - waited + answer.waited
        self._record(msgspec.structs.replace(answer, waited=waited))

    def _record_content(self) -> None:
        given, at = self._given, now()
        what = {"serial": given["serial"], "veto": given["veto"], "harm": given["harm"], "how": "set"}
        self._recorder.write(Written(at=at, by=os.getpid(), began=at, **what))  # type: ignore[arg-type]

    def _record(self, answer: doors.Answer) -> None:
        with self._lock:
            if self._is_told:
                return
            self._is_told = True
        call = Call(
            at=now(),
            by=os.getpid(),
            began=self._began,
            id=self._number,
            door=self._door,
            verb=self._verb,
            arguments=self._given,
            deadline=self._deadline,
            answered=answer.answered,
            result=answer.result,
            version=answer.version,
            previous=answer.previous,
            loaded=answer.loaded,
            applied=answer.applied,
            lagging=answer.lagging,
            error=answer.error,
            waited=answer.waited,
        )
        self._recorder.write(call)


def resolved(client: Client, given: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """Arguments with this run's numbers in the place of what the plan says of them."""
    found = dict(given)
    try:
        for name in ("expect", "version"):
            if found.get(name) in ("seen", "before"):
                stats = client.get_stats()
                newest = max(1, int((stats.get("trial") or stats)["version"]))  # 0 while an owner has lost all
                found[name] = newest if found[name] == "seen" else max(1, newest - 1)
        for name in ("back", "a", "b"):
            if isinstance(found.get(name), int):
                versions = client.versions()
                number = versions[min(int(found.pop(name) or 0), len(versions) - 1)].version
                found["version" if name == "back" else name] = number
    except OwnerUnavailable:  # then it is a call that asks for less
        unknown = {name for name in ("expect", "version") if found.get(name) in ("seen", "before")} | {"back"}
        found = {name: value for name, value in found.items() if name not in unknown}
        found |= {name: "running" for name in ("a", "b") if isinstance(found.get(name), int)}
    return found


def _attached(site: Site) -> set[int]:
    """The workers that have a version, by what the owner says; nobody, while there is none that answers."""
    try:
        return {each.pid for each in site.client.status().workers if each.version}
    except (AssertionError, ConfcastError):  # there is no process of the server yet
        return set()


def _pause(seconds: float) -> None:
    if seconds > 0:
        threading.Event().wait(seconds)
