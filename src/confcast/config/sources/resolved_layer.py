"""The layer of a file whose references were resolved, which converts what stands for whole values.

`port = "${PORT}"` is a text in its file, and a number in the schema: so a text that a reference gave as a whole is
converted by the type of its key, as environment variables are. A text with more in it than one reference stays a text.
What could not be resolved is refused when the schema is applied, together with everything else that is wrong.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Union

from confcast.config.schema.annotations import is_opaque, members, written_children
from confcast.config.schema.key_path import KeyPath, value_at
from confcast.config.schema.secret_paths import is_secret_at, shown_key
from confcast.config.schema.spelling import is_ruled_out
from confcast.config.sources.layer import Fitted, Layer
from confcast.config.sources.references import Unresolved
from confcast.config.sources.variable_values import NotConvertible, from_text
from confcast.errors import Problem


class Wanted(NamedTuple):
    """The type that a schema wants at a path of the data.

    Attributes:
        annotation: As it is written.
        opaque: Whether the user's code sees the value, or a table around it, before the library does.
    """

    annotation: Any
    opaque: bool


_BY_TAGS = Wanted(None, False)


class ResolvedLayer(Layer):
    """A layer whose texts have no references left, so that a `${` in one of them is meant.

    Args:
        layer: The layer, with what was resolved in its data and positions.
        wholes: The texts that a reference gave as a whole, by path.
        unresolved: What could not be resolved, by path; the data have the text with the reference there.
    """

    def __init__(self, layer: Layer, wholes: Mapping[KeyPath, str], unresolved: Mapping[KeyPath, Unresolved]) -> None:
        super().__init__(
            layer.name,
            layer.data,
            layer.fingerprint,
            layer._places,
            layer._notes,
            has_lines=layer.has_lines,
            warnings=layer.warnings,
            secrets=layer.secrets,
        )
        self._filled_by = None
        self._layer, self._wholes, self._unresolved = layer, dict(wholes), dict(unresolved)

    def fit(self, schema: Any, below: Callable[[], dict[str, Any]] = dict) -> Fitted:
        """Convert the texts of whole values by the schema's types, and refuse what could not be resolved."""
        fitted = self._layer.fit(schema, below)
        if not self._wholes and not self._unresolved:
            return fitted._replace(layer=ResolvedLayer(fitted.layer, {}, {}))
        refused = {path: list(_messages(error, schema, path)) for path, error in self._unresolved.items()}
        converted = dict[KeyPath, Any]()
        for path, text in self._wholes.items():
            wanted = wanted_at(schema, path, self.data)
            if wanted is None or wanted.annotation is str:
                continue
            try:
                converted[path] = from_text(text, wanted.annotation, opaque=wanted.opaque)
            except NotConvertible as error:
                refused[path] = [str(error)]
        data = _copied(self.data) if converted or refused else self.data
        for path, value in converted.items():
            value_at(data, path[:-1])[path[-1]] = value
        problems = [
            (path, Problem(shown_key(path, schema), message, self.where(path)))
            for path, messages in refused.items()
            for message in messages
        ]
        taken = [_take(data, path) for path, _ in problems]
        found = ResolvedLayer(self._layer, {}, {})
        found.data = data
        return Fitted(found, [problem for _, problem in problems], fitted.warnings, taken)


def wanted_at(schema: Any, path: KeyPath, data: Any) -> Wanted | None:
    """The type at a path; None if the schema does not say. Of a union, classes that the data's tags exclude are out."""
    found = _wanted(schema, path)
    return _by_tags(schema, path, data) if found is _BY_TAGS else found


@functools.lru_cache(4096)  # each load asks for the same
def _wanted(schema: Any, path: KeyPath) -> Wanted | None:
    """The type at a path; `_BY_TAGS` if there is a union of classes on the way."""
    found: Any = schema
    opaque = is_opaque(schema)
    for part in path:
        if len(members(found, written=True)) > 1:
            return _BY_TAGS
        below = written_children(found, part)
        if not below:
            return None
        found = below[0]
        opaque = opaque or is_opaque(found)
    return Wanted(found, opaque)


def _by_tags(schema: Any, path: KeyPath, data: Any) -> Wanted | None:
    found: Sequence[Any] = (schema,)
    opaque = is_opaque(schema)
    for length, part in enumerate(path):
        table = value_at(data, path[:length])
        kinds = (kind for each in found for kind in members(each, written=True))
        left = [kind for kind in kinds if not is_ruled_out(kind, (table,) if isinstance(table, dict) else ())]
        found = [below for kind in left for below in written_children(kind, part)]
        opaque = opaque or any(map(is_opaque, found))
    if not found:
        return None
    try:
        return Wanted(found[0] if len(found) == 1 else Union[tuple(found)], opaque)  # noqa: UP007 - of a tuple
    except TypeError:  # up to 3.11, raised for metadata of `Annotated` that can't be hashed
        return None


def _messages(error: Unresolved, schema: Any, path: KeyPath) -> Iterator[str]:
    """What to say of a text; a name that is written unlike a variable's may be part of a password."""
    for message in error.messages:
        unlike = [name for name in error.names if not name.isupper() and name in message.split(" ")]
        yield (
            "has a reference to an environment variable that is not set"
            if unlike and is_secret_at(schema, path)
            else message
        )


def _take(data: dict[str, Any], path: KeyPath) -> KeyPath:
    """Remove the value at a path, or the list that it is an item of: other items would move up. Returns its path."""
    around = (index for index in range(len(path)) if isinstance(value_at(data, path[:index]), list))
    length = next(around, len(path))
    table = value_at(data, path[: length - 1])
    if isinstance(table, dict):
        table.pop(path[length - 1], None)
    return path[:length]


def _copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copied(item) if isinstance(item, dict | list) else item for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value
