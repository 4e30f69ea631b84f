"""A source that an application brings along: an INI file, which later sources override key by key, as a TOML file.

    loader = ConfigLoader("confcast.examples.recipes.own_source:Settings", Ini("app.ini"), Environment("APP_"))

    # app.ini
    name = search
    [memory]
    total = 512

A class with `read()` is a source. With `watched()`, a change is noticed at once, instead of within 30 seconds; with
positions, a message says `app.ini:3` instead of `app.ini`. All values are text: pydantic makes numbers from them.

Two rules hold for every source. A source that can't be read is an error and never an empty table, or a configuration
of defaults would be served. No message quotes the content, which may be a secret: `configparser`'s own messages do.
"""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import msgspec
from pydantic import BaseModel

from confcast import ConfigError, Layer, Problem

_TOP = "top"
_SECTION = re.compile(r"\[(.+)\]")
_KEY = re.compile(r"([^\s#;=:][^=:]*?)\s*[=:]")


class Memory(BaseModel, frozen=True):
    """A section of the file."""

    total: int = 256


class Settings(BaseModel, frozen=True):
    """The schema: keys before the file's first section are the fields at its top."""

    name: str = ""
    memory: Memory = Memory()


class Ini(msgspec.Struct, frozen=True):
    """An INI file as a source.

    Args:
        path: The file. Made absolute, so that a later `chdir` changes nothing.
    """

    path: str

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "path", str(Path(self.path).absolute()))

    def read(self) -> Layer:
        """Read the file, with its sections as tables. Raises ConfigError."""
        try:
            text = Path(self.path).read_text(encoding="utf-8")
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            raise self._error(f"can't be read: {error.strerror}", "file_not_found" if missing else "io_error") from None
        except UnicodeDecodeError:
            raise self._error("is not UTF-8") from None
        return Layer(self.path, self._parsed(text), places=lambda: self._places(text), has_lines=True)

    def watched(self) -> tuple[Path, ...]:
        """The paths whose changes reload: the file, whether it exists or not."""
        return (Path(self.path),)

    def _error(self, message: str, reason: str = "validation_failed", line: int = 0) -> ConfigError:
        return ConfigError([Problem("", message, f"{self.path}:{line}" if line else self.path)], reason)

    def _parsed(self, text: str) -> dict[str, object]:
        parser = configparser.ConfigParser(default_section="", interpolation=None)
        try:
            parser.read_string(f"[{_TOP}]\n{text}")
        except configparser.Error as error:
            lines = [getattr(error, "lineno", 0), *(line for line, _ in getattr(error, "errors", ()))]
            line = next(filter(None, lines), 1) - 1  # not counting the section's line that was added above
            raise self._error(f"is no INI file: {type(error).__name__}", line=line) from None
        tables: dict[str, object] = {name: dict(parser[name]) for name in parser.sections() if name != _TOP}
        if not tables and not parser[_TOP]:
            raise self._error("is empty: nothing is set in it")
        return {**parser[_TOP], **tables}

    def _places(self, text: str) -> dict[tuple[str, ...], str]:
        table: tuple[str, ...] = ()
        found: dict[tuple[str, ...], str] = {}
        for number, line in enumerate(text.splitlines(), 1):
            if (section := _SECTION.match(line)) is not None:
                table = (section[1],)
                found[table] = f"{self.path}:{number}"
            elif (key := _KEY.match(line)) is not None:
                found[*table, key[1].lower()] = f"{self.path}:{number}"  # in lower case, as configparser stores keys
        return found
