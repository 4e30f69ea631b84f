"""What a validator found, and how it becomes a problem that a person can act on.

Validators speak of paths; people need the file, the line and the key. Guarantee (G9): a value is quoted only if it is
a scalar whose type has no secret in it, and a secret that a validator of the user's put into its own message is
masked there.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal, NamedTuple

from confcast.config.merge import Merged
from confcast.config.schema import Secret, contains_secret, fields_of
from confcast.config.sources.formats.common import KeyPath
from confcast.config.validation.annotations import child, keys_of, type_at
from confcast.errors import Problem

NOTHING: Any = object()
"""There is no value to quote."""

MASK = "**********"
_LONGEST = 60
_SHORTEST_SECRET = 4  # masking "a" in a message would make nonsense of it, and tell more


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
    secrets = sorted(_secrets(schema, merged.data), key=len, reverse=True)
    found = [_problem(finding, schema, merged, secrets) for finding in findings]
    unique = {(problem.location, problem.key, problem.message): problem for problem in found}
    return sorted(unique.values(), key=lambda problem: _order(problem, merged))


def dotted(path: KeyPath) -> str:
    """A path as people write it."""
    return ".".join(map(str, path))


def quoted(value: Any) -> str:
    """A scalar as configuration files write it, shortened."""
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    text = repr(value) if isinstance(value, str | bytes) else str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _problem(finding: Finding, schema: Any, merged: Merged, secrets: list[str]) -> Problem:
    message = finding.message
    for secret in secrets:
        message = message.replace(secret, MASK)
    if _is_scalar(finding.got) and not contains_secret(type_at(schema, finding.path)):
        message = f"{message} (got {quoted(finding.got)})"
    return Problem(dotted(finding.path), message, _location(finding, merged))


def _location(finding: Finding, merged: Merged) -> str:
    if finding.location:
        return finding.location
    if finding.about == "missing":
        return merged.where_table(finding.path[:-1])
    return merged.where(finding.path, key=finding.about == "key")


def _is_scalar(value: Any) -> bool:
    plain = (str, bytes, bool, int, float, dt.date, dt.time)
    return value is None or isinstance(value, plain)


def _order(problem: Problem, merged: Merged) -> tuple[int, int, int]:
    found = re.fullmatch(r"(.*?)(?::(\d+):(\d+))?", problem.location, re.DOTALL)
    assert found is not None
    names = [layer.name for layer in merged.layers]
    rank = names.index(found[1]) if found[1] in names else len(names)
    return rank, int(found[2] or 0), int(found[3] or 0)


def _secrets(annotation: Any, data: Any) -> Iterator[str]:
    """Every text in the data that stands where its type has a secret, or may have one."""
    if not contains_secret(annotation):
        return
    if isinstance(data, str) and len(data) >= _SHORTEST_SECRET:
        yield data
    for part, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        found = child(annotation, part)
        yield from _secrets(_declared(annotation, part) if found is Any else found, value)


def _declared(annotation: Any, part: Any) -> Any:
    """A type for what `child` can't tell. An unknown key may be a misspelt one, of a secret."""
    keys = keys_of(annotation)
    if keys is None:
        return annotation
    field = next((field for field in fields_of(annotation) or () if field.name == keys.names.get(part)), None)
    return field.annotation if field is not None else Secret
