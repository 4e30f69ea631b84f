"""Lists what changed between two configurations by dotted key, with secrets masked.

Guaranteed: an empty list if and only if the two are equal by type and encoding (`model_fields_set` and the order of
dict keys don't count); one `Change` per field or table entry that differs, in the order of the schema's fields;
secrets masked by the type of the value and by annotation, in containers too; plain data that msgpack can carry,
long values cut. A list, set or tuple is one value.

What has the same bytes is skipped: each value is written once, however deep it is, and the rest is only looked at where
something differs. So one changed leaf costs about three times what encoding the configuration costs, at any size. What
a patch has made of a configuration shares with it what is equal; then a leaf costs what the way to it costs.

Rejected: `==` (1 == True, nan != nan, `Gen(x=1) == Gen[int](x=1)`), comparing dumps (excluded fields vanish, and
secrets are masked before they are compared), and comparing the payloads (which bytes are which field's is known to
each kind of class alone).
"""

from __future__ import annotations

import contextlib
import enum
import functools
import math
import operator
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from types import NoneType
from typing import Any, NamedTuple, TypeVar

from confcast.config.codec import Codec
from confcast.config.codec.leaves import SECRET_CODES, leaf_of
from confcast.config.schema.kinds import fields_of
from confcast.config.schema.masked_keys import MaskedKeys, masked_keys
from confcast.config.schema.masking import MASK, masking
from confcast.config.schema.pydantic_members import hidden_members
from confcast.config.schema.secret_urls import is_url_class, secrets_of_url, shown_url
from confcast.config.schema.secrets import contains_secret, contains_url, has_url_keys, hides_keys, is_marked
from confcast.config.schema.watched_path import changed_content, has_watched
from confcast.texts import encodable, shortened, str_of
from confcast.wire.messages import Change

T = TypeVar("T")

LONGEST = 200
"""How many characters of a value are shown."""

_COMPARED_BY_EQ = frozenset({NoneType, bool, int, str, bytes})
_STR = frozenset({str})


class _Member(NamedTuple):
    """The key of one part of an object, and what in the part is secret.

    Attributes:
        key: The part's dotted key.
        secret: Whether plain values in it are secrets; the fields of an object in it have types of their own.
        marked: Whether objects in it are secrets as a whole.
        hides_keys: Whether the keys of a dict in it are secrets.
        urls: Whether texts in it are URLs, whose passwords are secrets.
        url_keys: Whether the keys of a dict in it are such URLs.
        masked: The keys in it whose values are secrets by their source; None for none.
    """

    key: str
    secret: bool = False
    marked: bool = False
    hides_keys: bool = False
    urls: bool = False
    url_keys: bool = False
    masked: MaskedKeys | None = None

    def inside(self, holder: _Member, *names: Any) -> _Member:
        """This member as the part that a holder has by these names: a masked key is a secret as a whole."""
        if holder.masked is None:
            return self
        found = holder.masked.below(*names)
        return _MARKED._replace(key=self.key) if found is not None and found.is_whole else self._replace(masked=found)

    def of_items(self, cls: type) -> _Member:
        """The member that stands for the items of a list of this class, which may be a NamedTuple."""
        if cls in (list, tuple, deque):
            return self
        return self._replace(secret=self.secret or contains_secret(cls), urls=self.urls or contains_url(cls))

    def of_set(self) -> _Member:
        """The member that stands for the items of a set: in what order they were written is not known."""
        return self if self.masked is None else _MARKED

    def of_keys(self) -> _Member:
        """The member that stands for the keys of a dict in it."""
        return _Member("", secret=self.hides_keys, urls=self.url_keys) if self.hides_keys or self.url_keys else _OPEN


class _Absent:
    """Stands for the value of a key that isn't there."""


_ABSENT = _Absent()
_OPEN = _Member("")
_MARKED = _Member("", secret=True, marked=True, hides_keys=True)


