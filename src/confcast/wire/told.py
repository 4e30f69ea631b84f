"""What an owner tells people in answers and events: what runs, who called, what is set, where a value comes from."""

from __future__ import annotations

import enum
from typing import Any, Literal

import msgspec

from confcast.errors import Problem


class Who(msgspec.Struct, frozen=True):
    """The process that called, as the kernel identifies it.

    Attributes:
        uid: Its user.
        pid: The process id, as the owner sees it; 0 for a process of a pid namespace that the owner does not see.
        command: Its command line, shortened; empty if the system does not say, or the process had exited.
        actor: For whom that process called, as it says itself: `admin token ops`; empty: for nobody else.
    """

    uid: int
    pid: int
    command: str = ""
    actor: str = ""


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """One key whose value differs. A secret shows as `**********`, a value that is not plain data as its text.

    Attributes:
        key: The dotted key.
        old: The value before; None if the key was absent.
        new: The value after; None if the key is gone.
        note: What the values do not show: `content changed` of a `Watched` file, whose path is the same; why a pending
            change waits for a full reload. Empty for most changes.
    """

    key: str
    old: Any
    new: Any
    note: str = ""


WorkerState = Literal["current", "trial", "behind", "late", "declined", "disconnected"]


class WorkerStatus(msgspec.Struct, frozen=True):
    """What the owner knows of one process that holds, or should hold, the configuration.

    Attributes:
        pid: The process id, as the owner's kernel sees it.
        version: The newest version that the process reported as applied, or, of `trial`, as tried; 0 if none is known.
        state: `current`, `trial` (it has a version on trial beside the committed one), `behind` (asked, not answered
            yet), `late` (passed a deadline without an answer), `declined` (keeps an older version on purpose) or
            `disconnected` (lives, and has no pipe).
        reason: The reason for that state in words; empty if there is none.
        observer_failures: How often an observer has raised, or could not be called, since the process began.
        last_observer_error: The observer of the last failure, and the error; secrets are masked. Empty for none.
    """

    pid: int
    version: int
    state: WorkerState
    reason: str = ""
    observer_failures: int = 0
    last_observer_error: str = ""


class ReloadResult(enum.StrEnum):
    """How a reload ended. True in a boolean test when the configuration that was asked for runs.

    SUCCESS: every live worker applied it. UNCHANGED: the sources have the content that already runs. PARTIAL: the
    version was committed, but some workers did not answer in time or declined; the event's `lagging` names them. The
    other results changed nothing, except OWNER_UNAVAILABLE: no answer came, so the outcome is unknown. REJECTED: a
    worker voted no; or no worker voted yes in time, and then the load is tried again when a worker answers; or no
    worker runs the version for which all had voted, and the former content was put back, under a new number. CONFLICT:
    another version runs than the one that the caller had seen (`expect`), or there is nothing that `confirm()` could
    confirm. HELD: a person went back to a version, and until `resume()` what the sources say is compared, and put to no
    worker. GUARDED: a guard of the loader refuses the change; `allow` lets it pass. ON_TRIAL: the version has a number,
    and canaries run it; it is not committed yet. UNDONE: a version was taken back by itself, since nobody confirmed it
    within its `confirm_within`, or since workers died of it or spoke against it while it was on probation or on trial;
    the content of the version before was put back, under a new number.
    """

    SUCCESS = "success"
    UNCHANGED = "unchanged"
    PARTIAL = "partial"
    VALIDATION_FAILED = "validation_failed"
    FILE_NOT_FOUND = "file_not_found"
    IO_ERROR = "io_error"
    REJECTED = "rejected"
    OWNER_UNAVAILABLE = "owner_unavailable"
    CONFLICT = "conflict"
    HELD = "held"
    UNDONE = "undone"
    GUARDED = "guarded"
    ON_TRIAL = "on_trial"

    def __bool__(self) -> bool:
        return self in _APPLIED


_APPLIED = frozenset({ReloadResult.SUCCESS, ReloadResult.UNCHANGED, ReloadResult.PARTIAL})


class ObserverError(msgspec.Struct, frozen=True):
    """An observer that failed for a version, or that has not finished with it.

    Attributes:
        pid: The worker's process.
        observer: The observer's name; empty if the worker has not reported which observers still run.
        error: The error that it raised, secrets masked; or that it has not finished.
        count: How often it raised this error; 0 for an observer that has not finished.
    """

    pid: int
    observer: str
    error: str
    count: int = 1


