"""What a validator found, and how it becomes a problem that a person can act on.

Validators speak of paths; people need the file, the line and the key. Guarantee (G9): a value is quoted only if it is
a scalar whose type has no secret in it, and a secret that a validator of the user's put into its own message is
masked there. A key of a table whose keys are secrets is shown as one.
"""

from __future__ import annotations

import datetime as dt
import decimal
import re
from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from typing import Annotated, Any, Literal, NamedTuple, Union

from confcast.config.keys import dotted as dotted
from confcast.config.keys import quoted as quoted
from confcast.config.masking import MASK, masking
from confcast.config.merge import Merged
from confcast.config.schema import Secret, fields_of
from confcast.config.secrecy import contains_secret, hides_own_keys, is_marked, is_whole
from confcast.config.sources.formats.common import KeyPath, Note
from confcast.config.validation.annotations import child, is_collection, keys_of, members, type_at
from confcast.errors import Problem

NOTHING: Any = object()
"""There is no value to quote."""

_FRACTIONS = (float, decimal.Decimal)
_NO_TEXT = (Any, bool, int, float, dt.date, dt.datetime, dt.time, dt.timedelta, decimal.Decimal)


class Finding(NamedTuple):
    """One thing that is wrong.

    Attributes:
        path: Where, in the merged data.
        message: What was expected.
        got: What was found, if that may help.
        about: What its position is: that of the value, of the key, or of the table that lacks the key.
        location: The position, if it is none of these: of a value that is not in the merged data.
    """

    path: KeyPath
    message: str
    got: Any = NOTHING
    about: Literal["value", "key", "missing"] = "value"
    location: str = ""


class Invalid(Exception):
    """The data does not fit the schema."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = list(findings)
        super().__init__(f"{len(self.findings)} findings")


def problems_of(findings: Iterable[Finding], schema: Any, merged: Merged) -> list[Problem]:
    """Findings as problems, in the order of the sources and of the lines in them."""
    masked = masking(secrets_in(schema, merged.data))
    found = [_problem(finding, schema, merged, masked) for finding in findings]
    unique = {(problem.location, problem.key, problem.message): problem for problem in found}
    return sorted(unique.values(), key=lambda problem: _order(problem, merged))


def _problem(finding: Finding, schema: Any, merged: Merged, masked: Callable[[str], str]) -> Problem:
    message = masked(finding.message)
    about = []
    written = finding.path if finding.location else _as_written(finding, merged)
    path = without_secret_keys(written, schema)
    is_secret_key = finding.about == "key" and path[-1:] == (MASK,)
    if _is_scalar(finding.got) and not is_secret_key and not is_secret_at(schema, finding.path):
        about.append(f"got {quoted(finding.got)}")
    if finding.about == "value" and finding.got is not NOTHING:
        about += filter(None, [_advice(type_at(schema, finding.path), merged.note(finding.path))])
    if about:
        message = f"{message} ({'; '.join(about)})"
    return Problem(dotted(path), message, _location(finding, merged))


def shown_key(path: KeyPath, schema: Any) -> str:
    """A path of the data as text, keys that are secrets masked."""
    return dotted(without_secret_keys(path, schema))


def is_secret_at(schema: Any, path: KeyPath) -> bool:
    """Whether what stands at a path is a secret, or may be one."""
    return contains_secret(reduce(_below, path, schema))


def without_secret_keys(path: KeyPath, annotation: Any) -> KeyPath:
    """As `diff.py` shows them: the keys of a `dict[SecretStr, …]` are secrets, too."""
    shown: KeyPath = ()
    for part in path:
        shown = (*shown, MASK if has_secret_keys(annotation) else part)
        annotation = _below(annotation, part)
    return shown


def has_secret_keys(annotation: Any) -> bool:
    """Whether the keys of a table there are secrets."""
    return any(map(hides_own_keys, (annotation, *members(annotation))))


def _advice(annotation: Any, note: Note) -> str:
    """What of a note is about what belongs there: a number or a date would not be right, even in quotes."""
    kinds = members(annotation)
    if any(map(is_collection, kinds)):
        return note.table
    if not any(member in _NO_TEXT for member in kinds):
        return note.text
    if any(member in _FRACTIONS for member in kinds):
        return note.number
    return note.whole if int in kinds else ""


def _location(finding: Finding, merged: Merged) -> str:
    if finding.location:
        return finding.location
    if finding.about == "missing":
        return merged.where_table(finding.path[:-1])
    return merged.where(finding.path, key=finding.about == "key")


def _as_written(finding: Finding, merged: Merged) -> KeyPath:
    """The path as it is spelled at the finding's position."""
    if finding.about != "missing":
        return merged.as_written(finding.path)
    return (*merged.as_written(finding.path[:-1]), *finding.path[-1:])


def _is_scalar(value: Any) -> bool:
    plain = (str, bytes, bool, int, float, dt.date, dt.time)
    return value is None or isinstance(value, plain)


def _order(problem: Problem, merged: Merged) -> tuple[int, int, int]:
    found = re.fullmatch(r"(.*?)(?::(\d+):(\d+))?", problem.location, re.DOTALL)
    assert found is not None
    names = [layer.name for layer in merged.layers]
    rank = names.index(found[1]) if found[1] in names else len(names)
    return rank, int(found[2] or 0), int(found[3] or 0)


def secrets_in(annotation: Any, data: Any) -> Iterator[Any]:
    """Every scalar in the data, and every key, that stands where its type has a secret, or may have one."""
    if not contains_secret(annotation):
        return
    if isinstance(data, dict) and has_secret_keys(annotation):
        yield from data
    if _is_scalar(data) and not isinstance(data, bool | None):
        yield data
    for part, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from secrets_in(_below(annotation, part), value)


def _below(annotation: Any, part: Any) -> Any:
    """The type of what stands there, as far as its secrets go: marked where it can't be told and may be one."""
    if not contains_secret(annotation):
        return Any
    found = _told_below(annotation, part)
    if found is None:
        return Annotated[annotation, Secret]
    lost = is_marked(annotation) and not contains_secret(found)
    return Annotated[found, Secret] if lost or is_whole(annotation) else found


def _told_below(annotation: Any, part: Any) -> Any:
    """The type of what stands there, whichever member of a union the value is of; None where it can't be told."""
    kinds: list[Any] = []
    for member in members(annotation):
        found = _told_in(member, part)
        if found is not None:
            kinds += [] if found in kinds else [found]
        elif member is Any or (contains_secret(member) and not _is_closed(member)):
            return None
    try:
        return Union[tuple(kinds)] if kinds else None  # noqa: UP007 - of a tuple
    except TypeError:  # up to 3.11: of what `Annotated` has, something can't be hashed
        return None


def _told_in(member: Any, part: Any) -> Any:
    found, keys = child(member, part), keys_of(member)
    if found is not Any:
        return found
    name = keys.names.get(part) if keys is not None and part not in keys.indirect else None
    # A key without a name may be a misspelt one, of a secret.
    return next((field.annotation for field in fields_of(member) or () if field.name == name), None)


def _is_closed(member: Any) -> bool:
    keys = keys_of(member)
    return keys is not None and keys.closed
