"""Reads the files that the values of `Watched` fields name, and puts a digest of each content into the configuration.

Guaranteed: the digest is of the whole content at one moment, at which no process had the file open for writing, as far
as a lease shows; the files that a load before has found are read together with the sources, at one moment, so that a
certificate and its key that are swapped together (Kubernetes) are never mixed. A path that a load sees for the first
time is read after the sources: the change of a file in between is found by the watcher, and makes one more version.
Links are followed, and each load follows them anew. A content is read, hashed and dropped; no message quotes it.

A configuration is never changed in place: a default of the schema is one object in all configurations. So a copy that
the codec makes, without running any of the user's code, gets the digests.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, NamedTuple

import msgspec

from confcast.config.schema.annotations import members, written_children
from confcast.config.schema.key_path import KeyPath
from confcast.config.schema.kinds import fields_of
from confcast.config.schema.marks import is_watched
from confcast.config.schema.watched_path import WatchedPath, content_of, has_watched, watched_path
from confcast.config.sources import disk
from confcast.config.sources.layer import fingerprint_of
from confcast.config.validation.field_errors import FieldError

_MISSING = fingerprint_of(b"confcast: there is no such watched file")


class Content(NamedTuple):
    """What is known of a file's content.

    Attributes:
        digest: 16 bytes; empty if there is no such file, or it can't be read.
        fault: Why it can't be read, as the predicate of a sentence about the file; empty if it can.
        is_missing: Whether that is because there is no such file.
    """

    digest: bytes
    fault: str = ""
    is_missing: bool = False

    @property
    def fingerprint(self) -> bytes:
        """16 bytes that differ for each content, and for each reason why there is none."""
        return self.digest or (_MISSING if self.is_missing else fingerprint_of(self.fault.encode()))


class Named(NamedTuple):
    """A file that a configuration names.

    Attributes:
        key: The path of the value in the data.
        file: The value.
        may_be_missing: Whether the field may be None, and so the file missing.
    """

    key: KeyPath
    file: Path
    may_be_missing: bool


Contents = Mapping[Path, Content]


def read(file: Path, *, at_once: bool = False) -> Content:
    """The content of a file; may wait a quarter of a second for a process that writes it. Never raises.

    `at_once`: as it is now, without waiting.
    """
    try:
        return Content(fingerprint_of(disk.read_now(file) if at_once else disk.read_whole(file)))
    except (FileNotFoundError, NotADirectoryError):
        return Content(b"", "does not exist", is_missing=True)
    except (OSError, ValueError) as error:  # ValueError: a null byte
        text = getattr(error, "strerror", None) or str(error)
        return Content(b"", f"can't be read by uid {os.geteuid()}, as which the config owner runs: {text}")
    except disk.NotReadable as error:
        return Content(b"", str(error))


def read_together(files: Iterable[Path]) -> dict[Path, Content]:
    """The contents of files at one moment."""
    wanted = tuple(dict.fromkeys(files))
    try:
        return disk.at_one_moment(wanted, lambda: {file: read(file) for file in wanted})
    except disk.StillChanging as error:
        return dict.fromkeys(wanted, Content(b"", f"{error} together with other files that are watched"))


def read_now(file: Path) -> bytes:
    """The fingerprint of a file's content as it is now. Never raises."""
    return read(file, at_once=True).fingerprint


def named_in(config: Any, schema: Any) -> list[Named]:
    """The files that the `Watched` fields of a configuration name, in their order."""
    found: list[Named] = []
    if has_watched(schema):

        def note(each: Named) -> Path:
            found.append(each)
            return each.file

        _walk(config, (schema,), (), note, changes=False)
    return found


def faults(named: Iterable[Named], contents: Contents) -> list[FieldError]:
    """The errors about files that can't be read, or are missing and may not be."""
    found = []
    for key, file, may_be_missing in named:
        content = contents[file]
        if content.fault and not (content.is_missing and may_be_missing):
            found.append(FieldError(key, f"the file {content.fault}", str(file)))
    return found


def stamped(config: Any, schema: Any, contents: Contents) -> Any:
    """The configuration, which nobody else has, with the digests of these contents in it."""
    return _walk(
        config, (schema,), (), lambda each: watched_path(str(each.file), contents[each.file].digest), changes=True
    )


def contents_in(config: Any, schema: Any, keys: Iterable[KeyPath] = ((),)) -> dict[Path, Content]:
    """The contents that a configuration was made with, at and below these keys."""
    around = tuple(keys)
    return {
        each.file: _as_stamped(each.file)
        for each in named_in(config, schema)
        if any(each.key[: len(key)] == key for key in around)
    }


def _as_stamped(file: Path) -> Content:
    digest = content_of(file) if isinstance(file, WatchedPath) else b""
    return Content(digest) if digest else Content(b"", "did not exist", is_missing=True)


def _walk(
    value: Any, annotations: tuple[Any, ...], at: KeyPath, visit: Callable[[Named], Path], *, changes: bool
) -> Any:
    """A value with what `visit` returns for each path that is marked. Its annotations: of each member of a union."""
    cls = type(value)
    if isinstance(value, Path):
        marked = [each for each in annotations if is_watched(each)]
        return visit(Named(at, value, any(map(_may_be_none, marked)))) if marked else value
    if cls is dict:
        return {
            key: _walk(item, _below(annotations, key), (*at, key), visit, changes=changes)
            for key, item in value.items()
        }
    if cls in (list, tuple, set, frozenset, deque):
        ordered = value if cls in (list, tuple, deque) else sorted(value, key=str)
        items = [
            _walk(item, _below(annotations, n), (*at, n), visit, changes=changes) for n, item in enumerate(ordered)
        ]
        return deque(items, value.maxlen) if cls is deque else cls(items)
    if fields_of(cls) is not None and has_watched(cls):
        _walk_fields(value, at, visit, changes=changes)
    return value


def _walk_fields(value: Any, at: KeyPath, visit: Callable[[Named], Path], *, changes: bool) -> None:
    fill = msgspec.structs.force_setattr if isinstance(value, msgspec.Struct) else object.__setattr__
    for field in fields_of(type(value)) or ():
        before = getattr(value, field.name, None)
        after = _walk(before, (field.annotation,), (*at, field.key), visit, changes=changes)
        if changes and after is not before:
            fill(value, field.name, after)


def _below(annotations: tuple[Any, ...], part: Any) -> tuple[Any, ...]:
    """The types of an item. A mark around a container is a mark of each item."""
    return tuple(
        found for each in annotations for found in ((each,) if is_watched(each) else written_children(each, part))
    )


def _may_be_none(annotation: Any) -> bool:
    return any(member in (None, NoneType) for member in members(annotation, written=True))
