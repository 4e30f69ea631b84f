"""Environment variables as a source: `PREFIX_A__B` sets `a.b`.

Names match the schema's keys whatever their case, and keys that a shell can't set by what they would be called there
(`APP_MAX_CONNS` sets `max-conns`, `maxConns` and `max.conns`); keys of a `dict[str, …]` are read in lower case. Values
are text: a `str` takes it as it is, lists and tables are JSON, numbers and booleans are converted by the field's type.
A name with the prefix that the schema doesn't know is refused, or named in the log once (`unknown="warn"`). Names that
Kubernetes injects for services (`APP_SERVICE_HOST`, `APP_PORT=tcp://…`) are skipped: nobody wrote them.

Rejected: guessing values without the schema (`"1e3"`, `"no"`, a password of digits), and silence about unknown names.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import Any, Literal, NamedTuple, get_args, get_origin

import msgspec

from confcast.config.sources.formats.common import KeyPath
from confcast.config.sources.layer import Fitted, Layer, Place, fingerprint_of
from confcast.config.sources.texts import NotConvertible, from_text
from confcast.config.spelling import spelling_of
from confcast.config.validation.annotations import is_collection, is_opaque, keys_of, members, strip
from confcast.errors import Problem

_MOST_PATHS = 2000  # to look for a suggestion in: of classes that refer to each other there are exponentially many
_SERVICE = re.compile(r"(?:.+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")  # of maxConns, and of HTTPPort
_NOT_IN_A_NAME = re.compile(r"\W")
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://\S+:\d+")


class _Options(msgspec.Struct, frozen=True, kw_only=True):
    unknown: Literal["refuse", "warn"] = "refuse"


class Environment(_Options, frozen=True):
    """The environment variables whose names begin with a prefix.

    With `APP_`, `APP_NAME=x` sets `name` and `APP_MEMORY__TOTAL=2` sets `total` in the table `memory`. A field with
    an alias is found by its alias (`APP_MAX_CONNS` for `max-conns` or `maxConns`) and by its name. A list or a table is
    JSON (`APP_HOSTS='["a", "b"]'`), and a list is set as a whole. Text is taken as it is; a number, a
    boolean (`true`, `yes`, `on`, `1`, …) or an enumeration by its field's type; `null` is None where a field that is
    no text may be None. An empty value is set, too: the empty text, which a number refuses, and for a list or a table
    that may be None, None. Unset the variable to have what the file or the default says. A validator of yours that
    comes before pydantic's (`mode="before"`) gets what the type says, too, and the text only where it is no such thing.

    Args:
        prefix: Such as `APP_`, in any case; may not be empty.
        unknown: A name with the prefix that the schema has no key for refuses the configuration (`refuse`), or is
            named in the log and ignored (`warn`).

    Raises:
        ValueError: The prefix is empty, or `unknown` is another word.
    """

    prefix: str

    def __post_init__(self) -> None:
        if not self.prefix:
            raise ValueError("an empty prefix would take every variable there is: give one such as 'APP_'")
        if self.unknown not in ("refuse", "warn"):
            raise ValueError(f"unknown={self.unknown!r}: it has to be 'refuse' or 'warn'")

    def read(self) -> Layer:
        """The variables as they are now in this process; the schema is applied later."""
        found = self._found()
        return EnvironmentLayer(self, found, _fingerprint(found))

    def content_fingerprint(self) -> bytes:
        """What `read().fingerprint` would be."""
        return _fingerprint(self._found())

    def _found(self) -> dict[str, str]:
        prefix = self.prefix.upper()
        return {name: text for name, text in sorted(os.environ.items()) if name.upper().startswith(prefix)}


def _fingerprint(found: dict[str, str]) -> bytes:
    return fingerprint_of("\0".join(f"{name}={text}" for name, text in found.items()).encode(errors="surrogateescape"))


class EnvironmentLayer(Layer):
    """Variables that no schema was applied to yet."""

    def __init__(self, source: Environment, found: dict[str, str], fingerprint: bytes) -> None:
        super().__init__(f"environment {source.prefix}*", {}, fingerprint)
        self._source, self._found = source, found

    def fit(self, schema: Any) -> Fitted:
        """The variables under the schema's keys, converted by its types."""
        fitting = _Fitting(self._source, schema)
        targets, skipped = [], []
        for name, text in self._found.items():
            target = fitting.target(name)
            if self._is_injected(name, text, known=target is not None and target.without is None):
                skipped.append(name)
            elif target is None:
                fitting.unknown(name)
            else:
                targets.append((target, name, text))
        # A table first, then what is set inside it.
        for target, name, text in sorted(targets, key=lambda each: len(each[0].path)):
            fitting.set(target, name, text)
        if skipped:
            fitting.warnings.append(
                f"skipped environment variables that Kubernetes injects for services: {', '.join(skipped)}"
                " (choose another prefix, or set enableServiceLinks: false)"
            )
        places = {path: Place(where, where) for path, where in fitting.places.items()}
        layer = Layer(self.name, fitting.data, self.fingerprint, (lambda: places) if places else None)
        return Fitted(layer, fitting.problems, fitting.warnings)

    def _is_injected(self, name: str, text: str, *, known: bool) -> bool:
        # From the underscore on: a service may be called what the prefix is.
        upper = name.upper()
        if upper.endswith("_PORT") and _SERVICE_URL.fullmatch(text):
            return not known or upper.removesuffix("PORT") + "SERVICE_HOST" in self._found
        return not known and _SERVICE.fullmatch(upper) is not None