def differences(codec: Codec[T], old: T, new: T, *, patched: bool = False) -> list[Change]:
    """Every key whose value differs.

    Args:
        codec: The codec of the configurations' schema.
        old: The configuration before.
        new: The configuration after.
        patched: Whether the second was made of the first by a patch. Then they share what is equal, so that nothing is
            written to find that out.

    Returns:
        The changes, in the order of the schema's fields; empty when nothing changed.

    Raises:
        NotCarried: One of them holds a value that the codec can't serialise.
    """
    comparison = _Comparison(codec, operator.is_ if patched else codec.sameness.holds)
    try:
        return list(comparison.compare(old, new, comparison.root))
    finally:
        codec.sameness.forget()


def secrets_masked(codec: Codec[T], *configs: T) -> Callable[[str], str]:
    """A function that masks every secret of these configurations in a text, plain or quoted.

    The secrets are collected once. Secrets of fewer than `masking.SHORTEST` characters are not masked.
    """
    comparison = _Comparison(codec)
    return masking(secret for config in configs for secret in comparison.secrets(config, comparison.root))


def shown_value(codec: Codec[Any], config: Any, names: Sequence[Any]) -> Any:
    """A value inside a configuration as a change shows it.

    Args:
        codec: The codec of the configuration's schema.
        config: The configuration.
        names: The names of attributes, keys of dicts and indexes that lead to the value.

    Raises:
        LookupError: There is no such value.
    """
    comparison, value = _Comparison(codec), config
    member = comparison.root
    for name in names:
        value, member = comparison.inside(value, member, name)
    return cut(comparison.shown(value, member))


def comparable_part(codec: Codec[Any], config: Any, names: Sequence[Any]) -> bytes:
    """Bytes that are equal for equal values at these names, which are as in `shown_value`; empty if there is none."""
    comparison, value, member = _Comparison(codec), config, _OPEN
    try:
        for name in names:
            value, member = comparison.inside(value, member, name)
    except LookupError:
        return b""
    return codec.comparable(value)


def value_inside(codec: Codec[Any], config: Any, parts: Sequence[str]) -> Any:
    """The value that a dotted key's parts lead to, by the names of files or of attributes; keys may have dots in them.

    Raises:
        LookupError: There is no such value.
    """
    return _Comparison(codec).sought(config, _OPEN, parts)


def leaves_at(codec: Codec[Any], value: Any) -> Iterator[tuple[str, Any]]:
    """Every value at and below this one that a change would have by itself, each with its key below this one."""
    return ((member.key, leaf) for leaf, member in _Comparison(codec).leaves(value, _OPEN))


def shown_default(codec: Codec[Any], cls: Any, name: str, value: Any) -> Any:
    """A value for an attribute of a class, as a change shows it."""
    members = _members(cls)
    return cut(_Comparison(codec).shown(value, members.get(name) or members["*"]))


def shown_values(codec: Codec[Any], config: Any) -> Iterator[tuple[str, Callable[[bool], Any]]]:
    """The keys that a change of this configuration may have, in the order of the schema, each with its value.

    The value is a function, so that a caller pays for those that it shows; it gives the value as a change shows it,
    or, if it is called with true, whole.
    """
    comparison, whole = _Comparison(codec), _Comparison(codec, longest=math.inf)
    for value, member in comparison.leaves(config, comparison.root):
        yield member.key, functools.partial(_shown_leaf, comparison, whole, value, member)


def _shown_leaf(brief: _Comparison, whole: _Comparison, value: Any, member: _Member, all_of_it: bool) -> Any:
    return whole.shown(value, member) if all_of_it else cut(brief.shown(value, member))


