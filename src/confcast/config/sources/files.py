"""Reads the files of a folder as a source: `conf.d/*.toml`, each file a layer of its own.

Guaranteed: the files are those that were there at one moment, whole, in the order of their names; one that can't be
read, or is broken, refuses all of them and is named; a folder without such a file is an error, never a configuration of
defaults, unless `allow_empty=True`. Files may come and go.

The folder is watched, so that a file counts from the moment at which it is there. Names that begin with a dot, and the
copies that editors and package managers leave beside a file, are no files of the pattern, whatever the pattern is;
folders are none either. A link that leads nowhere is a file that can't be read.

Rejected: wildcards in the names of folders (a new folder would have to be found and watched as well: name a `Files` for
each), `**` for the same reason, and an order by time or by number (`9-x` comes after `10-x`, as for the shell and for
systemd: write `09-x`).
"""

from __future__ import annotations

import fnmatch
import functools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from confcast.config.sources import disk
from confcast.config.sources.file import File, Format
from confcast.config.sources.file_reads import FileReads, Named, ignore, is_called
from confcast.config.sources.layer import Layer, Layers, PartsRefused, combined, fingerprint_of
from confcast.errors import ConfigError, Problem

MOST = 10_000
"""How many files of one folder are read; the watcher looks at no more either."""

_WILD = re.compile(r"[*?\[]")
_LEFT_BEHIND = re.compile(r"[.#].*|.*~|.*\.(?:bak|orig|rej|save|swp|swo|tmp|(?:dpkg|ucf)-\w+|rpm(?:save|new|orig))")


class _Entry(NamedTuple):
    """A file of the folder: its name, and its path."""

    name: str
    path: str


class _Options(msgspec.Struct, frozen=True, kw_only=True):
    format: Format | None = None
    allow_empty: bool = False
    shown: str = ""


