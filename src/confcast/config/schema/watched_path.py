"""A path with the digest of the content that its file had when the configuration was loaded.

Such a path is the value of a field that is marked `Watched`, in the owner and in the workers. It is a `Path` in every
respect that an application sees: it equals the same path without a digest, has its hash and its repr, and what is
derived of it is a plain path. Only the codec writes the digest too. So another content makes another payload, another
version and another digest of it, a diff of its own, and a `select` that gives the field, or a section around it, gives
another value; equal content is UNCHANGED. Nothing else in the product needs to know that there are such fields.

The digest is 16 bytes of BLAKE2b, and never shown: the content may be a short secret, which could be guessed from it.

Rejected: the content itself (a private key would lie in journal and snapshot file, and travel to each worker that reads
the file anyway), and a digest beside the configuration (the payload, a patch, a kept version, an observer's `select`
and a diff would each need a second comparison, and a `select` that returns the value could not be told from one that
returns an equal path of another field).
"""

from __future__ import annotations

import functools
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from confcast.config.schema.kinds import fields_of
from confcast.config.schema.marks import is_watched_mark, mentions

if sys.platform == "win32":
    from pathlib import WindowsPath as _Base
else:
    from pathlib import PosixPath as _Base


class WatchedPath(_Base):
    """A path, and the digest of its file's content. Made by `watched_path` only."""

    __slots__ = ("_content",)
    _content: bytes

    def __repr__(self) -> str:
        return f"{_Base.__name__}({str(self)!r})"

    def __reduce__(self) -> Any:
        return watched_path, (str(self), content_of(self))

    def with_segments(self, *segments: Any) -> Path:
        """What is derived of this path has no digest. Called by pathlib, from Python 3.12 on."""
        return Path(*segments)


def watched_path(path: str, content: bytes) -> WatchedPath:
    """The path with this digest; an empty one if there is no such file, which a field that may be None allows."""
    made = WatchedPath(path)
    made._content = content
    return made


def content_of(path: WatchedPath) -> bytes:
    """The digest of the content; empty for none. Up to Python 3.11 `path.parent` is of this class, too, without one."""
    return getattr(path, "_content", b"")


def made_anew(cls: Any, parts: Any) -> Any:
    """The path of what `taken_apart` returned."""
    path, content = parts
    return watched_path(path, content)


def taken_apart(path: WatchedPath) -> list[Any]:
    """The path as text, and the digest."""
    return [str(path), content_of(path)]


def changed_content(old: Any, new: Any) -> str:
    """What has changed between two values that are equal as paths, in words; empty if they hold no watched path."""
    if type(old) is not type(new) or not _holds_watched(old):
        return ""
    try:
        if old != new:
            return ""
    except Exception:  # of a comparison that is the user's
        return ""
    return next((_change(*each) for each in _watched(old, new) if content_of(each[0]) != content_of(each[1])), "")


def _change(old: WatchedPath, new: WatchedPath) -> str:
    if not content_of(new):
        return "the file is gone"
    return "content changed" if content_of(old) else "the file has appeared"


def has_watched(schema: Any) -> bool:
    """Whether a class has a `Watched` field, or a class in it has."""
    return _has_watched(schema)


@functools.cache
def _has_watched(schema: Any) -> bool:
    return mentions(schema, is_watched_mark, fields_of)


def _holds_watched(value: Any) -> bool:
    if isinstance(value, list | tuple | deque | set | frozenset):
        return any(map(_holds_watched, value))
    if isinstance(value, dict):
        return any(map(_holds_watched, value.values()))
    fields = fields_of(type(value)) or () if has_watched(type(value)) else ()
    return isinstance(value, WatchedPath) or any(_holds_watched(getattr(value, each.name, None)) for each in fields)


def _watched(old: Any, new: Any) -> Iterator[tuple[WatchedPath, WatchedPath]]:
    """The watched paths in two equal values, wherever they are: in lists, sets, tables and fields."""
    if isinstance(old, WatchedPath) and isinstance(new, WatchedPath):
        yield old, new
    elif isinstance(old, list | tuple | deque):
        for pair in zip(old, new, strict=True):
            yield from _watched(*pair)
    elif isinstance(old, set | frozenset):
        for pair in zip(sorted(old, key=str), sorted(new, key=str), strict=True):
            yield from _watched(*pair)
    elif isinstance(old, dict):
        for key in old:
            yield from _watched(old[key], new[key])
    else:
        for field in fields_of(type(old)) or ():
            yield from _watched(getattr(old, field.name, None), getattr(new, field.name, None))
