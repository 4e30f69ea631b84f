"""Changes an input as what it is: one value of a msgpack or JSON document becomes another, or changes its place.

libFuzzer changes bytes, of which most are no document any more: nothing behind the parser would be reached.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tests.fuzz.bounds import LONGEST

ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 255, 2**31, 2**32 - 1, 2**53, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)),
    *(0.0, -1.0, 0.5, 1e9, 1e308, float("nan"), float("inf"), float("-inf"), 1e-300, "", "x", "a.b", "a[0]", "*", "-"),
    *(
        "\0",
        "\x1b[31m",
        "\u202e",
        "\U0010ffff",
        "é",
        "/",
        "..",
        "%",
        "{}",
        "[",
        "1",
        "inf",
        "A" * 300,
        b"",
        b"A",
        b"\xff",
    ),
    *([], [[]], {}, {"a": 1}, {"": None}, [1, "x", None], {"a": {"b": [1, 2.5]}}),
]


def of(form: str) -> Callable[[bytes, random.Random], bytes | None]:
    """What changes an input of this form; it gives None for one that has no such document."""
    return _MUTATORS[form]


def _msgpack(data: bytes, chance: random.Random) -> bytes | None:
    """One of the documents after a length of two bytes, if there are any (`bounds.joined`), or the input as a whole."""
    places = [at for at in range(len(data) - 2) if _has_document(data, at)]
    if places and chance.random() < 0.9:
        at = chance.choice(places)
        end = at + 2 + int.from_bytes(data[at : at + 2])
        body = _changed(data[at + 2 : end], chance)
        if body is None or len(body) > LONGEST:
            return None
        steps = data[chance.choice([0, at]) : end] if chance.random() < 0.1 else b""  # the step comes twice
        return data[:at] + len(body).to_bytes(2) + body + data[end:] + steps
    return _changed(data, chance)


def _has_document(data: bytes, at: int) -> bool:
    size = int.from_bytes(data[at : at + 2])
    begins = data[at + 2 : at + 4]  # an array, and in it the name of the message
    return (
        1 < size <= len(data) - at - 2 and (begins[0] in range(0x90, 0xA0) or begins[0] == 0xDC) and begins[1] >= 0xA0
    )


def _changed(body: bytes, chance: random.Random) -> bytes | None:
    try:
        return msgspec.msgpack.encode(with_one_changed(msgspec.msgpack.decode(body), chance))
    except (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError, TypeError):
        return None


def _json(data: bytes, chance: random.Random) -> bytes | None:
    lines = data.split(b"\n")
    at = chance.randrange(len(lines))
    try:
        lines[at] = msgspec.json.encode(with_one_changed(msgspec.json.decode(lines[at]), chance))
    except (msgspec.MsgspecError, UnicodeError, RecursionError, OverflowError, TypeError):
        return None
    return b"\n".join(lines)


_MUTATORS = {"msgpack": _msgpack, "json": _json}


def by_bytes(data: bytes, chance: random.Random, tokens: Sequence[bytes]) -> bytes:
    """The input with a piece put in, left out, or doubled, or a bit that is another."""
    at, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    what = chance.randrange(4)
    if what == 0:
        return data[:at] + (chance.choice(tokens) if tokens else chance.randbytes(3)) + data[at:]
    if what == 1:
        return data[:at] + data[end:]
    if what == 2:
        return (data[:end] + data[at:])[:LONGEST]
    changed = bytearray(data or b"\0")
    changed[at % len(changed)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def with_one_changed(document: Any, chance: random.Random) -> Any:
    """The document with one value replaced, left out, doubled, or put in another's place."""
    places = list(_places(document))
    if not places:
        return chance.choice(ODD)
    holder, key = chance.choice(places)
    what = chance.randrange(6)
    if what == 0 and isinstance(holder, list):
        holder.insert(key, holder[key])
    elif what == 1:
        del holder[key]
    elif what == 2:
        other, its = chance.choice(places)
        holder[key] = other[its]
    elif what == 3 and isinstance(holder[key], int | float):
        holder[key] += chance.choice([1, -1, 0.5])
    else:
        holder[key] = chance.choice(ODD)
    return document


def _places(node: Any) -> Any:
    for key, value in (
        list(node.items()) if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    ):
        yield node, key
        yield from _places(value)
