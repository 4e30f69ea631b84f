"""What loading gives: what was read, and a validated configuration that has no version yet."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any, Generic, TypeVar

from confcast.config.hidden import hidden_edits
from confcast.config.merge import Merged
from confcast.config.sources.formats.common import KeyPath
from confcast.config.sources.layer import Layer, fingerprint_of, value_at
from confcast.config.validation.annotations import keys_of, members, written_children

T = TypeVar("T")

_ABSENT = object()


def combined(fingerprints: list[bytes]) -> bytes:
    """One fingerprint, 16 bytes, for those of several sources."""
    return fingerprint_of(b"".join(fingerprints))


class Reading:
    """What every source gave at one time; nothing is validated yet.

    Attributes:
        layers: One for each source, low to high.
        fingerprint: 16 bytes that are equal if what was read is.
    """

    def __init__(self, layers: list[Layer]) -> None:
        self.layers = tuple(layers)
        self.fingerprint = combined([layer.fingerprint for layer in layers])


class Candidate(Generic[T]):
    """A loaded and validated configuration that has no version yet.

    Attributes:
        config: The instance of the schema.
        payload: Its bytes, as they travel to the workers.
        digest: 16 bytes that are equal if the payload is.
        fingerprint: That of the reading it was made from.
    """

    def __init__(self, schema: type[T], config: T, payload: bytes, digest: bytes, source: tuple[Merged, bytes]) -> None:
        self.config, self.payload, self.digest = config, payload, digest
        self._schema = schema
        self._merged, self.fingerprint = source

    def __repr__(self) -> str:
        return f"<Candidate of {self._schema.__qualname__}>"  # a short secret can be guessed from an unkeyed digest

    def origin_of(self, key: str) -> str:
        """Where the value of a key comes from.

        Args:
            key: Dotted, by the names of attributes or those used in files; items of lists by index: `servers.0.host`.

        Returns:
            `app.yaml:4:20`, `environment variable APP_MEMORY__TOTAL`, `override`, or `default`.

        Raises:
            KeyError: The schema has no such key.
        """
        path: KeyPath = ()
        hints: tuple[Any, ...] = (self._schema,)
        data: Any = self._merged.data
        for name in key.split("."):
            kinds = [kind for hint in hints for kind in members(hint, written=True)]
            part = self._part(kinds, data, name, key)
            path = (*path, part)
            hints = tuple(hint for kind in kinds for hint in written_children(kind, part))
            data = value_at(data, (part,), _ABSENT)
        return "default" if self._merged.origin(path) is None else self._merged.where(path)

    def hidden_edits_since(self, before: Candidate[T]) -> list[str]:
        """What was edited since an earlier load of the same sources, and is hidden by a higher one; never a value."""
        return hidden_edits(self._schema, before._merged, self._merged)

    def _part(self, kinds: list[Any], data: Any, name: str, key: str) -> Any:
        """The key or the index in the data that a part of a dotted key means."""
        if isinstance(data, list) and name.isdecimal() and int(name) < len(data):
            return int(name)
        tables = [keys for kind in kinds if (keys := keys_of(kind)) is not None]
        fields = [(keys, keys.names.get(name, name)) for keys in tables]  # a key may be the name of another field
        spellings = [each for keys, field in fields for each, its in keys.names.items() if its == field]
        present = [each for each in data if str(each) == name or each in spellings] if isinstance(data, dict) else []
        if present or spellings:
            return (present or spellings)[0]
        close = get_close_matches(name, [each for keys in tables for each in keys.names], n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise KeyError(f"{self._schema.__qualname__} has no key {key!r}: nothing is called {name!r} there{hint}")