class _Comparison:
    """Finds what differs between two configurations, and shows their values.

    Args:
        codec: The codec of their schema.
        same: Whether two parts are certainly equal; where it can't tell, they are looked into.
        longest: How many characters of a list or table are shown, roughly.
    """

    def __init__(
        self,
        codec: Codec[Any],
        same: Callable[[Any, Any], bool | None] = operator.is_,
        longest: float = LONGEST,
    ) -> None:
        self._codec = codec
        self._are_same = same
        self._longest = longest
        self._has_watched = has_watched(codec.schema)
        masked = masked_keys(codec.schema)
        self.root = _MARKED if masked is not None and masked.is_whole else _OPEN._replace(masked=masked)

    def compare(self, old: Any, new: Any, member: _Member) -> Iterator[Change]:
        """Yield the changes at and below one key; `member.key` is the whole dotted key."""
        cls = type(old)
        if old is new:
            return
        if cls is not type(new):
            yield self._change(old, new, member)
        elif cls in _COMPARED_BY_EQ:
            if old != new:
                yield self._change(old, new, member)
        elif cls is dict and not member.hides_keys:
            yield from self._compare_tables(old, new, member)
        elif fields_of(cls) is not None and not member.marked:
            was, now = self._root(old, member), self._root(new, member)
            if was is not None and now is not None:
                yield from self.compare(was[0], now[0], now[1])
            else:
                yield from self._compare_objects(old, new, member)
        elif self._differ(old, new):
            yield self._change(old, new, member)

    def _differ(self, old: Any, new: Any) -> bool:
        """Whether two values differ by type or by encoding. Of a long list, only the items that may are looked at."""
        if type(old) is not type(new):
            return True
        same = self._codec.sameness.holds(old, new)
        if same is False and type(old) in (list, tuple):
            return len(old) != len(new) or any(map(self._differ, old, new))
        return not same and self._codec.comparable(old) != self._codec.comparable(new)

    def secrets(self, value: Any, member: _Member) -> Iterator[Any]:
        """Yield every secret at and below a value."""
        cls: Any = type(value)
        if fields_of(cls) is not None:
            members = {"*": _MARKED} if member.marked else _members(cls)
            for name, part in (self._codec.parts(value) or {}).items():
                found = members.get(name) or members["*"]
                yield from self.secrets(part, found.inside(member, name, found.key))
        elif isinstance(value, dict):
            keys = member.of_keys()
            for key, item in value.items():
                yield from self.secrets(key, keys)
                yield from self.secrets(item, member.inside(member, key))
        elif isinstance(value, list | tuple | set | frozenset | deque):
            for item, inside in _items(value, member):
                yield from self.secrets(item, inside)
        elif _is_secret(cls):
            yield from self.secrets(value.get_secret_value(), _MARKED)
        elif member.secret and value is not None and cls is not bool:
            yield value if cls is bytes else _text(value)
        elif (member.urls and value is not None and cls is not bool) or _is_url(cls):
            yield from secrets_of_url(_text(value))

    def leaves(self, value: Any, member: _Member) -> Iterator[tuple[Any, _Member]]:
        """Every value at and below a key that a change would have by itself, with its whole dotted key."""
        if (root := self._root(value, member)) is not None:
            yield from self.leaves(*root)
            return
        prefix = f"{member.key}." if member.key else ""
        if type(value) is dict and not member.hides_keys and value:
            keys = member.of_keys()
            for key, item in value.items():
                shown = f"{prefix}{self.shown(key, keys)}"
                yield from self.leaves(item, member._replace(key=shown).inside(member, key))
        elif fields_of(type(value)) is not None and not member.marked:
            cls: Any = type(value)
            members = _members(cls)
            for name, part in (self._codec.parts(value) or {}).items():
                found = members.get(name) or members["*"]._replace(key=encodable(name))
                yield from self.leaves(part, found._replace(key=prefix + found.key).inside(member, name, found.key))
        else:
            yield value, member

    def inside(self, value: Any, member: _Member, name: Any) -> tuple[Any, _Member]:
        """The part of a value that has this name, and what is secret in it. Raises LookupError."""
        if (root := self._root(value, member)) is not None:
            return self.inside(*root, name)
        cls: Any = type(value)
        if fields_of(cls) is not None:
            members = {"*": _MARKED} if member.marked else _members(cls)
            part = members.get(name) or members["*"]
            return (self._codec.parts(value) or {})[name], part.inside(member, name, part.key)
        if isinstance(value, dict):
            found = name if name in value else next((key for key in value if str_of(key) == name), name)
            return value[found], member.inside(member, found)
        if isinstance(value, list | tuple | deque) and isinstance(name, int):
            return value[name], member.of_items(cls).inside(member, name)
        raise LookupError(name)

    def sought(self, value: Any, member: _Member, parts: Sequence[str]) -> Any:
        """The value that a dotted key's parts lead to. Raises LookupError."""
        if not parts:
            return value
        if (root := self._root(value, member)) is not None:
            return self.sought(*root, parts)
        for length in range(len(parts), 0, -1):
            name = ".".join(parts[:length])
            with contextlib.suppress(LookupError):
                return self.sought(*self.inside(value, member, _attribute_of(value, name)), parts[length:])
        raise LookupError(parts[0])

    def _root(self, value: Any, member: _Member) -> tuple[Any, _Member] | None:
        """What a root model stands for, under the key of the model, as files have it; None if it is no root model.

        A model with more in it, such as a private attribute, is compared as any other.
        """
        cls: Any = type(value)
        if not getattr(cls, "__pydantic_root_model__", False) or member.marked:
            return None
        parts = self._codec.parts(value) or {}
        if parts.keys() != {"root"} or not (member.key or _has_keys(parts["root"])):
            return None
        return parts["root"], _members(cls)["root"]._replace(key=member.key, masked=member.masked)

    def _compare_objects(self, old: Any, new: Any, holder: _Member) -> Iterator[Change]:
        before, after = self._codec.parts(old) or {}, self._codec.parts(new) or {}
        cls: Any = type(old)
        members = _members(cls)
        for name in dict.fromkeys([*before, *after]):
            was, now = before.get(name, _ABSENT), after.get(name, _ABSENT)
            if type(was) is type(now) and type(was) in _COMPARED_BY_EQ and was == now:
                continue  # true of most parts: their keys need not be made
            if self._are_same(was, now):
                continue
            member = members.get(name) or members["*"]._replace(key=encodable(name))
            key = f"{holder.key}.{member.key}" if holder.key else member.key
            yield from self.compare(was, now, member._replace(key=key).inside(holder, name, member.key))

    def _compare_tables(self, old: dict[Any, Any], new: dict[Any, Any], member: _Member) -> Iterator[Change]:
        keys: dict[Any, Any] = {}  # by a form that equal keys share: True and 1 are two keys, two nan are one
        before, after = old, new
        if not _STR.issuperset(map(type, [*old, *new])):
            keys = {self._codec.comparable(key): key for key in [*new, *old]}
            before, after = ({self._codec.comparable(key): value for key, value in each.items()} for each in (old, new))
        shown_keys = member.of_keys()
        for identity in dict.fromkeys([*before, *after]):
            left, right = before.get(identity, _ABSENT), after.get(identity, _ABSENT)
            if self._are_same(left, right):
                continue
            text = str(self.shown(keys.get(identity, identity), shown_keys))
            part = member._replace(key=f"{member.key}.{text}" if member.key else text)
            yield from self.compare(left, right, part.inside(member, keys.get(identity, identity)))

    def _change(self, old: Any, new: Any, member: _Member) -> Change:
        shown = cut(self.shown(old, member)), cut(self.shown(new, member))
        return Change(member.key, *shown, changed_content(old, new) if self._has_watched else "")

    def shown(self, value: Any, member: _Member) -> Any:
        """A value as plain data, its secrets masked; of a long list or table no more than is shown of its text."""
        cls = type(value)
        if value is None or value is _ABSENT:
            return None
        if fields_of(cls) is not None:
            root = self._root(value, member)
            return self.shown(*root) if root else MASK if member.marked else self._shown_object(value, member)
        if isinstance(value, dict):
            return MASK if member.hides_keys else self._shown_table(value, member)
        if isinstance(value, set | frozenset):
            return self._shown_items(_items(sorted(value, key=self._codec.comparable), member.of_set()))
        if isinstance(value, list | tuple | deque):
            return self._shown_items(_items(value, member))
        if member.secret or _is_secret(cls):
            return MASK
        shown = plain(value)
        is_url = isinstance(shown, str) and (member.urls or _is_url(cls))
        return shown_url(shown) if is_url else shown

    def _shown_object(self, value: Any, holder: _Member) -> dict[str, Any]:
        cls: Any = type(value)
        members, shown = _members(cls), {}
        for name, part in (self._codec.parts(value) or {}).items():
            member = members.get(name) or members["*"]._replace(key=encodable(name))
            shown[member.key] = self.shown(part, member.inside(holder, name, member.key))
        return shown

    def _shown_table(self, table: dict[Any, Any], member: _Member) -> dict[str, Any]:
        shown: dict[str, Any] = {}
        keys = member.of_keys()
        for key, item in table.items():
            shown[str(self.shown(key, keys))] = self.shown(item, member.inside(member, key))
            if len(repr(shown)) > self._longest:
                break
        return shown

    def _shown_items(self, items: Iterable[tuple[Any, _Member]]) -> list[Any]:
        shown, length = [], 0
        for item, member in items:
            shown.append(self.shown(item, member))
            length += len(repr(shown[-1]))
            if length > self._longest:
                break
        return shown


