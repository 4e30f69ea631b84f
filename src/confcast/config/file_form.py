"""Writes a default as plain data that a file can have, so that a load makes the same value of it.

Guaranteed: what is a secret by its type is never in it. A value that no text stands for (bytes, an object of a class
that the type does not name, None) is refused in whole, instead of written as something similar.

Rejected: the libraries' own dumps (pydantic's masks secrets as text that would be read as one, and msgspec has none for
types that it does not know).
"""

from __future__ import annotations

import datetime as dt
import enum
import re
from collections import deque
from typing import Any

import msgspec

from confcast.config.codec import Codec
from confcast.config.codec.leaves import leaf_of
from confcast.config.field_facts import UNKNOWN, SchemaField, annotation_of, default_of
from confcast.config.schema.annotations import keys_of, written_children
from confcast.config.schema.kinds import fields_of
from confcast.config.schema.secret_urls import shown_url
from confcast.config.schema.secrets import contains_secret, contains_url, is_marked

_LONGEST = 10_000
"""Characters of a default at the most: a file that a person begins with has no use for a longer one."""

_BY_STR = frozenset({23, 24, *range(25, 29), *range(34, 40), 46, 47})
"""The codes of leaves whose str() is read as the same value: Decimal, UUID, paths, addresses, URLs."""

_SIZE = 32


class Unwritable(Exception):
    """A value can't be written to a file so that a load makes the same of it."""


class FileForm:
    """Writes values of one schema.

    Args:
        codec: Its codec, for comparing values.
    """

    def __init__(self, codec: Codec[Any]) -> None:
        self._codec = codec

    def value(self, value: Any, annotation: Any) -> Any:
        """A value as a file has it. Raises Unwritable."""
        if contains_secret(annotation) and not (isinstance(value, list | tuple | dict | set) and not value):
            raise Unwritable
        try:
            plain = self._plain(value, annotation)
        except RecursionError:
            raise Unwritable from None
        if len(repr(plain)) > _LONGEST or (contains_url(annotation) and _has_password(plain)):
            raise Unwritable
        return plain

    def table(self, value: Any) -> dict[str, Any]:
        """An object as the table that a file has for it; keys whose class has the same default may be left out.

        Raises Unwritable.
        """
        cls: Any = type(value)
        keys = keys_of(cls)
        if keys is None or getattr(value, "__pydantic_extra__", None):
            raise Unwritable
        if any(len(path) > 1 for each in keys.sought.values() for path in each.paths):
            raise Unwritable
        found = dict[str, Any]()
        for name in dict.fromkeys(keys.names.values()):
            key = key_of(cls, keys.names, name)
            field = SchemaField(annotation_of(cls, name, keys.written[key]), cls, name)
            part = getattr(value, name, UNKNOWN) if (tag := tag_of(cls, name)) is UNKNOWN else tag
            try:
                is_open = fields_of(type(part)) is not None and not is_marked(field.annotation)
                found[key] = self.table(part) if is_open else self.value(part, field.annotation)
            except Unwritable:
                if not self._is_default(field, part):
                    raise
        return found

    def _is_default(self, field: SchemaField, part: Any) -> bool:
        try:
            return self._codec.comparable(default_of(field)) == self._codec.comparable(part)
        except Exception:  # a function of the schema's makes the default
            return False

    def _plain(self, value: Any, annotation: Any) -> Any:
        cls: Any = type(value)
        if cls in (bool, float) or (cls is int and -(2**63) <= value < 2**63):
            return value
        if cls is str:
            return _encodable(value)
        if isinstance(value, enum.Enum):
            return self._plain(value.value, Any)
        if getattr(cls, "__pydantic_root_model__", False):
            return self.value(value.root, cls.__pydantic_fields__["root"].annotation)
        if fields_of(cls) is not None:
            return self.table(value)
        if isinstance(value, dict):
            return {self._key(key): self._plain(item, _below(annotation, key)) for key, item in value.items()}
        if isinstance(value, set | frozenset):
            return [self._plain(item, Any) for item in sorted(value, key=self._codec.comparable)]
        if isinstance(value, list | tuple | deque):
            return [self._plain(item, _below(annotation, index)) for index, item in enumerate(value)]
        return _leaf(value)

    def _key(self, key: Any) -> str:
        plain = self._plain(key, Any)
        if type(plain) not in (str, int):
            raise Unwritable
        return str(plain)


def tag_of(cls: Any, name: str) -> Any:
    """The text by which a Struct's class is told from others, if this is the key that has it; UNKNOWN for any other."""
    config = getattr(cls, "__struct_config__", None)
    return config.tag if config is not None and config.tag_field == name else UNKNOWN


def key_of(cls: Any, names: dict[str, str], name: str) -> str:
    """The key of a field in a file: the declared one, if the library takes it, or the first of its spellings."""
    declared = next((each.key for each in fields_of(cls) or () if each.name == name), name)
    return declared if names.get(declared) == name else next(key for key in names if names[key] == name)


def _below(annotation: Any, part: Any) -> Any:
    return next(iter(written_children(annotation, part)), Any)


def _has_password(plain: Any) -> bool:
    """Whether a URL in plain data has a password, which no file that is made for a person may have."""
    if isinstance(plain, dict | list):
        return any(map(_has_password, (*plain, *plain.values()) if isinstance(plain, dict) else plain))
    return isinstance(plain, str) and shown_url(plain) != plain


def _leaf(value: Any) -> Any:
    leaf = leaf_of(type(value))
    if leaf is None:
        raise Unwritable
    if isinstance(value, dt.date | dt.time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return msgspec.to_builtins(value)
    if isinstance(value, re.Pattern) and isinstance(value.pattern, str) and value.flags == re.compile("").flags:
        return _encodable(value.pattern)
    if leaf.code in _BY_STR:
        return _encodable(str(value))
    if leaf.code == _SIZE:
        return int(value)
    raise Unwritable


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Unwritable from None
    return text
