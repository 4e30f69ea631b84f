"""Reads environment variables as a source: `PREFIX_A__B` sets `a.b`.

Names match the schema's keys in any case; a key that no variable can be called matches the name that a shell would give
it (`APP_MAX_CONNS` sets `max-conns`, `maxConns` and `max.conns`); keys of a `dict[str, …]` become lower case. Values
are text: a `str` takes it as it is, lists and tables are JSON, numbers and booleans are converted by the field's type.
A name with the prefix that the schema doesn't know is refused, or logged once (`unknown="warn"`). Names that Kubernetes
injects for services (`APP_SERVICE_HOST`, `APP_PORT=tcp://…`) are skipped: no person wrote them.

Rejected: guessing values without the schema (`"1e3"`, `"no"`, a password of digits), and ignoring unknown names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from difflib import get_close_matches
from itertools import islice
from typing import Any, Literal, NamedTuple

import msgspec

from confcast.config.schema.key_path import KeyPath
from confcast.config.schema.secret_paths import shown_key
from confcast.config.schema.spelling import spelling_of
from confcast.config.sources.layer import Fitted, Layer, fingerprint_of
from confcast.config.sources.variable_targets import Target, chosen, in_shell, list_around, paths, targets
from confcast.config.sources.variable_values import NotConvertible, from_text
from confcast.errors import Problem

_MOST_PATHS = 2000  # paths searched for a suggestion: classes that refer to each other have exponentially many
_SERVICE = re.compile(r"(?:.+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)")
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://\S+:\d+")


class _Options(msgspec.Struct, frozen=True, kw_only=True):
    unknown: Literal["refuse", "warn"] = "refuse"


class Environment(_Options, frozen=True):
    """The environment variables whose names begin with a prefix.

    With `APP_`, `APP_NAME=x` sets `name` and `APP_MEMORY__TOTAL=2` sets `total` in the table `memory`. A field with an
    alias is found by its alias (`APP_MAX_CONNS` for `max-conns` or `maxConns`) and by its name. A list or a table is
    JSON (`APP_HOSTS='["a", "b"]'`), and a list is set as a whole. Text is taken as it is; a number, a boolean (`true`,
    `yes`, `on`, `1`, …) or an enumeration by its field's type; `null` is None where a field that is no text may be
    None. An empty value counts, too: it sets the empty text, which a number refuses, or None for a list or a table that
    may be None. Unset the variable to keep the file's value or the default. A validator of yours that comes before
    pydantic's (`mode="before"`) also gets the converted value, and the text only if it can't be converted.

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
        """Read the variables of this process as they are now; the schema is applied later."""
        found = self._found()
        return EnvironmentLayer(self, found, _fingerprint(found))

    def content_fingerprint(self) -> bytes:
        """The fingerprint that `read()` would return. Any thread may call it."""
        return _fingerprint(self._found())

    def _found(self) -> dict[str, str]:
        prefix = self.prefix.upper()
        return {name: text for name, text in sorted(os.environ.items()) if name.upper().startswith(prefix)}


def _fingerprint(found: dict[str, str]) -> bytes:
    return fingerprint_of("\0".join(f"{name}={text}" for name, text in found.items()).encode(errors="surrogateescape"))


class EnvironmentLayer(Layer):
    """The variables as text; `fit` turns them into data, since only a schema says which keys and types are meant."""

    def __init__(self, source: Environment, found: dict[str, str], fingerprint: bytes) -> None:
        super().__init__(f"environment {source.prefix}*", {}, fingerprint)
        self._source, self._found = source, found

    def fit(self, schema: Any, below: Callable[[], dict[str, Any]] = dict) -> Fitted:
        """Set the schema's keys to the variables' values, converted by the schema's types."""
        fitting = _Fitting(self._source, schema)
        known, skipped = [], []
        for name, text in self._found.items():
            found = fitting.targets(name)
            if self._is_injected(name, text, known=any(target.without is None for target in found)):
                skipped.append(name)
            elif not found:
                fitting.unknown(name)
            else:
                known.append((found, name, text))
        # A name that depends on a tag comes last: another variable may set the tag. A table comes before its keys.
        for found, name, text in sorted(known, key=lambda each: (len(each[0]) > 1, len(each[0][0].path))):
            fitting.set(fitting.chosen(found, below), name, text)
        if skipped:
            fitting.warnings.append(
                f"skipped environment variables that Kubernetes injects for services: {', '.join(skipped)}"
                " (choose another prefix, or set enableServiceLinks: false)"
            )
        layer = Layer(self.name, fitting.data, self.fingerprint, lambda: fitting.places)
        return Fitted(layer, fitting.problems, fitting.warnings, fitting.refused)

    def _is_injected(self, name: str, text: str, *, known: bool) -> bool:
        # The pattern begins at an underscore: the prefix may be a service's name.
        upper = name.upper()
        if upper.endswith("_PORT") and _SERVICE_URL.fullmatch(text):
            return not known or upper.removesuffix("PORT") + "SERVICE_HOST" in self._found
        return not known and _SERVICE.fullmatch(upper) is not None


