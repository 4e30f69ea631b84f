"""Lists the keys of a schema: what it says of each, and the default as a file would have it.

Guaranteed: no source is read, and nothing is validated; a default is made as each load makes it. Secrets are masked by
their types, and the value of none is in what a file would have. A class that has itself inside is listed once. At most
`MOST` keys are listed, and one that counts the others.

Rejected: pydantic's JSON schema (Structs and dataclasses have another one, constraints have other names in it than in
messages, and a default that JSON does not have is left out).
"""

from __future__ import annotations

import collections.abc
import re
import typing
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from confcast.config.codec import Codec
from confcast.config.diff import shown_default
from confcast.config.dotted_keys import LONGEST_KEY, did_you_mean, too_long
from confcast.config.field_facts import (
    UNKNOWN,
    SchemaField,
    annotation_of,
    constraints_of,
    default_of,
    description_of,
    type_of,
)
from confcast.config.file_form import FileForm, Unwritable, key_of, tag_of
from confcast.config.schema.annotations import Keys, keys_of, members, written_children
from confcast.config.schema.key_path import KeyPath, dotted
from confcast.config.schema.kinds import fields_of
from confcast.config.schema.marks import is_watched, restart_of
from confcast.config.schema.secrets import contains_secret, contains_url, is_marked, is_marked_url
from confcast.errors import ConfigError, NotCarried, Problem, more
from confcast.texts import shortened
from confcast.wire.messages import MARKED_SECRET, MARKED_URL, SchemaKey

MOST = 1000
"""How many keys are listed at the most."""

_MOST_COUNTED = 3000  # classes that refer to each other have exponentially many keys
_LONGEST_TEXT = 1000
_INDEX = re.compile(r"\[\d*\]")
_NONE = object()


def described(codec: Codec[Any], key: str = "") -> tuple[SchemaKey, ...]:
    """What the schema says of a key and of those below; of all keys for an empty one.

    Args:
        codec: The codec of the schema.
        key: As messages write it; an item of a list is `[]` or any index, a key of a table `<key>` or any key.

    Raises:
        ConfigError: The schema has no such key; the message names the most similar one.
    """
    if why := too_long(key):
        raise ConfigError([Problem(shortened(key, LONGEST_KEY), why)])
    rows = list(islice(_Walk(codec).fields(codec.schema, _Place()), _MOST_COUNTED))
    found = [row for row in rows if not key or _is_below(row.key, key)]
    if not found and key:
        known = [row.key for row in rows]
        raise ConfigError([Problem(key, f"the schema has no such key{did_you_mean(key, known)}")])
    rest = len(found) - MOST
    others = more(rest) if len(rows) < _MOST_COUNTED else f"and {rest} or more"
    return (*found[:MOST], SchemaKey(key=others)) if rest > 0 else tuple(found)


def _is_below(listed: str, key: str) -> bool:
    """Whether a listed key is this one, or below it."""
    wanted = _INDEX.sub("[]", key.replace('"', ""))
    ends = [0, *(found.start() for found in re.finditer(r"(?=[.\[])", listed)), len(listed)]
    return any(_means(listed[:end], wanted) for end in ends[1:])


def _means(listed: str, wanted: str) -> bool:
    pattern = re.escape(listed.replace('"', "")).replace(re.escape("<key>"), r"[^.\[]+")
    return re.fullmatch(pattern, wanted) is not None


class _Place(NamedTuple):
    """Where a class stands.

    Attributes:
        key: Its dotted key; empty for the schema.
        path: Its path in a file; None if it has no fixed one.
        classes: Those around it.
        held: The object that is its default; `_NONE` where the defaults of its class count.
    """

    key: str = ""
    path: tuple[str, ...] | None = ()
    classes: tuple[Any, ...] = ()
    held: Any = _NONE

    def below(self, part: str, path: KeyPath | None, held: Any = _NONE) -> _Place:
        """The place of a field."""
        key = part if part.startswith("[") or not self.key else f".{part}"
        inside = self.path is not None and path is not None and all(isinstance(each, str) for each in path)
        return self._replace(
            key=self.key + key, path=(*(self.path or ()), *(path or ())) if inside else None, held=held
        )


