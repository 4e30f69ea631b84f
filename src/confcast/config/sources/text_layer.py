"""A layer of texts in sections, as INI has them: the schema says which keys they set, and of which type.

Guaranteed: keys match the schema's in any case, and with a dash for an underscore; a text becomes what a variable of
the environment becomes of it with `lists="comma"`, but a list may also have an item a line. A key that the schema does
not have stays, and is refused with its position as in any other file. What a section only inherits sets nothing where
the schema does not have it; if no section of the schema has it, and no value refers to it, it is refused.

What a key of a section means depends on the schema alone, so it is worked out once: most loads then cost a look-up and
a conversion for each value.

Rejected: to refuse an inherited key where one section lacks it (configparser gives every section all of them), and to
guess types without the schema (`"1e3"`, `"no"`, a password of digits).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Literal, NamedTuple, get_origin

from confcast.config.schema.annotations import keys_of, members, type_at
from confcast.config.schema.key_path import KeyPath, dotted
from confcast.config.schema.secret_paths import is_secret_at, shown_key
from confcast.config.schema.spelling import spelling_of
from confcast.config.sources.formats.common import Note
from confcast.config.sources.formats.ini import DEFAULT, SEPARATORS, is_inherited
from confcast.config.sources.formats.ini_interpolation import Text
from confcast.config.sources.layer import Fitted, Layer, Place
from confcast.config.sources.variable_targets import Target, chosen, targets_below, targets_in_any_case
from confcast.config.sources.variable_values import (
    NotConvertible,
    between_commas,
    from_text,
    item_type,
    may_have_commas,
    scalar_of,
)
from confcast.errors import Problem

_LOOKS_LIKE_KEY = re.compile(r"([A-Za-z_][\w.-]*)[ \t]*[=:]", re.ASCII)
_SCALARS = (int, float, bool, type(None))
_FAR = 1_000_000  # an index that no type has anything of its own for
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
        layer._filled_by = self._filled_by
        return Fitted(layer, fitting.problems, [*self.warnings, *fitting.warnings], fitting.refused)


class _Meaning(NamedTuple):
    """What a key of a table of the file means.

    Attributes:
        found: The targets of the key.
        written: The path in the file.
        path: The path in the data, as the schema spells it as far as it has it.
        around: The path of the table around it; one object for all keys of a table.
        is_inheritable: Whether the key may be set by what its section only inherits: it is declared, or one of texts.
        convert: Makes a value of a text, if the key has one target; may raise NotConvertible.
    """

    found: tuple[Target, ...]
    written: tuple[str, ...]
    path: KeyPath
    around: KeyPath
    is_inheritable: bool
    convert: Callable[[str], Any]


class _Meanings(dict[str, _Meaning]):
    """The meanings of the keys of one table, each worked out when it is first asked for."""

    _MOST = 4096  # keys that change with each version of a file are not kept for ever
    _MOST_OF_ALL = 50_000  # each has about a kilobyte
    _known = 0

    def __init__(self, schema: Any, at: tuple[str, ...]) -> None:
        super().__init__()
        self._schema, self._at = schema, at
        self._tables = targets_in_any_case(schema, at)
        self._nearest = self._tables[0].path if self._tables else self._unknown(at)
        self._around: dict[KeyPath, KeyPath] = {}

    def __missing__(self, key: str) -> _Meaning:
        if len(self) >= self._MOST:
            self.clear()
        self._count()
        written = (*self._at, key)
        found = targets_below(self._schema, self._tables, written) if self._tables else ()
        path = found[0].path if found else (*self._nearest, key)
        convert = _converter(found[0].annotation, opaque=found[0].opaque) if len(found) == 1 else str
        around = self._around.setdefault(path[:-1], path[:-1])
        inheritable = any(self._is_inheritable(target) for target in found)
        meaning = self[key] = _Meaning(found, written, path, around, inheritable, convert)
        return meaning

    @classmethod
    def _count(cls) -> None:
        """Forget the meanings of all tables when they are many: each file may have tables that no other has."""
        cls._known += 1
        if cls._known > cls._MOST_OF_ALL:
            cls._known = 0
            _meanings.cache_clear()

    def declared(self, key: str) -> Target | None:
        """The target of a key that is a field of a class; None of any other key."""
        found = targets_in_any_case(self._schema, (*self._at, key))
        return next(filter(self._is_declared, found), None)

    def _is_declared(self, target: Target) -> bool:
        tables = map(keys_of, members(type_at(self._schema, target.path[:-1])))
        return any(table is not None and target.path[-1] in table.names for table in tables)

    def _is_inheritable(self, target: Target) -> bool:
        is_text = any(kind in (str, Any) for kind in members(target.annotation, written=True))
        return is_text or self._is_declared(target)

    def _unknown(self, path: tuple[str, ...]) -> KeyPath:
        """A path that the schema does not have, with the tables that it does have in the schema's spelling."""
        for length in range(len(path) - 1, 0, -1):
            if found := targets_in_any_case(self._schema, path[:length]):
                return (*found[0].path, *path[length:])
        return path


