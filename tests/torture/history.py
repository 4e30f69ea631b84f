"""The recorded history of a run: what the checker reads, and the one thing that rig, application and checker share.

A history is a folder with one file of JSON lines for each process that records. A line is one record. It is written by
one `write` on a descriptor opened for appending, so what a process recorded before it was killed is whole: at the most
the last line of a file is cut, and `read` leaves that one out.

Every time is `time.monotonic()`, in seconds: on Linux that clock is one for all processes of a host. `Run` gives the
wall clock's offset, for what an owner says in seconds since 1970.

Rejected: one file for all (a full disk, or a stopped writer, would be everybody's), and a queue to a recording process
(it would lose the last records of whoever is killed, which are those that matter).
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """What every record has.

    Attributes:
        at: When it was over, or when it was seen.
        by: The pid of the process that recorded it.
    """

    at: float
    by: int = 0


class Run(Record):
    """The run itself; recorded once, first.

    Attributes:
        seed, seconds, server, python: What it was started with.
        wall: `time.time()` minus `time.monotonic()`.
        options: The manager's, and what of the rig changes what may be seen (threads, trials by entity, …).
    """

    seed: int
    seconds: float
    server: str
    python: str
    wall: float
    options: dict[str, str | int | float | bool | None] = {}


class Written(Record):
    """A content that the nemesis has put into the file, or has tried to.

    Attributes:
        began: Just before the file could change.
        serial: Its number: no other content of the run has it. 0 where the file holds none (deleted, cut, garbage).
        kind: `valid`, or why it is none: `syntax`, `type`, `missing`, `empty`, `cut`, `deleted`, `unreadable`.
        veto: Which workers' precommit functions refuse it: ``""``, `all`, or `some` (those with an odd pid).
        harm: What it does where it runs: ``""``, `kills` (workers), `sick` (the health check says no), `fails` (500).
        how: `replace` (rename), `rewrite` (in place), `data` (a swap of a directory link), `delete`, …
        empty: Whether a guard is to refuse it, where what runs is not empty.
        ok: False if the file could not be written.
    """

    began: float
    serial: int
    kind: str = "valid"
    veto: str = ""
    harm: str = ""
    how: str = "replace"
    empty: bool = False
    ok: bool = True


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """One look of a request at the configuration.

    Attributes:
        version: The number of the pinned snapshot.
        serial: The content's number, as the pinned snapshot has it.
        left, right: Two keys far apart, which every valid content gives its serial.
        tuned: A key that no file has, for `set`; 0 where nothing is set.
        published: A key that a fleet's engine alone gives; 0 without one.
        derived: What was built of the content's number, by the worker; 0 where nothing is.
        listens: The value of the key that needs a restart.
        marks: How many entries the table has that is guarded against being emptied.
    """

    version: int
    serial: int
    left: int
    right: int
    tuned: int = 0
    published: int = 0
    derived: int = 0
    listens: int = 1
    marks: int = 1


class Request(Record):
    """One request, as the client saw it.

    Attributes:
        began: Just before the first byte was sent.
        client: The client's connection, a small number.
        worker: The pid that answered; 0 if nobody did.
        status: Of the answer; 0 if there was none.
        entity: Whom the request named; empty if nobody.
        seen: The looks, in their order: the first at its beginning, others after waits.
        error: What went wrong, if there was no answer.
    """

    began: float
    client: int
    worker: int = 0
    status: int = 0
    entity: str = ""
    seen: list[Seen] = []
    error: str = ""


class Call(Record):
    """One call of a verb: by the library, the command line, or the admin API.

    Attributes:
        began: Just before the call.
        id: Its number in the run.
        door: `client`, `cli`, `admin`, or `signal` (which has no answer).
        verb: As the library names it: `reload`, `set`, `rollback`, `confirm`, `status`, `check`, …
        arguments: What it was called with, as JSON.
        deadline: By when the caller was promised an answer, in seconds from `began`.
        answered: Whether there was an answer; an error that names its cause is one.
        result: The outcome's result, as its value says it; empty if the call gives none or failed.
        version, previous: The outcome's.
        loaded: When the load began, by the outcome, in this file's clock; 0 if it has none.
        applied: The pids that had the version when the answer was given.
        error: The exception's type and text, if it raised.
        lagging: The pids that the outcome names: they did not answer in time, or declined.
        waited: Seconds that the caller, its program included, was ready to run, and the machine ran others.
    """

    began: float
    id: int
    door: str
    verb: str
    arguments: dict[str, str | int | float | bool | None] = {}
    deadline: float = 0.0
    answered: bool = False
    result: str = ""
    version: int = 0
    previous: int = 0
    loaded: float = 0.0
    applied: list[int] = []
    error: str = ""
    lagging: list[int] = []
    waited: float = 0.0


class Veto(Record):
    """A worker's precommit function has refused this content. `by` is the worker."""

    serial: int


