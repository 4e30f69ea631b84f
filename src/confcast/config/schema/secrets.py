"""Says by an annotation whether a value, its parts or its keys are secrets.

A secret is a type: pydantic's `SecretStr`, `SecretBytes` and `Secret[…]`, and whatever `Annotated[…, Secret]` marks. Of
a URL, pydantic's types for them and what `UrlSecret` marks, the password alone is one (`secret_urls.py`).
Guaranteed: an annotation that can't be resolved counts as a secret, and as a URL. Rejected: going by a field's name
(`password`, `token`, …): it misses some secrets and masks other values.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Generic, Literal

from confcast.config.schema.generics import hints_of, is_alias, named_by, value_of
from confcast.config.schema.kinds import fields_of, is_record, is_secret_mark, is_url_mark, loaded
from confcast.config.schema.masked_keys import MaskedKeys
from confcast.config.schema.pydantic_members import hidden_members
from confcast.config.schema.secret_urls import is_url_class


def contains_secret(annotation: Any) -> bool:
    """Whether an annotation has a secret type anywhere: in containers, unions and fields of classes too."""
    return _has(annotation, _is_secret_part, _is_secret_class)


def contains_url(annotation: Any) -> bool:
    """Whether an annotation has a type of URLs with secrets anywhere: in containers, unions and fields of classes."""
    return _has(annotation, is_url_mark, is_url_class)


def is_marked_url(annotation: Any) -> bool:
    """Whether `UrlSecret` is in an annotation itself, so that each text in a value of the type is such a URL."""
    return any(map(is_url_mark, _within(annotation, [])))


def is_whole_url(annotation: Any) -> bool:
    """Whether `UrlSecret` is around a type, and not only inside."""
    return any(map(is_url_mark, _within(annotation, [], contents=False)))


def has_url_keys(annotation: Any) -> bool:
    """Whether the keys of any table in an annotation are URLs with secrets."""
    return any(map(_is_keyed_by_urls, _within(annotation, [])))


def has_own_url_keys(annotation: Any) -> bool:
    """Whether a value of the type is a table whose own keys are URLs with secrets."""
    return any(map(_is_keyed_by_urls, _within(annotation, [], contents=False)))


def _is_keyed_by_urls(plain: Any) -> bool:
    return _is_table(typing.get_origin(plain)) and contains_url(typing.get_args(plain)[0])


def is_marked(annotation: Any) -> bool:
    """Whether an annotation itself has `Secret` in it, so that an object of that type is a secret as a whole.

    The fields of a class do not count: their own types say which are secrets. The arguments of a generic class such as
    `Box[SecretStr]` count, since its fields say only `T`.
    """
    return any(is_secret_mark(part) or _is_generic_of_secrets(part) for part in _within(annotation, []))


def is_whole(annotation: Any) -> bool:
    """Whether a value of the type is a secret with all its parts: `Secret` is around the type, not only inside."""
    parts = _within(annotation, [], contents=False)
    return any(is_secret_mark(part) or _is_opened_by_hand(part) or _is_generic_of_secrets(part) for part in parts)


def hides_keys(annotation: Any) -> bool:
    """Whether the keys of any table in an annotation are secrets, also in a TypedDict or NamedTuple that it names."""
    return _hides_keys(annotation, set())


def hides_own_keys(annotation: Any) -> bool:
    """Whether a value of the type is a table whose own keys are secrets."""
    return any(map(is_keyed_by_secrets, _within(annotation, [], contents=False)))


def is_keyed_by_secrets(plain: Any) -> bool:
    """Whether an unwrapped type is a table whose keys are secrets, or a table that is a secret as a whole."""
    kind, arguments = typing.get_origin(plain), typing.get_args(plain)
    if _is_opened_by_hand(plain) or any(map(is_secret_mark, getattr(plain, "__metadata__", ()))):
        return not arguments or any(map(_is_table, _within(arguments[0], [])))
    return _is_table(kind) and contains_secret(arguments[0])


def _hides_keys(annotation: Any, seen: set[type]) -> bool:
    return any(is_keyed_by_secrets(part) or _is_record_with_such(part, seen) for part in _within(annotation, []))


def _is_record_with_such(part: Any, seen: set[type]) -> bool:
    """Whether a type is a TypedDict or NamedTuple with a table whose keys are secrets, which its values do not show."""
    if is_record(typing.get_origin(part)):
        return any(map(contains_secret, typing.get_args(part)))
    if not is_record(part) or part in seen:
        return False
    seen.add(part)
    try:
        return any(_hides_keys(hint, seen) for hint in hints_of(part).values())
    except (TypeError, NameError):
        return True


def _is_table(part: Any) -> bool:
    kind = typing.get_origin(part) or part
    return isinstance(kind, type) and issubclass(kind, Mapping)


def _is_opened_by_hand(part: Any) -> bool:
    """Whether a type is pydantic's `Secret[…]`, which wraps a whole table."""
    kind = typing.get_origin(part) or part
    return isinstance(kind, type) and issubclass(kind, loaded("pydantic.types", "Secret"))


