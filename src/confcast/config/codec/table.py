"""Lists the classes that may appear in a configuration, from the annotations of its schema.

Guaranteed: the order of the table depends on the annotations alone, so that two processes with the same code give
each class the same index; the fingerprint is equal if and only if kinds, names, fields and their types are. A class
that is defined in the main program belongs to `__main__` whichever name this process gave it. Every type that can't be
serialised is reported at once, with every path that leads to it.

Rejected: class names in payloads (longer, and a name that a payload brings must never be imported).
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from confcast.config.codec.classes import DATACLASS, NAMED_TUPLE, STRUCT, Kind, Shape
from confcast.config.codec.enums import ENUM
from confcast.config.codec.leaves import Unsupported, leaf_of
from confcast.config.codec.models import MODEL
from confcast.config.codec.registered import REGISTERED, description_of, registered
from confcast.config.codec.supported import AnnotationText, cannot, read
from confcast.config.codec.urls import URL, is_url
from confcast.config.schema.kinds import fields_of, kind_of, loaded
from confcast.errors import NotCarried, Problem

FORMAT = 1
"""The version of the format; increased whenever the same table would write other bytes."""

MOST_MEMBERS = 50
MAX_PATHS = 10_000
"""The most field paths that are listed; classes that refer to each other in many ways have exponentially many."""

_PLAIN = (str, bytes, int, float, list, tuple, dict, set, frozenset)
_ONLY_BASES = (enum.Enum, enum.Flag, enum.IntEnum, enum.IntFlag, enum.StrEnum, msgspec.Struct)


class Entry(NamedTuple):
    """One class of the table.

    Attributes:
        cls: The class.
        kind: Its kind.
        members: Its parts by name, with their annotations as read.
        shape: The functions that serialise it; None if it can't be serialised.
        problem: Why the class can't be serialised; None if it can, or if only members have problems.
    """

    cls: type
    kind: Kind
    members: dict[str, AnnotationText]
    shape: Shape | None
    problem: str | None


class Table:
    """The classes of one schema. Immutable.

    Attributes:
        changeable: Why instances of some of the classes can't be one object in two versions; empty if all can.

    Raises:
        NotCarried: Some annotation or class can't be serialised; `problems` has every path.
    """

    def __init__(self, schema: type) -> None:
        self.schema = schema
        self._entries: dict[type, Entry] = {}
        if (problem := verdict(schema)) is not None:
            raise NotCarried([Problem("", problem)])
        self._close()
        if any(entry.problem or any(r.problems for r in entry.members.values()) for entry in self._entries.values()):
            raise NotCarried(list(self._problems()))
        shapes = [entry.shape for entry in self._entries.values()]
        self.shapes: dict[type, Shape] = {shape.cls: shape for shape in shapes if shape is not None}
        self.fingerprint = self._fingerprint()
        self.changeable = list(filter(None, (entry.kind.changeable(entry.cls) for entry in self._entries.values())))

    def fields(self) -> dict[str, str]:
        """The type of each field as text, by dotted path through nested classes, without a class inside itself.

        The text of an Enum lists its members: two schemas may differ in nothing else.
        """
        found: dict[str, str] = {}
        for path, member in self._paths():
            before, text = found.get(path), " ".join([member.text, *self._members_of_enums(member)])
            found[path] = text if before in (None, text) else f"{before} or {text}"
        return found

    def _members_of_enums(self, member: AnnotationText) -> Iterator[str]:
        for cls in member.classes:
            if issubclass(cls, enum.Enum):
                names = list(cls.__members__)
                more = ", …" if len(names) > MOST_MEMBERS else ""
                yield f"({cls.__name__} of {', '.join(names[:MOST_MEMBERS])}{more})"

    def _close(self) -> None:
        waiting, by_msgspec = [self.schema], _kind(self.schema) is STRUCT
        for cls in waiting:
            if cls not in self._entries:
                entry = self._entries[cls] = _entry(cls, len(self._entries), by_msgspec=by_msgspec)
                for member in entry.members.values():
                    waiting.extend(member.classes)
                waiting.extend(_unparametrised(cls))

    def _paths(self) -> Iterator[tuple[str, AnnotationText]]:
        """Every field path with its annotation as read, in the order of the fields."""
        paths = self._paths_below(self.schema, "", (self.schema,))
        return (found for _, found in zip(range(MAX_PATHS), paths, strict=False))

    def _paths_below(self, cls: type, prefix: str, trail: tuple[type, ...]) -> Iterator[tuple[str, AnnotationText]]:
        for name, member in self._entries[cls].members.items():
            yield prefix + name, member
            for inner in member.classes:
                if inner not in trail:
                    yield from self._paths_below(inner, f"{prefix}{name}.", (*trail, inner))

    def _problems(self) -> Iterator[Problem]:
        if (problem := self._entries[self.schema].problem) is not None:
            yield Problem("", problem)
        for path, member in self._paths():
            inner = (self._entries[cls].problem for cls in member.classes)
            yield from (Problem(path, problem) for problem in (*member.problems, *inner) if problem is not None)

    def _fingerprint(self) -> bytes:
        described = [
            (
                entry.kind.name,
                _stable_name(cls),
                [(name, member.text) for name, member in entry.members.items()],
                _described(cls, entry.kind),
            )
            for cls, entry in self._entries.items()
        ]
        return hashlib.blake2b(repr((FORMAT, described)).encode("utf-8", "backslashreplace"), digest_size=16).digest()


def _described(cls: Any, kind: Kind) -> list[str]:
    """What a class's fingerprint has besides its members: an enum's member names, a registered type's functions."""
    if kind is ENUM and issubclass(cls, enum.Flag):  # members of flags are serialised by value
        return [f"{name}={member._value_}" for name, member in cls._member_map_.items()]
    if kind is ENUM:
        return list(cls._member_map_)
    return description_of(cls) if kind is REGISTERED else []


