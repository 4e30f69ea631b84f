"""The head: which payload is stable, which comes next, and which hosts `next` is meant for.

Guarantees. A head is less than 1 KB of JSON. Whether `next` is meant for a host depends on the head, the host's id and
its labels alone; a larger `percent` under the same salt keeps the hosts that had it. A field that this build does not
know is ignored, so that a newer publisher's heads can be followed.

`rev` only informs: an engine that was restored from an old copy, or made anew, counts from a lower number on. Whoever
follows compares the whole head, as bytes, for equality.

Rejected: a list of hosts in the head (it grows with the fleet), and a share that is drawn anew for each stage (hosts
would go back and forth).
"""

from __future__ import annotations

import hashlib
import re

import msgspec

from confcast.errors import ConfcastError
from confcast.wire.messages import UNDECODABLE

MOST_BYTES = 1000
"""Bytes of the longest head."""

_LAST = 250_000_000_000.0
"""A date, in seconds since 1970, that no head is of: no calendar has much later ones."""

_STAGE = re.compile(r"[0-9]{1,6}(?: hosts?)?|[0-9]{1,3}(?:\.[0-9]{1,3})?%")

LONGEST_WHY = 160
LONGEST_BY = 64


class BadHead(ConfcastError):
    """Bytes that are no head, or a head that would be too long."""


class Rollout(msgspec.Struct, frozen=True, omit_defaults=True):
    """How `next` is rolled out, kept in the head so that another controller can go on.

    Attributes:
        stages: As `--stages` has them, one text each: "1 host", "10%", "100%".
        stage: The index of the present one; rings come before the first, with negative indexes up to -1.
        rings: As `--rings` has them: "ring=canary".
        bake: Seconds.
        min_acks: Reports of `good` that a stage needs.
        max_refused: Hosts that may refuse, over the whole rollout.
        max_lag: Seconds from a stage's begin to each of its hosts' `applied`.
    """

    stages: tuple[str, ...]
    stage: int = 0
    rings: tuple[str, ...] = ()
    bake: float = 60.0
    min_acks: int = 20
    max_refused: int = 0
    max_lag: float = 5.0


class Head(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an engine has under a key's head.

    Attributes:
        stable: The digest of the payload for all hosts that `next` is not meant for, as 64 hexadecimal digits.
        next: The digest of the payload that is being rolled out; None for none.
        percent: Hosts with a position up to this get `next`: 0 for none, 100 for all.
        rings: Hosts with one of these labels ("ring=canary") get `next`, too.
        salt: Names the rollout, and mixes the hosts' positions; a new one for each.
        rev: Counted up by each publisher, for people.
        at: When it was published, in seconds since 1970, by the publisher's clock.
        by: Who published it.
        why: The reason that was given.
        retry: Seconds that hosts wait at the most between two tries to connect; 0.0 for their own default.
        rollout: How `next` is rolled out; None if nothing is.
    """

    stable: str
    next: str | None = None
    percent: float = 0.0
    rings: tuple[str, ...] = ()
    salt: str = ""
    rev: int = 0
    at: float = 0.0
    by: str = ""
    why: str = ""
    retry: float = 0.0
    rollout: Rollout | None = None


def encode(head: Head) -> bytes:
    """The head as bytes. Raises BadHead for one that is too long, or has a digest that is none."""
    for digest in (head.stable, head.next):
        if digest is not None and not is_digest(digest):
            raise BadHead(f"{digest!r} is no digest: 64 hexadecimal digits are expected")
    content = msgspec.json.encode(head)
    if len(content) > MOST_BYTES:
        raise BadHead(f"the head has {len(content)} bytes, and {MOST_BYTES} at most are possible: give fewer stages,"
                      " rings or a shorter reason")  # fmt: skip
    return content


def fitting(head: Head) -> Head:
    """The head of a later step of a rollout, with less of `why`, then of `by`, where it would be too long.

    A rollout that began must not fail for want of room, because someone with a longer name goes on with it.
    """
    while len(msgspec.json.encode(head)) > MOST_BYTES and (head.why or head.by):
        shorter = {"why": head.why[:-1]} if head.why else {"by": head.by[:-1]}
        head = msgspec.structs.replace(head, **shorter)
    return head


def decode(content: bytes) -> Head:
    """The head that these bytes are. Raises BadHead."""
    if len(content) > MOST_BYTES:
        raise BadHead(f"{len(content)} bytes are no head, which has {MOST_BYTES} at most")
    try:
        head = msgspec.json.decode(content, type=Head)
    except UNDECODABLE as error:
        raise BadHead(f"what is there is no head of confcast: {error}") from error
    for digest in (head.stable, head.next):
        if digest is not None and not is_digest(digest):
            raise BadHead("what is there is no head of confcast: a digest is not 64 hexadecimal digits")
    if not 0.0 <= head.at <= _LAST:
        raise BadHead("what is there is no head of confcast: when it was published is no date")
    if head.rollout is not None and not _is_possible(head.rollout):
        raise BadHead("what is there is no head of confcast: its rollout has no such stage")
    return head


def _is_possible(rollout: Rollout) -> bool:
    """Whether there is the stage that a rollout is in; whoever carries it on, or shows it, looks it up."""
    in_range = -len(rollout.rings) <= rollout.stage < len(rollout.stages)
    return in_range and all(map(_STAGE.fullmatch, rollout.stages))


def id_of(content: bytes) -> str:
    """A head's name for people and `--expect`: its rev, and a digest that tells heads of one rev apart: 17-3fa9c1d2."""
    return f"{decode(content).rev}-{hashlib.sha256(content).hexdigest()[:8]}"


def digest_of(payload: bytes) -> str:
    """The digest that a payload lies under."""
    return hashlib.sha256(payload).hexdigest()


def is_digest(text: str) -> bool:
    """Whether a text is a digest, and so may be part of a key or of a path."""
    return len(text) == 64 and not set(text) - set("0123456789abcdef")


def position(salt: str, host: str) -> float:
    """Where a host stands in a rollout: 0.0 to 100.0, alike on every machine."""
    return 100.0 * (int.from_bytes(hashlib.sha256(f"{salt}:{host}".encode()).digest()[:8]) / 2**64)


def is_meant(head: Head, host: str, labels: dict[str, str]) -> bool:
    """Whether `next` is meant for this host."""
    if head.next is None:
        return False
    if any(ring in head.rings for ring in map("=".join, labels.items())):
        return True
    return head.percent > 0.0 and position(head.salt, host) <= head.percent


def chosen(head: Head, host: str, labels: dict[str, str]) -> str:
    """The digest of the payload that is meant for this host."""
    return head.next if head.next is not None and is_meant(head, host, labels) else head.stable