def _has(annotation: Any, is_mark: Callable[[Any], bool], is_one: Callable[[type], bool]) -> bool:
    try:
        return _known(annotation, is_mark, is_one)
    except TypeError:  # metadata of `Annotated` that can't be hashed
        return _contains(annotation, set(), is_mark, is_one)


@functools.lru_cache(4096)  # each wrong value of a file asks for its type, and for those around it
def _known(annotation: Any, is_mark: Callable[[Any], bool], is_one: Callable[[type], bool]) -> bool:
    return _contains(annotation, set(), is_mark, is_one)


def _contains(annotation: Any, seen: set[type], is_mark: Callable[[Any], bool], is_one: Callable[[type], bool]) -> bool:
    return any(is_mark(part) or _is_class_with(part, seen, is_mark, is_one) for part in _within(annotation, []))


def _is_generic_of_secrets(part: Any) -> bool:
    origin: Any = typing.get_origin(part)
    is_generic = isinstance(origin, type) and issubclass(origin, Generic)
    return is_generic and any(map(contains_secret, typing.get_args(part)))


def _is_secret_part(part: Any) -> bool:
    return is_secret_mark(part) or isinstance(part, MaskedKeys)


def _is_secret_class(cls: type) -> bool:
    return issubclass(cls, tuple(loaded("pydantic.types", name) for name in ("Secret", "SecretStr", "SecretBytes")))


def _is_class_with(part: Any, seen: set[type], is_mark: Callable[[Any], bool], is_one: Callable[[type], bool]) -> bool:
    """Whether a class is such a type, or a field of it has one."""
    if not isinstance(part, type) or part in seen:
        return False
    if is_one(part):
        return True
    seen.add(part)
    try:
        return any(_contains(hint, seen, is_mark, is_one) for hint in _hints_inside(part))
    except (TypeError, NameError):  # annotations can't be resolved: the codec refuses the class for that
        return True


def _hints_inside(cls: type) -> list[Any]:
    if is_record(cls):
        return list(hints_of(cls).values())
    return [*(field.annotation for field in fields_of(cls) or ()), *hidden_members(cls).values()]


def _within(annotation: Any, seen: list[Any], *, contents: bool = True) -> Iterator[Any]:
    """The annotation and its parts, not the fields of classes; the items of containers only with `contents`."""
    yield annotation
    if isinstance(annotation, type) or is_secret_mark(annotation) or not (contents or _is_wrapping(annotation)):
        return
    if is_alias(annotation) or isinstance(annotation, typing.TypeVar):  # both may contain themselves
        if annotation in seen:
            return
        seen.append(annotation)
    for part in _parts_of(annotation):
        if part is not None:
            yield from _within(part, seen, contents=contents)


def _is_wrapping(annotation: Any) -> bool:
    """Whether a value of the type is itself a value of one of its parts, as in a union, and no container of them."""
    origin = typing.get_origin(annotation)
    return origin in (Annotated, types.UnionType) or not isinstance(origin, type)


def _parts_of(annotation: Any) -> Iterator[Any]:
    origin = typing.get_origin(annotation)
    if is_alias(annotation):
        yield value_of(annotation)
    elif isinstance(annotation, typing.TypeVar):
        yield from named_by(annotation)
    elif origin is None:
        yield getattr(annotation, "__supertype__", None)  # NewType
    elif origin is not Literal:
        yield origin
        yield from typing.get_args(annotation)
        yield from getattr(annotation, "__metadata__", ())