class _Set(NamedTuple):
    """A path that a variable has set, and the variable."""

    path: tuple[str, ...]
    where: str


class _Fitting:
    """Applies one schema to one set of variables."""

    def __init__(self, source: Environment, schema: Any) -> None:
        self._source, self._schema, self._spelling = source, schema, spelling_of(schema)
        self.data: dict[str, Any] = {}
        self.places: dict[tuple[str, ...], str] = {}
        self._variables: dict[KeyPath, _Set] = {}
        self.problems: list[Problem] = []
        self.refused: list[KeyPath] = []
        self.warnings: list[str] = []

    def targets(self, name: str) -> tuple[Target, ...]:
        """Every path that a variable may set; none if the schema has no such key."""
        return targets(self._schema, name[len(self._source.prefix) :].lower())

    def chosen(self, found: tuple[Target, ...], below: Callable[[], dict[str, Any]]) -> Target:
        """The one of these targets that a variable sets."""
        return found[0] if len(found) == 1 else chosen(found, self._spelling, below(), self.data)

    def set(self, target: Target, name: str, text: str) -> None:
        """Set a path to a variable's converted value, or record a problem."""
        where = f"environment variable {name}"
        own = _Set(target.path, where)
        first = self._variables.setdefault(self._spelling.canonical(target.path), own)
        if first.where != where:
            self._refuse(target.path, f"is set twice: {first.where} {self._likeness(first, own)}", where)
            return
        if target.without is not None:
            message = f"{target.without} has no such field, so only a validator of its own can use it{self._hint(name)}"
            self.warnings.append(f"{where} sets {self._key(target.path)}: {message}")
        try:
            value = from_text(text, target.annotation, opaque=target.opaque)
        except NotConvertible as error:
            self._refuse(target.path, str(error), where)
            return
        path = self._spelling.as_in(self.data, target.path)  # as spelled by the variable that set a table around it
        table = self.data
        for length, part in enumerate(path[:-1], 1):
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                above = path[:length]
                message = f"is a key of a table, but {self._setter(above)} sets {self._key(above)} to something else"
                self._refuse(target.path, f"{message}: remove one of the two", where)
                return
        self._put(table, path, value, where)

    def _put(self, table: dict[str, Any], path: tuple[str, ...], value: Any, where: str) -> None:
        """Set a value; merge a table into a table key by key, as layers are merged."""
        before = table.get(path[-1])
        if isinstance(value, dict) and isinstance(before, dict):
            for key, item in value.items():
                there = self._spelling.as_in(self.data, (*path, key))
                # If a variable's table sets one field by two keys, both stay, and are refused as in a file.
                self._put(before, (*path, key) if there[-1] in value else there, item, where)
            return
        table[path[-1]] = value
        self.places[path] = where

    def _key(self, path: KeyPath) -> str:
        return shown_key(path, self._schema)

    def _likeness(self, first: _Set, second: _Set) -> str:
        """In which way the first of two variables sets the same field as the second, in words."""
        if first.where.upper() == second.where.upper():
            return "has the same name"
        return "sets the same" if first.path == second.path else f"sets the same, as {self._key(first.path)}"

    def _refuse(self, path: KeyPath, message: str, where: str) -> None:
        """Record a problem with the value of a variable."""
        self.problems.append(Problem(self._key(path), message, where))
        self.refused.append(path)

    def _setter(self, path: tuple[str, ...]) -> str:
        """The variable that set the value at a path, or the table around it."""
        return next(self.places[path[:length]] for length in range(len(path), 0, -1) if path[:length] in self.places)

    def unknown(self, name: str) -> None:
        """Refuse a name that the schema does not know, or warn of it."""
        listed = self._list_around(name)
        if listed:
            message = f"items of a list can't be set one by one: set {self._name_of(listed)} to the whole list, as JSON"
        else:
            message = f"the schema has no such key{self._hint(name)}"
        if self._source.unknown == "refuse":
            self._refuse(listed, message, f"environment variable {name}")
        else:
            self.warnings.append(f"environment variable {name} is ignored: {message}")

    def _list_around(self, name: str) -> KeyPath:
        """The path of the list that has the item that this name would set; empty if the name sets no item."""
        parts = name[len(self._source.prefix) :].lower().split("__")
        return list_around(self._schema, parts, lambda schema, first: targets(schema, "__".join(first)))

    def _hint(self, name: str) -> str:
        # People write one underscore for two; both lead to the same suggestion. The prefix does not count as similar.
        found = islice(paths(self._schema, ()), _MOST_PATHS)
        flat = {"_".join(map(in_shell, path)).upper(): path for path in found}
        close = get_close_matches(name[len(self._source.prefix) :].upper().replace("__", "_"), flat, n=1)
        return f"; did you mean {self._name_of(flat[close[0]])}?" if close else ""

    def _name_of(self, path: KeyPath) -> str:
        return self._source.prefix.upper() + "__".join(map(in_shell, path)).upper()
