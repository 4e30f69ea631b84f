"""Reads the files that one read of a source needs beyond its own: included files, and those of references.

Guaranteed: each file is noted with the content that was read, or that it could not be read, before anything can be
raised about it; in one read, one path has one content, however often it is named. Contents that are given stand in the
place of those that the files have (a dry run), and are noted as well: their files are files of the source.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from confcast.config.sources import disk
from confcast.config.sources.layer import fingerprint_of

Note = Callable[[Path, bytes], None]
"""Called with a file and the fingerprint of its content."""

_NOTHING = os.stat_result((0,) * 10)


class FileReads:
    """The files of one read of one source.

    Args:
        note: Called once for each file that is read.
        given: Contents by path, which stand in the place of what the files have.

    Attributes:
        given: As given.
    """

    def __init__(self, note: Note, given: Mapping[str, bytes] | None = None) -> None:
        self._note = note
        self._known: dict[str, tuple[bytes, os.stat_result]] = {}
        self.given: Mapping[str, bytes] = given or {}

    def own(self, path: str) -> bytes:
        """The content of a file that the source itself watches, so that it is not noted. Raises as `other` does."""
        return self.given[path] if path in self.given else disk.read_whole(path)

    def other(self, path: str) -> bytes:
        """The whole content of a file; may wait a quarter of a second for a process that writes it.

        Raises:
            OSError: The file can't be opened or read.
            ValueError: The path has a null byte in it.
            NotReadable: The path leads to no file, or to one that is too large or still written to.
        """
        return self.with_stat(path)[0]

    def with_stat(self, path: str) -> tuple[bytes, os.stat_result]:
        """The same, with what the system says of the file; of a content that was given, nothing."""
        if path not in self._known:
            try:
                given = self.given.get(path)
                self._known[path] = disk.read_with_stat(path) if given is None else (given, _NOTHING)
            except (OSError, ValueError, disk.NotReadable):
                self._note(Path(path), disk.fingerprint_now(path))
                raise
            self._note(Path(path), fingerprint_of(self._known[path][0]))
        return self._known[path]


def is_called(path: str, name: str) -> bool:
    """Whether a person means a file by this name: its path, or the end of its path."""
    return name == path or path.endswith(f"/{name.removeprefix('./')}")


def ignore(path: Path, fingerprint: bytes) -> None:
    """Note nothing: for a read whose files nobody watches."""
