"""Reports: what a host says of the payload that it was to load; and entries, the records of the audit trail.

Both are JSON, for whoever looks with the engine's own tools. No report has a value of the configuration or an address.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from confcast.errors import ConfcastError
from confcast.fleet.head import Head
from confcast.wire.messages import UNDECODABLE

LONGEST_REASON = 300

SEEN_WITHIN = 180.0
"""Seconds after its last report for which a host counts as one of the fleet."""

BEAT = 60.0
"""Seconds between two reports of a host that has nothing new to say."""

STREAMS_WITHIN = 45.0
"""Seconds for which a gateway's summary tells of streams: it writes one every 20 seconds, while it can."""

State = Literal["loading", "applied", "good", "partial", "refused", "held", "undone", "fault"]


class Report(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="of", tag="host"):
    """What a host says.

    Attributes:
        host: Its id.
        digest: The payload's that `state` is about; empty before the first.
        salt: That of the head which chose it: what was said under an earlier rollout counts for no later one.
        state: As of `config.sources.following.Outcome`. `loading`: it was read, and nothing came of it yet. `fault`:
            the head, or its payload, can't be used.
        name: The host's name, for people.
        labels: Its labels.
        reason: Why it was not applied; at most 300 characters.
        good_in: Seconds after which an `applied` can be good.
        version: The host's own version number.
    """

    host: str
    digest: str = ""
    salt: str = ""
    state: State = "loading"
    name: str = ""
    labels: dict[str, str] = {}
    reason: str = ""
    good_in: float = 0.0
    version: int = 0


class Seen(msgspec.Struct, frozen=True):
    """A report as it is found in an engine.

    Attributes:
        report: What the host says.
        age: Seconds since its last sign of life, by the engine's or the gateway's clock.
        connected: Whether a gateway has an open stream to it.
    """

    report: Report
    age: float
    connected: bool = False


class Summary(msgspec.Struct, frozen=True, tag_field="of", tag="gateway"):
    """What a gateway writes in the place of its hosts' reports.

    Attributes:
        gateway: Its id.
        hosts: The hosts that have an open stream to it, or had one lately.
    """

    gateway: str
    hosts: tuple[Seen, ...]


What = Literal["publish", "force", "widen", "promote", "stop", "rollback", "confirm"]


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A record of the audit trail, written in the same atomic step as its head.

    Attributes:
        what: What was done: `publish` begins a rollout, `force` skips it, `widen` passes a stage, `promote` passes the
            last one, `stop` goes back by itself, `rollback` is a person's, `confirm` a stage that a person passed.
        head: The head that was published; it has who, when and why.
        replaced: The id of the head before (`head.id_of`); empty for the first.
        detail: What a controller saw: "20 of 20 hosts good"; why it stopped.
    """

    what: What
    head: Head
    replaced: str = ""
    detail: str = ""


class BadReport(ConfcastError):
    """Bytes that are no report, summary or entry."""


def encode(record: Report | Summary | Entry) -> bytes:
    """The record as bytes."""
    return msgspec.json.encode(record)


def decode_entry(content: bytes) -> Entry:
    """The entry that these bytes are. Raises BadReport."""
    try:
        return msgspec.json.decode(content, type=Entry)
    except UNDECODABLE as error:
        raise BadReport(f"what is there is no entry of an audit trail: {error}") from error


def decode_reports(content: bytes, age: float) -> tuple[Seen, ...]:
    """The reports in a record of a host or of a gateway that was written `age` seconds ago. Raises BadReport."""
    found = _decode(content)
    if isinstance(found, Report):
        return (Seen(found, age),)
    return tuple(Seen(each.report, each.age + age, each.connected and age < STREAMS_WITHIN) for each in found.hosts)


def decode_summary(content: bytes) -> Summary | None:
    """The summary that these bytes are; None for a host's report. Raises BadReport."""
    found = _decode(content)
    return found if isinstance(found, Summary) else None


def _decode(content: bytes) -> Report | Summary:
    try:
        found: Report | Summary = msgspec.json.decode(content, type=Report | Summary)
    except UNDECODABLE as error:
        raise BadReport(f"what is there is no report: {error}") from error
    return found
