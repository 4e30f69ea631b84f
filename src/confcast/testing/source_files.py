"""The files of a test's configuration: copies in a folder of its own, so that no test changes a file that is deployed.

Messages name a copied file as its source does. Sources of other kinds stay as they are.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from confcast.config.loader import ConfigLoader
from confcast.config.sources.file import File
from confcast.config.sources.layer import Source
from confcast.errors import ConfcastError


class SourceFiles:
    """The copies.

    Args:
        folder: Where they are made.
        texts: By name, what stands in a file at first, in place of what the source's file has; also of files that are
            no sources.

    Raises:
        ConfcastError: A file is not there, and has no text.
    """

    def __init__(self, folder: Path, texts: Mapping[str, str]) -> None:
        self._folder = folder
        self._texts = dict(texts)
        self._paths: dict[str, Path] = {}
        for name in texts:
            self.write_new(name)

    def in_place_of(self, loader: ConfigLoader[Any]) -> ConfigLoader[Any]:
        """The same loader, reading copies."""
        return loader._with_sources([self._copied(each) for each in loader.sources])

    def path(self, name: str | os.PathLike[str]) -> Path:
        """Where the copy of this file is. Raises ConfcastError: there is none."""
        wanted = os.fspath(name)
        ends = [path for known, path in self._paths.items() if Path(known).name == wanted]
        if wanted not in self._paths and len(ends) != 1:
            known = ", ".join(map(repr, self._paths)) or "none"
            raise ConfcastError(f"{wanted!r} is no file of this application's configuration; these are: {known}")
        return self._paths.get(wanted) or ends[0]

    def write(self, name: str | os.PathLike[str], text: str) -> None:
        """Replace a file's text, whole. Raises ConfcastError."""
        path = self.path(name)
        written = path.with_name(f".{path.name}.new")
        written.write_text(text, encoding="utf-8")
        written.replace(path)

    def write_new(self, name: str) -> None:
        """Make the file that has a text."""
        path = self._room_for(name)
        path.write_text(self._texts[name], encoding="utf-8")

    def _copied(self, source: Source) -> Source:
        if not isinstance(source, File):
            return source
        if source.shown in self._paths:
            return self._at(source, self._paths[source.shown])
        path = self._room_for(source.shown)
        if Path(source.path).exists():
            shutil.copy(source.path, path)
        elif not source.optional:
            raise ConfcastError(
                f"{source.shown}: there is no such file: {source.path}. Give its text, "
                f"files={{{source.shown!r}: …}}, or run the tests where it is"
            )
        return self._at(source, path)

    def _room_for(self, name: str) -> Path:
        path = self._folder / str(len(self._paths)) / Path(name).name
        path.parent.mkdir(parents=True)
        self._paths[name] = path
        return path

    def _at(self, source: File, path: Path) -> File:
        return msgspec.structs.replace(source, path=str(path))
