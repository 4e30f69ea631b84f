"""What webhooks are sent of an event of the history: of which type it is, its id, and its body.

Guaranteed. A body has what the history has of the event, under the same names, and no more: secrets are masked there
already. It has 16 KiB at the most, whatever the event has: lists are cut, and `cut` names them. The id of an event is
the same whenever it is made, so that a copy of the journal gives a message no second one.

An event is `settled` if it is true, and its version is not the one that was told last. So a version is told once; and
also where its owner died between its commit and its event, by the first event of the next owner. `held` is told when a
person goes back, or a server starts on its last good version, and once for each change that is held back.

Rejected: the keys alone, without values (who is woken at night has to know what became of what), and ids that are drawn
by chance (two generations may fold one event).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from confcast.owner.core.last_good import ORIGIN
from confcast.texts import shortened
from confcast.wire.messages import ReloadEvent, ReloadResult
from confcast.wire.webhooks import WebhookEvent

LARGEST = 16 * 1024
"""Bytes of the largest body; receivers often take no more than 20 kB."""

_MOST_ITEMS = (50, 10, 1, 0)
"""How many items of each list are sent: the first of these with which the body is small enough."""

_LONGEST = 500
"""Characters of a text, or of a value in a change."""

_REFUSED = frozenset(
    {
        ReloadResult.VALIDATION_FAILED,
        ReloadResult.FILE_NOT_FOUND,
        ReloadResult.IO_ERROR,
        ReloadResult.REJECTED,
        ReloadResult.GUARDED,
    }
)
_LEFT_OUT = frozenset({"dry_run"})  # no dry run is in the history
_ID_BYTES = 18


class Told(NamedTuple):
    """What was told last.

    Attributes:
        version: The version; -1 where nothing was told.
        held: What identifies the change that is held back; empty for none.
    """

    version: int = -1
    held: bytes = b""


class Message(NamedTuple):
    """One message, for each webhook that wants it."""

    event: WebhookEvent
    id: str
    timestamp: float
    body: bytes


def messages(event: ReloadEvent, told: Told, name: str, host: str, untold: str = "") -> tuple[list[Message], Told]:
    """The messages for an event, mostly none or one, and what was told last then.

    Args:
        event: With dates for its times, secrets masked.
        told: What was told before.
        name: The configuration's name.
        host: The host's name.
        untold: The message of a problem for which an event is not told.
    """
    if any(problem.message == untold for problem in event.problems):
        return [], told
    kinds, told = _kinds(event, told)
    return [_message(event, kind, name, host) for kind in kinds], told


def _kinds(event: ReloadEvent, told: Told) -> tuple[list[WebhookEvent], Told]:
    before = event.previous_version if told.version < 0 else told.version
    told = Told(event.version if event or event.result is ReloadResult.UNDONE else before, told.held)
    kinds: list[WebhookEvent] = []
    if event and event.version != before:
        kinds.append("settled")
    elif event.result is ReloadResult.UNDONE:
        kinds.append("undone")
    elif event.result in _REFUSED:
        kinds.append("refused")
    if event.result is ReloadResult.HELD:
        held = _digest(msgspec.msgpack.encode((event.changes, event.version)))
        kinds += ["held"] if held != told.held else []
        told = told._replace(held=held)
    elif event and event.origin in ("rollback", ORIGIN):
        kinds.append("held")
        told = told._replace(held=b"")
    return kinds, told


def _message(event: ReloadEvent, kind: WebhookEvent, name: str, host: str) -> Message:
    of_this = msgspec.msgpack.encode((host, name, kind, event))
    number = "msg_" + base64.urlsafe_b64encode(_digest(of_this)).decode()
    return Message(kind, number, event.timestamp, _body(event, kind, name, host))


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_ID_BYTES).digest()


def _body(event: ReloadEvent, kind: WebhookEvent, name: str, host: str) -> bytes:
    about = {"name": name, "host": host}
    body = b""
    for most in _MOST_ITEMS:
        cut: list[str] = []
        told = {field: value for field, value in _fields(event, most, cut) if field not in _LEFT_OUT}
        whole = {"type": f"confcast.{kind}", "timestamp": _date(event.timestamp), "data": {**about, **told, "cut": cut}}
        body = msgspec.json.encode(whole)
        if len(body) <= LARGEST:
            break
    return body


def _fields(event: ReloadEvent, most: int, cut: list[str]) -> Iterator[tuple[str, Any]]:
    """The event's fields, each list with so many items at the most; the names of the lists that are cut go to `cut`."""
    for field in event.__struct_fields__:
        value = getattr(event, field)
        if isinstance(value, list):
            if len(value) > most:
                cut.append(field)
            yield field, [_small(item) for item in value[:most]]
        else:
            yield field, _small(value)


def _small(value: Any) -> Any:
    """A field, or an item of a list, as plain data, each text and value in it cut."""
    if isinstance(value, msgspec.Struct):
        return {field: _small(getattr(value, field)) for field in value.__struct_fields__ if field != "excerpt"}
    if isinstance(value, str):
        return shortened(str(value), _LONGEST)
    if value is None or isinstance(value, bool | int | float):
        return value
    try:
        text = msgspec.json.encode(value).decode()
    except TypeError:  # a table with a key that JSON has not
        return shortened(repr(value), _LONGEST)
    return value if len(text) <= _LONGEST else shortened(text, _LONGEST)


def _date(timestamp: float) -> str:
    return datetime.fromtimestamp(timestamp, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
