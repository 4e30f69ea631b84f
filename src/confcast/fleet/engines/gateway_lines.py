"""What a gateway and its hosts say to each other: paths, headers, and the lines of a stream.

    GET  /v1/KEY/stream            JSON lines without an end: the head, then one line for each head that comes after it,
                                   and one without a head every HEARTBEAT seconds
    GET  /v1/KEY/head              one such line; with ?after=DIGEST&wait=25, once the head has another digest
    GET  /v1/KEY/payload/DIGEST    the bytes of a payload that the present head or the one before it names
    POST /v1/KEY/report            a host's report (`fleet/reports.py`), kept in the place of its last one
    GET  /healthz                  whether the gateway serves, and whether it hears from its engine

Each request but the last names the host by headers. A head travels as a JSON text in its line, so that its bytes stay
exactly what they were: hosts compare heads for equality. Rejected: Server-Sent Events (three lines for one), WebSockets
(nothing is said upwards that a short request does not say as well), and the payload in the line (each host would be
sent it, also the one that has it).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated
from urllib.parse import quote

import msgspec

from confcast.wire.messages import UNDECODABLE

HOST, NAME, LABELS = "Confcast-Host", "Confcast-Name", "Confcast-Labels"
"""The headers that name a host: its id, its name in JSON, and its labels in JSON."""

HEARTBEAT = 10.0
"""Seconds after which a gateway sends a line that has nothing new."""

LOST_AFTER = 30.0
"""Seconds without a line after which a stream is lost."""

LONGEST_WAIT = 25.0
"""Seconds that a long poll waits: below the 30 after which many proxies give up."""

LONGEST_LINE = 8 * 1024
"""Bytes of the longest line; a head of 1 KB has six times as many where each of its characters is escaped."""

LONGEST_TROUBLE = 300
"""Characters of `Line.trouble`."""

LONGEST_ID = 128
LONGEST_LABELS = 4 * 1024
"""Characters of a host's id, and of its labels as a header."""


Seconds = Annotated[float, msgspec.Meta(ge=0.0, le=1e9)]
"""A time that is no date: thirty years are nobody's."""


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line of a stream.

    Attributes:
        digest: SHA-256 of the head, as hexadecimal digits.
        head: The head; empty in a line that has nothing new.
        retry: Seconds that a host waits at the most between two tries to connect, by the fleet's size.
        away: Seconds for which the gateway has not heard from its engine; 0.0 while it does.
        trouble: Why the head may not be the engine's, in words: the engine is away, or its head is gone or none.
    """

    digest: str
    head: str = ""
    retry: Seconds = 0.0
    away: Seconds = 0.0
    trouble: str = ""


class BadLine(ValueError):
    """Bytes that are no line."""


def digest_of(head: bytes) -> str:
    """What a line calls a head."""
    return hashlib.sha256(head).hexdigest()


def encode(line: Line) -> bytes:
    """The line, with its end."""
    return msgspec.json.encode(line) + b"\n"


def decode(content: bytes) -> Line:
    """The line that these bytes are. Raises BadLine, also for a head that is not the one of the digest."""
    try:
        line = msgspec.json.decode(content, type=Line)
    except UNDECODABLE as error:
        raise BadLine(f"it is no line of a gateway: {error}") from error
    if line.head and digest_of(line.head.encode()) != line.digest:
        raise BadLine("its head is not the one of its digest")
    return line


def path(key: str, *more: str) -> str:
    """The path of something of this key."""
    return "/v1/" + "/".join(quote(part, safe="") for part in (key, *more))


def headers(host: str, name: str, labels: Mapping[str, str]) -> dict[str, str]:
    """The headers by which a host names itself; ASCII, whatever its name is."""
    return {HOST: host, NAME: json.dumps(name), LABELS: json.dumps(dict(labels), separators=(",", ":"))}


class Caller(msgspec.Struct, frozen=True):
    """The host that a request comes from.

    Attributes:
        host: Its id.
        name: Its name, for people.
        labels: Its labels.
    """

    host: str
    name: str
    labels: dict[str, str]


def caller(given: Mapping[str, str]) -> Caller:
    """The host that these headers name. Raises BadLine, which says what is expected."""
    host = given.get(HOST, "")
    if not is_id(host):
        raise BadLine(f"{HOST}: the host's id is expected: 1 to {LONGEST_ID} letters, digits or characters of -._:@")
    texts = given.get(NAME, '""'), given.get(LABELS, "{}")
    if max(map(len, texts)) > LONGEST_LABELS:
        raise BadLine(f"{NAME}, {LABELS}: {LONGEST_LABELS} characters at most are expected")
    try:
        name = msgspec.json.decode(texts[0], type=str)
        labels = msgspec.json.decode(texts[1], type=dict[str, str])
    except (msgspec.DecodeError, UnicodeError) as error:
        raise BadLine(f"{NAME}, {LABELS}: JSON is expected, a text and an object of texts: {error}") from error
    return Caller(host, name[:LONGEST_ID], labels)


def is_id(text: str) -> bool:
    """Whether a text can be a host's id."""
    return 0 < len(text) <= LONGEST_ID and text.isascii() and all(each.isalnum() or each in "-._:@" for each in text)
