"""Finds the value for which a validator raised an exception that its library does not handle.

pydantic and msgspec give the path of a value if a validator raises a ValueError; any other exception passes through
them and leaves only a traceback. So the parts of the data are validated again, one by one, down to the innermost that
raises the same; the function in the traceback shows the field. A builtin (`BeforeValidator(int)`) has no line in a
traceback: then the fields are validated one by one, each by its type and its validators.

Validators run again only for a load that is refused anyway. Rejected: wrapping every validator of a schema beforehand
(each load would pay for it, and pydantic keeps validators of nested models as they were built).
"""

from __future__ import annotations

import inspect
import re
import traceback
import typing
from collections.abc import Callable, Iterator
from types import CodeType, FrameType
from typing import Annotated, Any

import msgspec

from confcast.config.schema.annotations import child, keys_of, members
from confcast.config.schema.key_path import KeyPath
from confcast.texts import str_of

_OURS = re.compile(r"(pydantic|pydantic_core|msgspec|confcast\.config)(\.|$)")  # they call the user's validators

Validate = Callable[[Any, Any], object]
"""Validates a value against a type; raises whatever the type's validators raise."""


def place_of(annotation: Any, data: Any, error: Exception, validate: Validate) -> KeyPath:
    """The path of the value for which a validator raised, or else of the innermost known table around it."""
    path: KeyPath = ()
    while (found := _inside(annotation, data, error, validate)) is not None:
        part, error = found
        path, annotation, data = (*path, part), child(annotation, part), data[part]
    frames = {frame.f_code: frame for frame, _ in traceback.walk_tb(error.__traceback__)}
    kinds = members(annotation)
    fields = [field for kind in kinds for field in _fields_of(kind, frames, data)]
    if len(fields) != 1:  # the library stops at the first that raises
        fields = [field for kind in kinds for field in _fields_that_raise(kind, data, error, validate)][:1]
    return (*path, *fields)


def last_line(error: Exception) -> tuple[str, int] | None:
    """The last file and line of the user's code in the traceback; None if a library called a builtin."""
    lines = [
        (frame.f_code.co_filename, line)
        for frame, line in traceback.walk_tb(error.__traceback__)
        if not _OURS.match(frame.f_globals.get("__name__", ""))
    ]
    return lines[-1] if lines else None


def _inside(annotation: Any, data: Any, error: Exception, validate: Validate) -> tuple[Any, Exception] | None:
    """The key or index of the part of the data that raises the same alone, and what it raises; None if none does."""
    if isinstance(data, dict | list):
        for part, item in data.items() if isinstance(data, dict) else enumerate(data):
            below = child(annotation, part)
            if below is not Any and (again := _raised(below, item, validate)) is not None and _is_same(again, error):
                return part, again
    return None


def _raised(annotation: Any, value: Any, validate: Validate) -> Exception | None:
    """The exception that a user's validator raises for a value, other than its library's; None if it raises none."""
    try:
        validate(annotation, value)
    except (msgspec.ValidationError, ValueError, AssertionError):  # pydantic's own is a ValueError
        return None
    except Exception as error:  # raised by the user's code
        return error
    return None


def _is_same(one: Exception, other: Exception) -> bool:
    line = last_line(one)
    if type(one) is not type(other) or line != last_line(other):
        return False
    return line is not None or str_of(one) == str_of(other)  # a builtin has no line: compare the text


def _fields_of(cls: Any, frames: dict[CodeType, FrameType], data: Any) -> list[Any]:
    """The key of the field whose validator is in the traceback; several keys, or none, if the field is not certain."""
    keys = keys_of(cls)
    if keys is None or not hasattr(cls, "__pydantic_decorators__") or not isinstance(data, dict):
        return []
    found = {name: frame for name, code in _validators(cls) if (frame := frames.get(code)) is not None}
    if len(found) > 1:
        found = {name: frame for name, frame in found.items() if _is_about(frame, name)} or found
    spelt = {keys.names[key]: key for key in data if key in keys.names}
    present = [name for name in found if name in spelt]
    if len(present) > 1:
        present = [name for name in present if any(each is data[spelt[name]] for each in _values(found[name]))]
    return [spelt[name] for name in present]


def _fields_that_raise(cls: Any, data: Any, error: Exception, validate: Validate) -> Iterator[Any]:
    """The key of each field that raises the same when it is validated alone."""
    keys = keys_of(cls)
    if keys is None or not hasattr(cls, "__pydantic_decorators__") or not isinstance(data, dict):
        return
    for key, name in keys.names.items():
        if key in data and key not in keys.indirect:
            again = _raised(_alone(cls, name), data[key], validate)
            if again is not None and _is_same(again, error):
                yield key


def _alone(cls: Any, name: str) -> Any:
    """The type of one field with all its validators, for validating it alone."""
    import pydantic

    field, marks = cls.__pydantic_fields__[name], list[Any]()
    for decorator in cls.__pydantic_decorators__.field_validators.values():
        if name in decorator.info.fields or "*" in decorator.info.fields:
            marks.append(getattr(pydantic, f"{decorator.info.mode.title()}Validator")(decorator.func))
    return Annotated[(field.annotation, *field.metadata, *marks)] if field.metadata or marks else field.annotation


def _is_about(frame: FrameType, name: str) -> bool:
    """Whether a validator was called with an info object that names this field."""
    return any(getattr(each, "field_name", None) == name for each in _values(frame))


def _values(frame: FrameType) -> list[Any]:
    return list(frame.f_locals.values())


def _validators(cls: Any) -> Iterator[tuple[str, CodeType]]:
    """The name of each field with the code of each function that validates it."""
    for decorator in cls.__pydantic_decorators__.field_validators.values():
        for name in cls.__pydantic_fields__ if "*" in decorator.info.fields else decorator.info.fields:
            yield from ((name, code) for code in _code(decorator.func))
    for name, field in cls.__pydantic_fields__.items():
        for mark in (*field.metadata, *_marks(field.annotation)):
            yield from ((name, code) for code in _code(getattr(mark, "func", None)))


def _marks(annotation: Any) -> Iterator[Any]:
    yield from getattr(annotation, "__metadata__", ())
    for argument in typing.get_args(annotation):
        yield from _marks(argument)


def _code(function: Any) -> Iterator[CodeType]:
    plain = inspect.unwrap(getattr(function, "__func__", function)) if callable(function) else None
    code = getattr(plain, "__code__", None)
    if isinstance(code, CodeType):
        yield code