class _Target(NamedTuple):
    """What a variable sets.

    Attributes:
        path: The keys.
        annotation: The type there, as it is written.
        opaque: Whether code of the user's sees the value, or a table around it, before its library does.
        without: The class that has no field of that name; only code of the user's may have a use for it.
    """

    path: tuple[str, ...]
    annotation: Any
    opaque: bool = False
    without: str | None = None


class _Set(NamedTuple):
    """A path that was set, and by which variable."""

    path: tuple[str, ...]
    where: str


class _Fitting:
    """One schema applied to one set of variables."""

    def __init__(self, source: Environment, schema: Any) -> None:
        self._source, self._schema, self._spelling = source, schema, spelling_of(schema)
        self.data: dict[str, Any] = {}
        self.places: dict[tuple[str, ...], str] = {}
        self._variables: dict[KeyPath, _Set] = {}
        self.problems: list[Problem] = []
        self.warnings: list[str] = []

    def target(self, name: str) -> _Target | None:
        """What a variable sets; None if the schema has no such key."""
        return _target_in(self._schema, name[len(self._source.prefix) :].lower())

    def set(self, target: _Target, name: str, text: str) -> None:
        """Put a converted value in its place, or note what is wrong with it."""
        where, key = f"environment variable {name}", ".".join(target.path)
        first = self._variables.setdefault(self._spelling.canonical(target.path), _Set(target.path, where))
        if first.where != where:
            same = "has the same name" if first.path == target.path else f"sets the same, as {'.'.join(first.path)}"
            self.problems.append(Problem(key, f"is set twice: {first.where} {same}", where))
            return
        if target.without is not None:
            message = f"{target.without} has no such field, so only a validator of its own can use it{self._hint(name)}"
            self.warnings.append(f"{where} sets {key}: {message}")
        try:
            value = from_text(text, target.annotation, opaque=target.opaque)
        except NotConvertible as error:
            self.problems.append(Problem(key, str(error), where))
            return
        path = self._spelling.as_in(self.data, target.path)  # as a variable spelled it that set a table around it
        table = self.data
        for length, part in enumerate(path[:-1], 1):
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                above = path[:length]
                message = f"is a key of a table, but {self._setter(above)} sets {'.'.join(above)} to something else"
                self.problems.append(Problem(key, f"{message}: remove one of the two", where))
                return
        self._put(table, path, value, where)

    def _put(self, table: dict[str, Any], path: tuple[str, ...], value: Any, where: str) -> None:
        """A table over a table is merged key by key, as everywhere."""
        before = table.get(path[-1])
        if isinstance(value, dict) and isinstance(before, dict):
            for key, item in value.items():
                there = self._spelling.as_in(self.data, (*path, key))
                # What one variable has twice stays twice, and is refused as in a file.
                self._put(before, (*path, key) if there[-1] in value else there, item, where)
            return
        table[path[-1]] = value
        self.places[path] = where

    def _setter(self, path: tuple[str, ...]) -> str:
        """The variable that set what stands at a path: that of the path, or of a table around it."""
        return next(self.places[path[:length]] for length in range(len(path), 0, -1) if path[:length] in self.places)

    def unknown(self, name: str) -> None:
        """Refuse a name, or warn of it."""
        listed = self._list_around(name)
        if listed:
            message = f"items of a list can't be set one by one: set {self._name_of(listed)} to the whole list, as JSON"
        else:
            message = f"the schema has no such key{self._hint(name)}"
        if self._source.unknown == "refuse":
            self.problems.append(Problem(".".join(listed), message, f"environment variable {name}"))
        else:
            self.warnings.append(f"environment variable {name} is ignored: {message}")

    def _list_around(self, name: str) -> tuple[str, ...]:
        """The path of the list that the name would set something in; empty if there is none."""
        parts = name[len(self._source.prefix) :].lower().split("__")
        for length in range(len(parts) - 1, 0, -1):
            target = _target_in(self._schema, "__".join(parts[:length]))
            if target is not None and any(map(_is_list, members(target.annotation, written=True))):
                return target.path
        return ()

    def _hint(self, name: str) -> str:
        # People write one underscore for two; both should lead to the same suggestion. The prefix is no likeness.
        found = islice(_paths(self._schema, ()), _MOST_PATHS)
        flat = {"_".join(map(_in_shell, path)).upper(): path for path in found}
        close = get_close_matches(name[len(self._source.prefix) :].upper().replace("__", "_"), flat, n=1)
        return f"; did you mean {self._name_of(flat[close[0]])}?" if close else ""

    def _name_of(self, path: tuple[str, ...]) -> str:
        return self._source.prefix.upper() + "__".join(map(_in_shell, path)).upper()


