"""The messages between owners, workers and clients, as frozen tagged structs.

Every frame is one msgpack array whose first item names the message. Decoding is strict: a frame that is none of these
messages, or has a field of another type, is a `ProtocolError` and ends only that pipe. Nothing is unpickled. A
snapshot's payload is sent as bytes: only the codec looks inside. `ToOwner` and `ToWorker` are the lists of messages.

Rejected: JSON (payloads are bytes), maps instead of arrays (a protocol number in Hello distinguishes versions, and a
frame of half the size is decoded in half the time), one class with optional fields (a state machine looks up the type
of its message).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from confcast.errors import Problem, ProtocolError
from confcast.wire.answers import Configuration as Configuration
from confcast.wire.answers import Described as Described
from confcast.wire.answers import Differences as Differences
from confcast.wire.answers import Done as Done
from confcast.wire.answers import Explained as Explained
from confcast.wire.answers import History as History
from confcast.wire.answers import Measured as Measured
from confcast.wire.answers import News as News
from confcast.wire.answers import Outcome as Outcome
from confcast.wire.answers import Shown as Shown
from confcast.wire.answers import Stats as Stats
from confcast.wire.answers import Versions as Versions
from confcast.wire.answers import Workers as Workers
from confcast.wire.canary import Canary
from confcast.wire.decoders import decoder_of, made
from confcast.wire.message import Message as Message
from confcast.wire.message import WithSecrets as WithSecrets
from confcast.wire.told import MARKED_SECRET as MARKED_SECRET
from confcast.wire.told import MARKED_URL as MARKED_URL
from confcast.wire.told import Change as Change
from confcast.wire.told import Explanation as Explanation
from confcast.wire.told import Held as Held
from confcast.wire.told import ObserverError as ObserverError
from confcast.wire.told import Override as Override
from confcast.wire.told import ReloadEvent as ReloadEvent
from confcast.wire.told import ReloadResult as ReloadResult
from confcast.wire.told import SchemaKey as SchemaKey
from confcast.wire.told import Shadowed as Shadowed
from confcast.wire.told import Status as Status
from confcast.wire.told import ValueInfo as ValueInfo
from confcast.wire.told import VersionInfo as VersionInfo
from confcast.wire.told import Waiting as Waiting
from confcast.wire.told import Who as Who
from confcast.wire.told import WorkerState as WorkerState
from confcast.wire.told import WorkerStatus as WorkerStatus

PROTOCOL = 3
"""The protocol's number: incremented whenever a message changes its meaning, and compared in Hello.

A field that is added at the end of a message, with a default, changes no number: a build that does not know it skips
it. What it allows is used only towards a peer that has said, in such a field of its own, that it knows it.
"""

MAX_FRAME = 64 * 1024 * 1024
"""Bytes of the largest frame; a configuration that would not fit is refused when it is loaded."""

MAX_REQUEST = 1024 * 1024
"""Bytes of the longest message to an owner: it closes the pipe of a longer one."""


# ---- worker or client → owner


class Hello(Message, frozen=True):
    """The first frame on every pipe.

    A `replica` reports the version that it holds (0 and no digest: none) and its schema; a `client` only sends
    requests, is on no roster and has no vote. The kernel's credentials identify the process; `pid` does not. `patches`:
    whether it takes, for a payload, a patch of what it holds. `trial`: the number that it holds on trial, 0: none;
    None: its build knows neither trials nor probations. `masked`: whether it reads keys of secrets before a payload.
    `trial_digest`: that of what has the number in `trial`; empty where there is none, or its build does not tell it.
    """

    protocol: int
    pid: int
    role: Literal["replica", "client"]
    name: str
    schema: bytes = b""
    version: int = 0
    digest: bytes = b""
    patches: bool = False
    trial: int | None = None
    masked: bool = False
    trial_digest: bytes = b""


class Working(Message, frozen=True):
    """A worker is about to run this `precommit` function of the application; in round 0, for an Install.

    It is sent before each function: until the worker's next Vote, Applied or Declined, `precommit_timeout` applies.
    """

    round: int
    function: str


class Vote(Message, frozen=True):
    """A worker's answer to Prepare: it built the candidate and its `precommit` functions passed, or why that failed."""

    round: int
    ok: bool
    problems: tuple[Problem, ...] = ()


class Applied(Message, frozen=True):
    """A worker's answer to Commit or Install: every request that starts from now on uses this version.

    `follows`: whether an observer in the worker waits until the version is settled; if not, Settled may be sent later.
    """

    version: int
    follows: bool = True


