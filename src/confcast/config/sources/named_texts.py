"""Fits texts with names to a schema: variables of the environment, lines of a `.env` file, files of a folder.

One mechanism for every source of that kind, so that a name means the same key in each, and a text the same value.
A name is a prefix and a key whose parts are joined by `__`; it matches the schema's keys in any case, and a key that no
variable can be called matches the name that a shell would give it (`APP_MAX_CONNS` sets `max-conns`, `maxConns` and
`max.conns`). A name that is mapped (`names={"DATABASE_URL": "database.url"}`) matches exactly as it is written, and its
key is one as messages write keys. Which keys and types are meant only a schema says, so `fit` does all of it.

A message about a name that the schema does not have quotes no name: in a file it may be a piece of a secret. The
position says which it is. There are at most `_MOST_HINTS` suggestions, since each is a search through the schema.

Rejected: guessing values without the schema (`"1e3"`, `"no"`, a password of digits), and ignoring unknown names where a
prefix says that they are the application's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Literal, NamedTuple, TypeAlias

from confcast.config.schema.annotations import members
from confcast.config.schema.key_path import KeyPath
from confcast.config.schema.secret_paths import is_declared_secret_at, shown_key
from confcast.config.schema.spelling import PLAIN, spelling_of
from confcast.config.sources.layer import Fitted, Layer, Place
from confcast.config.sources.secret_file import SecretFile, warnings_of
from confcast.config.sources.variable_targets import (
    Target,
    chosen,
    in_shell,
    is_field,
    list_around,
    parts_of,
    paths,
    targets,
    targets_of_key,
)
from confcast.config.sources.variable_values import NotConvertible, from_text, may_have_commas
from confcast.errors import Problem
from confcast.texts import close_matches

Lists: TypeAlias = Literal["json", "comma"]
"""How a list is written: as JSON only, or with commas, too."""

Unknown: TypeAlias = Literal["refuse", "warn"]
"""What a name that the schema doesn't have does: it refuses the configuration, or is named in the log and ignored."""

_MOST_PATHS = 2000  # paths searched for a suggestion: classes that refer to each other have exponentially many
_MOST_HINTS = 10
_MOST_LISTED = 20  # positions that one warning lists


class Text:
    """One text of a source.

    Args:
        name: What says which key it is for.
        text: The value.
        place: The positions of the name and of the value, for a person (`environment variable APP_NAME`, `.env:3:1`);
            or what computes them, if a message needs them.
        file: The file of its own that holds the value, so that it is a secret whatever type the schema gives it.
        made_of: The names whose values were put into the value: if one of them is a secret's, so is this one.
    """

    __slots__ = ("_place", "file", "made_of", "name", "text")

    def __init__(
        self,
        name: str,
        text: str,
        place: Place | Callable[[], Place],
        file: SecretFile | None = None,
        made_of: Collection[str] = (),
    ) -> None:
        self.name, self.text, self.file, self.made_of = name, text, file, made_of
        self._place = place

    def __repr__(self) -> str:
        return f"<Text at {self.where}>"  # without the value: error trackers send the variables of a frame

    @property
    def place(self) -> Place:
        """The positions of the name and of the value."""
        if not isinstance(self._place, Place):
            self._place = self._place()
        return self._place

    @property
    def where(self) -> str:
        """The position of the name."""
        return self.place.key


class Naming(NamedTuple):
    """How the names of one source mean keys.

    Attributes:
        prefix: With what each name begins, in any case; names without it are not given.
        names: The keys of the names that stand for themselves.
        lists: How lists are written.
        unknown: What a name does that the schema doesn't have.
        spelled: Writes a name of the source, as suggestions show it.
        given: How the caller wrote `names`, for messages about them: `Environment(names`.
    """

    prefix: str
    names: Mapping[str, str]
    lists: Lists
    unknown: Unknown
    spelled: Callable[[str], str] = str.upper
    given: str = "(names"


def names_as_dict(names: Mapping[str, str]) -> dict[str, str]:
    """The names that a caller gave, which may be any mapping. Raises TypeError for what is none."""
    if not isinstance(names, Mapping):
        raise TypeError(f"names={names!r}: a table is expected, such as {{'DATABASE_URL': 'database.url'}}")
    return dict(names)