def _items(values: Collection[Any], member: _Member) -> Iterator[tuple[Any, _Member]]:
    """The items of a list, tuple or set, each with what in it is secret."""
    cls = type(values)
    member = member.of_set() if issubclass(cls, set | frozenset) else member.of_items(cls)
    if member.masked is None:
        return ((item, member) for item in values)
    return ((item, member.inside(member, index)) for index, item in enumerate(values))


def _attribute_of(value: Any, name: str) -> str:
    """The attribute that a key of files sets in this object; any other name as it is."""
    cls: Any = type(value)
    if fields_of(cls) is None:
        return name
    members = _members(cls)
    return name if name in members else next((each for each, found in members.items() if found.key == name), name)


def _has_keys(value: Any) -> bool:
    return type(value) is dict or fields_of(type(value)) is not None


@functools.cache
def _members(cls: type) -> dict[str, _Member]:
    """The parts of a class by name; `*` stands for every other part, such as an extra value."""
    found = {field.name: _member(field.key, field.annotation) for field in fields_of(cls) or ()}
    found |= {name: _member(name, hint) for name, hint in hidden_members(cls).items()}
    return found | {"*": found.pop("__pydantic_extra__", _OPEN)}


def _member(key: str, annotation: Any) -> _Member:
    secrets = contains_secret(annotation), is_marked(annotation), hides_keys(annotation)
    return _Member(key, *secrets, contains_url(annotation), has_url_keys(annotation))


def _is_secret(cls: type) -> bool:
    leaf = leaf_of(cls)
    return leaf is not None and leaf.code in SECRET_CODES


def _is_url(cls: type) -> bool:
    return cls not in _COMPARED_BY_EQ and is_url_class(cls)


def plain(value: Any) -> Any:
    """A value that is no container as a change shows it: as it is, or as text if msgpack can't write it."""
    if isinstance(value, enum.Enum):
        has_plain = type(value.value) in (str, int, bool)
        return plain(value.value) if has_plain else encodable(str(value.name))
    if type(value) in (bool, float):
        return value
    if type(value) is int:
        return value if -(2**63) <= value < 2**64 else hex(value)
    return encodable(value if type(value) is str else _text(value))


def _text(value: Any) -> str:
    """The str() of a value; the name of its class if str() raises or would show an address."""
    cls: Any = type(value)
    if cls.__str__ is object.__str__ and cls.__repr__ is object.__repr__:
        return str(cls.__qualname__)
    return str_of(value)


def cut(value: Any) -> Any:
    """The value, or the first `LONGEST` characters of its text."""
    text = repr(value) if isinstance(value, list | dict) else value if isinstance(value, str) else ""
    return value if len(text) <= LONGEST else shortened(text, LONGEST)
