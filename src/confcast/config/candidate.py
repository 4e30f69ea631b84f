"""The two results of loading: the layers that the sources gave, and a validated configuration without a version yet."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

from confcast.config.contents import Content, Contents
from confcast.config.hidden_edits import hidden_edits
from confcast.config.lookup import Lookup
from confcast.config.overrides import NONE, Overrides
from confcast.config.schema.key_path import KeyPath
from confcast.config.sources.layer import Layer, combined
from confcast.config.sources.merge import Merged

T = TypeVar("T")


class Reading:
    """The layers that all sources gave at one time, and what is set above them; nothing is validated yet.

    Args:
        layers: What each source gave, low to high.
        fingerprints: Of the content of each source; those of the layers if not given.

    Attributes:
        layers: Low to high; of a source that gave several, each.
        overrides: What was set at run time; a load marks what it leaves out.
        inherited: What of that was set before the present call, and may be left out.
        contents: What is known of the contents of `Watched` files; validation adds those that it finds.
        named: The files that the configuration names; None before it is validated.
        own: What the sources give by themselves, where their layers have texts that somebody gave who is not trusted
            with all that this process may read; None: these layers.
        fingerprint: 16 bytes; two readings of equal content of the sources, and of the files that were known before,
            have the same, whatever is set above them.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        overrides: Overrides = NONE,
        contents: Contents | None = None,
        inherited: Overrides = NONE,
        fingerprints: Sequence[bytes] | None = None,
    ) -> None:
        self.layers = tuple(part for layer in layers for part in layer.parts)
        self._sources = tuple(layer.fingerprint for layer in layers) if fingerprints is None else tuple(fingerprints)
        self.overrides, self.inherited = overrides, inherited
        self.contents: dict[Path, Content] = dict(contents or {})
        self.named: tuple[Path, ...] | None = None
        self.own: Reading | None = None
        self.fingerprint = self.fingerprint_with(tuple(self.contents))

    def fingerprint_with(self, files: tuple[Path, ...]) -> bytes:
        """The fingerprint of the sources' content and of these files, whose contents have been read."""
        return combined([*self._sources, *(self.contents[file].fingerprint for file in files)])

    def with_overrides(self, overrides: Overrides, inherited: Overrides = NONE) -> Reading:
        """The same layers of the sources, and contents of files, under other values that are set."""
        if overrides is self.overrides and inherited is self.inherited:
            return self
        found = Reading(self.layers, overrides, self.contents, inherited, self._sources)
        found.own = self.own
        return found

    def with_contents(self, contents: Contents) -> Reading:
        """The same layers and overrides, with these contents of files beside those that are known."""
        known = {**self.contents, **contents}
        return Reading(self.layers, self.overrides, known, fingerprints=self._sources)


class Candidate(Generic[T]):
    """A loaded and validated configuration that has no version yet.

    Attributes:
        config: The instance of the schema.
        payload: Its bytes, as they travel to the workers.
        digest: 16 bytes; equal payloads have the same.
        fingerprint: The fingerprint of the reading that it was made from.
    """

    def __init__(self, schema: type[T], config: T, payload: bytes, digest: bytes, source: tuple[Merged, bytes]) -> None:
        self.config, self.payload, self.digest = config, payload, digest
        self._schema = schema
        self._kept: tuple[KeyPath, ...] = ()  # where the data have what runs, and not what the sources give
        self._merged, self.fingerprint = source

    def __repr__(self) -> str:
        return f"<Candidate of {self._schema.__qualname__}>"  # no digest: a short secret can be guessed from it

    def origin_of(self, key: str) -> str:
        """Where the value of a key comes from.

        Args:
            key: A dotted path of attribute names or of keys as files have them, items of lists by index:
                `servers.0.host`. A key with dots or blanks is quoted, as messages do: `log_levels."app.payments"`.

        Returns:
            `app.yaml:4:20`, `environment variable APP_MEMORY__TOTAL`, `override`, `default`, or, for what was set at
            run time, `set by uid 1000 (confcast set), 2026-11-29 12:03`.

        Raises:
            KeyError: The schema has no such key.
        """
        return self._origin(self._lookup.find(key))

    def origin_around(self, key: str) -> str:
        """The place of a key's value, or else of the innermost existing table around it; empty if there is neither."""
        path = self._lookup.nearest(key)
        return self._origin(path) if path else ""

    @cached_property
    def _lookup(self) -> Lookup:
        return Lookup(self._schema, self._merged.data)

    def _origin(self, path: KeyPath) -> str:
        return "default" if self._merged.origin(path) is None else self._merged.where(path)

    def hidden_edits_since(self, before: Candidate[T]) -> list[str]:
        """A sentence, without values, for each edit since an earlier load of the sources that a higher source hides."""
        return hidden_edits(self._schema, before._merged, self._merged)