class _Walk:
    """Walks through the classes of one schema."""

    def __init__(self, codec: Codec[Any]) -> None:
        self._codec, self._file = codec, FileForm(codec)

    def fields(self, cls: Any, at: _Place) -> Iterator[SchemaKey]:
        """The keys of a class, and those below."""
        keys, plain = keys_of(cls), typing.get_origin(cls) or cls
        if keys is None or plain in at.classes:
            return
        inside = at._replace(classes=(*at.classes, plain))
        for name in dict.fromkeys([*keys.names.values(), *keys.sought]):
            path, written = _spelled(plain, keys, name)
            field = SchemaField(annotation_of(cls, name, written), cls, name)
            held = _NONE if at.held is _NONE else getattr(at.held, name, _NONE)
            yield from self._field(field, inside.below(dotted(path), path, held))

    def _field(self, field: SchemaField, at: _Place) -> Iterator[SchemaKey]:
        default, failed = self._default(field)
        held = default if at.held is _NONE else at.held
        kinds = [] if is_marked(field.annotation) else _classes(field.annotation)
        cls = None if failed else _class_of(held, kinds)
        if at.held is _NONE and not self._is_the_same(field, default):
            held, cls = UNKNOWN, None
        form, value = self._form(field.annotation, held, cls)
        yield SchemaKey(
            key=at.key,
            type=type_of(field),
            required=default is UNKNOWN and not failed and _is_wanted(field),
            default=failed or self._shown(field, default),
            constraints=[shortened(each, _LONGEST_TEXT) for each in constraints_of(field)],
            description=shortened(description_of(field), _LONGEST_TEXT),
            marks=_marks(field.annotation),
            path=at.path or (),
            form=form,
            value=value,
        )
        if not is_marked(field.annotation):
            below = at if form != "value" else at._replace(path=None)
            yield from self._below(field.annotation, below, kinds, cls, held if form == "table" else UNKNOWN)

    def _form(self, annotation: Any, held: Any, cls: Any) -> tuple[Any, Any]:
        """What a file has for a default, and its value."""
        if held is UNKNOWN:
            return ("table" if cls is not None else "absent"), None
        try:
            if cls is not None and held is not None:
                self._file.table(held)
                return "table", None
            return "value", self._file.value(held, annotation)
        except (Unwritable, RecursionError):
            return "absent", None

    def _below(self, annotation: Any, at: _Place, kinds: list[Any], cls: Any, held: Any) -> Iterator[SchemaKey]:
        """The keys below a field: first those of the class that its default has, then those that other classes add."""
        first = cls if cls is not None else next(iter(kinds), None)
        listed = set[str]()
        for kind in sorted(kinds, key=lambda each: each is not first):
            known = at._replace(held=_NONE if held is UNKNOWN else held) if kind is first else at._replace(held=_NONE)
            is_table = kind is first and not _is_listed(kind)
            for row in self.fields(kind, known if is_table else known._replace(path=None, held=_NONE)):
                if row.key not in listed:
                    listed.add(row.key)
                    yield row
        yield from self._items(annotation, at)

    def _items(self, annotation: Any, at: _Place) -> Iterator[SchemaKey]:
        """The keys below the items of a list, and those of a table."""
        for member in members(annotation, written=True):
            origin = typing.get_origin(member)
            if not isinstance(origin, type) or keys_of(member) is not None:
                continue
            if issubclass(origin, collections.abc.Mapping):
                for item in written_children(member, ""):
                    yield self._item(item, there := at._replace(path=None, held=_NONE).below("<key>", None))
                    yield from self._inside(item, there)
            else:
                for item in dict.fromkeys(written_children(member, 0)):
                    yield from self._inside(item, at._replace(path=None, held=_NONE).below("[]", None))

    def _inside(self, item: Any, at: _Place) -> Iterator[SchemaKey]:
        if not is_marked(item) and (entered := ("an item", item)) not in at.classes:  # an alias may name itself
            at = at._replace(classes=(*at.classes, entered))
            yield from self._below(item, at, _classes(item), None, UNKNOWN)

    def _item(self, annotation: Any, at: _Place) -> SchemaKey:
        field = SchemaField(annotation)
        return SchemaKey(
            key=at.key,
            type=type_of(field),
            constraints=constraints_of(field),
            description=shortened(description_of(field), _LONGEST_TEXT),
            marks=_marks(annotation),
        )

    def _default(self, field: SchemaField) -> tuple[Any, str]:
        """The default, UNKNOWN if there is none; and why it can't be had."""
        if (tag := tag_of(typing.get_origin(field.cls) or field.cls, field.name)) is not UNKNOWN:
            return tag, ""
        try:
            return default_of(field), ""
        except Exception as error:  # a function of the schema's makes it
            return UNKNOWN, f"(can't be made: {type(error).__name__})"

    def _is_the_same(self, field: SchemaField, default: Any) -> bool:
        """Whether each load makes the same default; a file with one of them would keep it."""
        again, _ = self._default(field)
        if again is default:
            return True
        try:
            return again is not UNKNOWN and self._codec.comparable(again) == self._codec.comparable(default)
        except NotCarried:  # it can't be a value of a version, either
            return False

    def _shown(self, field: SchemaField, default: Any) -> Any:
        if default is UNKNOWN:
            return None
        return shown_default(self._codec, typing.get_origin(field.cls) or field.cls, field.name, default)


