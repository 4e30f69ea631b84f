"""The inputs that the event loop hands to the state machine, and the effects that it carries out for it.

Everything here is frozen data. A pipe is a number that the event loop gives out and never uses again; a process is
its pid as the owner's kernel sees it; times are seconds of a clock that only goes forward. No repr shows a payload,
which holds secrets, or its digest, from which a short payload can be guessed. Rejected: callbacks (a simulation must be
able to hold an effect back, reorder it and lose it), and passing sockets through the core.
"""

from __future__ import annotations

import enum

import msgspec

from confcast.errors import Problem
from confcast.owner.core.operator_state import OperatorState
from confcast.wire.messages import (
    Change,
    Check,
    ReloadEvent,
    ReloadResult,
    Set,
    ToOwner,
    ToWorker,
    Unset,
    Who,
    WithSecrets,
)

Call = tuple[int, int]
"""A caller that waits for an outcome: its pipe, and the id of its request on it."""


class Timer(enum.Enum):
    """What a deadline is for.

    DEFERRED: sending the Settled that was held back from workers that don't wait for it. EXPIRY: an override ends.
    CONFIRM: a window ends. PROVEN: a probation ends. TRIAL: a trial ends.
    """

    LOAD = "load"
    STAGE = "stage"
    BARRIER = "barrier"
    UNDO = "undo"
    GATHER = "gather"
    DEFERRED = "deferred"
    OBSERVERS = "observers"
    EXPIRY = "expiry"
    CONFIRM = "confirm"
    PROVEN = "proven"
    TRIAL = "trial"


class RowState(enum.Enum):
    """What was found when the row of a failed journal write was read back."""

    PRESENT = "present"
    ABSENT = "absent"
    UNREADABLE = "unreadable"


class Guarding(enum.Enum):
    """What the loader's guards do in a load.

    REFUSE: a trip that was not allowed refuses the candidate. UNLESS_KNOWN: but not content that ran before. WARN: a
    trip is noted. NONE: they are not asked.
    """

    REFUSE = "refuse"
    UNLESS_KNOWN = "unless known"
    WARN = "warn"
    NONE = "none"


class _Data(msgspec.Struct, frozen=True, gc=False):
    """The base of inputs and effects. A reload into four workers makes fifty, each at a fifth of a dataclass's cost."""


# ---- inputs


class Received(_Data, frozen=True):
    """A message came on a pipe; the kernel says that this process has the pipe's other end.

    `who`: that process, if it asks for an operation, or for a load by a call or a command.
    """

    pipe: int
    pid: int
    message: ToOwner
    who: Who | None = None


class Drained(_Data, frozen=True):
    """The kernel has taken the last frame that was sent on each of these pipes, so the next one may be computed."""

    pipes: tuple[int, ...]


class PipeEnded(_Data, frozen=True):
    """The pipe ended, failed, or brought a malformed frame. Its process may well live."""

    pipe: int


class ProcessGone(_Data, frozen=True):
    """The process is dead, as its pidfd says.

    `failed`: why that speaks against what it ran, in words: it was killed by a signal, or left with another status than
    0, and not by its server; empty where it left as it should, or nobody knows.
    """

    pid: int
    failed: str = ""


class Probed(_Data, frozen=True):
    """A probe of the manager's says no: `why` it does, in words. It was begun while this version was the newest."""

    version: int
    why: str


class Trigger(_Data, frozen=True):
    """A load is requested, for whose outcome no caller waits. `origin`: `start`, `restart`, `signal` or `watch`."""

    origin: str


class Loaded(WithSecrets, _Data, frozen=True):
    """The load of this number gave a valid candidate.

    `differs`: it differs from the committed version, by these `changes`. `notes`: what a person should know of it.
    `checked`: False where Checked follows, with changes and notes: until then it may be proposed, and not committed.
    `patch`: makes the candidate of the configuration with the digest `base`; empty where the payload travels whole.
    `layer`, `expires`: the overrides that it was made with, as in OperatorState; None: those of the Load. `values`:
    what the sources gave below them, encoded. `restores`: the kept version whose content it is; 0 for what was loaded.
    `pending`: what the sources would change, and waits for a restart: the candidate has what runs there. `good`: a kept
    version with this content was good, so it needs no trial and no probation.
    """

    SHOWN = ("number", "differs", "changes", "notes", "pending")

    number: int
    digest: bytes
    payload: bytes
    differs: bool
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()
    checked: bool = True
    base: bytes = b""
    patch: bytes = b""
    layer: bytes | None = None
    expires: float = 0.0
    values: bytes = b""
    restores: int = 0
    pending: tuple[Change, ...] = ()
    good: bool = False


