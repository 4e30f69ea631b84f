"""Histories made by hand, for the tests of the checker: words for single records, and a model that makes good runs.

The model is a site without disturbances but for an owner's death: one committed version at a time, requests in every
worker, edits that are loaded at once, votes, calls. It knows nothing of the checker, nor of confcast.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from tests.torture.history import (
    Act,
    Agreed,
    Applied,
    Call,
    Calm,
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

WORKERS = A, B, C = 11, 12, 13
OWNER, NEXT_OWNER = 5, 6
OPTIONS: dict[str, Any] = {
    "workers": 3,
    "load_timeout": 2.0,
    "vote_timeout": 1.0,
    "precommit_timeout": 1.0,
    "probation": 2.0,
}
ONE_LOAD = 5.0
"""Seconds that one load may take, with these options."""


def run(**more: Any) -> Run:
    return Run(at=0.0, seed=1, seconds=60, server="none", python="CPython 3", wall=0.0, options={**OPTIONS, **more})


def edit(at: float, serial: int, **what: Any) -> Written:
    return Written(**{"began": at, "at": at + 0.01, "serial": serial, **what})


def look(version: int, serial: int, **what: Any) -> Seen:
    return Seen(**{"version": version, "serial": serial, "left": serial, "right": serial, **what})


def request(began: float, version: int, serial: int, worker: int = WORKERS[0], **what: Any) -> Request:
    looks = [look(version, serial), look(version, serial)]
    given = {"began": began, "at": began + 0.02, "client": 1, "worker": worker, "status": 200, "seen": looks}
    return Request(**{**given, **what})


def failed(began: float, **what: Any) -> Request:
    return Request(**{"began": began, "at": began + 0.02, "client": 1, "error": "ConnectionResetError", **what})


def call(began: float, verb: str = "reload", result: str = "success", version: int = 0, **what: Any) -> Call:
    given = {"id": int(began * 1000), "door": "client", "deadline": 10.0, "answered": True, "loaded": began + 0.01}
    return Call(
        **{"began": began, "at": began + 0.1, "verb": verb, "result": result, "version": version, **given, **what}
    )


def state(began: float, version: int, **what: Any) -> State:
    workers = {str(pid): version for pid in WORKERS}
    return State(**{"began": began, "at": began + 0.01, "version": version, "owner": OWNER, "workers": workers, **what})


def outcome(began: float, result: str, version: int, previous: int, **what: Any) -> Outcome:
    given = {"began": began, "at": began + 0.2, "origin": "watch", "result": result, "version": version}
    return Outcome(**{**given, "previous": previous, **what})


def votes(at: float, serial: int, no: tuple[int, ...] = (), among: tuple[int, ...] = WORKERS) -> list[Record]:
    return [Veto(at=at, by=pid, serial=serial) if pid in no else Agreed(at=at, by=pid, serial=serial) for pid in among]


def act(began: float, name: str, role: str = "owner", pid: int = OWNER, **what: Any) -> Act:
    return Act(**{"began": began, "at": began + 0.01, "name": name, "role": role, "pid": pid, **what})


def process(at: float, pid: int, role: str, what: str) -> Process:
    return Process(at=at, pid=pid, role=role, what=what)


def calm(at: float) -> Calm:
    return Calm(began=at - 1.0, at=at)


def living(until: float, version: int = 1, serial: int = 1, workers: tuple[int, ...] = WORKERS) -> list[Record]:
    """A beginning: content 1 is written, the workers are there, and show a version from 1.0 on, twice a second."""
    began: list[Record] = [edit(0.1, serial), *(process(0.5, pid, "worker", "ready") for pid in workers)]
    steps = range(int((until - 1.0) * 2))
    return [*began, *(request(1.0 + step / 2, version, serial, pid) for step in steps for pid in workers)]


BEGAN = [*living(3.0), *(process(0.6, pid, "worker", "began") for pid in WORKERS)]
MASTER_GONE = [*BEGAN, act(3.2, "kill", "master", 4)]
"""And with it its owner."""
ENDED = [process(3.5, pid, "worker", "ended") for pid in WORKERS]
"""No worker is left."""
SECOND = [edit(2.0, 2), *votes(2.1, 2)]
"""A second content, and all agree to it."""


def torn(worker: int = A, **what: Any) -> Request:
    return request(3.0, 2, 2, worker, seen=[look(2, 2, **what)])


def edit_on_trial(began: float, version: int, **what: Any) -> Record:
    """The same of a trial that an edit has begun, with the manager's options; by the owner's history."""
    return outcome(began, "on_trial", version, version - 1, **what)


def two_looks(first: tuple[int, int], second: tuple[int, int]) -> Request:
    return request(3.0, 0, 0, seen=[look(*first), look(*second)])


def on_trial(began: float, version: int, **what: Any) -> Record:
    """A trial that a caller has begun; for a second, unless it is said otherwise."""
    arguments = {"canary_by": "worker", "canary_seconds": 1.0, **what}
    return call(began, "reload", "on_trial", version, arguments=arguments)


BY_ENTITY = {"canary_by": "entity", "canary_seconds": 10.0}
WINDOW = {"confirm_within": 1.0}
REST = [calm(20.0), state(20.1, 2), *(request(20.2, 2, 2, pid) for pid in WORKERS)]
NEXT = state(6.0, 1, owner=NEXT_OWNER)

TRIES = run(canary="worker", trial=1.0)
"""A run in which every change is tried first, by one worker, for a second."""

SOUND = [*SECOND, outcome(2.1, "success", 2, 1), request(2.5, 2, 2)]
"""The second content is committed, and is good before another one comes."""

SICK = [
    edit(8.0, 3, harm="sick"),
    *votes(8.1, 3),
    outcome(8.1, "success", 3, 2),
    request(8.5, 3, 3),
    outcome(9.5, "undone", 4, 3, origin="undo"),
]
"""After that, a third one is sick, and undone by itself, as version 4."""
WELL = [edit(8.0, 3), *votes(8.1, 3), outcome(8.1, "success", 3, 2), request(8.5, 3, 3)]
"""Or a third one is not."""

FORGOTTEN = [
    *SECOND,
    on_trial(2.5, 2),
    request(3.0, 2, 2),
    act(3.5, "tear_journal"),
    edit(4.0, 3),
    state(4.1, 1, owner=NEXT_OWNER),
    *votes(4.1, 3),
    request(5.0, 2, 3, B),
]
"""The second content is on trial, the journal is torn, and the third one gets its number."""

EMPTY = request(2.5, 2, 2, seen=[look(2, 2, marks=0)])
"""The second content has emptied what is guarded."""

NOTED = [*SECOND, state(3.5, 1), act(4.0, "kill"), process(5.0, 99, "worker", "ready"), NEXT]
"""A worker, 99, has begun between two owners, and left a note for the next one, which answers from 6.0 on."""
ALONE = [*NOTED, act(5.5, "remove_files", arguments={"which": "folder"})]
"""The note was removed with its folder. The worker knocks by 9.0."""

SET_FOR_A_TIME = [
    *SECOND,
    request(2.3, 2, 2),
    call(2.5, "set", version=3, arguments={"serial": 9, "ttl": 0.3}),
    edit(2.5, 9, how="set"),
    *votes(2.5, 9),
]
"""A content, 9, is set above the file's for a time."""


