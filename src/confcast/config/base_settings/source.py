"""Reads the sources that a BaseSettings class itself declares: the lowest layers of each load.

The layers are those of the class's sources, in its order. Where merging them by our rules would give anything else than
the class's constructor takes (a field under two of its keys, a text that a variable's table replaces), one layer holds
what the constructor takes, with the same positions: the class decides, as it is.

A key that no field has is left out where its class ignores it (`extra="ignore"`, which a plain model does by default).
For a file's key that is said; an .env file often has the names of other programs.
"""

from __future__ import annotations

import copy
from typing import Any, cast

from confcast.config.base_settings import calls, files
from confcast.config.base_settings.names import keys_of_field
from confcast.config.base_settings.nested import frozen_defaults, nested_in
from confcast.config.base_settings.places import ReadFile, finder_of, layer_of, paths_in
from confcast.config.schema.annotations import keys_of, type_at
from confcast.config.schema.key_path import KeyPath
from confcast.config.schema.kinds import reads_by_itself
from confcast.config.schema.secret_paths import shown_key
from confcast.config.schema.spelling import spelling_of
from confcast.config.sources import disk
from confcast.config.sources.file import File
from confcast.config.sources.layer import Layer, Layers, Place, combined
from confcast.config.sources.merge import Merged
from confcast.config.validation import shadowed, strictness
from confcast.errors import ConfigError, Problem

_MOST = 20  # sentences about keys that are ignored


class OwnSources:
    """The sources that a BaseSettings class, and those that are nested in it, declare. Any thread may call it.

    Args:
        schema: The class.

    Attributes:
        shown: How messages name it while it hangs.
    """

    def __init__(self, schema: Any) -> None:
        self._schema, self.shown = schema, f"the sources of {schema.__qualname__}"
        self._nested, self._frozen = nested_in(schema), frozen_defaults(schema)

    def read(self) -> Layer:
        """Read them as `read_noting` does."""
        return self.read_noting(lambda file, fingerprint: None)

    def read_noting(self, note: files.Note) -> Layer:
        """Make the classes' sources, call each, and note every file that they name.

        Raises:
            ConfigError: A class can't be read without its constructor, a file can't be read, or a source raises.
        """
        classes = [*filter(reads_by_itself, [self._schema]), *(each.cls for each in self._nested)]
        refused = [problem for cls in classes for problem in calls.refusal(cls, inside=cls is not self._schema)]
        if refused:
            raise ConfigError(refused)
        named = [file for cls in classes for file in files.env_files(cls.model_config)]
        places = [place for file in named for place in file.places]
        with calls.caught_warnings() as caught:
            layers = disk.at_one_moment(places, lambda: self._read(note, caught))
        said = [*self._frozen, *caught.texts]
        name, fingerprint = self._schema.__qualname__, combined([layer.fingerprint for layer in layers])
        shown = [layer for layer in layers if layer.name] or [Layer(name, {})]
        shown[0] = copy.copy(shown[0])
        shown[0].warnings += tuple(said)
        return Layers(name, shown, fingerprint)

    def content_fingerprint(self) -> bytes:
        """The fingerprint that `read()` would return; the sources are called for it. Raises as `read()` does."""
        return self.read().fingerprint

    def _read(self, note: files.Note, caught: calls.Caught) -> list[Layer]:
        own = _OneRead(self._schema, note, caught).layers() if reads_by_itself(self._schema) else []
        tables = {key for layer in own for key, value in layer.data.items() if isinstance(value, dict)}
        below = []
        for each in self._nested:
            key = each.field.key
            is_used = each.factory is each.cls or key in tables
            made = each.owner is self._schema and each.is_whole and is_used
            try:
                found = _OneRead(each.cls, note, caught).layers()
            except ConfigError:
                if made:
                    raise
                continue  # pydantic may never make it, and says so if it does
            below += [_inside(key, layer) if made else Layer("", {}, layer.fingerprint) for layer in found]
        return below + own


class _OneRead:
    """One read of all sources of one class. Raises ConfigError."""

    def __init__(self, cls: Any, note: files.Note, caught: calls.Caught) -> None:
        self._cls, self._note, self._caught = cls, note, caught
        self._read: dict[int, list[ReadFile]] = {}  # by the id of the source
        self._ignored: dict[int, list[str]] = {}
        for file in files.env_files(cls.model_config):  # before their source is made, which reads them at once
            files.check_text(file, files.note_file(file, note), cls.model_config.get("env_file_encoding"))
        try:
            sources = calls.made(cls)
            caught.texts += [text for text in calls.unread(cls, sources) if text not in caught.texts]
            for source in sources:
                self._note_files_of(source)
            self._found = calls.called(sources)
        except calls.SourceFailed as failure:
            raise self._error_of(failure) from None

    def layers(self) -> list[Layer]:
        """What was read, low to high."""
        state = calls.together(self._found)
        repeated = {key for key in self._found[-1].data if key not in state}  # tables that only repeat the defaults
        layers = [self._layer(each, repeated) for each in reversed(self._found)]
        data, _ = _without_ignored(self._cls, state)
        return layers if _agree(self._cls, layers, data) else [_as_one(self._cls, layers, data)]

    def _layer(self, one: calls.Called, repeated: set[str]) -> Layer:
        read, texts = self._read[id(one.source)], list(self._ignored[id(one.source)])
        used = {key: value for key, value in one.data.items() if key not in repeated}
        data, ignored = _without_ignored(self._cls, used)
        if ignored and read and not hasattr(one.source, "env_vars"):
            where = finder_of(one.source, read)
            texts += [_ignored_key(self._cls, path, where(path)) for path in ignored[:_MOST]]
        return layer_of(self._cls, one, read, data, texts)

    def _note_files_of(self, source: Any) -> None:
        read, ignored = self._read.setdefault(id(source), []), self._ignored.setdefault(id(source), [])
        try:
            named = files.files_of(source)
        except (Exception, SystemExit) as error:
            raise calls.SourceFailed(source, error, "watched") from error
        for file in named:
            content = files.note_file(file, self._note)
            read += [] if content is None else [ReadFile(file.shown, content)]
            ignored += files.ignored(self._cls, file, content)
            if self._caught.skipped_lines and hasattr(source, "env_file"):
                ignored += files.ignored_lines(file, content, source.env_file_encoding)
        for folder in files.folders_of(source):
            files.note_folder(folder, self._note)

    def _error_of(self, failure: calls.SourceFailed) -> ConfigError:
        if isinstance(failure.error, calls.TooMuch):
            named = ", ".join(each.shown for each in files.files_of(failure.source))
            return ConfigError([Problem("", str(failure.error), named)])
        path = calls.file_of(failure.error)
        files.note_failed(path, self._note)
        return _unparsable(path) or ConfigError([calls.problem_of(failure, self._cls, self._place_of)], "io_error")

    def _place_of(self, source: Any, name: str) -> str:
        """The place of the value of a field; empty if it is not known."""
        place = finder_of(source, self._read.get(id(source), []))((name,))
        return place.value if isinstance(place, Place) else place or ""


