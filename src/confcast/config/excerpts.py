"""Adds the line of a file to a problem that names it, for `confcast check`: a person sees at once what is wrong.

Guaranteed: no secret is in an excerpt. Where the schema has secrets, a line is shown only if it sets the very key that
the problem names, and its value is masked if that key is a secret, or has anything beside one plain value; of a URL
its password is. A line that does not parse has no key, so that no type says what is in it: then it has no excerpt,
unless no type is a secret.
Rejected: masking secrets by their values (a file has them as its format writes them, with escapes and over several
lines), and masking by the look of a line.

The file is read once more: what has changed since the load may give another line, or none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from confcast.config.schema.masked_keys import masked_keys
from confcast.config.schema.masking import MASK
from confcast.config.schema.secret_paths import is_secret_at, is_url_at
from confcast.config.schema.secret_urls import shown_url
from confcast.config.schema.secrets import contains_secret, contains_url
from confcast.errors import Problem

_LONGEST = 200
"""Characters of a line that is shown; a longer one has no excerpt."""

_PLACE = re.compile(r"(?P<file>.+):(?P<line>[1-9][0-9]*):(?P<column>[1-9][0-9]*)(?:, from .+)?", re.DOTALL)
_PLAIN_KEY = re.compile(r"[\w-]+(\.[\w-]+)*")
_SETS = re.compile(r"""(?P<before>\s*(?:-\s+)?(?P<quote>["']?)(?P<name>[\w.-]+)(?P=quote)\s*[=:]\s*)(?P<value>.*)""")
_TEXT = re.compile(r"""(?P<quote>["']?)(?P<text>.*?)(?P<rest>(?P=quote)\s*,?\s*)""")
_ONE_VALUE = re.compile(r"""(?:"[^"\\]*"|'[^'\\]*'|[^\s"'#,{}\[\]]+)\s*,?\s*""")


def with_excerpts(problems: Iterable[Problem], schema: Any, text_of: Callable[[str], str | None]) -> Iterator[Problem]:
    """The same problems; those with a position in a file have the line, too.

    Args:
        problems: The problems.
        schema: The class, whose types say what is a secret.
        text_of: The content of the file that messages call so; None if there is none.
    """
    texts: dict[str, list[str]] = {}
    for problem in problems:
        found = _PLACE.fullmatch(problem.location)
        if found is None:
            yield problem
            continue
        name, number, column = found["file"], int(found["line"]), int(found["column"])
        if name not in texts:
            texts[name] = (text_of(name) or "").split("\n")
        line = texts[name][number - 1] if number <= len(texts[name]) else ""
        yield msgspec.structs.replace(problem, excerpt=excerpt(line.rstrip("\r"), column, problem.key, schema))


def excerpt(line: str, column: int, key: str, schema: Any) -> str:
    """The line as it may be shown, tabs as blanks; empty if it may not, or does not reach to the column.

    Args:
        line: The line of the file.
        column: What is wrong there, from 1 on.
        key: The dotted key that the problem names; empty for none.
        schema: The class.
    """
    has_secrets = contains_secret(schema) or contains_url(schema) or masked_keys(schema) is not None
    shown = _masked(line, key, schema) if has_secrets else line
    fits = column <= len(shown) + 1 and len(shown) <= _LONGEST
    return shown.replace("\t", " ") if fits and shown.strip() else ""


def _masked(line: str, key: str, schema: Any) -> str:
    """The line with its value masked, unless that is no secret; empty if it does not set this key."""
    sets, path = _SETS.fullmatch(line), tuple(key.split("."))
    if sets is None or not _PLAIN_KEY.fullmatch(key) or sets["name"].split(".")[-1] != path[-1]:
        return ""
    if is_secret_at(schema, path) or not _ONE_VALUE.fullmatch(sets["value"]):
        return sets["before"] + MASK
    return sets["before"] + _shown_value(sets["value"]) if is_url_at(schema, path) else line


def _shown_value(value: str) -> str:
    """The value as it is written, without the password of a URL; a text with escapes in it is masked as a whole."""
    found = _TEXT.fullmatch(value)
    return MASK if found is None or "\\" in value else found["quote"] + shown_url(found["text"]) + found["rest"]