def _classes(annotation: Any) -> list[Any]:
    return [kind for kind in members(annotation, written=True) if keys_of(kind) is not None]


def _class_of(held: Any, kinds: list[Any]) -> Any:
    """The class whose table a file has for a default: that of the default; the first one where there is none."""
    if held is UNKNOWN:
        return next((kind for kind in kinds if not _is_listed(kind)), None)
    mine = (kind for kind in kinds if (typing.get_origin(kind) or kind) is type(held))
    return next((kind for kind in mine if fields_of(type(held)) is not None), None)


def _is_wanted(field: SchemaField) -> bool:
    """Whether a table without the key is refused: a TypedDict has keys that may be left out."""
    wanted = getattr(typing.get_origin(field.cls) or field.cls, "__required_keys__", None)
    return wanted is None or field.name in wanted


def _is_listed(kind: Any) -> bool:
    """Whether a class is a NamedTuple, for which each library takes a list."""
    cls = typing.get_origin(kind) or kind
    return isinstance(cls, type) and issubclass(cls, tuple)


def _spelled(cls: Any, keys: Keys, name: str) -> tuple[KeyPath, Any]:
    """The path by which a file has a field, in the first of its spellings; and its type, as it is written."""
    if (sought := keys.sought.get(name)) is not None:
        return sought.paths[0], sought.written
    key = key_of(cls, keys.names, name)
    return (key,), keys.written[key]


def _has_classes(annotation: Any, around: tuple[Any, ...] = ()) -> bool:
    """Whether a class is in a type, whose own keys are listed with their marks."""
    if annotation in around:  # an alias may name itself
        return False
    inside, kinds = (*around, annotation), members(annotation, written=True)
    return any(keys_of(each) is not None for each in kinds) or any(
        _has_classes(part, inside) for each in kinds for part in typing.get_args(each)
    )


def _is_url(annotation: Any) -> bool:
    return is_marked_url(annotation) or (contains_url(annotation) and not _has_classes(annotation))


def _marks(annotation: Any) -> list[str]:
    restart = restart_of(annotation)
    secret = is_marked(annotation) or (contains_secret(annotation) and not _has_classes(annotation))
    found = [MARKED_SECRET] if secret else []
    found += [MARKED_URL] if not secret and _is_url(annotation) else []
    found += ["the file's content is watched"] if is_watched(annotation) else []
    if restart is not None:
        found.append(
            "needs a restart" + (", may grow" if restart.grow else "") + (f": {restart.why}" * bool(restart.why))
        )
    return found
