"""Finds the files that the sources of a BaseSettings class name, and checks those that pydantic-settings would not.

pydantic-settings takes a file that is missing or empty for one that sets nothing, without a word, waits for ever for a
pipe, and reads half of what is being written. Here the first is said, and the others are refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from confcast.config.sources import disk
from confcast.config.sources.dotenv import NO_LINE, lines_in
from confcast.config.sources.dotenv_limits import check_blanks, check_references
from confcast.config.sources.formats.common import MAX_BYTES
from confcast.config.sources.layer import fingerprint_of
from confcast.errors import ConfigError, Problem

_MOST = 20  # sentences about lines of one file

Note = Callable[[Path, bytes], None]


class NamedFile(NamedTuple):
    """A file that a source names.

    Attributes:
        shown: Its name as the class gives it.
        places: Where it is looked for; the first of these that is a file is read.
    """

    shown: str
    places: tuple[Path, ...]

    @property
    def found(self) -> Path | None:
        """The file that is read; None if there is none."""
        return next((each for each in self.places if each.is_file()), None)


def env_files(config: Mapping[str, Any]) -> list[NamedFile]:
    """The .env files that a class names in its `model_config`."""
    return _env_files(config.get("env_file"), config.get("env_file_depth"))


def files_of(source: Any) -> list[NamedFile]:
    """The files that a source of pydantic-settings names; of another source those of its `watched()`, if it has one."""
    import pydantic_settings as library

    if isinstance(source, library.DotEnvSettingsSource):
        return _env_files(source.env_file, getattr(source, "env_file_depth", None))
    if isinstance(source, library.PyprojectTomlConfigSettingsSource):
        depth = source.settings_cls.model_config.get("pyproject_toml_depth", 0) or 0
        (shown,) = _each(source.toml_file_path)
        others = _upwards("pyproject.toml", depth) if depth else ()
        return [NamedFile(shown, tuple(dict.fromkeys((_absolute(shown), *others))))]
    for kind, name in (("Toml", "toml"), ("Yaml", "yaml"), ("Json", "json")):
        if isinstance(source, getattr(library, f"{kind}ConfigSettingsSource")):
            return [NamedFile(shown, (_absolute(shown),)) for shown in _each(getattr(source, f"{name}_file_path"))]
    watched = getattr(source, "watched", None)
    return [NamedFile(str(path), (_absolute(str(path)),)) for path in (watched() if callable(watched) else ())]


def folders_of(source: Any) -> list[Path]:
    """The directories of secrets that a source reads, by the names that the class gives them."""
    import pydantic_settings as library

    nested = getattr(library, "NestedSecretsSettingsSource", library.SecretsSettingsSource)
    if isinstance(source, library.SecretsSettingsSource | nested):
        return [Path(shown).expanduser() for shown in _each(source.secrets_dir)]
    return []


def note_file(file: NamedFile, note: Note) -> bytes | None:
    """Note every place where a file may be; its content, or None if there is none.

    Raises:
        ConfigError: The file can't be read, or not as a whole.
    """
    read = file.found
    for path in file.places:
        if path == read:
            break
        note(path, disk.fingerprint_now(path))
        if path.is_fifo():
            raise _unreadable(file.shown, "is a pipe (FIFO), which gives its content only once: use a file")
    return None if read is None else _content(file.shown, read, note)


def check_text(file: NamedFile, content: bytes | None, encoding: str | None) -> None:
    """Raise ConfigError, with line and column, if a content is no text, or too much, or the encoding is none."""
    try:
        text = (content or b"").decode(encoding or "utf-8")
    except LookupError:
        raise _unreadable(file.shown, f"env_file_encoding={encoding!r} is no encoding that Python knows") from None
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode(error.encoding).split("\n")
        name = error.encoding.upper()
        raise _unreadable(
            f"{file.shown}:{len(before)}:{len(before[-1]) + 1}", f"is not {name}: save it as {name}"
        ) from None
    if "$" in text:  # which pydantic-settings resolves
        check_references([*lines_in(text, file.shown)])
    else:
        check_blanks(text, file.shown)


def note_folder(folder: Path, note: Note) -> None:
    """Note a directory. Raises ConfigError if a file in it is too large."""
    note(folder.absolute(), disk.fingerprint_now(folder))
    if folder.is_dir():
        for entry in os.scandir(folder):
            if entry.is_file() and entry.stat().st_size > MAX_BYTES:
                raise _unreadable(entry.path, f"is larger than {MAX_BYTES // 1024**2} MiB")


def note_failed(path: str, note: Note) -> None:
    """Note a file that a source failed on, whose name was not known before."""
    if path:
        note(_absolute(path), disk.fingerprint_now(path))


def ignored(cls: Any, file: NamedFile, content: bytes | None) -> Iterator[str]:
    """A sentence if pydantic-settings ignores a file without a word: it is missing, empty, or a directory."""
    if content is None:
        there = [each for each in file.places if each.exists()]
        what = "does not exist" if not there else "is a directory" if there[0].is_dir() else "is no regular file"
    elif not content.strip():
        what = "is empty"
    else:
        return
    yield f"{cls.__qualname__} names the file {file.shown}, which {what}: it sets nothing"


def ignored_lines(file: NamedFile, content: bytes | None, encoding: str | None) -> Iterator[str]:
    """A sentence for each line of an .env file that pydantic-settings ignores, since it is none."""
    text = (content or b"").decode(encoding or "utf-8", errors="replace")
    wrong = [line.place.key for line in lines_in(text, file.shown) if line.is_wrong]
    yield from (f"{where}: {NO_LINE}: it is ignored" for where in wrong[:_MOST])


def _content(shown: str, path: Path, note: Note) -> bytes:
    try:
        content = disk.read_whole(path)
    except OSError as error:
        note(path, disk.fingerprint_now(path))
        raise _unreadable(shown, f"can't be read: {error.strerror}", "io_error") from None
    except disk.NotReadable as error:
        note(path, disk.fingerprint_now(path))
        raise _unreadable(shown, str(error)) from None
    note(path, fingerprint_of(content))
    return content


def _unreadable(shown: str, why: str, reason: str = "validation_failed") -> ConfigError:
    return ConfigError([Problem("", why, shown)], reason)


def _env_files(named: Any, depth: int | None) -> list[NamedFile]:
    return [NamedFile(shown, _upwards(shown, depth or 0)) for shown in _each(named)]


def _each(named: Any) -> Iterator[str]:
    """Each name of an option that is one file or several; what is no path (a resource in an archive) is left out."""
    several = named if isinstance(named, Sequence) and not isinstance(named, str) else [named]
    yield from (os.fspath(each) for each in several if isinstance(each, str | os.PathLike))


def _upwards(shown: str, depth: int) -> tuple[Path, ...]:
    first = _absolute(shown)
    above = Path.cwd().parents[:depth] if depth > 0 and not Path(shown).expanduser().is_absolute() else ()
    return (first, *(parent / shown for parent in above))


def _absolute(shown: str) -> Path:
    return Path(shown).expanduser().absolute()
