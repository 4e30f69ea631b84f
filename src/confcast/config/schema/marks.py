"""What an annotation may say of a field beside its type: `Watched` and `NeedsRestart` (`Secret` is in kinds.py).

Guaranteed: a mark changes neither the type of a value nor how it is validated. A mark counts wherever it stands around
the type: in `Annotated`, in a union, behind an alias or a `NewType`.

Rejected: marks as arguments of the loader (`watched=["tls.certificate"]`): a field that is renamed would silently lose
its mark, and each of two loaders of one schema would have to repeat them.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Iterator
from typing import Annotated, Any

from confcast.config.schema.generics import is_alias, value_of

_QUALIFIERS = ("Required", "NotRequired", "ReadOnly", "Final")


class Watched:
    """Makes the content of the file that a value names a part of the version: `Annotated[Path, Watched]`.

        class Tls(BaseModel):
            certificate: Annotated[Path, Watched]
            client_ca: Annotated[Path | None, Watched] = None

    The owner reads the file at each load, and watches it as it watches the sources: another content is a new version,
    though no source has changed, and observers whose `select` gives the field, or a section around it, are called. The
    value in a worker stays the path; the content does not travel, a worker reads the file itself. A file that is
    missing, unreadable, or larger than 16 MiB is a problem of the field; only where the field may be None may the file
    be missing. In a list, a tuple or a table each path is watched.

    Going back to an earlier version does not bring back the content that a file had then.
    """


class NeedsRestart:
    """Says that a change of a field, or of a section, has an effect only after a full reload of the server.

        workers: Annotated[int, NeedsRestart("the server forks them at its start", grow=True)] = 4
        listen: Annotated[Listen, NeedsRestart("sockets are bound at the start")]

    A reload that changes the value leaves the running value in place, applies all else, and the event's `pending` lists
    the change until a full reload of the server takes it up, or the sources have the running value again. Both
    configurations are validated as a whole: the one that the sources give, and the one that runs, with the old value.
    If either is refused, nothing is changed. With the manager's option `needs_restart="refuse"` a reload that changes
    the value is refused.

    Args:
        why: The reason, for the person who sees the pending change; empty for none.
        grow: Whether the value, a number or a timedelta, may rise without a restart.

    May stand on fields of the schema and of its sections, not within the items of a list or a table: mark the list.
    """

    __slots__ = ("grow", "why")

    def __init__(self, why: str = "", *, grow: bool = False) -> None:
        self.why, self.grow = why, grow

    def __repr__(self) -> str:
        return f"NeedsRestart({self.why!r}, grow={self.grow})"


def is_watched_mark(mark: Any) -> bool:
    """Whether a part of an annotation is `Watched`, or an instance of it."""
    return mark is Watched or isinstance(mark, Watched)


def is_restart_mark(mark: Any) -> bool:
    """Whether a part of an annotation is `NeedsRestart`, or an instance of it."""
    return mark is NeedsRestart or isinstance(mark, NeedsRestart)


def is_mark(part: Any) -> bool:
    """Whether a part of an annotation is one of this module's marks."""
    return is_watched_mark(part) or is_restart_mark(part)


def is_watched(annotation: Any) -> bool:
    """Whether a value of the type itself is marked, and not only a value inside."""
    return any(map(is_watched_mark, marks_around(annotation)))


def restart_of(annotation: Any) -> NeedsRestart | None:
    """The mark that says that a change of a value of the type needs a restart; None for none."""
    found = next(filter(is_restart_mark, marks_around(annotation)), None)
    return NeedsRestart() if isinstance(found, type) else found


def marks_around(annotation: Any) -> Iterator[Any]:
    """The metadata around a type, and around each member of a union; not of what is inside a container or a class."""
    for _ in range(50):  # an alias may name itself
        origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
        if origin is Annotated:
            yield from annotation.__metadata__
            annotation = arguments[0]
        elif getattr(origin, "_name", None) in _QUALIFIERS:
            annotation = arguments[0]
        elif is_alias(annotation):
            annotation = value_of(annotation)
        elif isinstance(annotation, typing.NewType):
            annotation = annotation.__supertype__
        else:
            break
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for part in typing.get_args(annotation):
            yield from marks_around(part)


def mentions(annotation: Any, is_one: Callable[[Any], bool], fields: Callable[[Any], Any]) -> bool:
    """Whether a mark stands anywhere in a type: around it, in its containers and in the fields of its classes.

    Args:
        annotation: The type.
        is_one: Whether metadata is the mark.
        fields: The fields of a class, or None (`kinds.fields_of`, which imports this module).
    """
    seen: list[Any] = []

    def inside(part: Any) -> bool:
        if any(map(is_one, marks_around(part))):
            return True
        if part in seen:
            return False
        seen.append(part)
        if is_alias(part):
            return inside(value_of(part))
        if any(map(inside, typing.get_args(part))):
            return True
        return any(inside(field.annotation) for field in fields(typing.get_origin(part) or part) or ())

    return inside(annotation)
