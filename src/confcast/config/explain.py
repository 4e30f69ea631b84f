"""Explains a key: its value, where that comes from, what it hides, and what the schema says of the field.

Guaranteed: secrets are masked, in the value, in what it hides and in the default, by the types of the schema; a value
whose type is not known is masked as soon as a secret may be in it. Nothing is validated or loaded here, but a default
may be made by a function of the schema's, as each load makes it.

Rejected: the value that is validated in what is hidden (a lower source was never validated by itself).
"""

from __future__ import annotations

import typing
from collections.abc import Iterable
from typing import Any

import msgspec

from confcast.config import restart
from confcast.config.candidate import Candidate
from confcast.config.diff import comparable_part, shown_default, shown_value
from confcast.config.dotted_keys import LONGEST_KEY, no_such_key, too_long
from confcast.config.field_facts import (
    UNKNOWN,
    SchemaField,
    constraints_of,
    default_of,
    description_of,
    type_of,
)
from confcast.config.field_walk import walk
from confcast.config.overrides import NONE, Overrides
from confcast.config.schema.key_path import KeyPath, value_at
from confcast.config.schema.secret_paths import shown_key
from confcast.config.shown_data import shown_data
from confcast.config.sources.layer import Layer
from confcast.errors import ConfigError, Problem
from confcast.texts import shortened
from confcast.wire.messages import Explanation, Shadowed


def explain(candidate: Candidate[Any], key: str, overrides: Overrides = NONE) -> Explanation:
    """The explanation of one key, without `since_version` and `pending`, which an owner knows.

    Args:
        candidate: What was loaded.
        key: Dotted; as messages write it, or as files and attributes have it.
        overrides: What is set at run time; the candidate was made with it.

    Raises:
        ConfigError: The schema has no such key; the message names the most similar one.
    """
    schema = candidate._schema
    if why := too_long(key):
        raise ConfigError([Problem(shortened(key, LONGEST_KEY), why)])
    try:
        path = candidate._lookup.find(key)
    except KeyError:
        raise ConfigError([Problem(key, no_such_key(key, schema))]) from None
    field, names = walk(schema, candidate._merged.data, path)
    default, required = default_shown(candidate, field)
    return Explanation(
        key=shown_key(path, schema),
        value=_value(candidate, path, names),
        origin=candidate._origin(path),
        shadowed=_shadowed(candidate, path),
        default=default,
        required=required,
        type=type_of(field),
        constraints=constraints_of(field),
        description=description_of(field),
        expires=overrides.expiry_of(path, schema),
        left_out=list(overrides.left_out(schema, path)),
    )


def with_pending(found: Explanation, candidate: Candidate[Any], key: str, running: Any) -> Explanation:
    """The explanation of a key, with the value that runs if the value that the sources give waits for a restart."""
    from confcast.config.codec import codec_of

    codec, schema = codec_of(candidate._schema), candidate._schema
    _, names = walk(schema, candidate._merged.data, candidate._lookup.find(key))
    kept = restart.kept(codec, running, candidate.config)
    if not any(restart.is_at(each, names) for each in kept):
        return found
    if comparable_part(codec, running, names) == comparable_part(codec, candidate.config, names):
        return found
    value, waits = (shown_value(codec, config, names) for config in (running, candidate.config))
    return msgspec.structs.replace(found, value=value, pending=waits)


def value_in(config: Any, candidate: Candidate[Any], key: str) -> Any:
    """The value of a key that `explain` knows in another configuration of the schema; None if that has no such key."""
    from confcast.config.codec import codec_of

    _, names = walk(candidate._schema, candidate._merged.data, candidate._lookup.find(key))
    try:
        return shown_value(codec_of(candidate._schema), config, names)
    except (LookupError, TypeError, AttributeError):
        return None


def since(candidate: Candidate[Any], key: str, versions: Iterable[tuple[int, Any]]) -> int:
    """The oldest of these versions from which on the value of a key has been the same.

    Args:
        candidate: What was loaded.
        key: A key that `explain` knows.
        versions: The numbers and configurations of versions, the newest first; read only as far as is needed.

    Returns:
        Its number; 0 if there are no versions.
    """
    from confcast.config.codec import codec_of

    codec, schema, found = codec_of(candidate._schema), candidate._schema, 0
    _, names = walk(schema, candidate._merged.data, candidate._lookup.find(key))
    newest = b""
    for number, config in versions:
        value = comparable_part(codec, config, names)
        if found and value != newest:
            break
        found, newest = number, value
    return found


def _value(candidate: Candidate[Any], path: KeyPath, names: list[Any]) -> Any:
    from confcast.config.codec import codec_of

    try:
        return shown_value(codec_of(candidate._schema), candidate.config, names)
    except (LookupError, TypeError):  # a validator of the user's has made another kind of value of it
        return shown_data(candidate._schema, path, value_at(candidate._merged.data, path))


def _shadowed(candidate: Candidate[Any], path: KeyPath) -> list[Shadowed]:
    merged = candidate._merged
    top = merged.origin(path)
    if top is None:
        return []
    is_table = isinstance(value_at(merged.data, path), dict)
    lower = reversed(merged.layers[: merged.layers.index(top)])
    having = ((layer, merged.in_layer(layer, path)) for layer in lower)
    return [_hidden(candidate, layer, there) for layer, there in having if _hides(layer, there, is_table=is_table)]


def _hides(layer: Layer, there: KeyPath, *, is_table: bool) -> bool:
    """Whether a layer has a value there that a higher one replaces."""
    return layer.has(there) and not (is_table and isinstance(value_at(layer.data, there), dict))


def _hidden(candidate: Candidate[Any], layer: Layer, there: KeyPath) -> Shadowed:
    return Shadowed(layer.where(there), shown_data(candidate._schema, there, value_at(layer.data, there)))


def default_shown(candidate: Candidate[Any], field: SchemaField) -> tuple[Any, bool]:
    """The default as a change shows it, and whether there is none."""
    from confcast.config.codec import codec_of

    if field.cls is None:
        return None, False
    try:
        value = default_of(field)
    except Exception as error:  # a function of the schema's makes it
        return f"(can't be made: {type(error).__name__})", False
    if value is UNKNOWN:
        return None, True
    return shown_default(
        codec_of(candidate._schema), typing.get_origin(field.cls) or field.cls, field.name, value
    ), False
