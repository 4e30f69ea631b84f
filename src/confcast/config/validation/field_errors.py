"""Turns the errors that validators report by path into problems with the file, the line and the key.

Guarantee: a value is quoted only if it is a scalar whose type has no secret in it, a URL without its password; a secret
that a user's validator put into its message is masked there, and so is a key of a table whose keys are secrets.
"""

from __future__ import annotations

import datetime as dt
import decimal
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Literal, NamedTuple

from confcast.config.schema.annotations import is_collection, members, type_at
from confcast.config.schema.key_path import KeyPath, dotted, quoted
from confcast.config.schema.masking import MASK, masking
from confcast.config.schema.secret_paths import (
    is_scalar,
    secrets_in,
    shown_scalar,
    type_of_value,
    without_secret_keys,
)
from confcast.config.schema.secrets import contains_secret
from confcast.config.sources.formats.common import Note
from confcast.config.sources.merge import Merged
from confcast.errors import Problem, more

NOTHING: Any = object()
"""Stands for `got` if there is no value to quote."""

MOST = 1_000
"""How many errors of one load get a place and a text of their own. A person is told of a hundred (`errors.MOST`)."""

_PLACE = re.compile(r"(.*?)(?::(\d{1,9})(?::(\d{1,9}))?)?", re.DOTALL)
_FRACTIONS = (float, decimal.Decimal)
_NO_TEXT = (Any, bool, int, float, dt.date, dt.datetime, dt.time, dt.timedelta, decimal.Decimal)


class FieldError(NamedTuple):
    """One error at one path of the data.

    Attributes:
        path: The path in the merged data.
        message: What was expected.
        got: The value at the path, to be quoted.
        about: Whose position the error has: the value's, the key's, or that of the table that lacks the key.
        location: The position, if the value is not in the merged data.
    """

    path: KeyPath
    message: str
    got: Any = NOTHING
    about: Literal["value", "key", "missing"] = "value"
    location: str = ""


class Invalid(Exception):
    """The data does not fit the schema."""

    def __init__(self, field_errors: Iterable[FieldError]) -> None:
        self.field_errors = list(field_errors)
        super().__init__(f"{len(self.field_errors)} field errors")


def problems_of(
    field_errors: Iterable[FieldError], schema: Any, merged: Merged, more_problems: Iterable[Problem] = ()
) -> list[Problem]:
    """The field errors as problems, in the order of the sources and of their lines; then the further ones.

    Of more than `MOST` errors the others are counted by a last problem: a document of nothing but wrong values has
    millions, and to find the place of each would take minutes, and gigabytes.
    """
    first, others = list(islice(errors := iter(field_errors), MOST)), sum(1 for _ in errors)
    masked = masking(secrets_in(schema, merged.data))
    found = [_problem(field_error, schema, merged, masked) for field_error in first]
    unique = {(problem.location, problem.key, problem.message): problem for problem in found}
    ranks = {layer.name: rank for rank, layer in reversed(list(enumerate(merged.layers)))}
    problems = sorted(unique.values(), key=lambda problem: _order(problem, ranks))
    return [*problems, *more_problems, *([Problem("", more(others))] if others else ())]


def _problem(field_error: FieldError, schema: Any, merged: Merged, masked: Callable[[str], str]) -> Problem:
    message = masked(field_error.message)
    about = []
    written = field_error.path if field_error.location else _as_written(field_error, merged)
    path = without_secret_keys(written, schema)
    is_secret_key = field_error.about == "key" and path[-1:] == (MASK,)
    if is_scalar(field_error.got) and not is_secret_key:
        kind = type_of_value(schema, field_error.path)
        if not contains_secret(kind):
            got = path[-1] if field_error.about == "key" else shown_scalar(kind, field_error.got)
            about.append(f"got {quoted(got)}")
    if field_error.about == "value" and field_error.got is not NOTHING and any(note := merged.note(field_error.path)):
        about += filter(None, [_advice(type_at(schema, field_error.path), note)])
    if about:
        message = f"{message} ({'; '.join(about)})"
    return Problem(dotted(path), message, _location(field_error, merged))


def _advice(annotation: Any, note: Note) -> str:
    """The part of a note that fits the wanted type: quotes, for example, would not make a number or a date right."""
    kinds = members(annotation)
    if any(map(is_collection, kinds)):
        return note.table
    if not any(member in _NO_TEXT for member in kinds):
        return note.text
    if any(member in _FRACTIONS for member in kinds):
        return note.number
    return note.whole if int in kinds else ""


def _location(field_error: FieldError, merged: Merged) -> str:
    if field_error.location:
        return field_error.location
    if field_error.about == "missing":
        return merged.where_table(field_error.path[:-1])
    return merged.where(field_error.path, key=field_error.about == "key")


def _as_written(field_error: FieldError, merged: Merged) -> KeyPath:
    """The path as it is spelled at the position of the field error."""
    if field_error.about != "missing":
        return merged.as_written(field_error.path)
    return (*merged.as_written(field_error.path[:-1]), *field_error.path[-1:])


def _order(problem: Problem, ranks: Mapping[str, int]) -> tuple[int, int, int]:
    if problem.location in ranks:  # `http://host:8500` is a source's name, and 8500 no line
        return ranks[problem.location], 0, 0
    found = _PLACE.fullmatch(problem.location)
    assert found is not None
    return ranks.get(found[1], len(ranks)), int(found[2] or 0), int(found[3] or 0)
