"""A user's own source of several files: the TOML fragments of a directory, later names over earlier ones."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from confcast.config.sources.layer import Layer


class Fragments(msgspec.Struct):
    """Every fragment that is there.

    Args:
        folder: Where; it need not be there.
        names_files: Watched are the fragments that there are now, else the directory.
    """

    folder: str
    names_files: bool = False

    def read(self) -> Layer:
        """All of them, one over the other."""
        data: dict[str, Any] = {}
        for file in self._files():
            data |= tomllib.loads(file.read_text())
        return Layer(self.folder, data)

    def watched(self) -> tuple[Path, ...]:
        """The directory, or the files that are in it now."""
        return self._files() if self.names_files else (Path(self.folder),)

    def _files(self) -> tuple[Path, ...]:
        return tuple(sorted(Path(self.folder).glob("*.toml")))


class Unlisted(Fragments):
    """Nothing says which there are."""

    def watched(self) -> tuple[Path, ...]:
        raise LookupError("the service that knows is away")
