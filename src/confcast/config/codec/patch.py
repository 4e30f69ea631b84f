"""The change from one configuration to the next: found in the bytes of both, applied to the objects of the first.

`Patches.find` compares two payloads of one codec part by part: what has the same bytes is the same, down to types,
`model_fields_set` and the order of keys, since the encoding is canonical. No value is built and no code of the user's
runs. Only a part that differs is split further, and msgspec skips what is inside the others: one pass over the bytes
for each level down to the change, with no call of Python for what is equal.

`Patches.apply` makes new objects on the way to what differs, and keeps every other part: the same object. It builds by
the functions that decoding builds by, so it runs no code of the user's, either. Of an object on the way only the values
of its fields are taken over. What else it holds (which fields were set, extra values, what validators put there) comes
with the patch, as the owner has it; a `cached_property` is worked out anew.

A patch is msgpack, with values in the codec's own encoding. Each node of it stands for a part that differs:

    [value]                                 this value instead
    [size, header, at, node, at, node, …]   a copy of these `size` parts, with some of them patched; `header` is what
                                            stands before the values in the row of an object, else []
    [size, nil, start, stop, new, …]        a list, tuple or dict of `size` parts is put together anew: of the parts
                                            `start` to `stop`, then the new ones, and so on; of a dict, keys and values

Sets, leaves and registered values are replaced as wholes. The parts of a dict are its entries in their order: a key is
never looked up, since keys that are equal may differ (1 and True), and nan is not even equal to itself.

Two versions share objects only if every class of the schema is frozen. A registered type must be hashable by value.
Private attributes of a model exclude its schema, too: they can be set in a frozen model, and may hold what was worked
out from parts that change. Any other schema gets its whole payload each time, and so new objects.

Lists, dicts and sets in frozen classes are shared. Python has no frozen dict, and a frozen class says that what it
holds stays as it is. An application that writes to such a list breaks that contract with or without patches: two
requests that are pinned to one version share it anyhow. With patches the change also stays until a reload changes that
part. `CONFCAST_DEBUG=1` names it, and where it has changed the length of something on the way to a change, the worker
asks for the whole payload.

Rejected: comparing objects (225 ms for 370 KB and one leaf, where encodings were made at every level; the bytes take
5), a table of parts by their digests (1.7 times a decode to fill, and equal siblings become one object), a path for
each change (a dict is copied once for each of them), and copies of what is mutable beside shared parts that are not
(they would be copies of what the application has made of it).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator
from itertools import chain, compress, count, islice
from operator import eq, ne
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw
from msgspec.msgpack import Ext

from confcast.config.codec.classes import Shape
from confcast.config.codec.leaves import DICT, OBJECT, TUPLE
from confcast.config.codec.writers import encode

_level = msgspec.msgpack.Decoder(list[Raw] | dict[str, Raw] | Ext).decode
_items = msgspec.msgpack.Decoder(list[Raw]).decode
_index = msgspec.msgpack.Decoder(int).decode

_CONTAINERS = (list, tuple, dict)
_NESTED = frozenset({*range(0x80, 0xA0), 0xC7, 0xC8, 0xC9, *range(0xD4, 0xD9), 0xDC, 0xDD, 0xDE, 0xDF})
"""The first bytes of msgpack's maps, arrays and extensions; every other byte begins a leaf."""


class _Parts(NamedTuple):
    """One level of an encoded value.

    Attributes:
        kind: The type of a container, or the index of an object's class.
        header: What stands before the values in the row of an object.
        keys: The keys of a dict, each as a str or encoded.
        parts: The encoded parts.
    """

    kind: type | int
    header: list[Raw]
    keys: list[Any]
    parts: list[Raw]

    def correspond_to(self, old: _Parts) -> bool:
        """Whether each part stands for the part of the other that is at the same place."""
        return self.kind == old.kind and len(self.parts) == len(old.parts) and self.keys == old.keys

    def entries(self) -> list[Hashable]:
        """Each part, of a dict with its key, in a form that is equal for equal bytes."""
        parts = list(map(bytes, self.parts))
        if not self.keys:
            return list(parts)
        keys = (key if isinstance(key, str) else bytes(key) for key in self.keys)
        return list(zip(keys, parts, strict=True))


class _Way(NamedTuple):
    """One way to write a change.

    Attributes:
        node: The node of the patch.
        keeps: Whether an object or a container stays the same object.
    """

    node: bytes
    keeps: bool


