"""Reads the files that one read of a source needs beyond its own: included files, and those of references.

Guaranteed: each file is noted with the content that was read, or that it could not be read, before anything can be
raised about it; in one read, one path has one content, however often it is named; what `together` gives is of files
that were all so at one moment. Contents that are given stand in the place of those that the files have (a dry run), and
are noted as well: their files are files of the source. A text that somebody else has given may be held to what the
source names by itself (`within`): the owner may read files, and has variables, that are none of that person's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

from confcast.config.sources import disk
from confcast.config.sources.layer import fingerprint_of
from confcast.errors import ConfigError

T = TypeVar("T")

Note = Callable[[Path, bytes], None]
"""Called with a file and the fingerprint of its content."""

UNNAMED = (
    "is not named by the sources now: a text that is given for a dry run leads to nothing else, unless the config "
    "owner's own user asks"
)
"""The predicate of a sentence about a file or a variable that is not within what a read may name."""

_POLL = 0.005
_NOTHING = os.stat_result((0,) * 10)


class Named(NamedTuple):
    """What a read has named beyond the files of its source.

    Attributes:
        paths: The paths of files.
        variables: The names of environment variables.
    """

    paths: Collection[str] = ()
    variables: Collection[str] = ()


class FileReads:
    """The files of one read of one source.

    Args:
        note: Called once for each file that is read.
        given: Contents by path, which stand in the place of what the files have.
        within: What may be named, beside what is given; None: anything.

    Attributes:
        given: As given.
        within: As given.
        variables: The names of the variables that were asked for.
    """

    def __init__(self, note: Note, given: Mapping[str, bytes] | None = None, *, within: Named | None = None) -> None:
        self._note = note
        self.within = within
        self.variables: set[str] = set()
        self._known: dict[str, tuple[bytes, os.stat_result]] = {}
        self._files = disk.OneWait()
        self._seen: dict[str, tuple[int, ...] | None] | None = None  # kept by `together` alone
        self.given: Mapping[str, bytes] = given or {}

    def together(self, read: Callable[[], T]) -> T:
        """The result of a `read()` by the end of which none of its files has changed since it was read.

        Which files those are shows only while they are read, so `disk.at_one_moment` can't be asked for this. Calls
        `read()` again for `disk.WRITER_GRACE` seconds.

        Raises:
            StillChanging: The files changed during every call.
        """
        deadline = time.monotonic() + disk.WRITER_GRACE
        while True:
            expired = time.monotonic() >= deadline
            self._known.clear()
            self._seen = {}
            try:
                found = read()
            except ConfigError:
                if expired or self._rest():
                    raise
            else:
                if self._rest():
                    return found
                if expired:
                    raise disk.StillChanging("change while they are read")
            time.sleep(_POLL)

    def own(self, path: str) -> bytes:
        """The content of a file that the source itself watches, so that it is not noted. Raises as `other` does."""
        return self._read(path)[0]

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
        if self.within is not None and path not in self.within.paths and path not in self.given:
            self._note(Path(path), b"")  # without a look at it: whether it is there is not told, either
            raise disk.NotReadable(UNNAMED)
        if path not in self._known:
            try:
                self._known[path] = self._read(path)
            except (OSError, ValueError, disk.NotReadable):
                self._note(Path(path), disk.fingerprint_now(path))
                raise
            self._note(Path(path), fingerprint_of(self._known[path][0]))
        return self._known[path]

    def variable(self, name: str) -> str | None:
        """An environment variable; None if it is not set. Raises NotReadable: it may not be named."""
        self.variables.add(name)
        if self.within is not None and name not in self.within.variables:
            raise disk.NotReadable(UNNAMED)
        return os.environ.get(name)

    def _read(self, path: str) -> tuple[bytes, os.stat_result]:
        given = self.given.get(path)
        if given is not None:
            return given, _NOTHING
        if self._seen is None:
            return self._files.read_with_stat(path)
        self._seen[path] = disk.identity(Path(path))
        content, found = self._files.read_with_stat(path)
        self._seen[path] = disk.stat_fields(found)
        return content, found

    def _rest(self) -> bool:
        """Whether each file is what it was when it was read; one file alone is."""
        seen = self._seen or {}
        return len(seen) < 2 or all(disk.identity(Path(path)) == before for path, before in seen.items())


def is_called(path: str, name: str) -> bool:
    """Whether a person means a file by this name: its path, or the end of its path."""
    return name == path or path.endswith(f"/{name.removeprefix('./')}")


def ignore(path: Path, fingerprint: bytes) -> None:
    """Note nothing: for a read whose files nobody watches."""
