"""Guards compare a candidate with what runs, and refuse a change that is likelier a mistake than meant.

Guaranteed: what only grows trips no guard of this file (an entry that is added, a value where there was none); a text
of theirs has keys and counts, and no value; the same two configurations always give the same answer, in the owner as in
a unit test. An entry is an item of a list or a set, an item of a table, or a value of a section's field. The order of a
list does not count. Guards travel to the owner as sources do: as data, with the import path of their class.

Rejected: counting characters or bytes (a comment of the sources, or a longer name, would count), and comparing what the
files say (a default that changes with a deploy is a change, too).
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from confcast.config.dotted_keys import UnknownKey, no_such_key, targets_at
from confcast.config.sources.variable_targets import parts_of
from confcast.errors import ConfigError, Problem

if TYPE_CHECKING:
    from confcast.config.codec import Codec

_ITEMS = (list, tuple, set, frozenset, deque)
_HAVE_ENTRIES = (dict, *_ITEMS)
_PLAIN = frozenset({bool, int, str, bytes})
"""Types whose values have the same encoding where they are equal."""

_ROUNDING = 1e-9


class Guard(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all guards. A guard of your own is a subclass with `trips`, and with plain fields.

    Its module is imported by the config owner, and its fields travel there, so it can't be made of a function.

    Attributes:
        name: What `allow` names it by; each guard of a loader has another one.

    Example:
        >>> class OnlyUp(Guard, frozen=True):
        ...     def trips(self, old, new):
        ...         return "the release goes back" if new.release < old.release else None
        >>> loader = ConfigLoader("settings:Settings", "app.toml", guards=[OnlyUp(name="only-up")])
    """

    name: str

    def trips(self, old: Any, new: Any) -> str | None:
        """Why this change needs to be allowed, in words for the person who made it; None for a change that passes.

        It is called in the owner's thread that loads, and has to be pure: it is called for dry runs, too. What it
        raises counts as a trip. Secrets of both configurations are masked in its text.

        Args:
            old: The configuration that runs, an instance of the schema.
            new: The one that would replace it.
        """
        raise TypeError(f"{type(self).__qualname__} has no trips(old, new)")


class _OfKey(Guard, frozen=True, kw_only=True):
    key: str


class _Shrinks(_OfKey, frozen=True, kw_only=True):
    by: float
    above: int

    def trips(self, old: Any, new: Any) -> str | None:
        before, after = _size_at(old, self.key), _size_at(new, self.key)
        if before < max(self.above, 1) or before - after < self.by * before - _ROUNDING:
            return None
        return f"{_counted(before)} before, {after} after"


class _Empties(_OfKey, frozen=True, kw_only=True):
    def trips(self, old: Any, new: Any) -> str | None:
        before = _size_at(old, self.key)
        if not before or _size_at(new, self.key):
            return None
        return f"{_counted(before)} before, none after"


class _Touches(_OfKey, frozen=True, kw_only=True):
    def trips(self, old: Any, new: Any) -> str | None:
        if _is_same_at(old, new, self.key):  # which is quick, and mostly so
            return None
        lost, _ = _lost(_leaves(old, self.key), _leaves(new, self.key))
        return "has changed" if lost else None


class _Changes(Guard, frozen=True, kw_only=True):
    more_than: float
    above: int

    def trips(self, old: Any, new: Any) -> str | None:
        lost, total = _lost(_leaves(old), _leaves(new))
        if total < max(self.above, 1) or lost <= self.more_than * total + _ROUNDING:
            return None
        return f"{lost} of {total} entries are changed or gone"


def shrinks(key: str, *, by: float = 0.5, above: int = 10, name: str = "") -> Guard:
    """A guard against the loss of entries: of a table, a list or a set, or of all that are in a section.

    Args:
        key: Dotted, as messages print it: `upstreams`, `routing.pools`.
        by: The share of the entries that may not go at once, above 0 and at most 1: 0.5 refuses the loss of a half.
        above: With fewer entries than these before, it never trips.
        name: What `allow` names it by; empty: `shrinks:` and the key.

    Raises:
        ValueError: A number is out of its range.

    Example:
        >>> shrinks("limits").trips(Settings(limits=dict.fromkeys("abcdefghijkl", 1)), Settings())
        '12 entries before, 0 after'
    """
    _check_share("by", by, above_zero=True)
    return _Shrinks(name=name or f"shrinks:{key}", key=key, by=float(by), above=_count("above", above))


def empties(key: str, *, name: str = "") -> Guard:
    """A guard against an empty table, list, set, text or section where there was something, however little.

    Args:
        key: Dotted, as messages print it.
        name: What `allow` names it by; empty: `empties:` and the key.
    """
    return _Empties(name=name or f"empties:{key}", key=key)


def touches(key: str, *, name: str = "") -> Guard:
    """A guard against any change of what was there under a key: another value, or one that is gone.

    It names the key, and no value. A secret that was rotated is a change as well, so it is not for what something
    rotates by itself, such as a folder of credentials. What is only added does not touch.

    Args:
        key: Dotted, as messages print it; a section stands for all that is in it.
        name: What `allow` names it by; empty: `touches:` and the key.
    """
    return _Touches(name=name or f"touches:{key}", key=key)


def changes(*, more_than: float, above: int = 10, name: str = "") -> Guard:
    """A guard against a change of a large part of the configuration at once.

    Args:
        more_than: The share of the entries that may be changed or gone, 0 or more and below 1.
        above: With fewer entries than these before, it never trips.
        name: What `allow` names it by; empty: `changes`.

    Raises:
        ValueError: A number is out of its range.
    """
    _check_share("more_than", more_than, above_zero=False)
    return _Changes(name=name or "changes", more_than=float(more_than), above=_count("above", above))