def verdict(cls: type) -> str | None:
    """Why instances of a class can't be serialised and what to do; None if they can."""
    return None if _kind(cls) is not None else _why_not(cls)


def _kind(cls: Any) -> Kind | None:
    if _is_only_a_base(cls):
        return None
    if issubclass(cls, enum.Enum):
        return ENUM
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return NAMED_TUPLE
    if is_url(cls):
        return URL
    try:
        name = kind_of(cls)
    except TypeError:  # no class of fields; `_why_not` says so
        return REGISTERED if registered(cls) else None
    return MODEL if name == "pydantic" else STRUCT if name == "struct" else DATACLASS


def _why_not(cls: type) -> str:
    if _is_only_a_base(cls):
        return cannot(cls.__qualname__, "it is only a base; name the classes that may stand there, such as A | B")
    for base in cls.__mro__[1:]:
        if base in _PLAIN or leaf_of(base) is not None:
            advice = f"use a plain {base.__name__}, or register it in the schema's module (confcast.register_type)"
            return cannot(cls.__qualname__, advice)
    return cannot(cls.__qualname__)


def _is_only_a_base(cls: type) -> bool:
    """Whether no value is of exactly this class, so that each load would refuse a value there."""
    bases = (loaded("pydantic.main", "BaseModel"), loaded("pydantic_settings.main", "BaseSettings"))
    return cls in _ONLY_BASES or cls in bases


def _entry(cls: type, index: int, *, by_msgspec: bool) -> Entry:
    kind = _kind(cls)
    assert kind is not None, "annotations let only such classes through"
    try:
        annotations = {field.name: field.annotation for field in fields_of(cls) or ()} | kind.members(cls)
        limited = by_msgspec and kind is not MODEL  # a model in a Struct is made by pydantic
        members = {name: read(each, verdict, by_msgspec=limited) for name, each in annotations.items()}
        return Entry(cls, kind, members, kind.shape(cls, index), None)
    except Unsupported as refused:
        return Entry(cls, kind, {}, None, str(refused))
    except (TypeError, NameError) as error:
        return Entry(cls, kind, {}, None, f"{error}; define or import it where the class is, at run time too")


def _unparametrised(cls: Any) -> list[type]:
    """The generic model from which `Box[int]` was made, in a list: an unvalidated default may be a plain `Box`."""
    origin = getattr(cls, "__pydantic_generic_metadata__", {}).get("origin")
    return [] if origin is None else [origin]


def _stable_name(cls: type) -> str:
    module = "__main__" if cls.__module__ == "__mp_main__" else cls.__module__
    return f"{module}:{cls.__qualname__}"