class Files(_Options, frozen=True):
    """The files of one folder whose names match a pattern, in the order of their names: a later file is the higher one.

        ConfigLoader(Settings, "app.toml", Files("conf.d/*.toml"))

    Args:
        pattern: A folder and a pattern of names in it: `*`, `?` and `[…]` as in a shell. Made absolute at once.
        format: As of a `File`, for all of them; if not given, the suffix of each says which.
        allow_empty: Whether nothing may be set: no file that matches, or a file that is empty.

    Attributes:
        shown: The pattern as it was given, which is how messages name the source.

    Raises:
        ValueError: The pattern has no wildcard, or has one in the name of a folder.
    """

    pattern: str

    if TYPE_CHECKING:
        # A Struct that is sent to another process has its pattern as a str; callers may give a Path.
        def __init__(
            self,
            pattern: str | os.PathLike[str],
            *,
            format: Format | None = None,  # noqa: A002
            allow_empty: bool = False,
            shown: str = "",
        ) -> None: ...

    def __post_init__(self) -> None:
        given = os.fspath(self.pattern)
        if not isinstance(given, str):
            raise TypeError(f"a pattern has to be a str or a Path, not {type(given).__name__}")
        folder, name = os.path.split(given)
        if _WILD.search(folder) and not self.shown:
            raise ValueError(f"{given}: a wildcard can stand in the name of a file only: give a Files for each folder")
        if not _WILD.search(name):
            raise ValueError(f"{given}: has no wildcard: give a pattern such as 'conf.d/*.toml', or a File")
        if self.format is not None:
            File(given, format=self.format)  # raises where there is no such format
        if not self.shown:
            msgspec.structs.force_setattr(self, "shown", given)
        msgspec.structs.force_setattr(self, "pattern", str(Path(given).absolute()))

    def read(self) -> Layer:
        """Read and parse every file. May wait a quarter of a second for a process that writes one.

        Raises:
            ConfigError: The folder is not there or has no such file, or files can't be read; with every problem.
        """
        return self._read_by(FileReads(ignore))

    def _read_by(self, reads: FileReads) -> Layer:
        """What the files give, read in this way. Raises ConfigError as `read` does."""
        entries: list[_Entry] = []

        def read_all() -> Layer:
            entries[:] = self._entries(reads.given)
            return self._layers(entries, reads)

        try:
            paths = (self._folder, *(Path(each.path) for each in self._entries(reads.given)))
            return disk.at_one_moment(paths, read_all)
        except disk.StillChanging as error:
            raise self._error(f"the files {error}") from None

    def _layers(self, entries: list[_Entry], reads: FileReads) -> Layer:
        layers, errors = list[Layer](), list[ConfigError]()
        for name, path in entries:
            try:
                layers.append(self._file(name, path)._read_by(reads))
            except ValueError as error:
                errors.append(ConfigError([Problem("", str(error))]))
            except ConfigError as error:
                errors.append(error)
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise PartsRefused(errors)
        return Layers(self.shown, layers, self._fingerprint([each.fingerprint for each in layers], entries))

    def _file(self, name: str, path: str) -> File:
        """The file of this name. Raises ValueError if its suffix says no format."""
        shown = str(Path(self.shown).parent / name)
        return File(path, format=self.format, allow_empty=self.allow_empty, shown=shown)

    def content_fingerprint(self) -> bytes:
        """The fingerprint that `read()` would return, without parsing the files. Never raises.

        A folder that is missing, or has no such file, and files that can't be read have fingerprints of their own.
        """
        try:
            entries = self._entries()
        except ConfigError as error:
            return fingerprint_of(f"confcast: {error}".encode(errors="surrogateescape"))
        return self._fingerprint([disk.fingerprint_now(each.path) for each in entries], entries)

    def watched(self) -> tuple[Path, ...]:
        """The folder, which stands for every file in it."""
        return (self._folder,)

    def still_being_written(self) -> tuple[Path, ...]:
        """The files that a process has open for writing, as far as leases show. Never raises."""
        return tuple(Path(path) for path in self._paths() if disk.is_being_written(path))

    def _paths(self) -> tuple[str, ...]:
        """The paths of the present files, in their order; none if there is no folder."""
        try:
            return tuple(each.path for each in self._entries())
        except ConfigError:
            return ()

    def _paths_called(self, name: str) -> tuple[str, ...]:
        """The paths of the present files that a person means by this name."""
        return tuple(path for path in self._paths() if is_called(path, name))

    def _paths_to_come(self, name: str) -> tuple[str, ...]:
        """The path of a file that is not there, if this name means the folder and matches the pattern."""
        path, folder = Path(name), str(self._folder)
        there = Path(folder, path.name)
        is_of_folder = str(path.parent) not in ("", ".") and is_called(folder, str(path.parent))
        return (str(there),) if is_of_folder and self._matches(path.name) and not there.exists() else ()

    def _named(self, given: Mapping[str, bytes] | None = None, within: Named | None = None) -> Named:
        """Nothing: the files name no others."""
        return Named()

    def _text_called(
        self, shown: str, given: Mapping[str, bytes] | None = None, within: Named | None = None
    ) -> bytes | None:
        """The content of the file that messages call so; None if it can't be had.

        Contents that are `given`, by path, stand in the place of those that the files have.
        """
        name = Path(shown).name
        if not self._matches(name) or shown != str(Path(self.shown).parent / name):
            return None
        try:
            return FileReads(ignore, given).own(str(self._folder / name))
        except (OSError, disk.NotReadable):
            return None

    @property
    def _folder(self) -> Path:
        return _split(self.pattern)[0]

    def _matches(self, name: str) -> bool:
        return _split(self.pattern)[1].fullmatch(name) is not None and _LEFT_BEHIND.fullmatch(name) is None

    def _entries(self, given: Mapping[str, bytes] | None = None) -> list[_Entry]:
        """The files of now, by name, and those that are given. Raises ConfigError."""
        folder = self._folder
        found = {Path(path).name: path for path in given or () if Path(path).parent == folder}
        inner = ""
        try:
            with os.scandir(folder) as entries:
                for each in entries:
                    if self._matches(each.name):
                        if _is_folder(each):
                            inner = f": {each.name} is a directory"
                        else:
                            found[each.name] = each.path
        except FileNotFoundError:
            raise self._error(f"there is no such folder: {folder}", "file_not_found") from None
        except NotADirectoryError:
            raise self._error(f"{folder} is no folder") from None
        except OSError as error:
            raise self._error(f"the folder {folder} can't be read: {error.strerror}", "io_error") from None
        if not found and not self.allow_empty:
            raise self._error(f"no file in {folder} matches{inner} (allow_empty=True accepts that)", "file_not_found")
        if len(found) > MOST:
            raise self._error(f"more than {MOST} files match")
        return [_Entry(name, found[name]) for name in sorted(found)]

    def _fingerprint(self, contents: list[bytes], entries: list[_Entry]) -> bytes:
        names = "\0".join(each.name for each in entries).encode(errors="surrogateescape")
        return combined([fingerprint_of(names), *contents])

    def _error(self, message: str, reason: str = "validation_failed") -> ConfigError:
        return ConfigError([Problem("", message, self.shown)], reason)


@functools.lru_cache(maxsize=64)
def _split(pattern: str) -> tuple[Path, re.Pattern[str]]:
    """The folder of a pattern, and the expression for its names; made once for all loads."""
    path = Path(pattern)
    return path.parent, re.compile(fnmatch.translate(path.name))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links: reading it says so
        return False
