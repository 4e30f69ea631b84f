"""Refuses what validators let pass: unknown keys, and `true` in the place of a number.

pydantic ignores unknown keys by default, and msgspec too; in a file an unknown key is a typo. If a class says
`extra="allow"`, or the user's code sees the table first (annotations.py), only one key is refused: the name of a field
that is set by its alias. In a union of several classes, which pydantic tells apart by their keys, none is.

`true` for a number: pydantic models decide that themselves (`StrictInt`, `strict=True`), msgspec refuses it, and for
stdlib dataclasses, which can't say what they accept, this file refuses it.
"""

from __future__ import annotations

import datetime as dt
import typing
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Any

from confcast.config.schema.annotations import Keys, child, is_collection, is_opaque, keys_of, members, strip
from confcast.config.schema.key_path import KeyPath, quoted
from confcast.config.schema.masking import MASK
from confcast.config.schema.secret_paths import has_secret_keys
from confcast.config.validation.field_errors import FieldError


def check(annotation: Any, value: Any, path: KeyPath = (), *, plain: bool = False) -> Iterator[FieldError]:
    """Yield an error for every unknown key, and for every boolean in the place of a number, in a value of this type.

    Args:
        annotation: The type.
        value: The data from which an instance will be made.
        path: The path of the value.
        plain: Whether a stdlib dataclass declares the type.
    """
    kind = type(value)
    if kind is dict:
        yield from _check_table(annotation, value, path, plain)
    elif kind is list:
        for index, item in enumerate(value):
            if plain or isinstance(item, dict | list):
                yield from check(child(annotation, index), item, (*path, index), plain=plain)
    elif kind is bool and plain and _is_number(annotation):
        yield FieldError(path, f"Input should be a number, not {quoted(value)}")


def _check_table(annotation: Any, table: dict[Any, Any], path: KeyPath, plain: bool) -> Iterator[FieldError]:
    keys = keys_of(annotation)
    if keys is None:
        kinds = members(annotation)
        tables = [member for member in kinds if is_collection(member)]
        if len(tables) != 1 or Any in kinds:
            return
        annotation = tables[0]
        keys = keys_of(annotation)
    if keys is not None:
        yield from _check_keys(annotation, keys, table, path)
        return
    text_only = has_text_keys(annotation)
    for key, value in table.items():
        if text_only and isinstance(key, bool):  # a model may accept numbers as text
            yield no_text(key, path, secret=has_secret_keys(annotation))
        yield from check(child(annotation, key), value, (*path, key), plain=plain)


def _check_keys(annotation: Any, keys: Keys, table: dict[Any, Any], path: KeyPath) -> Iterator[FieldError]:
    for key, value in table.items():
        name = keys.names.get(key)
        if name is None:
            if keys.closed:
                yield _unknown(key, keys, path)
            elif key in keys.names.values() and not is_opaque(annotation):
                yield _beside(key, keys, path)
            continue
        if keys.plain or isinstance(value, dict | list):
            yield from check(keys.types[key], value, (*path, key), plain=keys.plain)


def _unknown(key: Any, keys: Keys, path: KeyPath) -> FieldError:
    if not isinstance(key, str):
        return no_text(key, path)
    close = get_close_matches(key, keys.names, n=1)
    return FieldError((*path, key), "unknown key" + (f"; did you mean {close[0]!r}?" if close else ""), about="key")


def _beside(key: Any, keys: Keys, path: KeyPath) -> FieldError:
    """Refuse a field's name beside its alias: pydantic would keep both, one as the attribute, one in a dump."""
    its = next(each for each, name in keys.names.items() if name == key)
    message = f"is the name of a field that is set by {its!r}, and would be kept beside it as another key"
    return FieldError((*path, key), f"{message}: write {its!r}", about="key")


def has_text_keys(annotation: Any) -> bool:
    """Whether a type of tables declares their keys as text."""
    return strip((typing.get_args(annotation) or (Any,))[0]) is str


def no_text(key: Any, path: KeyPath, *, secret: bool = False) -> FieldError:
    """The error for a key that has to be text and is not; only YAML has such keys.

    Args:
        key: The key.
        path: The path of its table.
        secret: Whether the keys of the table are secrets.
    """
    why = ""
    if isinstance(key, bool):
        why = " (YAML reads yes, no, on and off as booleans)"
    elif key is None:
        why = " (YAML reads ~ and an empty key as null)"
    elif isinstance(key, dt.date):
        why = " (YAML reads it as a date)"
    shown = MASK if secret else quoted(key)
    return FieldError((*path, key), f"the key is no text but {shown}{why}: put it in quotes", about="key")


def _is_number(annotation: Any) -> bool:
    kinds = members(annotation)
    return any(kind in (int, float) for kind in kinds) and bool not in kinds
