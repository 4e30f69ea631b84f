"""The keys whose values are secrets though no type says so: those that a source has from a file of secrets.

Guaranteed: once a key of a schema has been such a key in this process, its value is masked wherever a configuration of
that schema is shown, also in older and newer versions. So a change from or to such a value shows neither.

How. A layer names its keys (`Layer.secrets`); a load notes them here, and puts them before the payload
(`codec/masked_header.py`). So they are with a version wherever its bytes are: in the journal, in the snapshot file, at
a worker. Who decodes the bytes notes them, too. What shows values asks here, by the schema.

The keys stand in every spelling that is known of them, each part as text: as sources write them, and as attributes.
Beyond `_MOST` keys, those of one table become that table, so that a table whose keys come and go is bounded.

Rejected: to pass the keys along with each configuration (of thirty places that show values, one that forgets shows a
secret), and to forget them with the version that had them (the next change shows the old value).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from typing import Annotated, Any
from weakref import WeakKeyDictionary

from confcast.config.schema.key_path import KeyPath
from confcast.config.schema.kinds import Secret
from confcast.texts import str_of

TextPath = tuple[str, ...]

_MOST = 4096
_WHOLE: Any = Annotated[dict[str, Any], Secret]


class MaskedKeys:
    """The masked keys at and below one value. Immutable.

    Args:
        paths: Their paths below the value; an empty one stands for the value itself.

    Attributes:
        paths: As given, but for those below another one.
        is_whole: Whether the value itself is masked.
    """

    def __init__(self, paths: Iterable[TextPath]) -> None:
        given = frozenset(paths)
        self.paths = frozenset(each for each in given if not any(each[:length] in given for length in range(len(each))))
        self.is_whole = () in self.paths
        below: dict[str, set[TextPath]] = {}
        for first, *rest in filter(None, self.paths):
            below.setdefault(first, set()).add(tuple(rest))
        self._below = {part: MaskedKeys(each) for part, each in below.items()}

    def below(self, *parts: Any) -> MaskedKeys | None:
        """Those at and below the first of these keys that there are any for; the keys are spellings of one."""
        return next(filter(None, map(self._below.get, map(str_of, parts))), None)

    def around(self, annotation: Any) -> Any:
        """A type that says this of a value of the given one; of a whole secret also that its keys are some."""
        return _WHOLE if self.is_whole else Annotated[annotation, self]


_known: WeakKeyDictionary[Any, MaskedKeys] = WeakKeyDictionary()
_change = threading.Lock()


def mask_keys(schema: Any, paths: Iterable[KeyPath]) -> None:
    """Have the values at these paths masked in this process from now on. Any thread may call it."""
    new = frozenset(tuple(map(str_of, path)) for path in paths)
    if not new or _has_all(_known.get(schema), new):  # as after every load but the first
        return
    with _change:
        before = _known.get(schema)
        if not _has_all(before, new):
            _known[schema] = MaskedKeys(_bounded(new if before is None else new | before.paths))


def masked_keys(schema: Any) -> MaskedKeys | None:
    """The masked keys of a schema; None for none."""
    try:
        return _known.get(schema)
    except TypeError:  # no class, but another type, to which no weak reference can be
        return None


def with_masked_keys(schema: Any) -> Any:
    """A type that says of the values at these keys that they are secrets; the schema itself if it has none."""
    masked = masked_keys(schema)
    return schema if masked is None else masked.around(schema)


def masked_in(annotation: Any) -> tuple[Any, MaskedKeys | None]:
    """A type, and the masked keys that are said of it, apart."""
    marks: tuple[Any, ...] = getattr(annotation, "__metadata__", ())
    found = next((mark for mark in marks if isinstance(mark, MaskedKeys)), None)
    if found is None:
        return annotation, None
    others = tuple(mark for mark in marks if mark is not found)
    inner = annotation.__origin__
    return (Annotated[(inner, *others)] if others else inner), found


def _has_all(known: MaskedKeys | None, paths: frozenset[TextPath]) -> bool:
    if known is None:
        return False
    return all(any(path[:length] in known.paths for length in range(len(path) + 1)) for path in paths - known.paths)


def _in_child() -> None:
    """Another thread of the parent may have held the lock when it forked; it is not there to release it."""
    global _change
    _change = threading.Lock()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_in_child)


def _bounded(paths: frozenset[TextPath]) -> frozenset[TextPath]:
    while len(paths) > _MOST:
        deepest = max(map(len, paths))
        paths = frozenset(each[:-1] if len(each) == deepest else each for each in paths)
    return paths
