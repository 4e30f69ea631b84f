"""Values that were set under another schema, and that this one refuses: a load leaves them out, and is not refused.

A deploy may give a field another type or another bound. A value that somebody has set before then fits no more, and
without this rule no load of the new code would succeed, the server's start included, until somebody unsets it: which
takes a server that runs.

Guarantees. What this process has accepted once is not left out: what refuses it later is a change of a source, which is
refused as any other. A value that the present call sets is refused, too. What is left out is marked in the layer with
the reason, in which no value stands; it is tried again at each load, and stays until it is unset or has ended.

How. An error at the path of such a value, or inside it, is that value's. Where there is none, an error of a table
around it counts, since a validator of a whole table names no field. Rejected: to compare fingerprints of the schema (a
bound is in none), and to convert the value when it is set (`overrides.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from confcast.config.candidate import Reading
from confcast.config.overrides import SetValue
from confcast.config.schema.key_path import KeyPath
from confcast.config.schema.masking import masking
from confcast.config.schema.secret_paths import is_scalar
from confcast.config.schema.secret_urls import secrets_of_url
from confcast.config.schema.spelling import Spelling
from confcast.config.sources.layer import Fitted
from confcast.config.validation.field_errors import FieldError

_Mark = tuple[KeyPath, float]  # distinguishes a value that was set from all others: where, and when


class LeftOut:
    """What one loader has accepted of what was set, and so does not leave out. For the thread that loads."""

    def __init__(self) -> None:
        self._accepted: set[_Mark] = set()

    def accept(self, reading: Reading) -> None:
        """Note that what is set in a reading, and is not marked, is valid."""
        if reading.overrides:
            self._accepted = {_mark(each) for each in reading.overrides.values if not each.refused}

    def leave_out(
        self, reading: Reading, spelling: Spelling, field_errors: Iterable[FieldError], fitted: Sequence[Fitted]
    ) -> bool:
        """Mark in the reading what the errors of its validation are to be blamed on; whether there is any.

        Args:
            reading: What was validated; its overrides are exchanged.
            spelling: That of the schema.
            field_errors: What is wrong with the data.
            fitted: The layers under the schema, that of the overrides last, which may have errors of its own.
        """
        if not (reading.inherited and reading.overrides):
            return False
        before = {_mark(each) for each in reading.inherited.values} - self._accepted
        values = [each for each in reading.overrides.values if _mark(each) in before and not each.is_empty_table]
        errors = [(spelling.canonical(path), message) for path, message in _errors(field_errors, fitted[-1])]
        why = _blamed([each for each in values if not each.refused], spelling, errors)
        reading.overrides = reading.overrides.leaving_out(why)
        return bool(why)


def _blamed(values: list[SetValue], spelling: Spelling, errors: list[tuple[KeyPath, str]]) -> dict[_Mark, str]:
    """The values that errors stand at or in, each with the reason; else those in tables that errors stand at."""
    inside, around = dict[_Mark, str](), dict[_Mark, str]()
    for each in values:
        at = spelling.canonical(each.path)
        for path, message in errors:
            if path[: len(at)] == at:
                inside.setdefault(_mark(each), _without(each, message))
            elif at[: len(path)] == path:
                around.setdefault(_mark(each), _without(each, message))
    return inside or around


def _mark(value: SetValue) -> _Mark:
    return value.path, value.since


def _errors(field_errors: Iterable[FieldError], above: Fitted) -> Iterator[tuple[KeyPath, str]]:
    """The errors of the validation, and those of texts that could not be converted, by path."""
    for error in field_errors:
        yield error.path, error.message
    for path, problem in zip(above.refused, above.problems, strict=True):
        yield path, problem.message


def _without(value: SetValue, message: str) -> str:
    """The message without the value: it may have been a secret under the former schema."""
    return masking(_scalars(value.value))(message)


def _scalars(value: object) -> Iterator[object]:
    if is_scalar(value) and not isinstance(value, bool | None):
        yield value
        yield from secrets_of_url(value) if isinstance(value, str) else ()
    for item in (*value, *value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _scalars(item)
