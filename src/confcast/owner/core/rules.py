"""Whom an owner serves, and what does not change in its life.

Rejected: leaving the refusal to the shell (a Hello of another schema must not reach the roster, and the roster is
the core's), and closing the pipe without a word (the worker must say which fields differ, and stop knocking).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from confcast.wire.messages import PROTOCOL, Hello, Refused

_FINAL = True

_MOST_AHEAD = 2**32
"""Versions that a process may be ahead of all that the owner knows. Where a journal was lost, versions are counted on
from the clock, in seconds since 1970; no owner ever gave out a number that is further ahead."""

_LONGEST_DIGEST = 64
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Rules:
    """The configuration that is served, and how long is waited for what.

    Attributes:
        name: The configuration's name.
        schema: The fingerprint of its schema.
        fields: Its field table, for those who come with another schema.
        vote_timeout: Seconds that the staging may last, and then the barrier, for a worker that is silent.
        precommit_timeout: Seconds that either may last for a worker that has said that it runs functions.
        load_timeout: Seconds that a load may last.
        gather_timeout: Seconds in which everyone who lives has knocked.
        silent: Whether who is silent past `vote_timeout` is passed over and named, or counts as a veto.
        answers_within: Seconds in which a reload is answered that begins at once, for those who wait for it.
    """

    name: str = "app"
    schema: bytes = b""
    fields: dict[str, str] = field(default_factory=dict)
    vote_timeout: float = 2.0
    precommit_timeout: float = 30.0
    load_timeout: float = 10.0
    gather_timeout: float = 2.5
    silent: Literal["proceed", "refuse"] = "proceed"
    answers_within: float = 71.0


def refusal(rules: Rules, hello: Hello, pid: int, high_water: int) -> Refused | None:
    """Why this Hello of this process is not served; None when it is.

    Args:
        rules: Whom the owner serves.
        hello: What the process says of itself.
        pid: The process; 0: of a PID namespace not seen here.
        high_water: The highest number that the owner has given out or heard of.
    """
    if hello.protocol != PROTOCOL:
        text = f"this owner speaks protocol {PROTOCOL}, not {hello.protocol}: both ends need the same confcast"
        return Refused(text, _FINAL)
    if hello.role == "client":
        return None
    if pid <= 0:
        text = "it has a PID namespace that the config owner does not see, so nobody would hear of its death"
        return Refused(f"{text}: share the namespace (shareProcessNamespace), or start a manager there", _FINAL)
    if hello.name != rules.name:
        return Refused(
            f"this owner serves the configuration {rules.name!r}, not {hello.name[:_LONGEST_NAME]!r}", _FINAL
        )
    if hello.schema != rules.schema:
        text = "its schema is not the one that this owner has loaded; it says itself which fields differ"
        return Refused(text, _FINAL, rules.fields)
    if not 0 <= hello.version <= high_water + _MOST_AHEAD:
        text = f"it says that it holds version {hello.version}, and no owner has given that out"
        return Refused(f"{text}: the newest is {high_water}; start it anew", _FINAL)
    if len(hello.digest) > _LONGEST_DIGEST:
        return Refused(f"its version has a digest of {len(hello.digest)} bytes: no owner has given that out", _FINAL)
    return None