class Agreed(Record):
    """A worker's precommit function has agreed to this content. `by` is the worker."""

    serial: int


class Applied(Record):
    """A worker's observer was called: this version was swapped in before `at`. `by` is the worker."""

    version: int
    serial: int


class Died(Record):
    """A request has seen a content that kills, and kills its worker now. `by` is the worker."""

    version: int
    serial: int


class Outcome(Record):
    """What the owner says of a load in its own history (`confcast history --json`), read at the end and before a kill.

    Attributes:
        began: The event's timestamp, in this file's clock.
        result, origin, version, previous, dry_run, confirm_by, evidence: The event's.
        serial: The content's number, where the change shows it; 0 if it does not.
    """

    began: float
    result: str
    origin: str
    version: int
    previous: int = 0
    serial: int = 0
    dry_run: bool = False
    confirm_by: float | None = None
    evidence: list[str] = []


class State(Record):
    """What `status` said at this time: what runs, and what is provisional.

    Attributes:
        began: When the question was asked.
        version: What is committed.
        owner: The owner's pid.
        trial: The version on trial; 0 for none.
        window: The version that waits to be confirmed; 0 for none.
        deadline: When trial or window ends, in this file's clock; 0 for none.
        held: Whether a hold stands.
        workers: The version in each worker, by pid.
        overrides: The keys that people have set above the file.
    """

    began: float
    version: int
    owner: int
    trial: int = 0
    window: int = 0
    deadline: float = 0.0
    held: bool = False
    workers: dict[str, int] = {}
    overrides: list[str] = []


class Process(Record):
    """A process of the system began, or was seen to have ended.

    Attributes:
        pid: Its pid.
        role: `master`, `owner`, `worker`, `admin`, `gateway`, `engine`.
        what: `began`, `ready` (a worker has its first version), `ended`.
    """

    pid: int
    role: str
    what: str


class Act(Record):
    """An act of the nemesis that no other record tells.

    Attributes:
        began: Just before it.
        name: `kill`, `stop`, `continue`, `fill_disk`, `free_disk`, `tear_journal`, …
        role, pid: Of the process that it was done to, if it was one.
        arguments: What else repeats it.
        ok: False if it could not be done, which is no fault (the process had ended by itself).
    """

    began: float
    name: str
    role: str = ""
    pid: int = 0
    arguments: dict[str, str | int | float | bool | None] = {}
    ok: bool = True


class Calm(Record):
    """The nemesis has mended all that it had broken at `began`, and everything had time to come to rest until `at`."""

    began: float


class Left(Record):
    """Something that was there after the end, or more of it than after the first tenth of the run.

    Attributes:
        kind: `process`, `file`, `socket`, `descriptor`, `thread`, `memory`, `traceback`.
        what: In words.
    """

    kind: str
    what: str


Records = (
    Run | Written | Request | Call | Veto | Agreed | Applied | Died | Outcome | State | Process | Act | Calm | Left
)  # a record's tag is its type's name

_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder(Records).decode


class Recorder:
    """Writes records of this process. May be used by several threads at once.

    Args:
        folder: The history.
        name: Of the file, which has the pid, too.
    """

    def __init__(self, folder: Path, name: str) -> None:
        path = folder / f"{name}-{os.getpid()}.jsonl"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, record: Record) -> None:
        """Whole, or not at all but for the last one before a SIGKILL."""
        os.write(self._file, _encode(record) + b"\n")

    def close(self) -> None:
        os.close(self._file)


def now() -> float:
    return time.monotonic()


def read(folder: Path) -> list[Record]:
    """All records of a history, in the order of `at`. A last line that is cut is left out.

    Raises:
        msgspec.DecodeError: A line is not a record.
    """
    return sorted((each for path in sorted(folder.glob("*.jsonl")) for each in _lines(path)), key=lambda each: each.at)


def _lines(path: Path) -> Iterator[Record]:
    for line in path.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n"):
            yield _decode(line)