class Patches:
    """Finds and applies patches between configurations of one table of classes. Immutable; threads may share it."""

    def __init__(self, shapes: dict[type, Shape]) -> None:
        self._shapes = shapes
        self._headers = {shape.index: shape.header for shape in shapes.values() if shape.values is not None}

    # ---- the owner's side

    def find(self, old: bytes, new: bytes) -> bytes:
        """A patch that makes the second encoded value of the first, and keeps every object and container it can."""
        return self._best(Raw(old), Raw(new)).node

    def _best(self, old: Raw, new: Raw) -> _Way:
        whole = _Way(encode([new]), keeps=False)
        before, after = self._parts(old), self._parts(new)
        if before is None or after is None or before.kind != after.kind:
            return whole
        ways = [self._patched(before, after)] if after.correspond_to(before) else []
        stay = ways and (after.keys or any(map(eq, before.parts, after.parts)))
        if isinstance(after.kind, type) and not stay:
            ways.append(_rearranged(before, after))
        return min([way for way in ways if way.keeps] or [whole, *ways], key=lambda way: len(way.node))

    def _patched(self, before: _Parts, after: _Parts) -> _Way:
        node: list[Any] = [len(after.parts), after.header]
        keeps = any(map(_is_nested, compress(after.parts, map(eq, before.parts, after.parts))))
        for at in compress(count(), map(ne, before.parts, after.parts)):
            inner = self._best(before.parts[at], after.parts[at])
            node += at, Raw(inner.node)
            keeps = keeps or inner.keeps
        return _Way(encode(node), keeps)

    def _parts(self, value: Raw) -> _Parts | None:
        """The parts of an encoded value; None if it is replaced as a whole."""
        level = _level(value) if _is_nested(value) else None
        if level is None:
            return None
        if isinstance(level, list):
            return _Parts(list, [], [], level)
        if isinstance(level, dict):
            return _Parts(dict, [], list(level), list(level.values()))
        return self._parts_of_extension(level)

    def _parts_of_extension(self, value: Ext) -> _Parts | None:
        if value.code not in (TUPLE, DICT, OBJECT):
            return None
        row = _items(value.data)
        if value.code == TUPLE:
            return _Parts(tuple, [], [], row)
        if value.code == DICT:
            return _Parts(dict, [], row[::2], row[1::2])
        index = _index(row[0])
        header = self._headers.get(index)
        return None if header is None else _Parts(index, row[1:header], [], row[header:])

    # ---- the worker's side

    def apply(self, old: Any, node: list[Any]) -> Any:
        """The value that a decoded patch makes of this one; parts that it does not name are the same objects.

        Raises whatever comes of parts that are not there.
        """
        if len(node) == 1:
            return node[0]
        size, header, *changes = node
        shape = self._shapes.get(type(old))
        if shape is not None and shape.values is not None:
            return shape.make([shape.index, *header, *self._with_patched(shape.values(old), size, changes)])
        if type(old) not in _CONTAINERS or len(old) != size:
            raise ValueError
        if header is None:
            return _put_together(old, changes)
        if type(old) is dict:
            return self._patched_dict(old, changes)
        return type(old)(self._with_patched(list(old), size, changes))

    def _with_patched(self, parts: list[Any], size: int, changes: list[Any]) -> list[Any]:
        if len(parts) != size:
            raise ValueError
        for at, node in zip(changes[::2], changes[1::2], strict=True):
            parts[at] = self.apply(parts[at], node)
        return parts

    def _patched_dict(self, old: dict[Any, Any], changes: list[Any]) -> dict[Any, Any]:
        new = dict(old)  # this costs a tenth of a dict that is built of pairs
        keys, passed = iter(old), 0
        for at, node in zip(changes[::2], changes[1::2], strict=True):
            key = next(islice(keys, at - passed, None))
            new[key], passed = self.apply(old[key], node), at + 1
        return new


def _is_nested(value: Raw) -> bool:
    return memoryview(value)[0] in _NESTED


def _rearranged(before: _Parts, after: _Parts) -> _Way:
    node: list[Any] = [len(before.parts), None]
    kept: list[Raw] = []
    for start, stop, new in _runs(before.entries(), after.entries()):
        kept += before.parts[start:stop]
        parts = [after.parts[at] for at in new]
        pairs = zip([after.keys[at] for at in new], parts, strict=True) if after.keys else ()
        node += start, stop, list(chain(*pairs)) if after.keys else parts
    return _Way(encode(node), any(map(_is_nested, kept)))


def _runs(before: list[Hashable], after: list[Hashable]) -> Iterator[tuple[int, int, list[int]]]:
    """How to make one list of the other: a range of the old one, then places of new items; each old item once."""
    places: defaultdict[Hashable, list[int]] = defaultdict(list)
    for at in reversed(range(len(before))):
        places[before[at]].append(at)
    start = stop = 0
    new: list[int] = []
    for at, entry in enumerate(after):
        found = places.get(entry)
        if not found:
            new.append(at)
        elif found[-1] == stop and not new:
            stop = found.pop() + 1
        else:
            yield start, stop, new
            start, new = found.pop(), []
            stop = start + 1
    yield start, stop, new


def _put_together(old: Any, runs: list[Any]) -> Any:
    kind = type(old)
    entries = list(old.items() if kind is dict else old)
    found: list[Any] = []
    for start, stop, new in zip(runs[::3], runs[1::3], runs[2::3], strict=True):
        found += entries[start:stop]
        found += zip(new[::2], new[1::2], strict=True) if kind is dict else new
    return kind(found)
