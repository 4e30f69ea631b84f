"""The layer of one source of pydantic-settings: its data, its name, and the position of each value.

Positions are looked for only when a message needs one. For files our own formats find them; where pydantic-settings
reads a document that ours refuse (a key twice in YAML), the file's name is the position.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from confcast.config.base_settings.calls import Called
from confcast.config.base_settings.files import files_of, folders_of
from confcast.config.base_settings.names import keys_of_field, name_of, normal
from confcast.config.schema.key_path import KeyPath
from confcast.config.schema.kinds import loaded
from confcast.config.sources.dotenv import lines_in
from confcast.config.sources.layer import Layer, Place, fingerprint_of
from confcast.texts import repr_of

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_Places = Mapping[KeyPath, Place | str]


class ReadFile(NamedTuple):
    """A file that was read for a source, with its content at that time."""

    shown: str
    content: bytes


def layer_of(cls: Any, one: Called, read: list[ReadFile], data: dict[str, Any], warnings: list[str]) -> Layer:
    """The layer of one source; without a name if the class does not name the source, and it gave nothing.

    Args:
        cls: The class.
        one: The source, and what it gave.
        read: The files that it has read.
        data: What counts of it.
        warnings: Sentences about it.
    """
    secrets = list(paths_in(data, tables=False)) if folders_of(one.source) else []
    name = name_of_source(cls, one.source) if data or warnings or _is_named(one.source) else ""
    fingerprint = fingerprint_of(revealed(data).encode(errors="surrogatepass"))

    def places() -> _Places:
        where = finder_of(one.source, read)
        return {path: place for path in paths_in(data) if (place := where(path)) is not None}

    return Layer(name, data, fingerprint, places, has_lines=bool(read), warnings=warnings, secrets=secrets)


def _is_named(source: Any) -> bool:
    """Whether a source is one that the class names: not one that pydantic-settings makes for every class."""
    import pydantic_settings as library
    from pydantic_settings.sources import DefaultSettingsSource

    given = (library.InitSettingsSource, library.DotEnvSettingsSource, library.SecretsSettingsSource)
    return bool(files_of(source) or folders_of(source)) or not isinstance(source, (*given, DefaultSettingsSource))


def name_of_source(cls: Any, source: Any) -> str:
    """How messages name a source of a class."""
    import pydantic_settings as library
    from pydantic_settings.sources import DefaultSettingsSource

    if isinstance(source, DefaultSettingsSource):
        return "default"
    if folders := folders_of(source):
        return ", ".join(map(str, folders))
    if isinstance(source, library.EnvSettingsSource) and not isinstance(source, library.DotEnvSettingsSource):
        return f"environment {source.env_prefix.upper()}*" if source.env_prefix else "environment"
    files = ", ".join(file.shown for file in files_of(source))
    return files or f"{getattr(source, '__name__', type(source).__name__)} of {cls.__qualname__}"


def finder_of(source: Any, read: list[ReadFile]) -> Callable[[KeyPath], Place | str | None]:
    """A function that returns the place of the value at a path of what a source gave; None if it is not known."""
    import pydantic_settings as library

    if folders := folders_of(source):
        return lambda path: _secret_file(source, folders, path)
    if isinstance(source, library.DotEnvSettingsSource):
        lines = _lines(source, read)
        there = {name: name for name in lines}
        return lambda path: lines.get(name_of(source, path, there, source.env_nested_delimiter) or "")
    if isinstance(source, library.EnvSettingsSource):
        there = {normal(source, name): name for name in os.environ}
        return lambda path: _variable(name_of(source, path, there, source.env_nested_delimiter))
    form = next((form for form in ("toml", "yaml", "json") if hasattr(source, f"{form}_file_path")), None)
    if form is None:
        return lambda path: None
    spots = {path: place for file in read for path, place in _spots(form, file, _section(source, form))}
    return lambda path: spots.get((_written(source, path[0], spots), *path[1:]))


def paths_in(data: dict[Any, Any] | list[Any], above: KeyPath = (), *, tables: bool = True) -> Iterator[KeyPath]:
    """The path of every value; without tables, the items of lists neither."""
    items: Any = data.items() if isinstance(data, dict) else enumerate(data)
    for key, value in items:
        path = (*above, key)
        if tables or not isinstance(value, dict):
            yield path
        if isinstance(value, dict) or (tables and isinstance(value, list)):
            yield from paths_in(value, path, tables=tables)


def revealed(value: Any) -> str:
    """A text that differs wherever values do, also those of secrets, whose repr is always the same.

    Equal values have the same text in each process: no text has an address, or the order of a set.
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{repr_of(key)}: {revealed(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(revealed, value)) + "]"
    if isinstance(value, set | frozenset):
        return "{" + ", ".join(sorted(map(revealed, value))) + "}"
    if isinstance(value, loaded("pydantic.main", "BaseModel")):
        return type(value).__qualname__ + revealed(vars(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value).__qualname__ + revealed([getattr(value, each.name) for each in dataclasses.fields(value)])
    reveal = getattr(value, "get_secret_value", None)
    return repr_of(reveal()) if callable(reveal) else _ADDRESS.sub("", repr_of(value))


def _variable(name: str | None) -> str | None:
    return None if name is None else f"environment variable {name}"


def _lines(source: Any, read: list[ReadFile]) -> dict[str, Place]:
    """The place of each name of .env files, by its normal form; of a name that is there twice the last counts."""
    found = {}
    for file in read:
        text = file.content.decode(source.env_file_encoding or "utf-8", errors="replace")
        for line in lines_in(text, file.shown):
            if not (line.is_wrong or line.value is None or (source.env_ignore_empty and not line.value)):
                found[normal(source, line.name)] = line.place
    return found


def _secret_file(source: Any, folders: list[Path], path: KeyPath) -> str | None:
    """The file of a secret: in the last directory that has it."""
    nested = getattr(source, "secrets_nested_delimiter", None)
    for folder in reversed(folders):
        there = {normal(source, name): name for name in _names_in(folder)}
        name = name_of(source, path, there, nested)
        if name is not None:
            return str(folder / name)
    return None


def _names_in(folder: Path) -> Iterator[str]:
    for place, _, names in os.walk(folder):
        yield from (os.path.relpath(os.path.join(place, name), folder) for name in names)  # noqa: PTH118 - of a walk


def _spots(form: str, file: ReadFile, section: Callable[[Any], KeyPath | None]) -> Iterator[tuple[KeyPath, Place]]:
    """The place of each value of a document, by its path in the section that is read."""
    module = _format(form)
    try:
        text = file.content.decode("utf-8-sig")
        document, spots = module.parse(text), module.locate(text) or {}
        above = section(document)
        if above is None:
            return
    except Exception:  # the text is none of ours: pydantic-settings accepts a key twice, and other encodings
        return
    for path, spot in spots.items():
        if path[: len(above)] == above and len(path) > len(above):
            key, value = (f"{file.shown}:{line}:{column}" for line, column in (spot.key, spot.value))
            yield path[len(above) :], Place(key, value)


def _format(form: str) -> Any:
    if form == "toml":
        from confcast.config.sources.formats import toml

        return toml
    if form == "yaml":
        from confcast.config.sources.formats import yaml

        return yaml
    from confcast.config.sources.formats import json

    return json


def _section(source: Any, form: str) -> Callable[[Any], KeyPath | None]:
    """A function that returns the path of the section of a document that a source reads."""
    header = tuple(getattr(source, f"{form}_table_header", ()) or ())
    dotted = getattr(source, f"{form}_config_section", None)
    return (lambda document: _dotted_section(document, dotted.split("."))) if dotted else (lambda document: header)


def _dotted_section(document: Any, parts: list[str]) -> KeyPath | None:
    """The path that a dotted name means in a document: the longest key first, which may have dots in it."""
    for length in range(len(parts), 0, -1):
        key = ".".join(parts[:length])
        if isinstance(document, dict) and key in document:
            below = _dotted_section(document[key], parts[length:]) if parts[length:] else ()
            if below is not None:
                return (key, *below)
    return None


def _written(source: Any, key: Any, spots: Mapping[KeyPath, Place]) -> Any:
    """A key as the file has it: pydantic-settings gives a field's value under its first alias."""
    if (key,) in spots:
        return key
    fields = source.settings_cls.__pydantic_fields__.items()
    names = {
        each.lower() for name, field in fields for keys in [keys_of_field(name, field)] if key in keys for each in keys
    }
    return next((path[0] for path in spots if len(path) == 1 and str(path[0]).lower() in names), key)
