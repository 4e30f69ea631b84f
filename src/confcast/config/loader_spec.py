"""A loader's parts as data, for the config owner: overrides as they are, sources and guards with their import paths."""

from __future__ import annotations

from typing import Any

import msgspec

from confcast.config.schema.key_path import dotted
from confcast.config.schema.kinds import import_path, resolve
from confcast.wire.decoders import decode
from confcast.wire.messages import WithSecrets


class LoaderSpec(WithSecrets, frozen=True):
    """A loader as data, which the config owner is sent and builds a loader from.

    Attributes:
        schema: The import path of the schema.
        sources: The import path and the msgpack bytes of each source.
        overrides: The overrides as msgpack bytes.
        guards: The import path and the msgpack bytes of each guard.
    """

    SHOWN = ("schema",)

    schema: str
    sources: list[tuple[str, bytes]]
    overrides: bytes
    guards: tuple[tuple[str, bytes], ...] = ()


def check_plain(value: Any, path: tuple[Any, ...]) -> None:
    """Raise TypeError, with the key, for an override that can't be sent as it is."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            check_plain(item, (*path, key))
    elif not (value is None or type(value) in (bool, float, str, bytes) or (type(value) is int and abs(value) < 2**63)):
        what = "whole number of more than 64 bits" if type(value) is int else type(value).__name__
        raise TypeError(
            f"the override {dotted(path)} is a {what}, which the config owner can't be sent:"
            " give plain data (text, numbers, booleans, lists, tables)"
        )


def unpacked(path: str, data: bytes) -> Any:
    """The source or guard that `packed` has written. Raises ImportError if its class can't be imported."""
    return decode(data, resolve(path))


def packed(part: Any) -> tuple[str, bytes]:
    """A source or a guard as data. Raises TypeError if it can't be sent, or its class can't be imported elsewhere."""
    if not isinstance(part, msgspec.Struct):
        raise TypeError(
            f"a {type(part).__name__} is no msgspec.Struct, so it can't be sent to the config owner:"
            " derive it from msgspec.Struct"
        )
    return import_path(type(part)), msgspec.msgpack.encode(part)