class VersionInfo(msgspec.Struct, frozen=True):
    """One committed version that the owner keeps, without its content.

    Attributes:
        version: Its number.
        timestamp: When it was committed, in seconds since 1970.
        digest: The hash of its content, in hexadecimal digits; two versions with one content have the same.
        origin: What caused its load, as an event's `origin`; `undo` if it put back what ran before; empty: not known.
        who: The process that called; None where none did, or it is not known.
        reason: The reason that the caller gave; empty for none.
        good: Whether it was settled, declined by no worker, and not undone.
        restorable: Whether its content is kept and undamaged, and is of today's schema. A content above 256 KiB is not
            read for this: its damage is found when the content is needed.
    """

    version: int
    timestamp: float
    digest: str
    origin: str
    who: Who | None
    reason: str
    good: bool
    restorable: bool


class ReloadEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The outcome of one load. True in a boolean test when its result is.

    Attributes:
        timestamp: When the load began, in seconds since 1970.
        result: How the load ended.
        origin: What caused the load: `start`, `signal`, `watch`, `call`, `command`, `rollback`, `set`, `unset`,
            `expiry`, `resume`, `confirm`, `undo`, or `reissue`.
        version: The version that runs after it; 0 before the first. Of ON_TRIAL, the one on trial.
        previous_version: The version that ran before it; of ON_TRIAL, the one that runs on.
        changes: What differs between the two versions, by key; secrets are masked. Empty for the first load. At most
            1,000: a last one without values, with a key like `and 63,900 more`, counts the others.
        problems: Why the load was refused, with positions; otherwise why workers declined the version, also those that
            have died or applied it since (`worker 77, earlier`). At most 100, and one that counts the others.
        error_message: The problems in one text; of ON_TRIAL, what to do; otherwise None.
        duration_ms: The time from the beginning of the load to the answer, in milliseconds; its parts follow.
        applied: The pids that had the version when the answer was given.
        lagging: The workers that did not answer in time, or declined.
        notes: For a person, if the load was not refused: where each edit is that a higher source hides, and what hides
            it, without values. A load that the watcher requested notes the edits since the load before it; a load that
            a caller requested notes all edits since the load of the running version.
        observer_errors: After a reload with `wait_observers`: the observers that failed, and those that did not finish
            in time. They do not change the result, and the history has none: `WorkerStatus` counts them.
        reason: The reason that the caller gave; empty for none.
        who: The process that called, the first one if the load served several; None if a signal, a changed file or a
            start caused the load: which process sent the signal, or wrote the file, is not known.
        dry_run: Whether nothing was to be changed: the result is what it would have been. `check()` gives such an
            event, with the version that runs; no history has it.
        pending: What the sources would change, and waits for a full reload of the server (`NeedsRestart`): `old` runs.
            Empty where sources were not read, or could not be.
        confirm_by: Until when `confirm()` must come, in seconds since 1970, as the owner's clock said when the window
            was opened; None where no window is open after it. The clock that decides is not set back or forward.
        evidence: Of UNDONE: why the version was undone, one text for each reason. Of a trial that goes on: why.
    """

    timestamp: float
    result: ReloadResult
    origin: str = "call"
    version: int = 0
    previous_version: int = 0
    changes: list[Change] = []
    problems: list[Problem] = []
    error_message: str | None = None
    duration_ms: float = 0.0
    load_ms: float = 0.0
    stage_ms: float = 0.0
    journal_ms: float = 0.0
    commit_ms: float = 0.0
    applied: list[int] = []
    lagging: list[WorkerStatus] = []
    notes: list[str] = []
    observer_errors: list[ObserverError] = []
    reason: str = ""
    who: Who | None = None
    dry_run: bool = False
    pending: list[Change] = []
    confirm_by: float | None = None
    evidence: list[str] = []

    def __bool__(self) -> bool:
        return bool(self.result)


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """One value that was set while the owner runs, above all sources.

    Attributes:
        key: The dotted key.
        value: The value, as a `Change` shows it, secrets masked; None if it has no effect.
        since: When it was set, in seconds since 1970.
        who: The process that set it; None if that is not known.
        expires: When it ends, in seconds since 1970; None: when it is unset.
        needed: False if the sources give the same value by now, or it has no effect.
        reason: The reason that the caller gave; empty for none.
        applied: Whether it has an effect: False if since a deploy the schema has no such key any more, or refuses it.
        why: Why it has none, without the value; empty if it has one.
    """

    key: str
    value: Any
    since: float
    who: Who | None = None
    expires: float | None = None
    needed: bool = True
    reason: str = ""
    applied: bool = True
    why: str = ""


class Shadowed(msgspec.Struct, frozen=True):
    """A value that a higher source hides.

    Attributes:
        origin: Where it is, as an explanation's `origin`.
        value: The value as the source has it; secrets are masked.
    """

    origin: str
    value: Any


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Where the value of a key comes from, and what the schema says of it. Secrets are masked.

    Attributes:
        key: The dotted key, as messages write it.
        value: The value that the sources give now, as a `Change` shows it; the one that runs, if that is `pending`, or
            while a version is held.
        origin: Where it comes from: `app.yaml:4:20`, `environment variable APP_MEMORY__TOTAL`, `set by uid 1000
            (confcast set), 2026-11-29 12:03`, `override`, or `default`; while a version is held, `version 13, put back
            by uid 1000 (confcast rollback), 2026-11-29 12:03`, or `absent` for a key that only the sources have.
        shadowed: The values of lower sources that it hides, the highest first. A table hides nothing: tables merge.
        default: The schema's default; None, too, if there is none.
        required: Whether the schema has no default for it.
        type: The type as the schema declares it.
        constraints: What else the schema demands, one text for each: `>= 512`, `one of 'a', 'b'`.
        description: The schema's description of the field; empty for none.
        since_version: The oldest kept version from which on the value has been what runs; 0 if no version is kept.
        expires: When an override of it ends, in seconds since 1970; None: it does not, or there is none.
        pending: The value that the sources give, if it waits for a full reload of the server; None for none.
        waiting: While a version is held: what the sources say, and where. None where none is held, or they are refused.
        problems: While a version is held: why the sources are refused.
        left_out: What was set for the key, or in the table, and is left out because a deploy's schema refuses it: by
            whom, when and why, without the value.
    """

    key: str
    value: Any
    origin: str
    shadowed: list[Shadowed] = []
    default: Any = None
    required: bool = False
    type: str = ""
    constraints: list[str] = []
    description: str = ""
    since_version: int = 0
    expires: float | None = None
    pending: Any = None
    waiting: Shadowed | None = None
    problems: list[Problem] = []
    left_out: list[str] = []


