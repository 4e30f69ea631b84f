"""Tells whether two parts of two configurations have the same bytes, and writes each of them once.

A diff asks at every level on its way down to what differs. Written anew each time, a value would be written as often
as there are levels above it; so the bytes of each object, and of each table and list with more in it than a few plain
values, are kept until the diff is done.

Guaranteed: the same bytes mean that two values are equal in every respect. Other bytes don't mean that they differ:
which fields of a model were set, and the order of a dict, are in the bytes, and are no difference (writers.py).

Rejected: a writer for each diff (to build it takes as long as the diff of a small configuration), and comparing values
by `==` (1 == True, nan != nan).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.msgpack import Ext

from confcast.config.codec.classes import Shape
from confcast.config.codec.leaves import Unsupported
from confcast.config.codec.writers import Writer, Writers, encode

_FEW = 16
"""Plain values of a list that are written anew sooner than they are looked up."""


class Sameness(Writers):
    """Compares values by their bytes, in one thread.

    Args:
        shapes: The classes of the schema.
    """

    def __init__(self, shapes: Mapping[type, Shape]) -> None:
        super().__init__(shapes, "fast")
        # By the id of a value: the value, so that no other gets its id, and what is written of it.
        self._written: dict[int, tuple[Any, Any]] = {}
        self.update({list: self._list_once(), dict: self._once(self._write_dict)})

    def __missing__(self, cls: type) -> Writer:
        writer = super().__missing__(cls)
        if cls in self._shapes:
            writer = self[cls] = self._once(writer)
        return writer

    def holds(self, old: Any, new: Any) -> bool | None:
        """Whether two values have the same bytes; None where this can't be told, as some value is not written so."""
        cls = type(old)
        if cls is not type(new):
            return False
        try:
            write = self[cls]
            one, other = write(old, 0), write(new, 0)
            if type(one) is Ext and type(other) is Ext:
                return bool(one == other)
            return encode(one) == encode(other)
        except (Unsupported, OverflowError, UnicodeEncodeError, RecursionError):
            return None

    def forget(self) -> None:
        """Let go of all that was written, before any of it may change."""
        self._written.clear()

    def _once(self, write: Writer) -> Writer:
        kept = self._written

        def write_once(value: Any, depth: int) -> Any:
            known = kept.get(id(value))
            if known is not None:
                return known[1]
            written = write(value, depth)
            if type(written) is not Ext:  # a list or a table
                written = msgspec.Raw(encode(written))
            kept[id(value)] = (value, written)
            return written

        return write_once

    def _list_once(self) -> Writer:
        native, write_once = self._native, self._once(self._write_list)

        def write_list(value: Any, depth: int) -> Any:
            if len(value) < _FEW and native.issuperset(map(type, value)):
                return value
            return write_once(value, depth)

        return write_list