@functools.lru_cache(1024)  # each reload asks for the same
def _target_in(schema: Any, name: str) -> _Target | None:
    return _target(_Target((), schema), name.split("__"))


def _target(above: _Target, parts: list[str]) -> _Target | None:
    above = above._replace(opaque=above.opaque or is_opaque(above.annotation))
    if not parts:
        return above
    for member in members(above.annotation, written=True):
        for length, key, target in _candidates(member, parts):
            without = target.without or above.without
            found = _target(_Target((*above.path, key), target.annotation, above.opaque, without), parts[length:])
            if found is not None:
                return found
    return None


def _candidates(member: Any, parts: list[str]) -> Iterator[tuple[int, str, _Target]]:
    """What the first parts of a name may mean in a table of this type: how many, the key and its value."""
    keys = keys_of(member)
    names = _names(tuple(keys.names.items()), keys.indirect) if keys is not None else {}
    types = keys.written if keys is not None else {}
    known = False
    for length in range(len(parts), 0, -1):  # a field may have "__" in its own name
        name = "__".join(parts[:length])
        for key in names.get(name, ()):
            known = True
            yield length, key, _Target((), types[key])
    value = None if known else _free_value(member)
    if value is not None:
        without = (get_origin(member) or member).__qualname__ if keys is not None and not keys.allows else None
        for length in range(1, len(parts) + 1):
            yield length, "__".join(parts[:length]), _Target((), value, without=without)


@functools.lru_cache
def _names(fields: tuple[tuple[str, str], ...], indirect: frozenset[str]) -> Mapping[str, tuple[str, ...]]:
    """The keys that a part of a variable's name may mean, in lower case.

    A key as it is comes first, then as it is called in a shell, then the name of the attribute that it sets; what would
    mean two fields means none.

    Args:
        fields: The keys of a class, with the attribute that each sets.
        indirect: Those that do not set it as a whole.
    """
    names = dict(fields)
    direct = [key for key in names if key not in indirect]
    found: dict[str, tuple[str, ...]] = {}
    for keys, called in ((names, str.lower), (names, _in_shell), (direct, lambda key: names[key].lower())):
        level: dict[str, list[str]] = {}
        for key in keys:
            level.setdefault(called(key), []).append(key)
        for name, meant in level.items():
            if called is str.lower or len({names[key] for key in meant}) == 1:
                found.setdefault(name, tuple(meant))
    return found


def _in_shell(key: str) -> str:
    """What a key is called where names have only letters, digits and underscores, in lower case."""
    return _NOT_IN_A_NAME.sub("_", _HUMP.sub("_", key)).lower()


def _is_list(member: Any) -> bool:
    kind = get_origin(member) or member
    return is_collection(member) and keys_of(member) is None and not issubclass(kind, Mapping)


def _free_value(member: Any) -> Any:
    """The type of a value in a table that may have any key; None if the type is no such table."""
    keys = keys_of(member)
    if keys is not None:
        return None if keys.closed else Any
    if member is Any:
        return Any
    origin, arguments = get_origin(member) or member, get_args(member)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return arguments[1] if len(arguments) == 2 and strip(arguments[0]) in (str, Any) else Any
    return None


def _paths(annotation: Any, path: tuple[str, ...], seen: tuple[Any, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key that a variable can set, for suggestions."""
    for member in members(annotation, written=True):
        keys = keys_of(member)
        if keys is None or member in seen:
            continue
        for key, hint in keys.written.items():
            yield (*path, key)
            yield from _paths(hint, (*path, key), (*seen, member))