def _inside(key: str, layer: Layer) -> Layer:
    """The layer of a nested class, in the table of its field."""

    def places() -> dict[KeyPath, Place | str]:
        return {(key, *path): Place(layer.where(path, key=True), layer.where(path)) for path in paths_in(layer.data)}

    data = {key: layer.data} if layer.data else {}
    secrets = [(key, *path) for path in layer.secrets]
    lines, said = layer.has_lines, layer.warnings
    return Layer(layer.name, data, layer.fingerprint, places, has_lines=lines, warnings=said, secrets=secrets)


def _unparsable(path: str) -> ConfigError | None:
    """What our parser says of a file that pydantic-settings could not parse; None if it says nothing."""
    try:
        File(path, allow_empty=True).read()
    except ConfigError as error:
        return ConfigError(error.problems)
    except ValueError:  # no suffix of a format
        return None
    return None


def _without_ignored(cls: Any, data: dict[str, Any]) -> tuple[dict[str, Any], list[KeyPath]]:
    """Data without the keys that no field has and that their classes ignore, and the paths of these."""
    errors = [error.path for error in strictness.check(cls, data) if error.about == "key"]
    ignored = [path for path in errors if _ignores(cls, path)]
    return (_cut(data, ignored) if ignored else data), ignored


def _ignores(cls: Any, path: KeyPath) -> bool:
    """Whether the class of the table around a path ignores keys that it does not know."""
    table: Any = type_at(cls, path[:-1])
    config = getattr(table, "model_config", None) or getattr(table, "__pydantic_config__", None) or {}
    return bool(config.get("extra", "ignore") == "ignore")


def _cut(data: Any, paths: list[KeyPath]) -> Any:
    """A copy of the tables and lists down to these paths, without what is there."""
    below: dict[Any, list[KeyPath]] = {}
    for first, *rest in paths:
        below.setdefault(first, []).append(tuple(rest))
    items = enumerate(data) if isinstance(data, list) else data.items()
    kept = {
        key: _cut(item, below[key]) if key in below else item for key, item in items if () not in below.get(key, ())
    }
    return list(kept.values()) if isinstance(data, list) else kept


def _ignored_key(cls: Any, path: KeyPath, place: Place | str | None) -> str:
    where = place.key if isinstance(place, Place) else place or cls.__qualname__
    return f"{where}: {shown_key(path, cls)}: no field has this key: it is ignored, as its class says"


def _agree(cls: Any, layers: list[Layer], data: dict[str, Any]) -> bool:
    """Whether the layers, merged by our rules, give exactly this, and nothing that we would refuse."""
    merged = Merged(layers, spelling_of(cast("Any", cls)))
    return merged.data == data and not merged.shadowed and next(shadowed.doubled(merged), None) is None


def _as_one(cls: Any, layers: list[Layer], data: dict[str, Any]) -> Layer:
    """One layer of what the constructor would take, with the positions of the layers, low to high, that gave it."""
    data = _by_one_key(cls, data)

    def places() -> dict[KeyPath, Place | str]:
        high = layers[::-1]
        having = ((path, next((layer for layer in high if layer.has(path)), None)) for path in paths_in(data))
        return {path: Place(layer.where(path, key=True), layer.where(path)) for path, layer in having if layer}

    name = ", ".join(layer.name for layer in layers if layer.data)
    warnings = [text for layer in layers for text in layer.warnings]
    secrets = [path for layer in layers for path in layer.secrets]
    lines, fingerprint = any(layer.has_lines for layer in layers), combined([each.fingerprint for each in layers])
    return Layer(name, data, fingerprint, places, has_lines=lines, warnings=warnings, secrets=secrets)


def _by_one_key(cls: Any, data: dict[str, Any]) -> dict[str, Any]:
    """Data with each field under one of its keys: that which pydantic prefers, whichever source has it.

    A class that does not ignore keys refuses a second one, or keeps it.
    """
    known = keys_of(cls)
    assert known is not None, "a class of fields"
    if not _ignores(cls, ("a key",)):
        return data
    for name, field in cls.__pydantic_fields__.items():
        there = [key for key in keys_of_field(name, field) if key in data and key in known.names]
        if known.indirect.isdisjoint(there):
            data = {key: value for key, value in data.items() if key not in there[1:] or key == there[0]}
    return data
