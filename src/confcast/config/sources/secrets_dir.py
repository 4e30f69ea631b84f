"""Reads a folder as a source, each file of which holds one value: as Docker, Kubernetes and systemd give secrets.

Guarantees: all files are read at one moment, so that a swap of the folder's content (Kubernetes renames the link
`..data`) is never seen half-way, and one swap is one change. Names that begin with a dot are no values. A link that
leads out of the folder is refused, since who may write to the folder is not to choose which file of the system is
read; links within the folder are what Kubernetes makes. Every value counts as a secret, whatever type the schema gives
it. What is wrong with a file only matters if the schema has a key of its name.

Which key a name means, and what a text means, is `named_texts.py`'s; how one file is read, `secret_file.py`'s.

Rejected: opening the folder once and reading relative to it (systemd replaces the folder of a unit at a restart), and
folders in the folder as tables (Kubernetes' own are hidden, and Docker has none: `database__password` says the same).
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from confcast.config.sources import disk
from confcast.config.sources.layer import Layer, Place, fingerprint_of
from confcast.config.sources.named_texts import Lists, NamedTexts, Naming, Text, Unknown, check_naming, names_as_dict
from confcast.config.sources.secret_file import SecretFile, can_enter, read_secret
from confcast.errors import ConfigError, Problem

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})(?=/|\Z)")
_OF_SYSTEMD = "CREDENTIALS_DIRECTORY"
_OUTSIDE = "is a link that leads out of the folder: a secret has to lie in it"
_MOST_LINKS = 40  # as the kernel follows
_POLL = 0.005


class _Options(msgspec.Struct, frozen=True, kw_only=True):
    prefix: str = ""
    names: dict[str, str] = {}
    lists: Lists = "json"
    unknown: Unknown | None = None
    optional: bool = False
    allow_empty: bool = False
    shown: str = ""


class SecretsDir(_Options, frozen=True):
    """A folder in which each file is a value: its name says the key, its content is the text.

        SecretsDir("/run/secrets", names={"db_password": "database.password"})
        SecretsDir("$CREDENTIALS_DIRECTORY")

    The file `database__password` sets `password` in the table `database`; the rules for names and texts are those of
    `Environment`. One newline at a file's end is no part of the value. Values are masked in every output, whatever
    their type. The folder is watched, files that come later, too.

    Args:
        path: The folder. Made absolute at once, so that a later `chdir` changes nothing. It may begin with a variable,
            which the config owner reads at each load: `$CREDENTIALS_DIRECTORY` is where systemd puts the credentials
            of a unit (`LoadCredential=`).
        prefix: With what the names of the application's files begin, in any case; others are not read.
        names: For other names, the key that each sets, as messages write keys. They are found as they are written
            here, in this case only.
        lists: How a list is written: as JSON, or with commas, too (`Environment` says how).
        unknown: A file that the schema has no key for refuses the configuration (`refuse`), or is logged and ignored
            (`warn`). If not given: `refuse` with a prefix, which says whose the files are, and `warn` without one,
            since a folder such as `/run/secrets` may hold other programs' secrets as well.
        optional: Whether the folder may be missing; a missing folder sets no key.
        allow_empty: Whether the folder may be without files.

    Attributes:
        shown: The path as it was given, which is how messages name the folder.

    Raises:
        ValueError: The path is empty, `lists` or `unknown` is another word, or a key of `names` can't be one.
        TypeError: The path, the prefix, a name or its key is no text.
    """

    path: str

    if TYPE_CHECKING:
        # A Struct that is sent to another process has its path as a str; callers may give a Path.
        def __init__(
            self,
            path: str | os.PathLike[str],
            *,
            prefix: str = "",
            names: Mapping[str, str] = {},
            lists: Lists = "json",
            unknown: Unknown | None = None,
            optional: bool = False,
            allow_empty: bool = False,
            shown: str = "",
        ) -> None: ...

    def __post_init__(self) -> None:
        given = disk.checked_path(self.path)
        msgspec.structs.force_setattr(self, "shown", self.shown or given)
        if not _VARIABLE.match(given):
            msgspec.structs.force_setattr(self, "path", str(Path(given).absolute()))
        msgspec.structs.force_setattr(self, "names", names_as_dict(self.names))
        check_naming(self.prefix, self.names, self.lists, self.unknown)

    def read(self) -> Layer:
        """Read all files at one moment; the schema is applied later. May wait a quarter of a second for a writer.

        Raises:
            ConfigError: The folder can't be read.
        """
        folder = self._folder()
        if folder is None:
            if self.optional:
                return Layer(self.shown, {}, disk.MISSING)
            name = self.path.split("/")[0]
            text = f"there is no environment variable {name.strip('${}')}"
            raise self._error(f"{text} (systemd sets it for a unit with LoadCredential=)", "file_not_found")
        try:
            files = self._read_together(folder)
        except FileNotFoundError:
            if self.optional:
                return Layer(self.shown, {}, disk.MISSING)
            there = "" if self.shown == folder else f": {folder}"
            raise self._error(f"there is no such folder{there}", "file_not_found") from None
        except NotADirectoryError:
            raise self._error("is no folder: each file in a folder is a value") from None
        except OSError as error:
            raise self._error(f"can't be read: {error.strerror}", "io_error") from None
        except disk.StillChanging as error:
            raise self._error(str(error)) from None
        return self._layer_of(folder, files)

    def content_fingerprint(self) -> bytes:
        """The fingerprint that `read()` would return. Never raises; any thread may call it."""
        folder = self._folder()
        if folder is None:
            return disk.MISSING
        try:
            links = _Links(folder)
            return _fingerprint((_name(path), links.fingerprint_now(path)) for path in self._files(folder))
        except FileNotFoundError:
            return disk.MISSING
        except OSError as error:
            return fingerprint_of(f"confcast: {type(error).__name__}: {error}".encode(errors="surrogatepass"))

    def watched(self) -> tuple[Path, ...]:
        """The folder, which stands for all that is in it; nothing as long as the variable that names it is not set."""
        folder = self._folder()
        return () if folder is None else (disk.as_path(folder),)

    def still_being_written(self) -> bool:
        """Whether a process has one of the files open for writing, as far as leases show. Never raises."""
        folder = self._folder()
        try:
            return folder is not None and any(map(disk.is_being_written, self._files(folder)))
        except OSError:
            return False

    def _folder(self) -> str | None:
        """The path of the folder now; None if the variable that names it is not set."""
        named = _VARIABLE.match(self.path)
        if named is None:
            return self.path
        value = os.environ.get(named[1] or named[2])
        return str(Path(value + self.path[named.end() :]).absolute()) if value else None

    def _read_together(self, folder: str) -> list[SecretFile]:
        """Every file at a moment at which none changes. Raises OSError and StillChanging."""
        deadline = time.monotonic() + disk.WRITER_GRACE
        while True:
            links = _Links(folder)
            files = [links.file_at(path, self._shown(path)) for path in self._files(folder)]
            if links.have_stayed():
                return files
            if time.monotonic() >= deadline:
                raise disk.StillChanging("changes while it is read")
            time.sleep(_POLL)

    def _files(self, folder: str) -> list[str]:
        """The paths of the files that may be the application's. Raises OSError."""
        prefix = self.prefix.upper()
        return [
            f"{folder}/{name}"
            for name in sorted(os.listdir(folder))  # noqa: PTH208
            if not name.startswith(".") and (name.upper().startswith(prefix) or name in self.names)
        ]

    def _shown(self, path: str) -> str:
        """A file's path as messages write it."""
        return f"{self.shown.rstrip('/')}/{_name(path)}"

    def _layer_of(self, folder: str, files: Sequence[SecretFile]) -> Layer:
        if not files and not self.allow_empty:
            raise self._error("is empty: there is no file in it (allow_empty=True accepts that)")
        # The rights in systemd's folder are those of an access list, whose mask the mode shows.
        if any(each.mode for each in files) and (folder == os.environ.get(_OF_SYSTEMD) or not can_enter(folder)):
            files = [each._replace(mode=0) for each in files]
        texts = [Text(_name(each.path), each.text, Place(each.path, each.path), each) for each in files]
        naming = Naming(self.prefix, self.names, self.lists, self._unknown, str.lower, "SecretsDir(names")
        found = _fingerprint((_name(each.path), each.fingerprint) for each in files)
        return NamedTexts(self.shown, texts, naming, found)

    @property
    def _unknown(self) -> Unknown:
        return self.unknown or ("refuse" if self.prefix else "warn")

    def _error(self, message: str, reason: str = "validation_failed") -> ConfigError:
        return ConfigError([Problem("", message, self.shown)], reason)