class Declined(Message, frozen=True):
    """A worker's refusal of Commit or Install: until the next one it keeps the version that it has."""

    version: int
    problems: tuple[Problem, ...] = ()


class Observed(Message, frozen=True):
    """The state of a worker's observers: sent after one failed, and, from Observe on, at each step until all have run.

    `number`: that of the Observe that this answers; 0 for none. `failures` and `last_error` count since the process
    began, `errors` are of the version that was the newest when that Observe came (their pids mean nothing); `waits_for`
    names those that have not run for it yet. `since`: the number of an earlier Observe with answers to come; 0: none.
    """

    number: int
    failures: int = 0
    last_error: str = ""
    errors: tuple[ObserverError, ...] = ()
    waits_for: tuple[str, ...] = ()
    since: int = 0


class Tried(Message, frozen=True):
    """A worker's answer to Try, or to an Install with a trial: it has this version on trial."""

    version: int


class Unhealthy(Message, frozen=True):
    """What a worker has against this version: a health check, or the application, says so, in these words."""

    version: int
    reason: str


class Counts(Message, frozen=True):
    """How many requests of this worker have ended that were pinned to this version, and how many of them had failed.

    Both count since the worker has the version, so a message that is lost or sent twice changes nothing. `failed`:
    answers with a status of 500 or more, and exceptions that the application let through. `entities`: those of
    `answered` that named an entity. A worker sends them each second while a version is provisional, if they changed;
    those of the version before once.
    """

    version: int
    answered: int
    failed: int
    entities: int = 0


class Goodbye(Message, frozen=True):
    """This process closes its replica on purpose, so the owner need not wait for it."""


class Reload(Message, frozen=True):
    """Load once more, beginning after this request; answered by Outcome.

    `origin` is one of a few words: a peer can't ask for what an owner does by itself (`start`, `watch`, `reissue`, …).
    `wait_observers`: seconds that the answer may wait for the observers of all workers, once the version is applied.
    `reason`: why, in the caller's words; the owner shortens it. `force`: past a hold and past refused content.
    `expect`: the version that must run when the load begins; None: any. `confirm_within`: the seconds from the commit
    within which Confirm must come, or all that was committed since the window was opened is undone; 0.0: no window.
    `allow`: the names of the guards that may trip. `canary`: how it is tried; None: as the manager says. `actor`: for
    whom the process calls, as it says itself, for the history; empty: for nobody else.
    """

    id: int
    origin: Literal["call", "command", "signal"] = "call"
    wait_observers: float | None = None
    reason: str = ""
    force: bool = False
    expect: int | None = None
    confirm_within: float = 0.0
    allow: tuple[str, ...] = ()
    canary: Canary | None = None
    actor: str = ""


class Check(WithSecrets, Message, frozen=True):
    """Load, and have every worker vote, then drop all of it; answered by Outcome, whose event is a dry run's.

    `values`: as in Set: what setting them would bring; empty: what a reload would bring. `files`: contents in the place
    of those of the sources' files, by name or path. `actor`: as in Reload.
    """

    SHOWN = ("id",)

    id: int
    values: dict[str, Any] = msgspec.field(default_factory=dict)
    files: dict[str, bytes] = msgspec.field(default_factory=dict)
    actor: str = ""


class Rollback(Message, frozen=True):
    """Go back to a kept version, and hold it until Resume; answered by Outcome.

    `version`: its number; None: the newest good one before that whose content runs. `expect`, `reason`,
    `actor`: as in Reload.
    """

    id: int
    version: int | None = None
    expect: int | None = None
    reason: str = ""
    actor: str = ""


LONGEST_TTL = 10 * 365 * 86400.0
"""Seconds for which a value may be set: what is to stay for longer has no end, or stands in a file."""


class Set(WithSecrets, Message, frozen=True):
    """Put these values above all sources, from this version on; answered by Outcome.

    `values`: by dotted key, texts or plain data, secrets included; never shown. `ttl`: seconds after which they end, at
    most `LONGEST_TTL`; None: no end. `expect`, `reason`, `confirm_within`, `allow`, `actor`: as in Reload.
    """

    SHOWN = ("id",)

    id: int
    values: dict[str, Any]
    expect: int | None = None
    ttl: float | None = None
    reason: str = ""
    confirm_within: float = 0.0
    allow: tuple[str, ...] = ()
    actor: str = ""


