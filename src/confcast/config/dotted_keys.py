"""Finds what a dotted key means in a schema, or says in words why it means nothing.

A key is written as messages write it: `memory.total_budget_mb`, `log_levels."app.payments"`; a key of a table that has
dots may stand without quotes where it means one thing. Items of lists have no keys of their own here: a list is set as
a whole, as in the environment.

Rejected: `Lookup`, which finds keys of data that exist (what is set may be a table's new key).
"""

from __future__ import annotations

import functools
from itertools import islice
from typing import Any

from confcast.config.schema.key_path import dotted
from confcast.config.schema.secret_paths import shown_key
from confcast.config.sources.variable_targets import LONGEST_KEY as LONGEST_KEY
from confcast.config.sources.variable_targets import (
    MOST_PARTS,
    Target,
    Whole,
    list_around,
    parts_of,
    paths,
    targets_of_key,
    with_indexes,
)
from confcast.texts import close_matches

_MOST_PATHS = 2000  # paths searched for a suggestion: classes that refer to each other have exponentially many


class UnknownKey(Exception):
    """The schema has no such key; the message says what may be meant, without the key itself."""


def targets_at(key: str, schema: Any) -> tuple[Target, ...]:
    """What may be set by this key, the likeliest first; mostly one.

    Raises:
        UnknownKey: Nothing is set by it.
    """
    if why := too_long(key):
        raise UnknownKey(why)
    try:
        parts = parts_of(key)
    except ValueError:
        raise UnknownKey("is no key: a quotation in it has no end, or something stands behind it") from None
    found = targets_of_key(schema, parts)
    if not found:
        raise UnknownKey(_why(key, parts, schema))
    return found


def too_long(key: str) -> str:
    """Why a key is too long to be looked for; empty if it is not."""
    if len(key) <= LONGEST_KEY and max(key.count("."), key.count("[")) < MOST_PARTS:
        return ""
    return f"is too long for a key: at most {LONGEST_KEY} characters, and {MOST_PARTS} parts"


@functools.lru_cache(2048)  # each reload, and each look at what is set, makes the same calls
def targets_of_path(path: tuple[Any, ...], schema: Any) -> tuple[Target, ...]:
    """What a path sets; empty if the schema has no such key. From a part that is no text on, any key will do."""
    parts = []
    for part in path:
        if not isinstance(part, str):
            break
        parts.append(Whole(part))
    return targets_of_key(schema, parts) if parts else ()


def _why(key: str, parts: list[str], schema: Any) -> str:
    listed = list_around(schema, with_indexes(parts), targets_of_key)
    if listed:
        return f"items of a list can't be set one by one: set {shown_key(listed, schema)} to the whole list, as JSON"
    return no_such_key(key, schema)


def no_such_key(key: str, schema: Any) -> str:
    """The sentence that refuses a key, with the most similar one of the schema."""
    known = [dotted(path) for path in islice(paths(schema, ()), _MOST_PATHS)]
    return f"the schema has no such key{did_you_mean(key, known)}"


def did_you_mean(key: str, known: list[str]) -> str:
    """The end of a sentence that names the most similar of these keys; empty if none is similar."""
    close = close_matches(key, known)
    return f"; did you mean {close[0]}?" if close else ""
