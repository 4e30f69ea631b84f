"""Finds the values and keys of plain data that are secrets by the types of a schema, and masks secret keys in a path.

Guaranteed: if the types don't decide it (a misspelt key, a union of several classes), the value counts as a secret.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from functools import reduce
from typing import Annotated, Any, Union

from confcast.config.schema.annotations import child, keys_of, members
from confcast.config.schema.key_path import KeyPath, dotted
from confcast.config.schema.kinds import Secret, fields_of
from confcast.config.schema.masking import MASK
from confcast.config.schema.secrets import contains_secret, hides_own_keys, is_marked, is_whole


def shown_key(path: KeyPath, schema: Any) -> str:
    """A path of the data as text, keys that are secrets masked."""
    return dotted(without_secret_keys(path, schema))


def is_secret_at(schema: Any, path: KeyPath) -> bool:
    """Whether the value at a path is a secret, or may be one."""
    return contains_secret(reduce(below, path, schema))


def without_secret_keys(path: KeyPath, annotation: Any) -> KeyPath:
    """The path with secret keys masked, as `diff.py` shows them: the keys of a `dict[SecretStr, …]`."""
    shown: KeyPath = ()
    for part in path:
        shown = (*shown, MASK if has_secret_keys(annotation) else part)
        annotation = below(annotation, part)
    return shown


def has_secret_keys(annotation: Any) -> bool:
    """Whether a type has tables whose keys are secrets."""
    return any(map(hides_own_keys, (annotation, *members(annotation))))


def secrets_in(annotation: Any, data: Any) -> Iterator[Any]:
    """Every scalar and every key in the data that is a secret by its type, or may be one."""
    if not contains_secret(annotation):
        return
    if isinstance(data, dict) and has_secret_keys(annotation):
        yield from data
    if is_scalar(data) and not isinstance(data, bool | None):
        yield data
    for part, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from secrets_in(below(annotation, part), value)


def is_scalar(value: Any) -> bool:
    """Whether a value of plain data is neither a table nor a list."""
    plain = (str, bytes, bool, int, float, dt.date, dt.time)
    return value is None or isinstance(value, plain)


def below(annotation: Any, part: Any) -> Any:
    """A type for the value under a key, with the same secrets; marked as a secret if the value may be one."""
    if not contains_secret(annotation):
        return Any
    found = _typesbelow(annotation, part)
    if found is None:
        return Annotated[annotation, Secret]
    lost = is_marked(annotation) and not contains_secret(found)
    return Annotated[found, Secret] if lost or is_whole(annotation) else found


def _typesbelow(annotation: Any, part: Any) -> Any:
    """The types that the value under a key may have, as a union; None if it may have a secret of an unknown type."""
    kinds: list[Any] = []
    for member in members(annotation):
        found = _type_in(member, part)
        if found is not None:
            kinds += [] if found in kinds else [found]
        elif member is Any or (contains_secret(member) and not _is_closed(member)):
            return None
    try:
        return Union[tuple(kinds)] if kinds else None  # noqa: UP007 - of a tuple
    except TypeError:  # up to 3.11, raised for metadata of `Annotated` that can't be hashed
        return None


def _type_in(member: Any, part: Any) -> Any:
    found, keys = child(member, part), keys_of(member)
    if found is not Any:
        return found
    name = keys.names.get(part) if keys is not None and part not in keys.indirect else None
    # A key that names no field may be the misspelt name of a secret.
    return next((field.annotation for field in fields_of(member) or () if field.name == name), None)


def _is_closed(member: Any) -> bool:
    keys = keys_of(member)
    return keys is not None and keys.closed
