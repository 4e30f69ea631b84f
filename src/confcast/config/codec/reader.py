"""Decodes bytes of this codec to a value, exactly, running none of the user's code.

Guaranteed: whatever the bytes are, only classes of the table are built, and bytes that this codec did not write raise a
`ProtocolError` that quotes none of them. Two things do run the user's code: a type that an application registered is
decoded by its own function, and members of a set and keys of a dict are hashed and compared, by `__hash__` and `__eq__`
of their class if it defines them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from confcast.config.codec.classes import Shape
from confcast.config.codec.leaves import BY_CODE, DICT, FROZENSET, OBJECT, SET, TUPLE, Unsupported
from confcast.errors import ProtocolError


class Decoder:
    """Decodes payloads against one table of classes. Safe to share between threads."""

    def __init__(self, shapes: Iterable[Shape]) -> None:
        self._makers = {shape.index: shape.make for shape in shapes}
        self._builders = _Builders()
        self._decode = msgspec.msgpack.Decoder(ext_hook=self._build).decode

    def read(self, payload: bytes) -> Any:
        """Decode a payload. Raises ProtocolError for bytes that the codec of this table did not write."""
        try:
            return self._decode(payload)
        except Unsupported as refused:  # raised by the `decode` of a registered type
            raise ProtocolError(str(refused)) from None
        except Exception as error:  # bytes of others may raise anything, and its text could quote them
            raise ProtocolError(f"not a configuration of this schema: {type(error).__name__}") from None

    def _build(self, code: int, data: memoryview) -> Any:
        parts = self._decode(data)
        if code == OBJECT:
            return self._makers[parts[0]](parts)
        if code == TUPLE and type(parts) is list:
            return tuple(parts)
        return self._builders[code](parts)


class _Builders(dict[int, Callable[[Any], Any]]):
    """Extension code → the function that builds its value; a leaf type is imported when its first value is built."""

    def __init__(self) -> None:
        super().__init__()
        self.update({TUPLE: _checked(list, tuple), SET: _checked(list, set), FROZENSET: _checked(list, frozenset)})
        self[DICT] = _checked(list, lambda parts: dict(zip(parts[::2], parts[1::2], strict=True)))

    def __missing__(self, code: int) -> Callable[[Any], Any]:
        leaf = BY_CODE[code]
        cls, make = leaf.type, leaf.make
        builder = self[code] = _checked(leaf.parts, lambda parts: make(cls, parts))
        return builder


def _checked(expected: type, make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def build(parts: Any) -> Any:
        if type(parts) is not expected:
            raise TypeError(expected.__name__)
        return make(parts)

    return build
