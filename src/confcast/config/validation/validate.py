"""Makes an instance of the schema from plain data, or reports everything that is wrong with the data, at once.

The user's validators run here, in the config owner, and nowhere else. Values are converted as pydantic does by default
(a model may say `strict=True`), and as `msgspec.convert` does in its strict mode. Whatever a validator raises becomes a
field error: a `KeyError`, too, means bad input.

msgspec stops at the first error. So a Struct is made by one `msgspec.convert`, and only if that refuses, the fields are
converted one by one, to find every error. Types that msgspec does not know (`SecretStr`, `Path`, a pydantic model in a
Struct) are validated by pydantic.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import re
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

import msgspec

from confcast.config.schema.annotations import child, is_collection, keys_of, members, strip, type_at
from confcast.config.schema.key_path import KeyPath, dotted, value_at
from confcast.config.schema.kinds import kind_of, reads_by_itself
from confcast.config.schema.masking import MASK
from confcast.config.schema.secret_paths import has_secret_keys, without_secret_keys
from confcast.config.validation import infinite, strictness
from confcast.config.validation.field_errors import NOTHING, FieldError, Invalid
from confcast.config.validation.raising import last_line, place_of
from confcast.config.validation.strictness import has_text_keys, no_text
from confcast.texts import repr_of, str_of
from confcast.wire.decoders import learn

T = TypeVar("T")

_KEY = ("[key]",)  # the end of a pydantic loc that is about a key, not about its value
_MISSING = ("missing", "missing_argument")  # the second one for a NamedTuple
_PLACE = re.compile(r"(.*?)(?: - at `(?:key in )?\$?(.*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_PART = re.compile(r"\.([^.\[]+)|\[(\d+)\]|(\[\.\.\.\])")


def validate(schema: type[T], data: dict[str, Any]) -> T:
    """Make an instance of the schema.

    Raises:
        Invalid: The data is wrong; the error has every mistake.
        TypeError: The schema itself can't be used.
    """
    field_errors = [*strictness.check(schema, data), *infinite.check(schema, data)]
    try:
        value = construct(schema, data)
    except Invalid as error:
        known = {field_error.path for field_error in field_errors}
        raise Invalid(field_errors + [each for each in error.field_errors if each.path not in known]) from None
    if field_errors:
        raise Invalid(field_errors)
    return value


def construct(schema: type[T], data: Any) -> T:
    """Make an instance by the schema's own library. Raises Invalid."""
    if kind_of(schema) == "struct":
        return convert(schema, data)
    return cast("T", construct_pydantic(schema, data))


def construct_pydantic(annotation: Any, data: Any) -> Any:
    """Make a value of any type that pydantic knows. Raises Invalid."""
    import pydantic

    validate = _reader_of(annotation)
    try:
        return validate(data)
    except pydantic.ValidationError as error:
        raise Invalid(_joined(_field_errors(error, annotation, data))) from None
    except Exception as error:  # the user's validators may raise anything
        raise Invalid([raised(error, annotation, data)]) from None


def _reader_of(annotation: Any) -> Callable[[Any], Any]:
    """The function that makes a value of a type from data, and from nothing else.

    The constructor of a BaseSettings reads the environment and files, and lays the data over what it finds. Here the
    data have all of that already, so the object is filled as `BaseModel.__init__` does it. Raises TypeError.
    """
    validator = adapter(annotation)
    if not reads_by_itself(annotation):
        return cast("Callable[[Any], Any]", validator.validate_python)
    blank = annotation.__new__(annotation)
    return functools.partial(annotation.__pydantic_validator__.validate_python, self_instance=blank)


@functools.cache
def adapter(annotation: Any) -> Any:
    """The validator of a type; made once. Raises TypeError if pydantic can't have one."""
    import pydantic

    try:
        return pydantic.TypeAdapter(annotation)
    except pydantic.errors.PydanticUserError as error:
        raise TypeError(f"pydantic can't validate {annotation!r}: {error.message}") from None


