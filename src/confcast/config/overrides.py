"""The values that are set while an owner runs: a layer above all sources, immutable, which travels as bytes.

Guarantees. Each value has its own time, caller, reason and end. A text means what the same text means in an environment
variable: it is kept as it was given, and one function converts it at each load (`sources/variable_values.py`). Other
values are plain data, and mean what a file would mean by them. Tables merge. No repr shows a value. A
value whose key a deploy has removed from the schema is left out of a load, and the load says so; so is one that a
deploy's schema refuses (`left_out.py`).

How. A table is taken apart when it is set, so that each key in it can be unset, and ends, by itself. Keys are compared
in all spellings of a field: `max-size` replaces `max_size`. Each value remembers the schema under which it was set: an
unknown key in a table is refused by the validator, as in a file, as long as the schema is that one.

Rejected: converting a text when it is set (a deploy may change a field's type, and an enumeration's member has no form
of its own in msgpack), and one table of nested data (it has no place for who set what).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import NoneType
from typing import Any, NamedTuple

import msgspec

from confcast.config.codec import codec_of
from confcast.config.dotted_keys import (
    LONGEST_KEY,
    UnknownKey,
    did_you_mean,
    targets_at,
    targets_of_path,
    too_long,
)
from confcast.config.plain_bytes import packed, unpacked
from confcast.config.schema.key_path import KeyPath, has, value_at
from confcast.config.schema.secret_paths import shown_key
from confcast.config.schema.spelling import Spelling, spelling_of
from confcast.config.shown_data import shown_data
from confcast.config.sources.layer import Fitted, Layer, fingerprint_of
from confcast.config.sources.variable_targets import Target, chosen, parts_of
from confcast.config.sources.variable_values import NotConvertible, from_text
from confcast.errors import ConfigError, NotCarried, Problem, ProtocolError
from confcast.texts import shortened
from confcast.wire.messages import UNDECODABLE, Override, Who, WithSecrets

MOST = 500
"""How many values can be set: each load applies them one by one, and each version has them all in its row."""

Below = Callable[[], dict[str, Any]]
"""Gives the merged data of all sources; only called if the tags in them decide what a key means."""


class Call(NamedTuple):
    """How values came to be set.

    Attributes:
        since: When, in seconds since 1970.
        who: The process that called; None if that is not known. Its command line must have none of the values.
        reason: Why, in the caller's words; empty for none.
        expires: When the values end, in seconds since 1970; None: when they are unset.
    """

    since: float
    who: Who | None = None
    reason: str = ""
    expires: float | None = None


class SetValue(WithSecrets, frozen=True, kw_only=True):
    """One value that was set, and how that came.

    Attributes:
        path: The keys of the value.
        value: Plain data, no table but an empty one; a text if `is_text`.
        is_text: Whether the value is a text to be converted by the key's type, as in the environment.
        since: When it was set, in seconds since 1970.
        who: The process that set it; None if that is not known.
        reason: Why, in the caller's words; empty for none.
        expires: When it ends, in seconds since 1970; None: when it is unset.
        schema: The fingerprint of the schema under which it was set; empty if the schema has none.
        refused: Why it is left out, if the schema that is loaded now refuses it (`left_out.py`); empty: it counts.
    """

    SHOWN = ("since", "expires")

    path: tuple[str | int | float | bool | None, ...]
    value: Any
    is_text: bool = False
    since: float
    who: Who | None = None
    reason: str = ""
    expires: float | None = None
    schema: bytes = b""
    refused: str = ""

    @property
    def is_empty_table(self) -> bool:
        """Whether this only says that there is a table."""
        return not self.is_text and self.value == {} and isinstance(self.value, dict)

    @property
    def origin(self) -> str:
        """Who set it and when, as the position of a value: `set by uid 1000 (confcast set), 2026-11-29 12:03`."""
        return f"set {by_whom(self.who, self.since, 'at run time')}"


class Overrides(WithSecrets, frozen=True):
    """The layer: the values that are set, one for each key.

        layer = Overrides().set({"memory.total": "512"}, Settings, Call(time.time()))
        layer = Overrides.decode(layer.encode()).unset(["memory"], Settings)

    Attributes:
        values: In the order in which their keys were set first.
    """

    SHOWN = ()

    values: tuple[SetValue, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.values)

    def set(self, values: Mapping[str, Any], schema: Any, call: Call, below: Below = dict) -> Overrides:
        """The layer with these values set, too; what was set before for a key, or for a table around it, is replaced.

        Args:
            values: By dotted key. A text counts as in the environment; a table is merged; other data are as in a file.
            schema: The class.
            call: When, by whom, why, and until when.
            below: Gives the merged data of all sources.

        Raises:
            ConfigError: A key is unknown, is set twice, or has a value that can't be taken; with every problem. Or more
                than `MOST` values would be set.
        """
        _check_number(len(values))
        given = _Given(schema, self, below)
        for key, value in values.items():
            given.add(key, value)
        how = {**call._asdict(), "schema": _fingerprint(schema)}
        fresh = [SetValue(path=path, value=value, is_text=text, **how) for path, value, text in given.leaves()]
        if given.problems:
            raise ConfigError(given.problems)
        _check_number(len(fresh))
        merged = {given.spelling.canonical(each.path): each for each in self.values}
        for each in fresh:
            _put(merged, given.spelling.canonical(each.path), each)
        _check_number(len(merged))
        return Overrides(tuple(merged.values()))

    def unset(self, keys: Iterable[str], schema: Any) -> Overrides:
        """The layer without these keys, and without all keys in a table that one of them names.

        Raises:
            ConfigError: Nothing is set at one of them; with every problem. Or they are more than can be set.
        """
        gone: dict[int, None] = {}
        problems: list[Problem] = []
        keys = tuple(dict.fromkeys(keys))
        _check_number(len(keys))
        for key in keys:
            found, why = _set_at(self, key, schema)
            gone |= dict.fromkeys(found)
            problems += [] if found else [Problem(shortened(key, LONGEST_KEY), why)]
        if problems:
            raise ConfigError(problems)
        return Overrides(tuple(each for index, each in enumerate(self.values) if index not in gone))

    def without_expired(self, now: float) -> Overrides:
        """The layer without what has ended at this time, in seconds since 1970; the layer itself if nothing has."""
        left = tuple(each for each in self.values if each.expires is None or each.expires > now)
        return self if len(left) == len(self.values) else Overrides(left)

    def of_callers(self, may: Callable[[Who | None], bool]) -> Overrides:
        """The layer with what such callers have set alone; the layer itself if that is all that counts."""
        left = tuple(each for each in self.values if each.refused or may(each.who))
        return self if len(left) == len(self.values) else Overrides(left)

    @property
    def next_expiry(self) -> float | None:
        """When the next value ends, in seconds since 1970; None if none does."""
        return min((each.expires for each in self.values if each.expires is not None), default=None)

    def next_to_expire(self, schema: Any) -> tuple[str, ...]:
        """The keys of the values that end next; secrets in keys are masked."""
        when = self.next_expiry
        return tuple(shown_key(each.path, schema) for each in self.values if when is not None and each.expires == when)

    def expiry_of(self, path: KeyPath, schema: Any) -> float | None:
        """When the value at a path ends, or the first one in a table there; None if none does."""
        spelling = spelling_of(schema)
        at = spelling.canonical(path)
        ends = [each.expires for each in self.values if spelling.canonical(each.path)[: len(at)] == at]
        return min((each for each in ends if each is not None), default=None)

    def leaving_out(self, why: Mapping[tuple[KeyPath, float], str]) -> Overrides:
        """The layer with these values, by path and time, marked as refused."""
        mark = msgspec.structs.replace
        found = ((each, why.get((each.path, each.since), "")) for each in self.values)
        return Overrides(tuple(mark(each, refused=text) if text else each for each, text in found))

    def to_be_tried(self) -> Overrides:
        """The layer without such marks; the layer itself if it has none."""
        if not any(each.refused for each in self.values):
            return self
        return Overrides(tuple(msgspec.structs.replace(each, refused="") for each in self.values))

    def left_out(self, schema: Any, path: KeyPath = ()) -> Iterator[str]:
        """A sentence for each value at and below a path that is marked as refused, without the value."""
        spelling = spelling_of(schema)
        at = spelling.canonical(path)
        for each in self.values:
            if each.refused and spelling.canonical(each.path)[: len(at)] == at:
                what = f"{shown_key(each.path, schema)}, {each.origin}: the schema refuses it by now ({each.refused})"
                yield f"{what}; `confcast unset` with this key removes it"

    def unknown(self, schema: Any) -> tuple[SetValue, ...]:
        """The values whose keys the schema does not have, which a load leaves out."""
        return tuple(each for each in self.values if _is_gone(each, schema))

    def listed(self, schema: Any, below: Mapping[str, Any]) -> list[Override]:
        """Every value as people see it: secrets masked, and whether it is still needed.

        Args:
            schema: The class.
            below: The merged data of all sources. A value that they give, too, is no longer needed.
        """
        fitting = self._fit(schema, lambda: dict(below))
        return [_listed(each, schema, fitting, below) for each in self.values]

    def as_layer(self) -> Layer:
        """The layer for a load, above all sources; the position of each value says who set it."""
        return _OverrideLayer(self)

    def encode(self) -> bytes:
        """The layer as bytes; empty for an empty layer."""
        ready = tuple(msgspec.structs.replace(each, value=packed(each.value)) for each in self.values)
        return msgspec.msgpack.encode(Overrides(ready)) if ready else b""

    @classmethod
    def decode(cls, content: bytes) -> Overrides:
        """The layer that `encode` wrote. Raises ProtocolError, whose text has none of the content."""
        try:
            return _DECODER.decode(content) if content else NONE
        except (*UNDECODABLE, ValueError):
            text = "what was set can't be read: it is damaged, or a newer confcast wrote it"
            raise ProtocolError(text) from None

    def _fit(self, schema: Any, below: Below) -> _Fitting:
        fitting = _Fitting(schema, below)
        known = [(targets_of_path(each.path, schema), each) for each in self.values if not each.refused]
        # A key that depends on a tag comes last: another value may set the tag.
        for found, each in sorted(known, key=lambda pair: len(pair[0]) > 1):
            fitting.put(found, each)
        return fitting


NONE = Overrides()
"""The layer in which nothing is set."""


class _OverrideLayer(Layer):
    """The layer before a schema is applied to it."""

    def __init__(self, overrides: Overrides) -> None:
        super().__init__("what was set at run time", {}, fingerprint_of(overrides.encode()))
        self._overrides = overrides

    def fit(self, schema: Any, below: Below = dict) -> Fitted:
        fitting = self._overrides._fit(schema, below)
        layer = Layer(self.name, fitting.data, self.fingerprint, lambda: fitting.places)
        return Fitted(layer, fitting.problems, fitting.warnings, fitting.refused)


class _Fitting:
    """Applies one schema to the values of one layer."""

    def __init__(self, schema: Any, below: Below) -> None:
        self._schema, self._spelling, self._below = schema, spelling_of(schema), below
        self.data: dict[str, Any] = {}
        self.places: dict[KeyPath, str] = {}
        self.problems: list[Problem] = []
        self.warnings: list[str] = []
        self.refused: list[KeyPath] = []

    def put(self, found: tuple[Target, ...], each: SetValue) -> None:
        """Put one value into the data, or say why it is left out."""
        if not found and _is_gone(each, self._schema):
            gone = _unknown_part(each.path, self._schema)
            self.warnings.append(
                f"the override of {gone}, {each.origin}, is left out: the schema has no such key; "
                f"`confcast unset` with this key removes it"
            )
            return
        target = self._chosen(found) or Target(each.path, Any)
        try:
            value = converted(each.value, target) if each.is_text else each.value
        except NotConvertible as error:
            self.problems.append(Problem(shown_key(each.path, self._schema), str(error), each.origin))
            self.refused.append(each.path)
            return
        path = self._spelling.as_in(self.data, (*target.path, *each.path[len(target.path) :]))
        table: Any = self.data
        for part in path[:-1]:
            table = table.setdefault(part, {})
        if not (each.is_empty_table and path[-1] in table):
            table[path[-1]] = {} if each.is_empty_table else value
        for length in range(1, len(path) + 1):  # a message about a table names who set something in it last
            self.places[path[:length]] = each.origin

    def _chosen(self, found: tuple[Target, ...]) -> Target | None:
        return chosen(found, self._spelling, self._below(), self.data) if len(found) > 1 else next(iter(found), None)


class _Given:
    """The values of one call, by path, and what is wrong with them."""

    def __init__(self, schema: Any, before: Overrides, below: Below) -> None:
        self._schema, self._before, self._below = schema, before, below
        self.spelling: Spelling = spelling_of(schema)
        self.problems: list[Problem] = []
        self._found: list[tuple[Target, Any, bool]] = []
        self._keys: dict[KeyPath, str] = {}

    def add(self, key: str, value: Any) -> None:
        """Add one key with its value, or a problem."""
        try:
            found = targets_at(key, self._schema)
        except UnknownKey as error:
            self.problems.append(Problem(shortened(key, LONGEST_KEY), str(error)))
            return
        target = found[0] if len(found) == 1 else chosen(found, self.spelling, self._below(), self._data())
        canonical = self.spelling.canonical(target.path)
        if self._keys.setdefault(canonical, key) != key:
            self._refuse(target.path, "is set twice in one call, by two of its names: leave one out")
            return
        if not isinstance(value, str):
            self._found.append((target, value, False))
            return
        try:
            meant = converted(value, target)
        except NotConvertible as error:
            self._refuse(target.path, str(error))
            return
        is_text = not isinstance(meant, dict)
        self._found.append((target, value if is_text else meant, is_text))

    def leaves(self) -> Iterator[tuple[KeyPath, Any, bool]]:
        """Each value that is no table, with its path, and whether it is a text; a table comes before its keys."""
        above: dict[KeyPath, KeyPath] = {}
        for target, value, is_text in sorted(self._found, key=lambda each: len(each[0].path)):
            for length in range(1, len(target.path)):
                around = above.get(self.spelling.canonical(target.path[:length]))
                if around is not None:
                    message = f"is a key of a table, but {self._key(around)} is set to something else"
                    self._refuse(target.path, f"{message}: leave one of the two out")
            for path, item in _leaves(target.path, value):
                text = _unfit_key(path) or _unfit(item)
                if text:
                    self._refuse(path, text)
                else:
                    if not (isinstance(item, dict) or (isinstance(value, dict) and path != target.path)):
                        above[self.spelling.canonical(path)] = path
                    yield path, item, is_text

    def _data(self) -> dict[str, Any]:
        """The values that are set already, whose tags count, too."""
        return self._before._fit(self._schema, dict).data

    def _key(self, path: KeyPath) -> str:
        return shown_key(path, self._schema)

    def _refuse(self, path: KeyPath, message: str) -> None:
        self.problems.append(Problem(self._key(path), message))


def converted(text: str, target: Target) -> Any:
    """The value that a text means for a key. Raises NotConvertible."""
    return from_text(text, target.annotation, opaque=target.opaque)


def by_whom(who: Who | None, since: float, unknown: str = "by a caller that is not known") -> str:
    """Who did something, and when, in words: `by uid 1000 (confcast set), 2026-11-29 12:03`."""
    at = time.strftime("%Y-%m-%d %H:%M", time.localtime(since))
    return f"{unknown}, {at}" if who is None else f"by uid {who.uid}{_by(who)}, {at}"


def without_values(who: Who) -> Who:
    """The caller, without the values that its command line sets: one of them may be a secret.

    Nor is there a program that stands on it (`python -c "client.set(…)"`).
    """
    words = who.command.split(" ")
    for index, word in enumerate(words):
        before = words[:index]
        is_value = "=" in word and ("set" in before or "--set" in before or word.startswith("--set="))
        if is_value or (before[-1:] == ["-c"] and _is_interpreter(words[0])):
            return msgspec.structs.replace(who, command=" ".join([*before, "…"]))
    return who


def _is_interpreter(program: str) -> bool:
    return program.rpartition("/")[2].startswith(("python", "pypy"))


def _leaves(path: KeyPath, value: Any) -> Iterator[tuple[KeyPath, Any]]:
    """Every value in nested tables that is no table, with its path; an empty table counts as one."""
    if not isinstance(value, dict) or not value:
        yield path, value
        return
    for key, item in value.items():
        yield from _leaves((*path, key), item)


def _check_number(number: int) -> None:
    """Raise ConfigError if this is more values than can be set."""
    if number > MOST:
        text = f"{number} values would be set or unset, and at most {MOST} can be: put them into a file"
        raise ConfigError([Problem("", text)])


def _put(merged: dict[KeyPath, SetValue], at: KeyPath, each: SetValue) -> None:
    """Set one value among others, by their canonical paths."""
    inside = [path for path in merged if len(path) > len(at) and path[: len(at)] == at]
    if each.is_empty_table and inside:
        return
    for path in [*inside, *(at[:length] for length in range(1, len(at)))]:
        merged.pop(path, None)
    merged[at] = each


def _set_at(overrides: Overrides, key: str, schema: Any) -> tuple[set[int], str]:
    """The indexes of the values at and below a key; and if there are none, why."""
    if why := too_long(key):
        return set(), why
    why = "is not overridden"
    try:
        meant = [tuple(parts_of(key))]
        meant += [target.path for target in targets_at(key, schema)]
    except ValueError:
        return set(), "is no key: a quotation in it has no end, or something stands behind it"
    except UnknownKey as error:
        why = str(error)
    spelling = spelling_of(schema)
    wanted = [spelling.canonical(path) for path in meant]
    paths = [spelling.canonical(each.path) for each in overrides.values]
    found = {index for index, path in enumerate(paths) if any(path[: len(each)] == each for each in wanted)}
    if not found and why == "is not overridden":
        why += did_you_mean(key, [shown_key(each.path, schema) for each in overrides.values])
    return found, why


def _listed(each: SetValue, schema: Any, fitting: _Fitting, below: Mapping[str, Any]) -> Override:
    there = fitting._spelling.as_in(fitting.data, each.path)
    applied = has(fitting.data, there)
    value = value_at(fitting.data, there) if applied else each.value
    under = value_at(below, fitting._spelling.as_in(below, each.path, fitting.data), _listed)
    return Override(
        key=shown_key(each.path, schema) if applied else _unknown_part(each.path, schema),
        value=shown_data(schema, each.path, value) if applied else None,
        since=each.since,
        who=each.who,
        expires=each.expires,
        needed=applied and not _same(value, under),
        reason=each.reason,
        applied=applied,
        why="" if applied else _why_not(each),
    )


def _why_not(each: SetValue) -> str:
    return f"the schema refuses it: {each.refused}" if each.refused else "the schema has no such key"


def _is_gone(each: SetValue, schema: Any) -> bool:
    """Whether another schema had the key of a value, and this one does not."""
    return not targets_of_path(each.path, schema) and each.schema != _fingerprint(schema)


def _fingerprint(schema: Any) -> bytes:
    """The schema's fingerprint; empty if it can't be serialised, which its loader reports."""
    try:
        return codec_of(schema).fingerprint
    except NotCarried:
        return b""


def _unknown_part(path: KeyPath, schema: Any) -> str:
    """The key up to the first part that the schema does not know: one behind it may have been a secret."""
    lengths = range(1, len(path))
    first = next((length for length in lengths if not targets_of_path(path[:length], schema)), len(path))
    return shown_key(path[:first], schema)


def _same(value: Any, other: Any) -> bool:
    """Whether two plain data are equal type for type; a whole number equals a float as in a file."""
    if isinstance(value, dict) and isinstance(other, dict):
        return value.keys() <= other.keys() and all(_same(item, other[key]) for key, item in value.items())
    if isinstance(value, list) and isinstance(other, list):
        return len(value) == len(other) and all(map(_same, value, other))
    numbers = {type(value), type(other)} <= {int, float}
    return (numbers or type(value) is type(other)) and bool(value == other)


def _by(who: Who) -> str:
    """The caller's program, in brackets; of confcast's own command the verb, too. No argument: one may be a secret."""
    program = _program(who.command)
    inside = ", ".join(filter(None, [program, f"for {who.actor}" if who.actor else ""]))
    return f" ({inside})" if inside else ""


def _program(command: str) -> str:
    words = command.split()
    names = [word.rpartition("/")[2] for word in words]
    if "confcast" in names:
        rest = names[names.index("confcast") + 1 :]
        verb = next((word for word in rest if word in ("set", "unset", "check", "rollback", "admin")), "")
        return f"confcast {verb}".rstrip()
    return names[0] if names else ""


def _unfit(value: Any) -> str:
    """Why a value can't be set; empty if it can. It never quotes the value."""
    try:
        packed(value)
    except TypeError as error:
        return str(error)
    return ""


def _unfit_key(path: KeyPath) -> str:
    """Why the keys of a path can't be set; empty if they can. Bytes would be no key once they have been kept."""
    if any(isinstance(part, int) and not -(2**63) <= part < 2**64 for part in path):
        return "has a whole number of more than 64 bits as a key"
    unfit = next((type(part) for part in path if not isinstance(part, str | int | float | NoneType)), None)
    return f"has a {unfit.__name__} as a key: keys are text, numbers, booleans or null" if unfit else ""


_DECODER = msgspec.msgpack.Decoder(Overrides, ext_hook=unpacked)
