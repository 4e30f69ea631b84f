"""Values that a program sets, as the plain data that a message can carry to the owner.

A `SecretStr` becomes its text: the schema of the owner says what is a secret there. Dates and times become their ISO
form, as an environment variable would have them. Rejected: leaving conversion to msgspec (its error names no key, and
may quote the value).
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Mapping
from typing import Any

_DEEPEST = 100
"""How deep tables and lists may be nested, as in a file."""
_SIGNED, _UNSIGNED = -(2**63), 2**64


def plain_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values by key, as plain data.

    Raises:
        TypeError: A value, or one inside, is no plain data; the message names its key and type, and not the value.
    """
    return {_key(key, str(key)): _plain(value, str(key)) for key, value in values.items()}


def _plain(value: Any, key: str, depth: int = 1) -> Any:
    if depth > _DEEPEST:
        raise TypeError(f"{key[:_DEEPEST]}… is nested more than {_DEEPEST} levels deep")
    hidden = getattr(value, "get_secret_value", None)
    if callable(hidden):
        return _plain(hidden(), key, depth)
    if isinstance(value, Mapping):
        return {_key(name, key): _plain(item, f"{key}.{name}", depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, f"{key}[{index}]", depth + 1) for index, item in enumerate(value)]
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    fits = value is None or type(value) in (bool, float, str, bytes)
    if not (fits or (type(value) is int and _SIGNED <= value < _UNSIGNED)):
        raise TypeError(
            f"{key} can't be set to a {type(value).__name__}: give plain data (text, numbers of up to 64 bits, "
            "booleans, lists, tables), dates, or a SecretStr"
        )
    return value


def _key(name: Any, around: str) -> str:
    hidden = getattr(name, "get_secret_value", None)
    if callable(hidden):
        name = hidden()
    if not isinstance(name, str):
        raise TypeError(f"a key in {around} is a {type(name).__name__}: keys are text")
    return name