@functools.lru_cache(1024)
def _meanings(schema: Any, at: tuple[str, ...]) -> _Meanings:
    return _Meanings(schema, at)


class _Fitting:
    """Applies one schema to one layer."""

    def __init__(self, layer: TextLayer, schema: Any) -> None:
        self._layer, self._schema = layer, schema
        self._written: dict[KeyPath, tuple[str, ...]] = {}  # by path in the data: the path in the file
        self._deferred: list[tuple[_Meaning, str]] = []
        self._inherited: dict[str, tuple[str, ...] | None] = {}  # by key: a path in the file, or None if it is of use
        self._shared: dict[int, str] = {}  # by the text's id: the layer holds it
        self._named = functools.cache(self._named_anew)  # asked for each value that is made of it
        self.data: dict[str, Any] = {}
        self.problems: list[Problem] = []
        self.refused: list[KeyPath] = []
        self.secrets: set[KeyPath] = set()
        self.warnings: list[str] = []

    def table(self, table: Mapping[str, Any], at: tuple[str, ...]) -> None:
        """Set what a table of the file has."""
        meanings, has_secrets = _meanings(self._schema, at), bool(self._layer.secrets)
        around: KeyPath | None = None
        for key, value in table.items():
            meaning = meanings[key]
            found, written, path, around_it, _, convert = meaning
            if type(value) is not str or len(found) > 1 or has_secrets:
                self._set_special(meaning, value)
                continue
            if "\n" in value:
                self._warn_of_keys_in(value, meanings, meaning)
            try:
                value = convert(value)
            except NotConvertible as error:
                self._refuse(path, str(error), written)
                continue
            if around_it is not around:  # mostly the table of the key before
                around, here = around_it, self._table_at(around_it)
            if here is None or path[-1] in here:
                self._put(path, written, value)
            else:
                here[path[-1]] = value
                self._written[path] = written

    def set_deferred(self, below: Callable[[], dict[str, Any]]) -> None:
        """Set the keys that depend on a tag. `below` gives the merged data of the lower layers."""
        for meaning, text in sorted(self._deferred, key=lambda each: not _may_be_tag(each[0].found)):
            target = chosen(meaning.found, spelling_of(self._schema), below(), self.data)
            convert = _converter(target.annotation, opaque=target.opaque)
            self._set_text(meaning._replace(found=(target,), path=target.path, convert=convert), text)

    def check_inherited(self) -> None:
        """Refuse each key that sections only inherit if it is of no use to any of them."""
        if not any(self._inherited.values()):
            return
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

    def _set_special(self, meaning: _Meaning, value: Any) -> None:
        """Set a key to a table, or to a text that may be inherited, made of others, or a secret."""
        if isinstance(value, dict):
            self._set_table(meaning, value)
        elif is_inherited(value) and not meaning.is_inheritable:
            if value.for_all:
                self._inherited.setdefault(meaning.written[-1], meaning.written)
        elif len(meaning.found) > 1:  # a tag decides, which another key may set
            self._deferred.append((meaning, value))
        else:
            self._set_text(meaning, value)

    def _warn_of_keys_in(self, text: str, meanings: _Meanings, meaning: _Meaning) -> None:
        """Warn of a key of the schema in a value's further lines: it was indented by mistake, and sets nothing."""
        first, *lines = text.split("\n")
        for found in map(_LOOKS_LIKE_KEY.match, lines if first else ()):
            if found is not None and (target := meanings.declared(found[1])) is not None:
                where, key = self._layer.where(meaning.written, key=True), shown_key(target.path, self._schema)
                self.warnings.append(
                    f"{where}: the value goes on in an indented line that looks like the key {key}, and does not set it"
                )

    def _set_table(self, meaning: _Meaning, table: Mapping[str, Any]) -> None:
        """Set a key to a table, which is made also if nothing stands in it."""
        parts = SEPARATORS.split(meaning.written[-1])
        if not meaning.found and len(parts) > 1:
            inside = targets_in_any_case(self._schema, (*meaning.written[:-1], *parts))
            if inside:
                message = f"unknown section; nested=True would make it the table {dotted(inside[0].path)}"
                self._refuse(meaning.path, message, meaning.written)
                return
        self._put(meaning.path, meaning.written, {})
        self.table(table, meaning.written)

    def _set_text(self, meaning: _Meaning, text: str) -> None:
        """Set a key to a converted text, or record a problem."""
        _, written, path, _, _, convert = meaning
        if isinstance(text, Text):
            if text.inherited:
                self._inherited[written[-1]] = None
            if text.fault:
                self._refuse(path, text.fault, written)
                return
            self._keep_secret(path, written, text)
        if any(written[:length] in self._layer.secrets for length in range(1, len(written) + 1)):
            self.secrets.add(path)
        try:
            value = convert(self._plain(text))
        except NotConvertible as error:
            self._refuse(path, str(error), written)
            return
        self._put(path, written, value, inherited=is_inherited(text))

    def _plain(self, text: str) -> str:
        """The text without what is known of it; of one that many sections inherit, the same object for each."""
        if not is_inherited(text):
            return str(text)
        return self._shared.setdefault(id(text), str(text))

    def _put(self, path: KeyPath, written: tuple[str, ...], value: Any, *, inherited: bool = False) -> None:
        """Set a value, or record a problem; a table that is there stays."""
        table = self._table_at(path[:-1])
        if table is None:
            self._refuse(path, _TABLE_AND_KEY, written)
        elif path[-1] in table:
            self._meet(table, path, written, value, inherited=inherited)
        else:
            table[path[-1]] = value
            self._written[path] = written

    def _table_at(self, path: KeyPath) -> dict[str, Any] | None:
        """The table at a path, made if it is not there; None if something else is."""
        table: Any = self.data
        for part in path:
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                return None
        return table  # type: ignore[no-any-return]  # just tested

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
        """Remember that a value is a secret if one that it was made of is one, by the schema, or else by its name."""
        if any(self._may_be_secret((*written[:-1], key)) for key in text.made_of):
            self.secrets.add(path)

    def _may_be_secret(self, written: tuple[str, ...]) -> bool:
        """Whether a value that another is made of is a secret in its section, or in any that has a key of this name."""
        from confcast.config.sources.references import names_secret

        key = written[-1]
        known, secret = self._named(key)
        return secret or self._is_secret(written) or (not known and not self._found(written) and names_secret(key))

    def _named_anew(self, key: str) -> tuple[bool, bool]:
        """Whether the schema has a key of this name in any section that has it, and whether one is a secret there."""
        places = [(*section, key) for section in _sections_with(key, self._layer.data)]
        return any(map(self._found, places)), any(map(self._is_secret, places))

    def _found(self, written: tuple[str, ...]) -> tuple[Target, ...]:
        return targets_in_any_case(self._schema, written)

    def _is_secret(self, written: tuple[str, ...]) -> bool:
        found = self._found(written)
        return any(is_secret_at(self._schema, each.path) for each in found) or written in self._layer.secrets

    def _refuse(self, path: KeyPath, message: str, written: tuple[str, ...]) -> None:
        self.problems.append(Problem(shown_key(path, self._schema), message, self._layer.where(written)))
        self.refused.append(path)


