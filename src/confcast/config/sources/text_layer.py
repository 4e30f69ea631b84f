"""A layer of texts in sections, as INI has them: the schema says which keys they set, and of which type.

Guaranteed: keys match the schema's in any case, and with a dash for an underscore; a text becomes what a variable of
the environment becomes of it, but a list may also be written one item a line, or with commas. A key that the schema
does not have stays, and is refused with its position as in any other file. What a section only inherits sets nothing
where the schema does not have it; if no section of the schema has it, and no value refers to it, it is refused.

Rejected: to refuse an inherited key where one section lacks it (configparser gives every section all of them), and to
guess types without the schema (`"1e3"`, `"no"`, a password of digits).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Literal, get_origin

from confcast.config.schema.annotations import members, written_children
from confcast.config.schema.key_path import KeyPath
from confcast.config.schema.secret_paths import is_secret_at, shown_key
from confcast.config.schema.spelling import spelling_of
from confcast.config.sources.formats.common import Note
from confcast.config.sources.formats.ini import DEFAULT, is_inherited
from confcast.config.sources.formats.ini_interpolation import Text
from confcast.config.sources.layer import Fitted, Layer, Place
from confcast.config.sources.variable_targets import Target, chosen, is_list, targets_in_any_case
from confcast.config.sources.variable_values import NotConvertible, from_text
from confcast.errors import Problem

_TABLE_AND_KEY = "is a table in one place of this file and a value in another"


class TextLayer(Layer):
    """Tables of texts; `fit` turns them into data."""

    def fit(self, schema: Any, below: Callable[[], dict[str, Any]] = dict) -> Fitted:
        """Set the schema's keys to the values of the texts, converted by the schema's types."""
        fitting = _Fitting(self, schema)
        fitting.table(self.data, ())
        fitting.set_deferred(below)
        fitting.check_inherited()
        layer = Layer(
            self.name,
            fitting.data,
            self.fingerprint,
            fitting.places,
            fitting.notes,
            has_lines=self.has_lines,
            secrets=fitting.secrets,
        )
        return Fitted(layer, fitting.problems, list(self.warnings), fitting.refused)


class _Fitting:
    """Applies one schema to one layer."""

    def __init__(self, layer: TextLayer, schema: Any) -> None:
        self._layer, self._schema = layer, schema
        self._written: dict[KeyPath, tuple[str, ...]] = {}  # by path in the data: the path in the file
        self._deferred: list[tuple[tuple[Target, ...], tuple[str, ...], str]] = []
        self._inherited: dict[str, tuple[str, ...] | None] = {}  # by key: a path in the file, or None if it is of use
        self.data: dict[str, Any] = {}
        self.problems: list[Problem] = []
        self.refused: list[KeyPath] = []
        self.secrets: set[KeyPath] = set()

    def table(self, table: Mapping[str, Any], at: tuple[str, ...]) -> None:
        """Set what a table of the file has."""
        for key, value in table.items():
            path = (*at, key)
            found = targets_in_any_case(self._schema, path)
            if isinstance(value, dict):
                self._put(found[0].path if found else self._unknown(path), path, {})
                self.table(value, path)
            elif len(found) > 1:  # a tag decides, which another key may set
                self._deferred.append((found, path, value))
            elif found:
                self._set(found[0], path, value)
            elif is_inherited(value):
                if value.for_all:
                    self._inherited.setdefault(key, path)
            else:
                self._put(self._unknown(path), path, str(value))

    def set_deferred(self, below: Callable[[], dict[str, Any]]) -> None:
        """Set the keys that depend on a tag. `below` gives the merged data of the lower layers."""
        for found, path, text in sorted(self._deferred, key=lambda each: not _may_be_tag(each[0])):
            self._set(chosen(found, spelling_of(self._schema), below(), self.data), path, text)

    def check_inherited(self) -> None:
        """Refuse each key that sections only inherit if it is of no use to any of them."""
        texts = [text for text in _texts(self._layer.data) if isinstance(text, Text)]
        for key in {name for text in texts for name in text.made_of}:
            self._inherited[key] = None
        for key, path in self._inherited.items():
            if path is not None:
                where = self._layer.where(path, key=True)
                message = f"the schema has this key in no section that the file has, and [{DEFAULT}] sets it for all"
                self.problems.append(Problem(shown_key((DEFAULT, key), self._schema), message, where))

    def places(self) -> dict[KeyPath, Place]:
        """The positions by path in the data."""
        where = self._layer.where
        return {path: Place(where(there, key=True), where(there)) for path, there in self._written.items()}

    def notes(self) -> dict[KeyPath, Note]:
        """The advice by path in the data."""
        return {path: self._layer.note(there) for path, there in self._written.items()}

    def _unknown(self, path: tuple[str, ...]) -> KeyPath:
        """A path that the schema does not have, with the tables that it does have in the schema's spelling."""
        for length in range(len(path) - 1, 0, -1):
            if found := targets_in_any_case(self._schema, path[:length]):
                return (*found[0].path, *path[length:])
        return path

    def _set(self, target: Target, path: tuple[str, ...], text: str) -> None:
        """Set a key to a converted text, or record a problem."""
        if isinstance(text, Text):
            if text.inherited:
                self._inherited[path[-1]] = None
            if text.fault:
                self._refuse(target.path, text.fault, path)
                return
            self._keep_secret(target.path, path, text)
        if self._layer.secrets and any(path[:length] in self._layer.secrets for length in range(1, len(path) + 1)):
            self.secrets.add(target.path)
        try:
            value = value_of(str(text), target.annotation, opaque=target.opaque)
        except NotConvertible as error:
            self._refuse(target.path, str(error), path)
            return
        self._put(target.path, path, value, inherited=is_inherited(text))

    def _put(self, path: KeyPath, written: tuple[str, ...], value: Any, *, inherited: bool = False) -> None:
        """Set a value, or record a problem; a table that is there stays."""
        table = self.data
        for part in path[:-1]:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                self._refuse(path, _TABLE_AND_KEY, written)
                return
        last = path[-1]
        if last in table:
            self._meet(table, path, written, value, inherited=inherited)
        else:
            table[last] = value
            self._written[path] = written

    def _meet(
        self, table: dict[str, Any], path: KeyPath, written: tuple[str, ...], value: Any, *, inherited: bool
    ) -> None:
        """Set a value where there is one: two sections, or two keys, whose names differ only in case."""
        before, there = table[path[-1]], self._written.get(path, written)
        if isinstance(before, dict) and value == {}:
            return
        if isinstance(before, dict) is not isinstance(value, dict):
            self._refuse(path, _TABLE_AND_KEY, written)
        elif self._is_inherited(there):
            table[path[-1]], self._written[path] = value, written
        elif not inherited:
            self._refuse(path, f"is set twice: {self._layer.where(there, key=True)} sets the same", written)

    def _is_inherited(self, path: tuple[str, ...]) -> bool:
        value: Any = self._layer.data
        for part in path:
            value = value[part]
        return is_inherited(value)

    def _keep_secret(self, path: KeyPath, written: tuple[str, ...], text: Text) -> None:
        """Remember that a value is a secret if one that it was made of is one."""
        for key in text.made_of:
            others = ((name,) for name, table in self._layer.data.items() if isinstance(table, dict) and key in table)
            if any(self._is_secret((*section, key)) for section in (written[:-1], *others)):
                self.secrets.add(path)

    def _is_secret(self, written: tuple[str, ...]) -> bool:
        found = targets_in_any_case(self._schema, written)
        return any(is_secret_at(self._schema, each.path) for each in found) or written in self._layer.secrets

    def _refuse(self, path: KeyPath, message: str, written: tuple[str, ...]) -> None:
        self.problems.append(Problem(shown_key(path, self._schema), message, self._layer.where(written)))
        self.refused.append(path)