def _validate_part(annotation: Any, value: Any) -> object:
    """Validate a part of the data by the library that knows its type. Raises what the library or a validator raises."""
    try:
        validate = adapter(annotation).validate_python
    except Exception:  # the type has a Struct in it, or can't be hashed
        return converted(annotation, value)
    return validate(value)


def _field_errors(error: Any, annotation: Any, data: Any) -> Iterator[FieldError]:
    keys = _Keys()
    for item in error.errors(include_url=False):
        path = tuple(_path(item["loc"], annotation, data, keys, item["type"] in _MISSING))
        message = item["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        if item["type"] in _MISSING:
            yield FieldError(path, message, about="missing")
        elif item["type"] == "invalid_key":  # only where any key is allowed: elsewhere strictness reports it
            yield strictness.no_text(item["input"], path[:-1])
        elif item["type"] == "extra_forbidden":
            yield FieldError(path, "unknown key", about="key")
        elif item["loc"][-1:] == _KEY and path[-1:] != _KEY:
            yield _of_key(item, message, annotation, path)
        else:
            yield FieldError(path, message, cast("Any", item["input"]))


def _of_key(item: Any, message: str, annotation: Any, path: KeyPath) -> FieldError:
    if item["type"] == "string_type":  # a model that accepts numbers as text has no such error for one
        secret = without_secret_keys(path, annotation)[-1:] == (MASK,)
        return strictness.no_text(item["input"], path[:-1], secret=secret)
    return FieldError(path, f"the key: {message}", item["input"], about="key")


def _path(loc: tuple[Any, ...], annotation: Any, data: Any, keys: _Keys, missing: bool) -> Iterator[Any]:
    """The path in the data that a loc means. Members of unions, discriminators and `[key]` in it are left out."""
    path: KeyPath = ()
    for index, part in enumerate(loc):
        last = index == len(loc) - 1
        part = keys.key_in(data, part)
        found = value_at(data, (part,), NOTHING)
        if found is NOTHING and not (missing and last) and not _is_key(_known_type(annotation, path), part):
            continue
        data = found
        path = (*path, part)
        yield part


def _known_type(annotation: Any, path: KeyPath) -> Any:
    """The type of the value at a path; a part of which no type is known leads nowhere."""
    return functools.reduce(lambda around, part: type_at(around, (part,)), path, annotation)


class _Keys:
    """Finds the keys that locs name in the tables of one document; lists the keys of each table at most once."""

    def __init__(self) -> None:
        self._named: dict[int, dict[Any, Any]] = {}

    def key_in(self, data: Any, part: Any) -> Any:
        """The key that a loc names: pydantic writes True as 1, and a key that is no text and no int as its repr."""
        if not isinstance(data, dict) or (isinstance(part, str) and part in data):
            return part
        if id(data) not in self._named:
            self._named[id(data)] = _by_names(data)
        return self._named[id(data)].get(part, part)


def _by_names(table: dict[Any, Any]) -> dict[Any, Any]:
    """The keys of a table by each way in which a loc may write them."""
    named: dict[Any, Any] = {}
    for key in table:
        named.setdefault(key, key)
        if not isinstance(key, str):
            named.setdefault(repr_of(key), key)
    return named


def _is_key(annotation: Any, part: Any) -> bool:
    keys = keys_of(annotation)
    return keys is not None and part in keys.names


def _joined(field_errors: Iterator[FieldError]) -> list[FieldError]:
    """The errors, joined to one for each path: a union reports one for each of its members."""
    joined: dict[KeyPath, FieldError] = {}
    for field_error in field_errors:
        before = joined.get(field_error.path)
        if before is None:
            joined[field_error.path] = field_error
        elif field_error.message not in before.message:
            joined[field_error.path] = before._replace(message=f"{before.message}; or: {field_error.message}")
    return list(joined.values())


def raised(error: Exception, annotation: Any, data: Any) -> FieldError:
    """The field error for an exception of a user's validator that is not its library's."""
    line = last_line(error)
    said = str_of(error)
    text = f": {said}" if said else ""
    place = f" ({Path(line[0]).name}:{line[1]})" if line is not None else ""
    return FieldError(
        place_of(annotation, data, error, _validate_part), f"a validator raised {type(error).__name__}{text}{place}"
    )


def convert(schema: type[T], data: Any) -> T:
    """Make an instance of the Struct. Raises Invalid with everything that is wrong."""
    learn(schema)
    try:
        return cast("T", converted(schema, data))
    except Exception as error:  # also raised by __post_init__
        raise Invalid(list(_search(schema, data, ())) or [_error_of(error, schema, data, ())]) from None


def converted(annotation: Any, data: Any) -> Any:
    """Convert data by msgspec. Raises whatever msgspec and validators raise."""
    return msgspec.convert(data, annotation, dec_hook=_custom)


def _custom(kind: Any, value: Any) -> Any:
    """Make a value of a type that msgspec does not know. msgspec adds the path to the error."""
    try:
        return construct_pydantic(kind, value)
    except Invalid as error:
        texts = (": ".join(filter(None, (dotted(each.path), each.message))) for each in error.field_errors)
        raise ValueError("; ".join(texts)) from None


def _search(annotation: Any, value: Any, path: KeyPath) -> Iterator[FieldError]:
    """Yield the errors inside a value, or, if there are none, those of the value itself."""
    tables = [member for member in members(annotation) if is_collection(member)]
    inside: list[FieldError] = []
    if len(tables) == 1 and isinstance(value, dict | list):
        inside = list(_search_inside(tables[0], value, path))
        keys = keys_of(tables[0])
        if keys is not None and isinstance(value, dict):
            # strictness.py reports unknown keys
            value = {key: each for key, each in value.items() if key in keys.names}
    yield from inside or _search_itself(annotation, value, path)


def _search_itself(annotation: Any, value: Any, path: KeyPath) -> Iterator[FieldError]:
    try:
        converted(annotation, value)
    except Exception as error:
        yield _error_of(error, annotation, value, path)


def _search_inside(annotation: Any, value: Any, path: KeyPath) -> Iterator[FieldError]:
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
        try:
            construct(annotation, value)
        except Invalid as error:
            yield from (field_error._replace(path=path + field_error.path) for field_error in error.field_errors)
    else:
        for key, hint in keys.types.items():
            if key in value:
                yield from _search(hint, value[key], (*path, key))
            elif keys.names[key] in _required(annotation):
                yield FieldError((*path, key), "Field required", about="missing")


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


def _error_of(error: Exception, annotation: Any, value: Any, path: KeyPath) -> FieldError:
    """The field error for msgspec's exception, or for one from a `__post_init__` that msgspec does not handle."""
    if isinstance(error, msgspec.ValidationError):
        return _error_of_msgspec(error, annotation, value, path)
    field_error = raised(error, annotation, value)
    return field_error._replace(path=path + field_error.path)


def _error_of_msgspec(error: msgspec.ValidationError, annotation: Any, value: Any, path: KeyPath) -> FieldError:
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
        return FieldError((*path, unknown_key[1]), "unknown key", about="key")
    return FieldError(path, _choices(annotation) or found[1], value)


def _choices(annotation: Any) -> str | None:
    """A message with the values of a Literal or Enum, which msgspec's does not list; None for other types."""
    plain = strip(annotation)
    if typing.get_origin(plain) is Literal:
        choices = list(typing.get_args(plain))
    elif isinstance(plain, type) and issubclass(plain, enum.Enum):
        choices = [member.value for member in plain]
    else:
        return None
    *others, last = map(repr_of, choices)
    return f"Input should be {', '.join(others)}{' or ' if others else ''}{last}"
