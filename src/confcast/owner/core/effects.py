"""What the core is told, and what it wants done: the whole surface between the state machine and its shell.

Everything here is frozen data. A pipe is a number that the shell gives out and never uses again; a process is
its pid as the owner's kernel sees it; times are seconds of a clock that only goes forward. No repr shows a payload,
which holds secrets, or its digest, from which a short one can be guessed. Rejected: callbacks
(a simulation must be able to hold an effect back, reorder and lose it) and passing sockets through the core.
"""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from confcast.errors import Problem
from confcast.wire.messages import Change, ReloadEvent, ReloadResult, ToOwner, ToWorker

Call = tuple[int, int]
"""Who waits for an outcome: the pipe, and the id of the request on it."""


class Timer(enum.Enum):
    """What a deadline is for."""

    LOAD = "load"
    STAGE = "stage"
    BARRIER = "barrier"
    UNDO = "undo"
    GATHER = "gather"
    REST = "rest"
    OBSERVERS = "observers"


class RowState(enum.Enum):
    """What reading back a failed journal write gave."""

    PRESENT = "present"
    ABSENT = "absent"
    UNREADABLE = "unreadable"


_NEVER_SHOWN = ("digest", "payload", "refused")


class _Said(msgspec.Struct, frozen=True, gc=False):
    """The base of all of them: some fifty are made for a reload into four workers, a fifth as dear as dataclasses."""


class _Hidden(_Said, frozen=True):
    """The base of those that carry a payload."""

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({shown})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, getattr(self, name)) for name in self.__struct_fields__ if name not in _NEVER_SHOWN]


# ---- inputs


class Received(_Said, frozen=True):
    """A frame from a pipe whose other end is this process (by the kernel's word)."""

    pipe: int
    pid: int
    message: ToOwner


class Drained(_Said, frozen=True):
    """The last frame given to each of these pipes is in the kernel's hands: the next may be computed."""

    pipes: tuple[int, ...]


class PipeEnded(_Said, frozen=True):
    """End of file, an error, or a malformed frame. The process may well live."""

    pipe: int


class ProcessGone(_Said, frozen=True):
    """The process is dead, by its pidfd."""

    pid: int


class Trigger(_Said, frozen=True):
    """Load once more; nobody waits for the outcome. `origin`: `start`, `restart`, `signal` or `watch`."""

    origin: str


class Loaded(_Hidden, frozen=True):
    """The load of this number gave a valid candidate; `differs`: from what is committed, by these changes.

    `notes`: what a person should know of it.
    """

    number: int
    digest: bytes
    payload: bytes
    differs: bool
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()


class LoadFailed(_Said, frozen=True):
    """The load of this number gave nothing that can be used."""

    number: int
    result: ReloadResult
    problems: tuple[Problem, ...]


class Wake(_Said, frozen=True):
    """A deadline has come. Old tokens are ignored, so nothing need ever be cancelled.

    `hangs`: for a load's deadline, what the load is waiting for, in words.
    """

    timer: Timer
    token: int
    hangs: str = ""


class Recorded(_Said, frozen=True):
    """The version that was ordered is in the journal: it is true from now on, whoever dies."""


class RecordFailed(_Said, frozen=True):
    """The write reported an error; `row` is what reading it back gave."""

    row: RowState
    problem: Problem


class Accepted(_Said, frozen=True):
    """Every connection that waited at the Accept has been taken in, and its Hello has been handed over before."""


class MasterGone(_Said, frozen=True):
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
    | Accepted
    | MasterGone
)


# ---- effects, to be carried out in their order


class Send(_Said, frozen=True):
    """Give this frame to the pipe, and say Drained when it has left. Never blocks."""

    pipe: int
    message: ToWorker


class ClosePipe(_Said, frozen=True):
    """Close this pipe once what was sent has left; no PipeEnded need follow."""

    pipe: int


class Load(_Said, frozen=True):
    """Read and validate the sources. `insist`: even content that an owner died of."""

    number: int
    insist: bool


class WakeAt(_Said, frozen=True):
    """Say Wake(timer, token) at this time."""

    timer: Timer
    token: int
    when: float


class Record(_Hidden, frozen=True):
    """Write this version to the journal, then say Recorded or RecordFailed.

    `undo`: it puts back what ran before. `refused`: the digest of the content that it takes the place of, which is
    not put to the vote again until it changes; empty for none. Both go into the same transaction.
    """

    version: int
    digest: bytes
    payload: bytes
    undo: bool = False
    refused: bytes = b""


class Forgive(_Said, frozen=True):
    """The content that was refused has changed: from now on it may be put to the vote again."""


class Accept(_Said, frozen=True):
    """Take in every connection that waits, hand over what each has said, then say Accepted."""


class Retire(_Said, frozen=True):
    """This number was given out and is in no row: remember that it must not be used again."""

    version: int


class WriteSnapshot(_Hidden, frozen=True):
    """Write the committed snapshot to the file that orphaned workers start on. A failure stops nothing."""

    version: int
    digest: bytes
    payload: bytes


class AddMember(_Said, frozen=True):
    """Put this process on the journal's roster, and watch for its death."""

    pid: int


class RemoveMember(_Said, frozen=True):
    """Take this process off the journal's roster."""

    pid: int


class Answer(_Said, frozen=True):
    """This caller's load is over. The event's timestamp is of the core's clock: the shell makes it a date."""

    call: Call
    event: ReloadEvent


class RecordEvent(_Said, frozen=True):
    """Put this into the history and the log. Its timestamp as in Answer."""

    event: ReloadEvent


class Exit(_Said, frozen=True):
    """The owner ends; whoever waits gets no answer but the end of the pipe."""

    reason: str


Effect = (
    Send
    | ClosePipe
    | Load
    | WakeAt
    | Record
    | Forgive
    | Accept
    | Retire
    | WriteSnapshot
    | AddMember
    | RemoveMember
    | Answer
    | RecordEvent
    | Exit
)