def _may_be_tag(found: tuple[Target, ...]) -> bool:
    """Whether the key may say which class its table is: it has few values in each."""
    kinds = (kind for target in found for kind in members(target.annotation, written=True))
    return all(get_origin(kind) is Literal or (isinstance(kind, type) and issubclass(kind, Enum)) for kind in kinds)


def _texts(table: Mapping[str, Any]) -> Iterator[str]:
    for value in table.values():
        if isinstance(value, dict):
            yield from _texts(value)
        else:
            yield value


def value_of(text: str, annotation: Any, *, opaque: bool = False) -> Any:
    """The value of a text, as in the environment; a list may be without JSON: an item a line, or with commas.

    Raises:
        NotConvertible: The text looks like JSON and is none, or can't be what the type wants.
    """
    if not opaque and not _looks_like_json(text):
        kinds = members(annotation, written=True)
        if any(map(is_list, kinds)) and not any(kind is str or kind is Any for kind in kinds):
            if type(None) in kinds and text.strip().lower() == "null":
                return None
            return [from_text(item, _item_type(annotation, index)) for index, item in enumerate(items_of(text))]
    return from_text(text, annotation, opaque=opaque)


def items_of(text: str) -> list[str]:
    """The items of a list that is no JSON: the lines of a text of several lines, or else what commas separate."""
    if "\n" in text:
        lines = (line.strip().removesuffix(",").rstrip() for line in text.split("\n"))
        return [line for line in lines if line]
    return [item for item in map(str.strip, text.split(",")) if item]


def _looks_like_json(text: str) -> bool:
    """Whether a text means a list in JSON, or a table: `[::1]:80, [::2]:80` does not."""
    bare = text.strip()
    return bare.startswith("{") or (bare.startswith("[") and (bare.endswith("]") or bare[1:].lstrip()[:1] in '"[{'))


def _item_type(annotation: Any, index: int) -> Any:
    return next(iter(written_children(annotation, index)), Any)
