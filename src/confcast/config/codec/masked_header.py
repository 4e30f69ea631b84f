"""Puts the keys whose values are secrets by their source before a payload, so that they are where the payload is.

Guaranteed: a configuration without such keys has the payload that it had before there were any, byte for byte; the
digest (`codec.digest`) does not depend on them, so that a value which moves into a file of secrets is no change.

Rejected: a field beside the payload in each message, row and file that has one (a dozen, each of which may lose it),
and the schema's annotations (which keys they are is known at the load, and each load may find others).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from confcast.config.schema.key_path import KeyPath
from confcast.texts import str_of

_BEGIN = b"\xc1masked\n"
"""A payload begins with its schema's fingerprint, which is this one by a chance of one in 2**64."""

_SIZE = 4

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[str, ...]]).decode


def with_masked(payload: bytes, keys: Iterable[KeyPath]) -> bytes:
    """The payload with these keys before it; the payload itself for none."""
    listed = sorted({tuple(map(str_of, key)) for key in keys})
    if not listed:
        return payload
    content = _encode(listed)
    return _BEGIN + len(content).to_bytes(_SIZE, "big") + content + payload


def without_masked(payload: bytes) -> bytes:
    """The payload alone."""
    return payload[_end(payload) :]


def header_of(payload: bytes) -> bytes:
    """What stands before the payload; empty for nothing."""
    return payload[: _end(payload)]


def masked_of(payload: bytes) -> list[tuple[str, ...]]:
    """The keys before a payload. Raises what msgspec raises where the bytes are damaged."""
    header = header_of(payload)
    return _decode(header[len(_BEGIN) + _SIZE :]) if header else []


def _end(payload: bytes) -> int:
    if not payload.startswith(_BEGIN):
        return 0
    start = len(_BEGIN) + _SIZE
    return start + int.from_bytes(payload[len(_BEGIN) : start], "big")
