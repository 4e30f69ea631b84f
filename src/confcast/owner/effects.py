"""What the core is told, and what it wants done: the whole surface between the state machine and its shell.

Everything here is frozen data. A pipe is a number that the shell gives out and never uses again; a process is
its pid as the owner's kernel sees it; times are seconds of a clock that only goes forward. No repr shows a payload,
which holds secrets, or its digest, from which a short one can be guessed. Rejected: callbacks
(a simulation must be able to hold an effect back, reorder and lose it) and passing sockets through the core.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from confcast.errors import Problem
from confcast.wire.messages import Change, ReloadEvent, ReloadResult, ToOwner, ToWorker

Call = tuple[int, int]
"""Who waits for an outcome: the pipe, and the id of the request on it."""


class Timer(enum.Enum):
    """What a deadline is for."""

    LOAD = "load"
    STAGE = "stage"
    BARRIER = "barrier"
    GATHER = "gather"
    REST = "rest"


class RowState(enum.Enum):
    """What reading back a failed journal write gave."""

    PRESENT = "present"
    ABSENT = "absent"
    UNREADABLE = "unreadable"


# ---- inputs


@dataclass(frozen=True, slots=True)
class Received:
    """A frame from a pipe whose other end is this process (by the kernel's word)."""

    pipe: int
    pid: int
    message: ToOwner


@dataclass(frozen=True, slots=True)
class Drained:
    """The last frame given to this pipe is in the kernel's hands: the next may be computed."""

    pipe: int


@dataclass(frozen=True, slots=True)
class PipeEnded:
    """End of file, an error, or a malformed frame. The process may well live."""

    pipe: int


@dataclass(frozen=True, slots=True)
class ProcessGone:
    """The process is dead, by its pidfd."""

    pid: int


@dataclass(frozen=True, slots=True)
class Trigger:
    """Load once more; nobody waits for the outcome. `origin`: `start`, `restart`, `signal` or `watch`."""

    origin: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """The load of this number gave a valid candidate; `differs`: from what is committed, by these changes."""

    number: int
    digest: bytes = field(repr=False)
    payload: bytes = field(repr=False)
    differs: bool
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """The load of this number gave nothing that can be used."""

    number: int
    result: ReloadResult
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Wake:
    """A deadline has come. Old tokens are ignored, so nothing need ever be cancelled."""

    timer: Timer
    token: int


@dataclass(frozen=True, slots=True)
class Recorded:
    """The version that was ordered is in the journal: it is true from now on, whoever dies."""


@dataclass(frozen=True, slots=True)
class RecordFailed:
    """The write reported an error; `row` is what reading it back gave."""

    row: RowState
    problem: Problem


@dataclass(frozen=True, slots=True)
class MasterGone:
    """The master is dead, or asked the owner to leave."""


Input = (
    Received
    | Drained
    | PipeEnded
    | ProcessGone
    | Trigger
    | Loaded
    | LoadFailed
    | Wake
    | Recorded
    | RecordFailed
    | MasterGone
)


# ---- effects, to be carried out in their order


@dataclass(frozen=True, slots=True)
class Send:
    """Give this frame to the pipe, and say Drained when it has left. Never blocks."""

    pipe: int
    message: ToWorker


@dataclass(frozen=True, slots=True)
class ClosePipe:
    """Close this pipe once what was sent has left; no PipeEnded need follow."""

    pipe: int


@dataclass(frozen=True, slots=True)
class Load:
    """Read and validate the sources. `insist`: even content that an owner died of."""

    number: int
    insist: bool


@dataclass(frozen=True, slots=True)
class WakeAt:
    """Say Wake(timer, token) at this time."""

    timer: Timer
    token: int
    when: float


@dataclass(frozen=True, slots=True)
class Record:
    """Write this version to the journal, then say Recorded or RecordFailed."""

    version: int
    digest: bytes = field(repr=False)
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Burn:
    """This number was given out and is in no row: remember that it must not be used again."""

    version: int


@dataclass(frozen=True, slots=True)
class WriteSnapshot:
    """Write the committed snapshot to the file that orphaned workers start on. A failure stops nothing."""

    version: int
    digest: bytes = field(repr=False)
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Enroll:
    """Put this process on the journal's roster, and watch for its death."""

    pid: int


@dataclass(frozen=True, slots=True)
class Strike:
    """Take this process off the journal's roster."""

    pid: int


@dataclass(frozen=True, slots=True)
class Answer:
    """This caller's load is over. The event's timestamp is of the core's clock: the shell makes it a date."""

    call: Call
    event: ReloadEvent


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """Put this into the history and the log. Its timestamp as in Answer."""

    event: ReloadEvent


@dataclass(frozen=True, slots=True)
class Exit:
    """The owner ends; whoever waits gets no answer but the end of the pipe."""

    reason: str


Effect = (
    Send | ClosePipe | Load | WakeAt | Record | Burn | WriteSnapshot | Enroll | Strike | Answer | RecordEvent | Exit
)
