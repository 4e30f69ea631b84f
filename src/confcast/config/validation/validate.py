"""Plain data to an instance of the schema, or everything that is wrong with it, at once.

The user's validators run here, in the config owner, and nowhere else. Values are taken as pydantic takes them by
default (a model may say `strict=True`), and as `msgspec.convert` takes them in its strict mode. Whatever a validator
raises ends as a finding: a `KeyError` in one is bad input too.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

from confcast.config.masking import MASK
from confcast.config.schema import kind_of
from confcast.config.sources.formats.common import KeyPath
from confcast.config.sources.layer import value_at
from confcast.config.validation import infinite, strictness
from confcast.config.validation.annotations import keys_of, type_at
from confcast.config.validation.findings import NOTHING, Finding, Invalid, without_secret_keys
from confcast.config.validation.raising import last_line, place_of

T = TypeVar("T")

_KEY = ("[key]",)  # the end of a loc that is about a key, not its value
_MISSING = ("missing", "missing_argument")  # the second for a NamedTuple


def validate(schema: type[T], data: dict[str, Any]) -> T:
    """An instance of the schema.

    Raises:
        Invalid: With everything that is wrong with the data.
        TypeError: The schema itself can't be used.
    """
    findings = [*strictness.check(schema, data), *infinite.check(schema, data)]
    try:
        value = construct(schema, data)
    except Invalid as error:
        known = {finding.path for finding in findings}
        raise Invalid(findings + [each for each in error.findings if each.path not in known]) from None
    if findings:
        raise Invalid(findings)
    return value


def construct(schema: type[T], data: Any) -> T:
    """An instance, as the schema's own library makes it. Raises Invalid."""
    if kind_of(schema) == "struct":
        from confcast.config.validation.structs import convert

        return convert(schema, data)
    return cast("T", construct_pydantic(schema, data))


def construct_pydantic(annotation: Any, data: Any) -> Any:
    """A value of any type that pydantic knows. Raises Invalid."""
    import pydantic

    validator = adapter(annotation)
    try:
        return validator.validate_python(data)
    except pydantic.ValidationError as error:
        raise Invalid(_joined(_findings(error, annotation, data))) from None
    except Exception as error:  # whatever the user's validators raise; told as a finding
        raise Invalid([raised(error, annotation, data)]) from None


@functools.cache
def adapter(annotation: Any) -> Any:
    """The validator of a type; made once. Raises TypeError if pydantic can't have one."""
    import pydantic

    try:
        return pydantic.TypeAdapter(annotation)
    except pydantic.errors.PydanticUserError as error:
        raise TypeError(f"pydantic can't validate {annotation!r}: {error.message}") from None


def _findings(error: Any, annotation: Any, data: Any) -> Iterator[Finding]:
    keys = _Keys()
    for item in error.errors(include_url=False):
        path = tuple(_path(item["loc"], annotation, data, keys, item["type"] in _MISSING))
        message = item["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
        if item["type"] in _MISSING:
            yield Finding(path, message, about="missing")
        elif item["type"] == "invalid_key":  # only where any key is allowed: where not, strictness tells it
            yield strictness.no_text(item["input"], path[:-1])
        elif item["type"] == "extra_forbidden":
            yield Finding(path, "unknown key", about="key")
        elif item["loc"][-1:] == _KEY and path[-1:] != _KEY:
            yield _of_key(item, message, annotation, path)
        else:
            yield Finding(path, message, cast("Any", item["input"]))


def _of_key(item: Any, message: str, annotation: Any, path: KeyPath) -> Finding:
    if item["type"] == "string_type":  # of a model that makes text of numbers, a number is no such error
        secret = without_secret_keys(path, annotation)[-1:] == (MASK,)
        return strictness.no_text(item["input"], path[:-1], secret=secret)
    return Finding(path, f"the key: {message}", item["input"], about="key")


def _path(loc: tuple[Any, ...], annotation: Any, data: Any, keys: _Keys, missing: bool) -> Iterator[Any]:
    """The path in the data. A loc also names the members of unions, discriminators and `[key]`: they are left out."""
    for index, part in enumerate(loc):
        last = index == len(loc) - 1
        part = keys.key_in(data, part)
        found = value_at(data, (part,), NOTHING)
        if found is NOTHING and not (missing and last) and not _is_key(annotation, part):
            continue
        data = found
        annotation = type_at(annotation, (part,))
        yield part


class _Keys:
    """Finds the keys that locs name in the tables of one document; looks at all keys of a table once at most."""

    def __init__(self) -> None:
        self._named: dict[int, dict[Any, Any]] = {}

    def key_in(self, data: Any, part: Any) -> Any:
        """The key that a loc names: pydantic has 1 for True, and the repr of what is neither text nor an int."""
        if not isinstance(data, dict) or (isinstance(part, str) and part in data):
            return part
        if id(data) not in self._named:
            self._named[id(data)] = _by_names(data)
        return self._named[id(data)].get(part, part)


def _by_names(table: dict[Any, Any]) -> dict[Any, Any]:
    """The keys of a table by all that a loc may have for them."""
    named: dict[Any, Any] = {}
    for key in table:
        named.setdefault(key, key)
        if not isinstance(key, str):
            named.setdefault(repr(key), key)
    return named


def _is_key(annotation: Any, part: Any) -> bool:
    keys = keys_of(annotation)
    return keys is not None and part in keys.names


def _joined(findings: Iterator[Finding]) -> list[Finding]:
    """One finding for each path: a union complains once for each of its members."""
    joined: dict[KeyPath, Finding] = {}
    for finding in findings:
        before = joined.get(finding.path)
        if before is None:
            joined[finding.path] = finding
        elif finding.message not in before.message:
            joined[finding.path] = before._replace(message=f"{before.message}; or: {finding.message}")
    return list(joined.values())


def raised(error: Exception, annotation: Any, data: Any) -> Finding:
    """What a validator of the user's raised that is no complaint of its library's."""
    line = last_line(error)
    text = f": {error}" if str(error) else ""
    place = f" ({Path(line[0]).name}:{line[1]})" if line is not None else ""
    return Finding(place_of(annotation, data, error), f"a validator raised {type(error).__name__}{text}{place}")