def check_naming(prefix: str, names: Mapping[str, str], lists: str, unknown: str | None) -> None:
    """Check what a caller gave for these.

    Raises:
        TypeError: The prefix is no text, or the names are no texts by texts.
        ValueError: One of them is none of the words that are allowed, or a key in `names` can't be one.
    """
    if not isinstance(prefix, str):
        raise TypeError(f"a prefix has to be a str, not {type(prefix).__name__}")
    for name, key in names.items():
        if not isinstance(name, str) or not isinstance(key, str):
            raise TypeError(f"names={{{name!r}: {key!r}}}: both have to be a str")
        try:
            right = name and all(parts_of(key))
        except ValueError:
            right = False
        if not right:
            raise ValueError(f"names={{{name!r}: {key!r}}}: it has to be a name and a key such as 'database.url'")
    if lists not in ("json", "comma"):
        raise ValueError(f"lists={lists!r}: it has to be 'json' or 'comma'")
    if unknown not in ("refuse", "warn", None):
        raise ValueError(f"unknown={unknown!r}: it has to be 'refuse' or 'warn'")


class NamedTexts(Layer):
    """The texts of a source; `fit` turns them into data.

    Args:
        name: How messages name the source.
        found: The texts, in the order in which messages name them.
        naming: How their names mean keys.
        fingerprint: 16 bytes; equal contents have the same.
        warnings: Sentences about what was read.
        has_lines: Whether positions have lines.
    """

    def __init__(
        self,
        name: str,
        found: Sequence[Text],
        naming: Naming,
        fingerprint: bytes,
        *,
        warnings: Iterable[str] = (),
        has_lines: bool = False,
    ) -> None:
        super().__init__(name, {}, fingerprint, has_lines=has_lines, warnings=warnings)
        self._found, self._naming = found, naming

    def fit(self, schema: Any, below: Callable[[], dict[str, Any]] = dict) -> Fitted:
        """Set the schema's keys to the texts' values, converted by the schema's types."""
        fitting = Fitting(self._naming, schema)
        fitting.check_names(self.name)
        known: list[tuple[tuple[Target, ...], Text]] = []
        foreign: list[Text] = []
        for each in self._found:
            found = fitting.targets(each.name)
            if self._is_foreign(each, found):
                foreign.append(each)
            elif found:
                known.append((found, each))
            else:
                fitting.unknown(each, self._advice(each, fitting))
        fitting.warn(self._warning_of(foreign))
        # A name that depends on a tag comes last: another one may set the tag. A table comes before its keys.
        for found, each in sorted(known, key=lambda pair: (len(pair[0]) > 1, len(pair[0][0].path))):
            fitting.set(fitting.chosen(found, below), each)
        return fitting.fitted(self)

    def _is_foreign(self, each: Text, found: tuple[Target, ...]) -> bool:
        """Whether a text is none of the application's; `found`: what its name may mean in the schema."""
        return False

    def _warning_of(self, foreign: Sequence[Text]) -> str:
        """The sentence that names the texts that are none of the application's; empty for no sentence."""
        return ""

    def _advice(self, each: Text, fitting: Fitting) -> str:
        """What to do about a text whose name the schema doesn't know; empty to suggest a similar name."""
        return ""


