"""The files of a test's configuration: copies in a folder of its own, so that no test changes a file that is deployed.

Messages name a copied file as its source does. The files of a folder are copied as well, and those that a file names by
relative paths, each to where its copy names it. Sources of other kinds stay as they are.
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
from confcast.config.sources.files import Files
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
        if isinstance(source, Files):
            return self._folder_copied(source)
        if not isinstance(source, File):
            return source
        copy = self._file_copied(source)
        self._copy_named(source, copy)
        return copy

    def _folder_copied(self, source: Files) -> Files:
        """The files of a folder, in a folder of their own; given texts in the place of theirs, or beside them."""
        room = self._folder / str(len(self._paths)) / Path(source.pattern).parent.name
        room.mkdir(parents=True)
        around = Path(source.shown).parent
        for path in source._paths():
            self._put(str(around / Path(path).name), Path(path), room / Path(path).name)
        for name in self._texts:
            if source._paths_called(name) or source._paths_to_come(name):
                self._put(name, self._paths[name], room / Path(name).name)
        return msgspec.structs.replace(source, pattern=str(room / Path(source.pattern).name))

    def _copy_named(self, source: File, copy: File) -> None:
        """Put the files that a file names by relative paths beside its copy, or the texts that are given for them."""
        here, there = Path(source.shown).parent, Path(copy.path).parent
        missing = True
        while missing:
            missing = False
            for path in [Path(each) for each in copy._named().paths if not Path(each).exists()]:
                inner = os.path.relpath(path, there)
                name = str(here / inner)
                origin = self._paths.get(name, Path(source.path).parent / inner)
                if origin.is_file():
                    self._put(name, origin, path)
                    missing = True

    def _put(self, name: str, origin: Path, path: Path) -> None:
        """Have a file there, which a test calls by this name; a text that was given for it stays."""
        path.parent.mkdir(parents=True, exist_ok=True)
        origin = self._paths.get(name, origin)
        if origin != path:
            shutil.copyfile(origin, path)
        self._paths[name] = path

    def _file_copied(self, source: File) -> File:
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