def _may_be_tag(found: tuple[Target, ...]) -> bool:
    """Whether the key may say which class its table is: it has few values in each."""
    kinds = (kind for target in found for kind in members(target.annotation, written=True))
    return all(get_origin(kind) is Literal or (isinstance(kind, type) and issubclass(kind, Enum)) for kind in kinds)


def _sections_with(key: str, table: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """The paths of the sections that have a key."""
    for name, value in table.items():
        if isinstance(value, dict):
            if key in value:
                yield (name,)
            yield from ((name, *below) for below in _sections_with(key, value))


def _texts(table: Mapping[str, Any]) -> Iterator[str]:
    for value in table.values():
        if isinstance(value, dict):
            yield from _texts(value)
        else:
            yield value


def _converter(annotation: Any, *, opaque: bool = False) -> Callable[[str], Any]:
    """The function that makes the value of a text for a type, as in the environment with commas.

    It raises NotConvertible if the text looks like JSON and is none, or has an item that is empty.
    """
    if opaque:
        return lambda text: from_text(text, annotation, opaque=True)
    kinds = members(annotation, written=True)
    if kinds == (str,):
        return str
    if all(kind in _SCALARS for kind in kinds):
        return lambda text: scalar_of(text.strip(), kinds, text)
    if may_have_commas("", annotation, kinds):
        return _list_converter(annotation, optional=type(None) in kinds)
    return lambda text: from_text(text, annotation)


def _list_converter(annotation: Any, *, optional: bool) -> Callable[[str], Any]:
    """The function that makes the list of a text: in JSON, an item a line, or with commas."""
    of_all = _converter(first) if (first := item_type(annotation, 0)) == item_type(annotation, _FAR) else None

    def convert(text: str) -> Any:
        if _looks_like_json(text):
            return from_text(text, annotation, commas=True)
        bare = text.strip()
        if optional and bare.lower() == "null":
            return None
        items = items_of(text)
        if of_all is not None:
            return [of_all(item) for item in items]
        return [from_text(item, item_type(annotation, index)) for index, item in enumerate(items)]

    return convert


def items_of(text: str) -> list[str]:
    """The items of a list that is no JSON: its lines, or what commas separate. Raises NotConvertible."""
    if "\n" not in text:
        bare = text.strip()
        return between_commas(bare) if bare else []
    lines = (line.strip().removesuffix(",").rstrip() for line in text.split("\n"))
    return [line for line in lines if line]


def _looks_like_json(text: str) -> bool:
    """Whether a text means a list in JSON, or a table: `[::1]:80, [::2]:80` does not."""
    bare = text.strip()
    return bare.startswith("{") or (bare.startswith("[") and (bare.endswith("]") or bare[1:].lstrip()[:1] in '"[{'))