def checked(guards: Iterable[Any]) -> tuple[Guard, ...]:
    """The guards of a loader. Raises TypeError for what is no guard, and ValueError for a name that two have."""
    found = tuple(guards)
    for each in found:
        if not isinstance(each, Guard):
            raise TypeError(f"{each!r} is no guard: give what confcast.guards makes, or a subclass of Guard")
    names = [each.name for each in found]
    if not all(map(str.strip, names)):
        raise ValueError("a guard has no name, so `allow` can't name it")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise ValueError(f"two guards are called {twice[0]!r}: give one of them another name=")
    return found


def check_keys(guards: Iterable[Guard], schema: Any) -> None:
    """Raise ConfigError, with the most similar key, for each guard whose key the schema does not have."""
    problems = []
    for guard in guards:
        if isinstance(guard, _OfKey):
            try:
                targets_at(guard.key, schema)
            except UnknownKey:
                problems.append(Problem(guard.key, f"the guard {guard.name}: {no_such_key(guard.key, schema)}"))
    if problems:
        raise ConfigError(problems)


def key_of(guard: Guard) -> str:
    """The key that the guard is about; empty if it is about the whole configuration, or is a user's own."""
    return guard.key if isinstance(guard, _OfKey) else ""


# ---- counting


def _codec(config: Any) -> Codec[Any]:
    from confcast.config.codec import codec_of

    return codec_of(type(config))


def _size_at(config: Any, key: str) -> int:
    """How many entries there are at a key; 0 if there is nothing."""
    from confcast.config.diff import leaves_at, value_inside

    codec = _codec(config)
    try:
        value = value_inside(codec, config, parts_of(key))
    except LookupError:
        return 0
    if isinstance(value, _HAVE_ENTRIES):
        return len(value)
    return sum(_size_of(leaf) for _, leaf in leaves_at(codec, value))


def _size_of(leaf: Any) -> int:
    """How many entries a value in a section is: a table or a list has some, `None` and an empty text are none."""
    if isinstance(leaf, _HAVE_ENTRIES):
        return len(leaf)
    plain = getattr(leaf, "get_secret_value", lambda: leaf)()
    return 0 if plain is None or plain in ("", b"") else 1


def _leaves(config: Any, key: str = "") -> Iterator[tuple[str, Any, Codec[Any]]]:
    """Every value at and below a key that a change would have by itself; none if there is nothing."""
    from confcast.config.diff import leaves_at, value_inside

    codec = _codec(config)
    try:
        value = value_inside(codec, config, parts_of(key)) if key else config
    except LookupError:
        return
    yield from ((where, leaf, codec) for where, leaf in leaves_at(codec, value))


def _is_same_at(old: Any, new: Any, key: str) -> bool:
    """Whether there is the same at a key, in both; what a patch has made shares it."""
    from confcast.config.diff import value_inside

    codec, parts = _codec(old), parts_of(key)
    try:
        before, after = value_inside(codec, old, parts), value_inside(codec, new, parts)
    except LookupError:
        return False
    return before is after or codec.comparable(before) == codec.comparable(after)


def _lost(old: Iterator[tuple[str, Any, Codec[Any]]], new: Iterator[tuple[str, Any, Codec[Any]]]) -> tuple[int, int]:
    """How many entries of the old values are not among the new ones, and how many old ones there are."""
    after = defaultdict[str, list[Any]](list)
    for key, leaf, _ in new:
        after[key].append(leaf)
    before = defaultdict[str, list[Any]](list)
    total, lost, codec = 0, 0, None
    for key, leaf, codec in old:  # noqa: B007 - it is the same for all
        before[key].append(leaf)
    for key, leaves in before.items():
        total += sum(map(_count_of, leaves))
        now = after.get(key, [])
        if len(leaves) == len(now) == 1 and _is_plainly(leaves[0], now[0]):
            continue
        assert codec is not None
        lost += (_entries(codec, leaves) - _entries(codec, now)).total()
    return lost, total


def _is_plainly(one: Any, other: Any) -> bool:
    """Whether two values are certainly the same."""
    return one is other or (type(one) is type(other) and type(one) in _PLAIN and bool(one == other))


def _count_of(leaf: Any) -> int:
    return len(leaf) if isinstance(leaf, _HAVE_ENTRIES) else int(leaf is not None)


def _entries(codec: Codec[Any], leaves: Iterable[Any]) -> Counter[Any]:
    """The entries of these values, each as something that equal ones share."""
    found = Counter[Any]()
    for leaf in leaves:
        if isinstance(leaf, dict):  # one whose keys are secrets, or an empty one
            found.update((_shared(codec, key), _shared(codec, value)) for key, value in leaf.items())
        elif isinstance(leaf, _ITEMS):
            found.update(_shared(codec, item) for item in leaf)
        elif leaf is not None:
            found[_shared(codec, leaf)] += 1
    return found


def _shared(codec: Codec[Any], value: Any) -> Any:
    """What equal values share, by type and encoding; plain ones need not be encoded for it."""
    kind = type(value)
    return (kind, value) if kind in _PLAIN else codec.comparable(value)


def _counted(entries: int) -> str:
    return "1 entry" if entries == 1 else f"{entries} entries"


def _check_share(name: str, value: Any, *, above_zero: bool) -> None:
    number = type(value) in (int, float)
    if not number or not ((0 < value <= 1) if above_zero else (0 <= value < 1)):
        expected = "above 0, and at most 1" if above_zero else "from 0 on, and below 1"
        raise ValueError(f"{name}={value!r}: a share of the entries is expected, {expected}")


def _count(name: str, value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{name}={value!r}: a number of entries is expected, 0 or more")
    return value