class Unset(WithSecrets, Message, frozen=True):
    """End the overrides of these dotted keys; answered by Outcome. `expect`, `reason`, `actor`: as in Reload."""

    SHOWN = ("id",)

    id: int
    keys: tuple[str, ...]
    expect: int | None = None
    reason: str = ""
    actor: str = ""


class Resume(Message, frozen=True):
    """End a hold, and load the sources, even content that was undone; answered by Outcome.

    `expect`, `reason`, `actor`: as in Reload.
    """

    id: int
    expect: int | None = None
    reason: str = ""
    actor: str = ""


class Confirm(Message, frozen=True):
    """Keep what runs: close the window that a `confirm_within` has opened; answered by Outcome.

    `version`: the version that the caller has seen run; 0: whatever runs. `reason`, `actor`: as in
    Reload.
    """

    id: int
    version: int = 0
    reason: str = ""
    actor: str = ""


class StatsRequest(Message, frozen=True):
    """Ask for the totals; answered by Stats. `status`: for the owner's state, too."""

    id: int
    status: bool = False


class MetricsRequest(Message, frozen=True):
    """Ask for the numbers that monitoring is told; answered by Measured."""

    id: int


class HistoryRequest(Message, frozen=True):
    """Ask for the newest `limit` events (None: for all that are kept), newest first; answered by History."""

    id: int
    limit: int | None = None


class ClearHistory(Message, frozen=True):
    """Empty the history, but not the totals; answered by Done."""

    id: int


class WorkersRequest(Message, frozen=True):
    """Ask for the state of every worker; answered by Workers."""

    id: int


class VersionsRequest(Message, frozen=True):
    """Ask for the newest `limit` kept versions (None: for all), newest first; answered by Versions."""

    id: int
    limit: int | None = None


class ExplainRequest(WithSecrets, Message, frozen=True):
    """Ask for the explanation of a key of the sources' content; answered by Explained. The key may hold a secret."""

    SHOWN = ("id",)

    id: int
    key: str = ""


class DiffRequest(Message, frozen=True):
    """Ask what differs from `a` to `b`, each a kept version's number or one of two words; answered by Differences."""

    id: int
    a: int | Literal["running", "sources"] = "running"
    b: int | Literal["running", "sources"] = "sources"


class ShowRequest(WithSecrets, Message, frozen=True):
    """Ask for what runs at and below a key, or, with an empty one, for all; answered by Shown. The key may be secret.

    Only the command line asks this: who holds the configuration looks into it.
    """

    SHOWN = ("id",)

    id: int
    key: str = ""


class SchemaRequest(WithSecrets, Message, frozen=True):
    """Ask what the schema says of a key and of those below, or, with an empty one, of all; answered by Described.

    The key may hold a secret. No source is read for it.
    """

    SHOWN = ("id",)

    id: int
    key: str = ""


class ConfigRequest(WithSecrets, Message, frozen=True):
    """Ask for all keys of what runs, each with its origin; answered by Configuration.

    `key`: only at and below this one; empty: all. `text`: only those that have it in key, value, origin or description.
    """

    SHOWN = ("id",)

    id: int
    key: str = ""
    text: str = ""


LONGEST_NEWS = 60.0
"""Seconds after which a NewsRequest is answered at the latest."""


class NewsRequest(Message, frozen=True):
    """Ask to be told when something has changed that a status shows; answered by News.

    `after`: the state of the News before; another one is answered at once. `seconds`: after which it is answered even
    if nothing has changed.
    """

    id: int
    after: str = ""
    seconds: float = LONGEST_NEWS


# ---- owner → worker or client


class OnTrial(WithSecrets, msgspec.Struct, frozen=True, array_like=True):
    """A version on trial by entity, for a process that did not vote on it; fields as in Install and Try.

    `begun`: whether the trial has begun, so that it is used at once; otherwise with the trial's Settled.
    """

    SHOWN = ("version",)

    version: int
    digest: bytes
    payload: bytes
    share: float
    salt: str
    begun: bool = False


class Install(WithSecrets, Message, frozen=True):
    """The committed snapshot, for a process that did not vote on it.

    `undo`: the former content is put back, so no `precommit` function is called. `declined`: how many workers refuse
    this version, and keep an older one. `answers_within`: seconds within which this owner answers a reload. `base`: the
    payload is a patch of the configuration with this digest; empty: it is whole. `provisional`: seconds for which it
    may still be undone, as in Provisional; 0.0: it is not provisional. `trial`: a version on trial by entity beside it.
    `precommit_timeout`: seconds for which this owner waits for a worker that runs a function; 0.0: not told.
    """

    SHOWN = ("version",)

    version: int
    digest: bytes
    payload: bytes
    undo: bool = False
    declined: int = 0
    answers_within: float = 0.0
    base: bytes = b""
    provisional: float = 0.0
    trial: OnTrial | None = None
    precommit_timeout: float = 0.0


