"""Finds the values and keys of plain data that are secrets by the types of a schema, and masks secret keys in a path.

So are those that their source calls secrets (`masked_keys.py`).

Guaranteed: if the types don't decide it (a misspelt key, a union of several classes), the value counts as a secret, or
as a URL with one.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterator
from functools import reduce
from typing import Annotated, Any, Union

from confcast.config.schema.annotations import child, is_ordered, keys_of, members
from confcast.config.schema.key_path import KeyPath, dotted
from confcast.config.schema.kinds import Secret, UrlSecret, fields_of
from confcast.config.schema.masked_keys import masked_in, with_masked_keys
from confcast.config.schema.masking import MASK
from confcast.config.schema.secret_urls import secrets_of_url, shown_url
from confcast.config.schema.secrets import (
    contains_secret,
    contains_url,
    has_own_url_keys,
    hides_own_keys,
    is_marked,
    is_marked_url,
    is_whole,
    is_whole_url,
)

_ABSENT: Any = object()


def shown_key(path: KeyPath, schema: Any) -> str:
    """A path of the data as text, keys that are secrets masked."""
    return dotted(without_secret_keys(path, schema))


def is_secret_at(schema: Any, path: KeyPath) -> bool:
    """Whether the value at a path is a secret, or may be one."""
    return contains_secret(type_of_value(schema, path))


def is_declared_secret_at(schema: Any, path: KeyPath) -> bool:
    """The same by the schema alone, whatever a source has called a secret."""
    return contains_secret(reduce(below, path, schema))


def is_url_at(schema: Any, path: KeyPath) -> bool:
    """Whether the value at a path is a URL that may have a secret in it, or may be one."""
    return contains_url(type_of_value(schema, path))


def type_of_value(schema: Any, path: KeyPath) -> Any:
    """A type for the value at a path, with the same secrets; those that are masked by their source, too."""
    return reduce(below, path, with_masked_keys(schema))


def shown_scalar(annotation: Any, value: Any) -> Any:
    """A value of plain data that is no table and no list, its secrets masked by its type."""
    if contains_secret(annotation):
        return MASK
    return shown_url(value) if isinstance(value, str) and contains_url(annotation) else value


def without_secret_keys(path: KeyPath, annotation: Any) -> KeyPath:
    """The path with secret keys masked, as `diff.py` shows them: the keys of a `dict[SecretStr, …]`."""
    shown: KeyPath = ()
    annotation = with_masked_keys(annotation)
    for part in path:
        shown = (*shown, shown_part(annotation, part))
        annotation = below(annotation, part)
    return shown


def shown_part(annotation: Any, part: Any) -> Any:
    """The key of a table of this type, masked if it is a secret, or has one in it."""
    if has_secret_keys(annotation):
        return MASK
    return shown_url(part) if isinstance(part, str) and _secrets_of(annotation).has_url_keys else part


def has_secret_keys(annotation: Any) -> bool:
    """Whether a type has tables whose keys are secrets."""
    return _secrets_of(annotation).has_secret_keys


def secrets_in(schema: Any, data: Any) -> Iterator[Any]:
    """Every scalar and every key in the data that is a secret, or may be one, for `masking`."""
    return _secrets_in(with_masked_keys(schema), data)


def _secrets_in(annotation: Any, data: Any) -> Iterator[Any]:
    is_secret = contains_secret(annotation)
    if not is_secret and not contains_url(annotation):
        return
    if isinstance(data, dict) and has_secret_keys(annotation):
        yield from data
    if isinstance(data, dict) and _secrets_of(annotation).has_url_keys:
        yield from (each for key in data if isinstance(key, str) for each in secrets_of_url(key))
    if is_secret and is_scalar(data) and not isinstance(data, bool | None):
        yield data
    if not is_secret and isinstance(data, str):
        yield from secrets_of_url(data)
    for part, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from _secrets_in(below(annotation, part), value)


def is_scalar(value: Any) -> bool:
    """Whether a value of plain data is neither a table nor a list."""
    plain = (str, bytes, bool, int, float, dt.date, dt.time)
    return value is None or isinstance(value, plain)


def below(annotation: Any, part: Any) -> Any:
    """A type for the value under a key, with the same secrets; marked as a secret if the value may be one."""
    return _secrets_of(annotation).below(part)


class _Secrets:
    """What of the values of one type is a secret. Worked out once: each wrong value of a file asks for all around it.

    Args:
        annotation: The type.
    """

    def __init__(self, annotation: Any) -> None:
        kinds = (annotation, *members(annotation))
        self.has_secret_keys = any(map(hides_own_keys, kinds))
        self.has_url_keys = any(map(has_own_url_keys, kinds))
        self._type, self._masked = masked_in(annotation)
        self._named = frozenset(name for kind in members(self._type) for name in _names_in(kind))
        self._in_order = any(map(is_ordered, members(self._type)))
        self._below: dict[Any, Any] = {}

    def below(self, part: Any) -> Any:
        """The type of the value under a key: one for each that has its own, and one for all others of a kind."""
        slot = part if part in self._named or (self._in_order and isinstance(part, int)) else type(part)
        found = self._below.get(slot, _ABSENT)
        if found is _ABSENT:
            found = _below(self._type, part)
            if slot is not part or part in self._named:  # a list may be long
                self._below[slot] = found
        masked = self._masked.below(part) if self._masked is not None else None
        return found if masked is None else masked.around(found)


def _secrets_of(annotation: Any) -> _Secrets:
    try:
        return _known_secrets(annotation)
    except TypeError:  # metadata of `Annotated` that can't be hashed
        return _Secrets(annotation)


_known_secrets = functools.lru_cache(4096)(_Secrets)


def _names_in(kind: Any) -> Iterator[Any]:
    """The keys of a class that have a type of their own, and the names of its fields."""
    keys = keys_of(kind)
    yield from keys.types if keys is not None else ()
    yield from (field.name for field in fields_of(kind) or ())


def _below(annotation: Any, part: Any) -> Any:
    is_secret = contains_secret(annotation)
    if not is_secret and not contains_url(annotation):
        return Any
    found = _typesbelow(annotation, part)
    if found is None:
        return Annotated[annotation, Secret if is_secret else UrlSecret]
    if is_whole(annotation) or (is_marked(annotation) and not contains_secret(found)):
        return Annotated[found, Secret]
    lost = is_marked_url(annotation) and not contains_url(found)
    return Annotated[found, UrlSecret] if lost or is_whole_url(annotation) else found


def _typesbelow(annotation: Any, part: Any) -> Any:
    """The types that the value under a key may have, as a union; None if it may have a secret of an unknown type."""
    kinds: list[Any] = []
    for member in members(annotation):
        found = _type_in(member, part)
        if found is not None:
            kinds += [] if found in kinds else [found]
        elif member is Any or (_has_any(member) and not _is_closed(member)):
            return None
    try:
        return Union[tuple(kinds)] if kinds else None  # noqa: UP007 - of a tuple
    except TypeError:  # up to 3.11, raised for metadata of `Annotated` that can't be hashed
        return None


def _has_any(member: Any) -> bool:
    return contains_secret(member) or contains_url(member)


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