MARKED_SECRET, MARKED_URL = "secret", "a URL, shown without its password"
"""How a schema's key is marked: it is a secret, or its value may have one in it."""


class SchemaKey(msgspec.Struct, frozen=True, kw_only=True):
    """What the schema says of one key, whatever the sources say. Secrets are masked.

    Attributes:
        key: Dotted, as messages write it; an item of a list is `[]`, a key of a table `<key>`: `servers[].host`.
        type: The type as the schema declares it.
        required: Whether the schema has no default for it.
        default: The schema's default, as a `Change` shows it; None, too, if there is none.
        constraints: What else the schema demands, one text for each: `>= 512`, `one of 'a', 'b'`.
        description: The schema's description of the field; empty for none.
        marks: What is marked: that it is a secret, needs a restart, or that a file's content is watched.
        path: The keys that lead to it in a file; empty where a file may have any number of it, or another class of a
            union has it.
        form: What a file has that says what the defaults say: `value`, the field of that name; `table`, a table with
            the keys that follow; `absent`, nothing, since it is required, a secret, None, or has no text.
        value: For `value`: the default as a file has it.
    """

    key: str
    type: str = ""
    required: bool = False
    default: Any = None
    constraints: list[str] = []
    description: str = ""
    marks: list[str] = []
    path: tuple[str, ...] = ()
    form: Literal["value", "table", "absent"] = "absent"
    value: Any = None


class ValueInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One key of what runs. Secrets are masked.

    Attributes:
        key: The dotted key, as messages write it.
        value: The value that runs, as a `Change` shows it.
        origin: Where it comes from, as an explanation's `origin`; `version 12` where no more is known, and `version 12:
            the sources say otherwise by now` for a value that no source has any more.
        type: The type as the schema declares it; empty, as what follows, where it is not known.
        description: The schema's description of the field.
        default: The schema's default; None, too, if there is none.
        pending: The value that the sources give, if it waits for a full reload of the server; None for none.
        expires: When an override of it ends, in seconds since 1970; None: it does not, or there is none.
        changed_in: The oldest kept version from which on the value has been what runs; 0 if that is not known.
        secret: Whether the value is, or has in it, a secret.
    """

    key: str
    value: Any
    origin: str = ""
    type: str = ""
    description: str = ""
    default: Any = None
    pending: Any = None
    expires: float | None = None
    changed_in: int = 0
    secret: bool = False


class Held(msgspec.Struct, frozen=True):
    """A person went back to a version: what the sources say is put to no worker until a person resumes.

    Or, with `boot`, the server started on that version, since its sources were refused: then no person is needed.

    Attributes:
        version: The kept version whose content was put back.
        since: When, in seconds since 1970.
        who: The process that called; None if that is not known, and at a boot.
        reason: The reason that the caller gave; empty for none.
        boot: Whether the next load of the sources that is applied ends it (`on_start_error="last_good"`).
    """

    version: int
    since: float
    who: Who | None = None
    reason: str = ""
    boot: bool = False


class Waiting(msgspec.Struct, frozen=True):
    """What an owner waits for, while it loads, has workers vote, or has them apply a version.

    Attributes:
        pid: The process: a worker's, or the owner's own during a load, or while a write is tried again.
        since: Since when, in seconds since 1970.
        function: The application's function that runs there (`precommit`), as the worker reported it; empty for none.
        source: What the owner waits for: a source's file or function, a validator, or the journal, which can't be
            written, and why; empty where that is not known.
    """

    pid: int
    since: float
    function: str = ""
    source: str = ""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """What runs, who changed it last and why, what is set, and what the owner is doing. Secrets are masked.

    Attributes:
        version: The version that runs.
        digest: The hash of its content, in hexadecimal digits.
        since: When it was committed, in seconds since 1970; 0.0 if it is not kept.
        origin: What caused it, as an event's `origin`.
        who: The process that caused it; None where a signal, a changed file or a start did, or it is not known.
        reason: The reason that the caller gave; empty for none.
        disk: What became of the sources' content when it was loaded last: `in step` (it runs), `differs` (it is well
            formed, and is on trial, or does not run since a version is held), `refused` (by the schema or a worker, or
            unreadable).
        differs: What the sources would change, if `disk` is not `in step`; empty, too, where that is not known.
        problems: Why they are refused, as the event of that load has them.
        held: The hold; None where the sources are followed.
        provisional: What may still be taken back by itself: `trial` (some workers or entities run a version that is not
            committed), `confirm` (a window is open), `probation` (a version was committed a moment ago), or empty.
        deadline: When that ends, in seconds since 1970: a trial by a decision, a probation by itself, and a window is
            taken back then unless it is confirmed; None for never.
        evidence: What was found against the version meanwhile.
        overrides: What was set above all sources, by key.
        pending: What the sources would change, and waits for a full reload of the server (`NeedsRestart`).
        stale: Sentences on sources that do not answer, and since when; what they gave last is used.
        phase: What the owner is doing: `idle`, `loading`, `staging` (workers vote), `recording`, `committing`.
        phase_since: Since when, in seconds since 1970.
        waiting_for: What it waits for meanwhile; empty while it is idle.
        workers: Every process that holds, or should hold, the configuration, by pid.
    """

    version: int
    digest: str = ""
    since: float = 0.0
    origin: str = ""
    who: Who | None = None
    reason: str = ""
    disk: Literal["in step", "differs", "refused"] = "in step"
    differs: list[Change] = []
    problems: list[str] = []
    held: Held | None = None
    provisional: Literal["", "trial", "probation", "confirm"] = ""
    deadline: float | None = None
    evidence: list[str] = []
    overrides: list[Override] = []
    pending: list[Change] = []
    stale: list[str] = []
    phase: str = "idle"
    phase_since: float = 0.0
    waiting_for: list[Waiting] = []
    workers: list[WorkerStatus] = []
