"""Plain data to a `msgspec.Struct`, with everything that is wrong, where msgspec itself stops at the first error.

The happy path is one `msgspec.convert`. Only if that refuses are the fields converted one by one, to find the others.
Types that msgspec does not know (`SecretStr`, `Path`, a pydantic model inside) are pydantic's to validate.
"""

from __future__ import annotations

import dataclasses
import enum
import re
import typing
from collections.abc import Iterator
from typing import Any, Literal, TypeVar, cast

import msgspec

from confcast.config.schema import kind_of
from confcast.config.sources.formats.common import KeyPath
from confcast.config.validation.annotations import child, is_collection, keys_of, members, strip
from confcast.config.validation.findings import Finding, Invalid, dotted, has_secret_keys
from confcast.config.validation.misread import misread
from confcast.config.validation.strictness import has_text_keys, no_text

T = TypeVar("T")

_PLACE = re.compile(r"(.*?)(?: - at `(?:key in )?\$?(.*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_PART = re.compile(r"\.([^.\[]+)|\[(\d+)\]|(\[\.\.\.\])")


def convert(schema: type[T], data: Any) -> T:
    """An instance of the Struct. Raises Invalid with everything that is wrong."""
    if found := misread(cast("Any", schema)):
        raise Invalid(found)
    try:
        return cast("T", converted(schema, data))
    except Exception as error:  # also what __post_init__ raises
        raise Invalid(list(_search(schema, data, ())) or [_told(error, schema, data, ())]) from None


def converted(annotation: Any, data: Any) -> Any:
    """What msgspec makes of the data, or whatever it and validators raise."""
    return msgspec.convert(data, annotation, dec_hook=_custom)


def _custom(kind: Any, value: Any) -> Any:
    """A value of a type that msgspec does not know. msgspec adds the path to the error."""
    from confcast.config.validation.validate import construct_pydantic

    try:
        return construct_pydantic(kind, value)
    except Invalid as error:
        texts = (": ".join(filter(None, (dotted(each.path), each.message))) for each in error.findings)
        raise ValueError("; ".join(texts)) from None


def _search(annotation: Any, value: Any, path: KeyPath) -> Iterator[Finding]:
    """Everything wrong in a value: first inside it, and only if that is all right, with itself."""
    tables = [member for member in members(annotation) if is_collection(member)]
    inside: list[Finding] = []
    if len(tables) == 1 and isinstance(value, dict | list):
        inside = list(_search_inside(tables[0], value, path))
        keys = keys_of(tables[0])
        if keys is not None and isinstance(value, dict):
            value = {key: each for key, each in value.items() if key in keys.names}  # unknown ones are told elsewhere
    yield from inside or _search_itself(annotation, value, path)


def _search_itself(annotation: Any, value: Any, path: KeyPath) -> Iterator[Finding]:
    try:
        converted(annotation, value)
    except Exception as error:
        yield _told(error, annotation, value, path)


def _search_inside(annotation: Any, value: Any, path: KeyPath) -> Iterator[Finding]:
    keys = keys_of(annotation)
    if isinstance(value, dict) and (keys is not None or has_text_keys(annotation)):
        secret = has_secret_keys(annotation)
        yield from (no_text(key, path, secret=secret) for key in value if not isinstance(key, str))
    if keys is None or isinstance(value, list):
        for part, item in enumerate(value) if isinstance(value, list) else value.items():
            found = child(annotation, part)
            if found is not Any:
                yield from _search(found, item, (*path, part))
    elif _is_pydantic(annotation):
        from confcast.config.validation.validate import construct

        try:
            construct(annotation, value)
        except Invalid as error:
            yield from (finding._replace(path=path + finding.path) for finding in error.findings)
    else:
        for key, hint in keys.types.items():
            if key in value:
                yield from _search(hint, value[key], (*path, key))
            elif keys.names[key] in _required(annotation):
                yield Finding((*path, key), "Field required", about="missing")


def _is_pydantic(annotation: Any) -> bool:
    try:
        return kind_of(annotation) == "pydantic"
    except TypeError:
        return False


def _required(annotation: Any) -> set[str]:
    cls = typing.get_origin(annotation) or annotation
    if dataclasses.is_dataclass(cls):
        unset = dataclasses.MISSING
        return {field.name for field in dataclasses.fields(cls) if field.default is field.default_factory is unset}
    if issubclass(cls, msgspec.Struct):
        return {field.name for field in msgspec.structs.fields(cls) if field.required}
    return set(getattr(cls, "__required_keys__", ()))


def _told(error: Exception, annotation: Any, value: Any, path: KeyPath) -> Finding:
    """What refuses a value: msgspec, or __post_init__, of which msgspec takes only ValueError and TypeError."""
    if isinstance(error, msgspec.ValidationError):
        return _finding(error, annotation, value, path)
    from confcast.config.validation.validate import raised

    finding = raised(error, annotation, value)
    return finding._replace(path=path + finding.path)


def _finding(error: msgspec.ValidationError, annotation: Any, value: Any, path: KeyPath) -> Finding:
    found = _PLACE.fullmatch(str(error))
    assert found is not None
    for name, index, unknown in _PART.findall(found[2] or ""):
        part: Any = int(index) if index else name
        if unknown or not isinstance(value, dict | list):
            break
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            break
        annotation, path = child(annotation, part), (*path, part)
    unknown_key = _UNKNOWN.fullmatch(found[1])
    if unknown_key:
        return Finding((*path, unknown_key[1]), "unknown key", about="key")
    return Finding(path, _choices(annotation) or found[1], value)


def _choices(annotation: Any) -> str | None:
    """What may stand there, if that is a list of values: msgspec only says that this is none of them."""
    plain = strip(annotation)
    if typing.get_origin(plain) is Literal:
        choices = list(typing.get_args(plain))
    elif isinstance(plain, type) and issubclass(plain, enum.Enum):
        choices = [member.value for member in plain]
    else:
        return None
    return f"Input should be {', '.join(map(repr, choices[:-1]))}{' or ' if choices[:-1] else ''}{choices[-1]!r}"