class Prepare(WithSecrets, Message, frozen=True):
    """A proposal: build it, run the `precommit` functions, and vote. It has a round, and no version yet.

    `base`: as in Install.
    """

    SHOWN = ("round",)

    round: int
    digest: bytes
    payload: bytes
    base: bytes = b""


class Commit(Message, frozen=True):
    """The journal has the proposal of this round as this version: swap it in. `provisional`: as in Install."""

    round: int
    version: int
    provisional: float = 0.0


class Try(Message, frozen=True):
    """The journal has the proposal of this round as this version, on trial: keep it beside what you hold.

    `share`: 0.0 for a trial by worker: pins get this version from now on, and what you hold stays. Otherwise the share
    of the entities (of 1) that get it, by their hash with `salt`, once the trial's Settled has come.
    """

    round: int
    version: int
    share: float = 0.0
    salt: str = ""


class Provisional(Message, frozen=True):
    """What runs under this number may be undone within these seconds; 0.0: it is proven, or confirmed.

    Meanwhile the worker calls its health checks each second, sends Counts, and keeps what it held before, so that it
    can be put back without a build. The field of Commit and Install says the same; this is sent when it changes.
    """

    version: int
    seconds: float


class Abort(Message, frozen=True):
    """The proposal of this round is withdrawn: drop the candidate."""

    round: int


class Settled(Message, frozen=True):
    """All live workers but those `named` have applied this version; or have it on trial by entity, which begins now."""

    version: int
    named: tuple[int, ...] = ()


class Observe(Message, frozen=True):
    """Send Observed now, and at each step until your observers have run for the version that you have applied."""

    number: int


class Refused(Message, frozen=True):
    """The owner does not serve this pipe. `final`: connecting again is useless. `fields`: the owner's field table."""

    reason: str
    final: bool
    fields: dict[str, str] = msgspec.field(default_factory=dict)


Query = StatsRequest | MetricsRequest | HistoryRequest | ClearHistory | WorkersRequest | VersionsRequest
Operation = Check | Rollback | Set | Unset | Resume | Confirm
Question = ExplainRequest | DiffRequest | ShowRequest | SchemaRequest | ConfigRequest
Request = Reload | Operation | Query | Question | NewsRequest
ToOwner = Hello | Working | Vote | Applied | Declined | Observed | Tried | Unhealthy | Counts | Goodbye | Request
_Answered = Explained | Differences | Shown | Described | Configuration
Answer = Outcome | Stats | Measured | History | Workers | Versions | _Answered | News | Done
ToClient = Refused | Answer
ToWorker = Install | Prepare | Commit | Try | Provisional | Abort | Settled | Observe | Refused | Answer

UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""The errors of decoding; for a text that is not UTF-8, msgspec lets Python's error through."""

_QUOTED = r"""(?s) (['"]).*\1"""  # a quotation as repr() writes it

encode: Callable[[Message], bytes] = msgspec.msgpack.Encoder().encode
"""Encode one message to the body of a frame."""


def _without_content(error: Exception) -> str:
    """The text of this error without quoted words: msgspec quotes a word that is not in an enum, however long."""
    return re.sub(_QUOTED, "", str(error))


def decode_to_owner(body: bytes) -> ToOwner:
    """Decode a message from a worker or a client. Raises ProtocolError, whose text has none of the content."""
    try:
        message: ToOwner = (made.get(ToOwner) or decoder_of(ToOwner)).decode(body)
        return message
    except UNDECODABLE as error:
        raise ProtocolError(f"not a message to the owner: {_without_content(error)}") from None


def decode_to_client(body: bytes) -> ToClient:
    """Decode an answer of an owner. Raises ProtocolError, whose text has none of the content."""
    try:
        message: ToClient = (made.get(ToClient) or decoder_of(ToClient)).decode(body)
        return message
    except UNDECODABLE as error:
        raise ProtocolError(f"not a message to a client: {_without_content(error)}") from None


def decode_to_worker(body: bytes) -> ToWorker:
    """Decode a message from an owner. Raises ProtocolError, whose text has none of the content."""
    try:
        message: ToWorker = (made.get(ToWorker) or decoder_of(ToWorker)).decode(body)
        return message
    except UNDECODABLE as error:
        raise ProtocolError(f"not a message to a worker: {_without_content(error)}") from None