class Fitting:
    """Applies one schema to the texts of one source."""

    def __init__(self, naming: Naming, schema: Any) -> None:
        self._naming, self._schema, self._spelling = naming, schema, spelling_of(schema)
        self._prefix, self._length = naming.prefix.upper(), len(naming.prefix)
        self._commas = naming.lists == "comma"
        self.data: dict[str, Any] = {}
        self._texts: dict[KeyPath, Text] = {}
        self._secrets: dict[KeyPath, SecretFile | None] = {}
        self._set: dict[KeyPath, tuple[KeyPath, Text]] = {}  # by canonical path, the text that has set it first
        self._problems: list[Problem] = []
        self._refused: list[KeyPath] = []
        self._warnings: list[str] = []
        self._ignored: list[str] = []
        self._hints = 0

    def fitted(self, layer: Layer) -> Fitted:
        """The outcome."""
        if self._ignored:
            more = f" and {len(self._ignored) - _MOST_LISTED} more" if len(self._ignored) > _MOST_LISTED else ""
            listed = ", ".join(self._ignored[:_MOST_LISTED])
            self._warnings.append(f"the schema has no such keys, so these are ignored: {listed}{more}")
        made = Layer(
            layer.name,
            self.data,
            layer.fingerprint,
            lambda: {path: each.place for path, each in self._texts.items()},
            has_lines=layer.has_lines,
            secrets=self._secrets,
        )
        made._filled_by = layer._filled_by
        warnings = [*layer.warnings, *warnings_of([each for each in self._secrets.values() if each]), *self._warnings]
        return Fitted(made, self._problems, warnings, self._refused)

    def warn(self, sentence: str) -> None:
        """Have a sentence logged; an empty one is none."""
        self._warnings += [sentence] if sentence else []

    def check_names(self, where: str) -> None:
        """Refuse each name whose key the schema doesn't have, whether a text has that name or not."""
        for name, key in self._naming.names.items():
            if not targets_of_key(self._schema, parts_of(key)):
                known = list(islice((".".join(path) for path in paths(self._schema, ())), _MOST_PATHS))
                close = close_matches(key, known)
                hint = f"; did you mean {close[0]}?" if close else ""
                message = f"the schema has no such key{hint}"
                self._problems.append(Problem("", f"{self._naming.given}={{{name!r}: {key!r}}}): {message}", where))

    def targets(self, name: str) -> tuple[Target, ...]:
        """Every path that a name may mean; none if the schema has no such key."""
        key = self._naming.names.get(name)
        if key is not None:
            return targets_of_key(self._schema, parts_of(key))
        return targets(self._schema, name[self._length :].lower()) if self._has_prefix(name) else ()

    def is_suffixed(self, name: str, suffix: str) -> bool:
        """Whether a name is that of a key with this suffix, and no key of the schema is called so with the suffix."""
        without = name[: -len(suffix)]
        if not name.upper().endswith(suffix) or name in self._naming.names:
            return False
        if without in self._naming.names:
            return True
        if any(is_field(self._schema, each.path) for each in self.targets(name)):
            return False
        return any(is_field(self._schema, each.path, entries=True) for each in self.targets(without))

    def is_secret(self, name: str) -> bool:
        """Whether the schema has a secret for the key that a name means, or may have one."""
        return any(is_declared_secret_at(self._schema, each.path) for each in self.targets(name))

    def _says_secret(self, name: str) -> bool:
        """Whether the value of a name is a secret: by the schema, or where that does not have it, by the name."""
        from confcast.config.sources.references import names_secret

        return self.is_secret(name) if self.targets(name) else names_secret(name)

    def chosen(self, found: tuple[Target, ...], below: Callable[[], dict[str, Any]]) -> Target:
        """The one of these targets that a text sets."""
        return found[0] if len(found) == 1 else chosen(found, self._spelling, below(), self.data)

    def set(self, target: Target, each: Text) -> None:
        """Set a path to a text's converted value, or record a problem."""
        path, is_plain = target.path, self._spelling is PLAIN
        first_path, first = self._set.setdefault(path if is_plain else self._spelling.canonical(path), (path, each))
        if first is not each:
            self._refuse(
                path, f"is set twice: {first.where} {self._likeness(first, first_path, each, path)}", each.where
            )
            return
        if target.without is not None:
            message = f"{target.without} has no such field, so only a validator of its own can use it"
            self.warn(f"{each.where} sets {self._key(target.path)}: {message}{self._hint(each.name)}")
        if each.file is not None and each.file.fault:
            self._refuse(target.path, f"the file {each.file.fault}", each.place.value)
            return
        try:
            value = from_text(each.text, target.annotation, opaque=target.opaque, commas=self._commas)
        except NotConvertible as error:
            self._refuse(target.path, f"{error}{self._on_commas(each, target)}", each.place.value)
            return
        if not is_plain:
            path = self._spelling.as_in(self.data, path)  # as spelled by the text that set a table around it
        table = self.data
        for length, part in enumerate(path[:-1], 1):
            table = table.setdefault(part, {})
            if not isinstance(table, dict):
                above = path[:length]
                message = f"is a key of a table, but {self._setter(above)} sets {self._key(above)} to something else"
                self._refuse(target.path, f"{message}: remove one of the two", each.where)
                return
        if each.file is not None or any(map(self._says_secret, each.made_of)):
            self._secrets[path] = each.file
        self._put(table, path, value, each)

    def _put(self, table: dict[str, Any], path: KeyPath, value: Any, each: Text) -> None:
        """Set a value; merge a table into a table key by key, as layers are merged."""
        before = table.get(path[-1])
        if isinstance(value, dict) and isinstance(before, dict):
            for key, item in value.items():
                there = self._spelling.as_in(self.data, (*path, key))
                # If a text's table sets one field by two keys, both stay, and are refused as in a file.
                self._put(before, (*path, key) if there[-1] in value else there, item, each)
            return
        table[path[-1]] = value
        self._texts[path] = each

    def _key(self, path: KeyPath) -> str:
        return shown_key(path, self._schema)

    def _likeness(self, first: Text, path: KeyPath, second: Text, second_path: KeyPath) -> str:
        """In which way the first of two texts, which sets this path, sets the same field as the second, in words."""
        if first.where.upper() == second.where.upper():
            return "has the same name"
        return "sets the same" if path == second_path else f"sets the same, as {self._key(path)}"

    def _refuse(self, path: KeyPath, message: str, where: str) -> None:
        """Record a problem with the value of a text."""
        self._problems.append(Problem(self._key(path), message, where))
        self._refused.append(path)

    def _setter(self, path: KeyPath) -> str:
        """The position of the text that set the value at a path, or the table around it."""
        found = (self._texts[path[:length]] for length in range(len(path), 0, -1) if path[:length] in self._texts)
        return next(found).where

    def unknown(self, each: Text, advice: str = "") -> None:
        """Refuse a text whose name the schema does not know, or warn of it.

        Args:
            each: The text.
            advice: What to do about it, where the caller knows it; otherwise a similar name is suggested.
        """
        listed = self._list_around(each.name)
        if listed:
            how = "as JSON" if self._naming.lists == "json" else "with commas"
            message = f"items of a list can't be set one by one: set {self._name_of(listed)} to the whole list, {how}"
        else:
            message = f"the schema has no such key{advice or self._hint(each.name)}"
        if self._naming.unknown == "refuse":
            self._refuse(listed, message, each.where)
        elif self._hints > _MOST_HINTS:
            self._ignored.append(each.where)
        else:
            self.warn(f"{each.where} is ignored: {message}")

    def _list_around(self, name: str) -> KeyPath:
        """The path of the list that has the item that this name would set; empty if the name sets no item."""
        parts = self._after_prefix(name).lower().split("__")
        return list_around(self._schema, parts, lambda schema, first: targets(schema, "__".join(first)))

    def _on_commas(self, each: Text, target: Target) -> str:
        """What to say of a list that may have been meant to have commas."""
        kinds = members(target.annotation, written=True)
        is_list = not self._commas and may_have_commas(each.text.lstrip(), target.annotation, kinds)
        return '; lists="comma" takes a list with commas' if is_list else ""

    def _hint(self, name: str) -> str:
        # People write one underscore for two; both lead to the same suggestion. The prefix does not count as similar.
        self._hints += 1
        if self._hints > _MOST_HINTS:
            return ""
        flat: dict[str, KeyPath | str] = {
            "_".join(map(in_shell, path)): path for path in islice(paths(self._schema, ()), _MOST_PATHS)
        }
        flat |= {mapped.lower(): mapped for mapped in self._naming.names}
        close = close_matches(self._after_prefix(name).lower().replace("__", "_"), flat)
        if not close:
            return ""
        meant = flat[close[0]]
        return f"; did you mean {meant if isinstance(meant, str) else self._name_of(meant)}?"

    def _name_of(self, path: KeyPath) -> str:
        return self._naming.spelled(self._naming.prefix + "__".join(map(in_shell, path)))

    def _has_prefix(self, name: str) -> bool:
        return name[: self._length].upper() == self._prefix

    def _after_prefix(self, name: str) -> str:
        return name[self._length :] if self._has_prefix(name) else name