class _Links:
    """Reads the files of one folder, and follows links within it only. Each folder on the way is resolved once.

    Args:
        folder: The path of the folder.
    """

    def __init__(self, folder: str) -> None:
        self._known: dict[str, str] = {}
        self._files = disk.OneWait()
        self._seen: list[tuple[str, tuple[int, ...] | None]] = []
        self._root = self._resolved(folder)

    def file_at(self, path: str, shown: str) -> SecretFile:
        """Read one file, which messages name as `shown`. Never raises."""
        real = self._real(path)
        if real.startswith(f"{self._root}/"):
            return read_secret(real, shown, self._files.read_with_stat)
        return SecretFile(shown, "", _OUTSIDE, _fingerprint([(real, disk.MISSING)]))

    def fingerprint_now(self, path: str) -> bytes:
        """The fingerprint that `file_at` would return, as the file is now. Never raises."""
        real = self._real(path)
        inside = real.startswith(f"{self._root}/")
        return disk.fingerprint_now(real) if inside else _fingerprint([(real, disk.MISSING)])

    def _real(self, path: str) -> str:
        """The path without links; of a loop of links, one of them."""
        for _ in range(_MOST_LINKS):
            folder, _, name = path.rpartition("/")
            if name in ("", ".", ".."):
                return os.path.realpath(path)
            real = self._resolved(folder)
            path = f"{real}/{name}"
            try:
                target = os.readlink(path)  # noqa: PTH115 - of many files, at each load
            except OSError:  # no link, or nothing
                return path
            path = target if target.startswith("/") else f"{real}/{target}"
        return path

    def _resolved(self, folder: str) -> str:
        """The path of a folder without links; the first time, what its stat says of it is kept."""
        found = self._known.get(folder)
        if found is None:
            self._seen.append((folder, disk.identity(disk.as_path(folder))))
            found = self._known[folder] = os.path.realpath(folder)
        return found

    def have_stayed(self) -> bool:
        """Whether nothing was renamed in a folder that was on the way, nor the folder itself, since it was met first.

        A swap renames something in the folder of the secrets, or a link on the way to one: its folder then is another.
        """
        return all(disk.identity(disk.as_path(folder)) == before for folder, before in self._seen)


def _name(path: str) -> str:
    return path[path.rindex("/") + 1 :]


def _fingerprint(files: Iterable[tuple[str, bytes]]) -> bytes:
    """The fingerprint of files, by their names and the fingerprints of their contents."""
    return fingerprint_of(b"\0".join(os.fsencode(name) + b"\0" + content for name, content in files))
