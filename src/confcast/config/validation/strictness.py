"""Refuses what validators let pass: unknown keys, and `true` in the place of a number.

pydantic ignores unknown keys by default, and msgspec too; in a file an unknown key is a typo. If a class says
`extra="allow"`, or the user's code sees the table first (annotations.py), only one key is refused: the name of a field
that is set by its alias. In a union of several classes, which pydantic tells apart by their keys, none is.

`true` for a number: pydantic models decide that themselves (`StrictInt`, `strict=True`), msgspec refuses it, and for
stdlib dataclasses, which can't say what they accept, this file refuses it.
"""

from __future__ import annotations

import datetime as dt
import functools
import typing
from collections.abc import Iterator
from typing import Any

from confcast.config.schema.annotations import (
    Keys,
    child,
    is_collection,
    is_opaque,
    is_ordered,
    keys_of,
    members,
    strip,
)
from confcast.config.schema.key_path import KeyPath, quoted
from confcast.config.schema.masking import MASK
from confcast.config.schema.secret_paths import has_secret_keys
from confcast.config.validation.field_errors import MOST, FieldError
from confcast.texts import close_matches

_UNSEEN: Any = object()


def check(annotation: Any, value: Any) -> list[FieldError]:
    """List an error for every unknown key, and for every boolean in the place of a number, in a value of this type."""
    found: list[FieldError] = []
    rule = _rule(annotation, plain=False)
    if rule is not None:
        rule.check(value, (), found)
    return found


class _Rule:
    """What is wrong in the data of one type. The types inside are asked for their own rules, once each.

    Every load walks over all data, so nothing but the data may cost time: what a type is asked for more than once is an
    attribute here, and where nothing can be wrong the rule is None.

    Args:
        annotation: The type.
        plain: Whether a stdlib dataclass declares it.
    """

    def __init__(self, annotation: Any, *, plain: bool) -> None:
        self._annotation, self._plain = annotation, plain
        self._is_number = plain and _is_number(annotation)
        self._table = _one_table(annotation)  # the type that a table is checked by
        self._keys = keys_of(self._table)
        self._text_only = has_text_keys(self._table)
        self._in_order = any(map(is_ordered, members(annotation)))
        self._inside: dict[Any, _Rule | None] = {}  # by the keys of a table, or by their types
        self._items: dict[Any, _Rule | None] = {}

    def check(self, value: Any, path: KeyPath, found: list[FieldError]) -> None:
        """Add to `found` what is wrong in a value."""
        kind = type(value)
        if kind is dict:
            if self._keys is not None:
                self._check_keys(self._keys, value, path, found)
            elif self._table is not None:
                self._check_entries(value, path, found)
        elif kind is list:
            self._check_items(value, path, found)
        elif kind is bool and self._is_number:
            found.append(FieldError(path, f"Input should be a number, not {quoted(value)}"))

    def _check_keys(self, keys: Keys, table: dict[Any, Any], path: KeyPath, found: list[FieldError]) -> None:
        inside = self._inside
        for key, value in table.items():
            rule = inside.get(key, _UNSEEN)
            if rule is _UNSEEN:
                if key not in keys.names:
                    found += self._wrong_key(keys, key, path, hint=len(found) < MOST)
                    continue
                rule = inside[key] = _rule(keys.types[key], plain=keys.plain)
            if rule is not None:
                rule.check(value, (*path, key), found)

    def _check_entries(self, table: dict[Any, Any], path: KeyPath, found: list[FieldError]) -> None:
        for key, value in table.items():
            if self._text_only and isinstance(key, bool):  # a model may accept numbers as text
                found.append(no_text(key, path, secret=has_secret_keys(self._table)))
            rule = self._below(self._inside, self._table, key)
            if rule is not None:
                rule.check(value, (*path, key), found)

    def _check_items(self, items: list[Any], path: KeyPath, found: list[FieldError]) -> None:
        for index, item in enumerate(items):
            rule = self._below(self._items, self._annotation, index)
            if rule is not None:
                rule.check(item, (*path, index), found)
            elif not self._in_order:
                return

    def _below(self, known: dict[Any, _Rule | None], annotation: Any, part: Any) -> _Rule | None:
        """The rule of an entry or an item: the same for all of a table or list, unless each has a type of its own."""
        slot = part if self._in_order else type(part)
        rule: _Rule | None = known.get(slot, _UNSEEN)
        if rule is _UNSEEN:
            rule = _rule(child(annotation, part), plain=self._plain)
            if rule is not None or not self._in_order:  # a list may be long: keep only the items that have a type
                known[slot] = rule
        return rule

    def _wrong_key(self, keys: Keys, key: Any, path: KeyPath, *, hint: bool) -> Iterator[FieldError]:
        if keys.closed:
            yield _unknown(key, keys, path, hint=hint)
        elif key in keys.names.values() and not is_opaque(self._table):
            yield _beside(key, keys, path)


def _rule(annotation: Any, *, plain: bool) -> _Rule | None:
    """The rule of a type; None if nothing can be wrong in its data."""
    try:
        return _rule_once(annotation, plain)
    except TypeError:  # something in an `Annotated` can't be hashed
        return _rule_once.__wrapped__(annotation, plain)


@functools.cache
def _rule_once(annotation: Any, plain: bool) -> _Rule | None:
    if any(map(is_collection, members(annotation))) or (plain and _is_number(annotation)):
        return _Rule(annotation, plain=plain)
    return None


def _one_table(annotation: Any) -> Any:
    """The one class or type of tables that a type allows; None if it allows several, or none."""
    if keys_of(annotation) is not None:
        return annotation
    kinds = members(annotation)
    tables = [member for member in kinds if is_collection(member)]
    return tables[0] if len(tables) == 1 and Any not in kinds else None


def _unknown(key: Any, keys: Keys, path: KeyPath, *, hint: bool) -> FieldError:
    """The error for a key that there is not; with the most similar one, if a person will be told of the error."""
    if not isinstance(key, str):
        return no_text(key, path)
    close = close_matches(key, keys.names) if hint else []
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