def manned(until: float) -> list[Record]:
    """A beginning: content 1 is written and seen, and the worker that has shown it is there all the time."""
    steps = range(int(until * 2))
    return [
        edit(0.1, 1),
        request(0.5, 1, 1, 98),
        *(Applied(at=0.5 + step / 2, by=98, version=0, serial=1) for step in steps),
    ]


class Model:
    """A good run, drawn by a seed.

    Attributes:
        history: What was recorded.
    """

    def __init__(self, seed: int, steps: int = 12) -> None:
        self.dice, self.now, self.owner = random.Random(seed), 1.0, OWNER
        self.version, self.serial, self.file, self.newest = 1, 1, 1, 1
        self.history: list[Record] = [run(), edit(0.1, 1), *(process(0.5, pid, "worker", "ready") for pid in WORKERS)]
        acts = (self._edit, self._edit, self._vetoed, self._broken, self._reload, self._set, self._owner_dies)
        for _ in range(steps):
            self._serve()
            self.dice.choice(acts)()
            self._ask()
        self._serve()
        self._rest()

    def _tick(self, seconds: float = 0.01) -> float:
        self.now += seconds
        return self.now

    def _ask(self) -> None:
        said = state(self._tick(), self.version, owner=self.owner)
        self.history.append(said)
        self._tick()

    def _serve(self) -> None:
        for pid in WORKERS:
            self.history.append(request(self._tick(0.05), self.version, self.serial, pid))
            self._tick(0.05)

    def _number(self) -> int:
        self.newest += 1
        return self.newest

    def _edit(self) -> None:
        previous, self.serial = self.version, self._number()
        self.file = self.serial
        self.history.append(edit(self._tick(), self.serial))
        self._tick()
        self.history += votes(self._tick(), self.serial)
        self.version += 1
        self.history += [Applied(at=self._tick(), by=pid, version=self.version, serial=self.serial) for pid in WORKERS]
        self.history.append(outcome(self.now - 0.03, "success", self.version, previous))

    def _vetoed(self) -> None:
        serial, former = self._number(), self.file
        self.history.append(edit(self._tick(), serial, veto="some"))
        self._tick()
        self.history += votes(self._tick(), serial, no=WORKERS[:1])
        self.history.append(outcome(self.now, "rejected", self.version, self.version))
        self.history.append(edit(self._tick(), former))
        self._tick()

    def _broken(self) -> None:
        self.history.append(edit(self._tick(), self._number(), kind="syntax"))
        self._tick()
        self.history.append(outcome(self.now, "validation_failed", self.version, self.version))
        self.history.append(edit(self._tick(), self.file))
        self._tick()

    def _reload(self) -> None:
        result = call(self._tick(), "reload", "unchanged", self.version, applied=[*WORKERS])
        self.history.append(result)
        self._tick(0.2)

    def _set(self) -> None:
        self.version += 1
        self.history.append(call(self._tick(), "set", "success", self.version, applied=[*WORKERS]))
        self._tick(0.2)

    def _owner_dies(self) -> None:
        self.history.append(act(self._tick(), "kill", pid=self.owner))
        self.owner += 1
        self._tick(0.5)

    def _rest(self) -> None:
        self.history.append(calm(self._tick(2.0)))
        self._ask()
        self._serve()


def requests_of(history: list[Record]) -> Iterator[int]:
    """The indices of the requests."""
    return (index for index, record in enumerate(history) if isinstance(record, Request))
