"""The rules that an owner follows for as long as it runs, and the workers that it refuses to serve.

Rejected: refusing in the event loop (a Hello of another schema must not reach the roster, and the roster is the
core's), and closing the pipe without a Refused (the worker must report which fields differ, and stop connecting).
"""

from __future__ import annotations

from confcast.wire.messages import PROTOCOL, Hello, Refused
from confcast.wire.options import Options

_FINAL = True

_OF_THE_CLOCK = 2**42
"""Where a journal was lost, versions are counted on from the clock, in milliseconds since 1970: until 2109 less."""

_MOST_AHEAD = 2**32
"""How far a process's version may be above that, and above the high-water number: no owner ever was further ahead."""

_LONGEST_DIGEST = 64
_LONGEST_NAME = 100


class Rules(Options, frozen=True, kw_only=True):
    """The manager's options, and the schema of the configuration that is served.

    Attributes:
        schema: The fingerprint of the configuration's schema.
        fields: The schema's field table, sent to a worker that has another schema.
        gather_timeout: Seconds within which every living worker connects.
    """

    schema: bytes = b""
    fields: dict[str, str] = {}  # noqa: RUF012 - msgspec copies it
    gather_timeout: float = 2.5


def refusal(rules: Rules, hello: Hello, pid: int, high_water: int) -> Refused | None:
    """The answer to a Hello that the owner refuses to serve; None when it serves it.

    Args:
        rules: The rules of the owner.
        hello: The first message on the pipe.
        pid: The process, as the kernel says; 0 for a process in a PID namespace that the owner does not see.
        high_water: The highest version number that the owner has given out or received in a Hello.
    """
    if hello.protocol != PROTOCOL:
        text = f"this owner speaks protocol {PROTOCOL}, not {hello.protocol}: both ends need the same confcast"
        return Refused(text, _FINAL)
    if hello.role == "client":
        return None
    if pid <= 0:
        text = "it has a PID namespace that the config owner does not see, so its end could not be noticed"
        return Refused(f"{text}: share the namespace (shareProcessNamespace), or start a manager there", _FINAL)
    if hello.name != rules.name:
        return Refused(
            f"this owner serves the configuration {rules.name!r}, not {hello.name[:_LONGEST_NAME]!r}", _FINAL
        )
    if hello.schema != rules.schema:
        text = "its schema is not the one that this owner has loaded; it says itself which fields differ"
        return Refused(text, _FINAL, rules.fields)
    highest = max(high_water, _OF_THE_CLOCK) + _MOST_AHEAD
    if not 0 <= hello.version <= highest:
        text = f"it says that it holds version {hello.version}, and no owner has given that out"
        return Refused(f"{text}: the newest is {high_water}; start it anew", _FINAL)
    if hello.trial is not None and not 0 <= hello.trial <= highest:
        return Refused(f"it says that it has version {hello.trial} on trial, and no owner has given that out", _FINAL)
    longest = max(len(hello.digest), len(hello.trial_digest))
    if longest > _LONGEST_DIGEST:
        return Refused(f"its version has a digest of {longest} bytes: no owner has given that out", _FINAL)
    return None
