"""Says which variable, or which file of a directory, a source of pydantic-settings has read a value from.

pydantic-settings keeps no origins, so its rules for names are followed forwards: for a path of the data, the names that
the field may have, with the prefix and the delimiter of the source, and of these the first that is there. The longest
name counts: `APP_DB__HOST` before `APP_DB`, which may be a table in JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from confcast.config.schema.key_path import KeyPath


def name_of(source: Any, path: KeyPath, there: Mapping[str, str], delimiter: str | None) -> str | None:
    """The name under which the value at a path was found; None if none is there.

    Args:
        source: A source with a prefix and a rule for upper and lower case.
        path: The path in the data that the source gave.
        there: The names that exist, each by its normal form (`normal`).
        delimiter: What stands between the parts of a nested name; None if names are not nested.
    """
    firsts = [normal(source, each) for each in _first_names(source, path[0])]
    for length in range(len(path) if delimiter else 1, 0, -1):
        for first in firsts:
            name = (delimiter or "").join([first, *map(str, path[1:length])])
            if found := there.get(normal(source, name)):
                return found
    return None


def normal(source: Any, name: str) -> str:
    """A name as the source compares it."""
    return name if source.case_sensitive else name.lower()


def keys_of_field(name: str, field: Any) -> list[str]:
    """Each key that a source may give a field's value under: its aliases, of a path the first key, and its name."""
    alias = field.validation_alias if field.validation_alias is not None else field.alias
    choices = getattr(alias, "choices", None) or ([] if alias is None else [alias])
    return [*(str(getattr(choice, "path", [choice])[0]) for choice in choices), name]


def _first_names(source: Any, key: Any) -> Iterator[str]:
    """The names that may set a key of the class: aliases without the prefix, and names with it, as is the default."""
    for name, field in source.settings_cls.__pydantic_fields__.items():
        keys = keys_of_field(name, field)
        if key in keys:
            for each in keys:
                yield from (each, source.env_prefix + each) if each != name else (source.env_prefix + each,)
    yield from (source.env_prefix + str(key), str(key))  # a name of an .env file that no field has
