"""What an owner tells people in its answers and events: who called, what is set, and where a value comes from."""

from __future__ import annotations

from typing import Any

import msgspec


class Who(msgspec.Struct, frozen=True):
    """The process that called, as the kernel identifies it.

    Attributes:
        uid: Its user.
        pid: The process id, as the owner sees it; 0 for a process of a pid namespace that the owner does not see.
        command: Its command line, shortened; empty if the system does not say, or the process had exited.
    """

    uid: int
    pid: int
    command: str = ""


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """One value that was set while the owner runs, above all sources.

    Attributes:
        key: The dotted key.
        value: The value, as a `Change` shows it, secrets masked; None if it has no effect.
        since: When it was set, in seconds since 1970.
        who: The process that set it; None if that is not known.
        expires: When it ends, in seconds since 1970; None: when it is unset.
        needed: False if the sources give the same value by now, or the schema has no such key.
        reason: The reason that the caller gave; empty for none.
        applied: Whether it has an effect: False if the schema has no such key any more, since a deploy.
    """

    key: str
    value: Any
    since: float
    who: Who | None = None
    expires: float | None = None
    needed: bool = True
    reason: str = ""
    applied: bool = True


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
        value: The value that the sources give now, as a `Change` shows it; the one that runs, if that is `pending`.
        origin: Where it comes from: `app.yaml:4:20`, `environment variable APP_MEMORY__TOTAL`, `set by uid 1000
            (confcast set), 2026-11-29 12:03`, `override`, or `default`.
        shadowed: The values of lower sources that it hides, the highest first. A table hides nothing: tables merge.
        default: The schema's default; None, too, if there is none.
        required: Whether the schema has no default for it.
        type: The type as the schema declares it.
        constraints: What else the schema demands, one text for each: `>= 512`, `one of 'a', 'b'`.
        description: The schema's description of the field; empty for none.
        since_version: The oldest kept version from which on the value has been what runs; 0 if no version is kept.
        expires: When an override of it ends, in seconds since 1970; None: it does not, or there is none.
        pending: The value that the sources give, if it waits for a full reload of the server; None for none.
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
