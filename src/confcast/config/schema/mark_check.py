"""Refuses marks that would have no effect: `Watched` on what is no path, `NeedsRestart` where it is not looked for.

Guaranteed: every such field is named, by its key, when the manager starts; a mark is never ignored silently.
"""

from __future__ import annotations

import datetime as dt
import decimal
import functools
import typing
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any

from confcast.config.schema.annotations import members
from confcast.config.schema.generics import is_alias
from confcast.config.schema.kinds import fields_of
from confcast.config.schema.marks import is_watched, restart_of
from confcast.errors import NotCarried, Problem

GROWING = (int, float, decimal.Decimal, dt.timedelta)
"""The types whose values may rise without a restart, if the mark says so."""

_NO_PATH = "is marked Watched, and is no Path: only the content of a file that a Path names can be watched"
_INSIDE = "is marked NeedsRestart in the items of a list or a table: mark the list or the table, as a whole"
_NO_NUMBER = "is marked NeedsRestart(grow=True), and is neither a number nor a timedelta: nothing of it can rise"


@functools.cache
def check_marks(schema: Any) -> None:
    """Raise NotCarried, which names each field, if a mark in a class would have no effect."""
    problems = list(_misplaced(schema, "", [], inside=False))
    if problems:
        raise NotCarried(problems)


def _misplaced(annotation: Any, prefix: str, seen: list[Any], *, inside: bool) -> Iterator[Problem]:
    if is_alias(annotation):  # it may contain itself, as a class may
        if (annotation, inside) in seen:
            return
        seen.append((annotation, inside))
    for member in members(annotation, written=True):
        cls = typing.get_origin(member) or member
        fields = fields_of(cls)
        if fields is None:
            for argument in typing.get_args(member):
                yield from _misplaced(argument, prefix, seen, inside=True)
        elif (cls, inside) not in seen:
            seen.append((cls, inside))
            for field in fields:
                key = f"{prefix}.{field.key}" if prefix else field.key
                yield from (Problem(key, why) for why in _faults(field.annotation, inside=inside))
                yield from _misplaced(field.annotation, key, seen, inside=inside)


def _faults(annotation: Any, *, inside: bool) -> Iterator[str]:
    if is_watched(annotation) and not _names_a_path(annotation):
        yield _NO_PATH
    mark = restart_of(annotation)
    if mark is not None and inside:
        yield _INSIDE
    if mark is not None and mark.grow and not _may_grow(annotation):
        yield _NO_NUMBER


def _names_a_path(annotation: Any) -> bool:
    kinds = members(annotation, written=True)
    return any(kind is Path or any(map(_names_a_path, typing.get_args(kind))) for kind in kinds)


def _may_grow(annotation: Any) -> bool:
    kinds = [kind for kind in members(annotation, written=True) if kind not in (None, NoneType)]
    return all(isinstance(kind, type) and issubclass(kind, GROWING) and kind is not bool for kind in kinds)
