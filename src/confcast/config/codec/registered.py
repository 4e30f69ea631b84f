"""Registers an application's own types with the codec: `register_type`.

A registered type is a class of the table like a model or an enum: serialised where an annotation names it, under an
index that does not depend on the order of registrations, and part of the table's fingerprint by its name and those
of its two functions. So the Hello of a worker that registered other functions has another fingerprint, and two
configurations in one process can't disturb each other.

Its `decode` is the one function of the user's that decoding runs in a worker; its result's type is checked, and the
owner has decoded the same bytes before any worker votes.

Rejected: a msgpack extension code for each (two libraries might take the same number), a class attribute (an
application can't change the types of a library), and a registration after the schema was read (a process that reads the
schema first would refuse values that another process serialises).
"""

from __future__ import annotations

import enum
import threading
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from confcast.config.codec.classes import Kind, Shape
from confcast.config.codec.leaves import Unsupported, leaf_of
from confcast.config.schema.kinds import kind_of

V = TypeVar("V")

_SERIALISED_AS_THEY_ARE = (type(None), bool, int, float, str, bytes, list, tuple, set, frozenset, dict)


class Pair(NamedTuple):
    """The two functions of a registered type."""

    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


_pairs: dict[type, Pair] = {}
_refused: weakref.WeakSet[type] = weakref.WeakSet()
_lock = threading.Lock()


def register_type(cls: type[V], *, encode: Callable[[V], object], decode: Callable[[Any], V]) -> None:
    """Register a type that the codec does not know: `register_type(Money, encode=str, decode=Money)`.

    Call it at import, in the module of the schema and above the schema, so that the config owner and every worker do
    the same. The registration holds for exactly this class, wherever an annotation of the schema names it, and not for
    its subclasses. If the class has an `__eq__`, a value that does not come back equal is refused at the load. When the
    functions change their output, rename them: their names distinguish old bytes from new ones.

    Any thread may call it. `encode` runs in the config owner (and in a worker under `CONFCAST_DEBUG`), `decode` in the
    owner and in the reading thread of each worker: it must be quick, without I/O, and deterministic.

    Args:
        cls: The class.
        encode: Called with a value; returns a value of types that the codec knows.
        decode: Called with what `encode` returned; returns the value again, of exactly this class.

    Raises:
        TypeError: `cls` is no class, a function can't be called, or the codec has a way for the class already: it is a
            pydantic model, a dataclass, a Struct, an Enum or a NamedTuple, or a type of the standard library.
        ValueError: The class is registered already with other functions, or a schema that holds it was refused before.
    """
    _refuse_what_can_t_be_registered(cls, encode, decode)
    with _lock:
        known = _pairs.get(cls)
        if known is not None and known != Pair(encode, decode):
            raise ValueError(
                f"{cls.__qualname__} is registered already, with {_named(known.encode)} and {_named(known.decode)}:"
                " register it once, in the module of the schema"
            )
        if cls in _refused:
            raise ValueError(
                f"{cls.__qualname__} is registered too late: a schema that holds it was read and refused before;"
                " register it at import, in the module of the schema and above it"
            )
        _pairs[cls] = Pair(encode, decode)


def registered(cls: type) -> Pair | None:
    """The functions of a registered class. A class that is not registered can't be registered any more afterwards."""
    with _lock:
        pair = _pairs.get(cls)
        if pair is None:
            _refused.add(cls)
        return pair


def description_of(cls: type) -> list[str]:
    """The names of a registered class's functions, which have to be the same in the owner and in every worker."""
    return [_named(function) for function in _pairs[cls]]


def _refuse_what_can_t_be_registered(cls: Any, encode: object, decode: object) -> None:
    if not isinstance(cls, type):
        raise TypeError(f"register_type takes a class, not {cls!r}")
    for name, function in (("encode", encode), ("decode", decode)):
        if not callable(function):
            raise TypeError(f"{name} is called with one value; a {type(function).__name__} can't be called")
    if cls in _SERIALISED_AS_THEY_ARE or leaf_of(cls) is not None or _has_a_shape(cls):
        raise TypeError(f"{cls.__qualname__} needs no registering: the codec has a way for it already")


def _has_a_shape(cls: type) -> bool:
    if issubclass(cls, enum.Enum) or (issubclass(cls, tuple) and hasattr(cls, "_fields")):
        return True
    try:
        kind_of(cls)
    except TypeError:
        return False
    return True


def _shape(cls: Any, index: int) -> Shape:
    encode, decode = _pairs[cls]

    def take(value: Any) -> list[Any]:
        try:
            parts = encode(value)
        except Exception as error:  # the text of the user's error may show the value
            raise Unsupported(
                f"{_named(encode)}, which {cls.__qualname__} is registered with, raised {_kind(error)}"
            ) from None
        if cls.__eq__ is not object.__eq__ and not _is_equal(value, decode, parts):
            raise Unsupported(
                f"{_named(encode)} and {_named(decode)}, which {cls.__qualname__} is registered with, lose something: "
                "what comes back is not equal to what was given"
            )
        return [index, parts]

    def make(row: list[Any]) -> Any:
        _, parts = row
        try:
            value = decode(parts)
        except Exception as error:
            raise Unsupported(
                f"{_named(decode)}, which {cls.__qualname__} is registered with, raised {_kind(error)}"
            ) from None
        if type(value) is not cls:
            raise Unsupported(f"{_named(decode)}, which {cls.__qualname__} is registered with, gave a {_kind(value)}")
        return value

    return Shape(cls, index, take, make, lambda value: {"": take(value)[1]})


def _is_equal(value: Any, decode: Callable[[Any], Any], parts: Any) -> bool:
    """Whether decoding returns an equal value; True also if `decode` fails or returns another class (see `make`)."""
    try:
        back = decode(parts)
        return type(back) is not type(value) or bool(back == value)
    except Exception:
        return True


def _kind(value: object) -> str:
    """The class of an application's value or error, which is all that a message shows: the text may have a secret."""
    return type(value).__qualname__


def _named(function: Any) -> str:
    return str(getattr(function, "__qualname__", type(function).__qualname__))


def _changeable(cls: Any) -> str:
    """By Python's convention, a class that compares by value has a hash only if its instances don't change."""
    is_value = cls.__eq__ is not object.__eq__ and cls.__hash__ is not None
    return "" if is_value else f"{cls.__qualname__} is not hashable by value"


REGISTERED = Kind("registered", _shape, changeable=_changeable)