class Checked(WithSecrets, _Data, frozen=True):
    """What the Loaded of this number left open: the candidate decodes to itself, or `problems` say why it does not.

    `values`: as in Loaded, where that left them open, too.
    """

    SHOWN = ("number", "changes", "notes", "problems")

    number: int
    changes: tuple[Change, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    values: bytes = b""


class LoadFailed(_Data, frozen=True):
    """The load of this number gave no valid candidate."""

    number: int
    result: ReloadResult
    problems: tuple[Problem, ...]


class Wake(_Data, frozen=True):
    """A deadline has come. The core ignores an old token, so no deadline need be cancelled.

    `hangs`: at a load's deadline, what the load is waiting for, in words.
    """

    timer: Timer
    token: int
    hangs: str = ""


class Recorded(_Data, frozen=True):
    """What the last Record or RecordState ordered is in the journal: it is committed, whichever process dies."""


class RecordFailed(_Data, frozen=True):
    """That journal write reported an error; `row` is what was found when it was read back."""

    row: RowState
    problem: Problem


class Accepted(_Data, frozen=True):
    """Every connection that waited at the last Accept has been accepted, and the core was given its Hello before."""


class HandsOver(_Data, frozen=True):
    """A next generation takes over, so a window with a deadline ends now; or, not `on`, that one was called off."""

    on: bool


class MasterGone(_Data, frozen=True):
    """The master is dead, or has asked the owner to exit."""


Input = (
    Received
    | Drained
    | PipeEnded
    | ProcessGone
    | Probed
    | Trigger
    | Loaded
    | Checked
    | LoadFailed
    | Wake
    | Recorded
    | RecordFailed
    | Accepted
    | HandsOver
    | MasterGone
)


# ---- effects, to be carried out in their order


class Send(_Data, frozen=True):
    """Send this message on the pipe without blocking. When the kernel has taken it, give Drained to the core."""

    pipe: int
    message: ToWorker


class ClosePipe(_Data, frozen=True):
    """Close this pipe once the kernel has taken what was sent. The core may not be given a PipeEnded for it."""

    pipe: int


class Load(WithSecrets, _Data, frozen=True):
    """Read and validate the sources. `insist`: load even quarantined content, during whose load an owner died.

    `layer`: the overrides above the sources, without those whose time is over; `edit`: changes them first, for `who`.
    `rebuild`: read no source, and take what the sources of the committed version gave. `compare`: nothing will be
    proposed, so the result is one Loaded, checked, with changes. `dry`: the content does not count as attempted.
    `values`: the Loaded must have them. `guarding`, `allow`: what guards do, and the names of those that may trip.
    """

    SHOWN = ("number", "insist", "rebuild", "compare", "dry", "guarding", "allow")

    number: int
    insist: bool
    layer: bytes = b""
    edit: Set | Unset | Check | None = None
    rebuild: bool = False
    compare: bool = False
    dry: bool = False
    who: Who | None = None
    values: bool = False
    guarding: Guarding = Guarding.REFUSE
    allow: tuple[str, ...] = ()


class Restore(_Data, frozen=True):
    """Take the content of a kept version from the journal, and give Loaded, checked, or LoadFailed: no source is read.

    `version`: its number; None: the newest good version before the one whose content runs. `boot`: the newest good one
    of today's schema instead, whatever the journal has committed since: no worker runs.
    """

    number: int
    version: int | None
    boot: bool = False


class WakeAt(_Data, frozen=True):
    """Give Wake(timer, token) to the core at this time. Only the newest WakeAt of each timer need be kept."""

    timer: Timer
    token: int
    when: float


class Record(WithSecrets, _Data, frozen=True):
    """Write this version to the journal, then hand in Recorded or RecordFailed.

    `undo`: the version puts back the content before an undone version. `refused`: the digest of the undone content,
    which is not put to the vote again until it changes; empty for none. Both go into the same transaction.
    `origin`, `who`, `reason`: what caused the version. `undoes`: the number of the version that this one undoes;
    `restores`: of the kept version whose content this one has. `values`: as in Loaded. `operator`: what people have
    set, in the same transaction, too. `takes_back`: what was committed above this number, and is provisional, never
    becomes good; 0: nothing is taken back.
    """

    SHOWN = ("version", "undo")

    version: int
    digest: bytes
    payload: bytes
    undo: bool = False
    refused: bytes = b""
    origin: str = ""
    who: Who | None = None
    reason: str = ""
    undoes: int = 0
    restores: int = 0
    values: bytes = b""
    operator: OperatorState = OperatorState()
    takes_back: int = 0


class RecordState(WithSecrets, _Data, frozen=True):
    """Write this beside the committed version, in its place of before, then hand in Recorded or RecordFailed.

    Fields as in Record.
    """

    SHOWN = ("operator",)

    undo: bool
    refused: bytes
    operator: OperatorState


class NoteState(WithSecrets, _Data, frozen=True):
    """Write this as RecordState does, but hand in nothing: what was tried is noted, and a failure stops nothing."""

    SHOWN = ("operator",)

    undo: bool
    refused: bytes
    operator: OperatorState


class ClearRefused(_Data, frozen=True):
    """Forget, in the journal, the refused content: the sources have changed, so it may be put to the vote again."""


class Accept(_Data, frozen=True):
    """Accept every connection that waits, give the Hello of each to the core, then give it Accepted."""


class Retire(_Data, frozen=True):
    """Note in the journal that this number must not be used again: it was given out, and no row has it."""

    version: int


class Gathered(_Data, frozen=True):
    """Note in the journal that its roster is whole: each living worker has had the time to connect."""


class WriteSnapshot(WithSecrets, _Data, frozen=True):
    """Write the snapshot file, on which workers start when no owner answers. A failure stops nothing."""

    SHOWN = ("version",)

    version: int
    digest: bytes
    payload: bytes


class AddMember(_Data, frozen=True):
    """Put this process on the journal's roster, and watch for its death."""

    pid: int


class RemoveMember(_Data, frozen=True):
    """Take this process off the journal's roster."""

    pid: int


class Answer(_Data, frozen=True):
    """Answer this caller. The event's timestamp is a time of the core's clock; the event loop turns it into a date."""

    call: Call
    event: ReloadEvent


class Subject(_Data, frozen=True):
    """Which content an event is about, for whoever knows what each load has read.

    `load`: the number of the load that gave it; 0 for none. `undoes`: the number of the version, committed or on trial,
    that is undone by it. `puts_back`: the number that the content of the event's version had before; 0 for new content.
    """

    load: int = 0
    undoes: int = 0
    puts_back: int = 0


class RecordEvent(_Data, frozen=True):
    """Put this event into the history and the log. Its timestamp is as in Answer."""

    event: ReloadEvent
    subject: Subject = Subject()


class Spoken(_Data, frozen=True):
    """Log once what was said against this version, for a person: a death, a worker's word, or a probe's."""

    version: int
    text: str


class Retried(_Data, frozen=True):
    """Count that a write has failed which is tried again until it succeeds, and log the first failure in a row.

    `what`: the write, in words, of this `version`. `times`: how often it has failed in a row. `problem`: why; None: the
    row has ended, since the journal was written, which is logged, too.
    """

    what: str
    version: int
    times: int
    problem: Problem | None = None


class Exit(_Data, frozen=True):
    """End the owner. A caller that still waits gets the end of its pipe. `reason`: empty after MasterGone."""

    reason: str


Effect = (
    Send
    | ClosePipe
    | Load
    | Restore
    | WakeAt
    | Record
    | RecordState
    | NoteState
    | ClearRefused
    | Accept
    | Retire
    | Gathered
    | WriteSnapshot
    | AddMember
    | RemoveMember
    | Answer
    | RecordEvent
    | Spoken
    | Retried
    | Exit
)
