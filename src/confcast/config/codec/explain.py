"""Explains by path why a value can't be serialised. Runs only after encoding was refused, so it may be slow.

Guaranteed: a single error gives every reason, by types and paths only; it shows no value, since any may be a secret.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from confcast.config.codec.leaves import Unsupported, leaf_of
from confcast.config.codec.supported import advice_for, cannot
from confcast.config.codec.table import Table, verdict
from confcast.config.codec.writers import MAX_DEPTH, NATIVE
from confcast.errors import NotCarried, Problem
from confcast.texts import str_of


def not_serialisable(value: Any, table: Table) -> NotCarried:
    """The error that names everything in the value that can't be serialised."""
    problems = list(_Explanation(table).visit(value, "", ()))
    return NotCarried(problems or [Problem("", "this configuration is nested too deeply for the room on the stack")])


class _Explanation:
    def __init__(self, table: Table) -> None:
        self._table = table

    def visit(self, value: Any, path: str, trail: tuple[int, ...]) -> Iterator[Problem]:
        """Every reason in a value and its parts. `trail` has the ids of the values around it, to detect a cycle."""
        if type(value) in NATIVE:
            return
        if id(value) in trail:
            yield Problem(path, "this value contains itself, which can't be carried to the workers; break the cycle")
        elif len(trail) > MAX_DEPTH:
            yield Problem(path, f"nested more than {MAX_DEPTH} levels deep; flatten it")
        else:
            try:
                parts = self._parts(value, path)
            except Unsupported as refused:
                yield Problem(path, str(refused))
                return
            for inner_path, part in parts:
                yield from self.visit(part, inner_path, (*trail, id(value)))

    def _parts(self, value: Any, path: str) -> Iterable[tuple[str, Any]]:
        cls = type(value)
        if (shape := self._table.shapes.get(cls)) is not None:
            return [(".".join(filter(None, (path, name))), part) for name, part in shape.parts(value).items()]
        if cls is dict:
            keys = [(path, key) for key in value]
            return [
                *keys,
                *((f"{path}.{key_text(key)}" if path else key_text(key), part) for key, part in value.items()),
            ]
        if cls in (list, tuple, set, frozenset):
            return [(f"{path}[{n}]", part) for n, part in enumerate(value)]
        if (leaf := leaf_of(cls)) is not None:
            parts = leaf.take(value)
            return [(path, part) for part in parts] if leaf.deep else []
        raise Unsupported(self._unknown(cls))

    def _unknown(self, cls: type) -> str:
        advice = advice_for(cls)
        if advice is None and (problem := verdict(cls)) is not None:
            return problem
        if advice is not None:
            return cannot(cls.__qualname__, advice)
        return cannot(
            cls.__qualname__,
            f"no annotation of {self._table.schema.__qualname__} names it: add it to the field's annotation,"
            f" for example … | {cls.__qualname__}",
        )


def key_text(key: Any) -> str:
    """A dict's key as a part of a dotted path; a key that is not plain is shown by its type."""
    return str_of(key) if type(key) in (str, int, bool, float) else f"<{type(key).__name__}>"
