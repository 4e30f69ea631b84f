"""What is published, checked as a host's loader would: with the file's content in the place of the fleet's.

With `--loader` all its sources are read here, the one that follows the key excepted; with `--schema` the content alone
has to be a configuration. Without either, only that it can be parsed is known. What is checked are the bytes that are
then published: the file is read once.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from confcast.cli.arguments import module_and_name
from confcast.config.import_loader import in_words, wrong
from confcast.config.loader import ConfigLoader
from confcast.config.sources import polled
from confcast.config.sources.file import Format, form_of
from confcast.errors import ConfigError

if TYPE_CHECKING:
    from confcast.config.candidate import Candidate
    from confcast.config.sources.layer import Layer

_FORMATS = ("toml", "json", "jsonc", "yaml", "ini")


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what a content is checked by."""
    by = parser.add_mutually_exclusive_group()
    by.add_argument(
        "--loader",
        type=module_and_name,
        metavar="MODULE:NAME",
        help="the hosts' ConfigLoader, or what gives it when it is called; its other sources are read here",
    )
    by.add_argument(
        "--schema",
        type=module_and_name,
        metavar="MODULE:NAME",
        help="the schema, if the content alone is to satisfy it",
    )
    parser.add_argument(
        "--format", choices=_FORMATS, help="the content's; default: what the loader's source or the file's suffix says"
    )


@dataclass(frozen=True)
class Given:
    """A source with a content that stands for that of a fleet.

    Attributes:
        content: The bytes.
        form: Their format.
        shown: How messages call it.
    """

    content: bytes = field(repr=False)
    form: Format
    shown: str

    def read(self) -> Layer:
        """Parse it. Raises ConfigError."""
        return polled.parsed(self.content, self.form, self.shown, allow_empty=False).given()

    def _text_called(self, shown: str) -> bytes | None:
        return self.content if shown == self.shown else None


class Checker:
    """Loads contents as hosts do.

    Args:
        options: Those of `add_to`.
        key: The key that is published to.

    Attributes:
        by: What contents are checked by, in words.

    Raises:
        ConfigError: The loader or the schema can't be imported, or the loader follows no such key.
    """

    def __init__(self, options: argparse.Namespace, key: str) -> None:
        self._form: Format | None = options.format
        self._loader: ConfigLoader[Any] | None = None
        self._place: set[int] = set()
        self.by = "its format only: give --loader or --schema to have it validated"
        with contextlib.redirect_stdout(sys.stderr):
            if options.schema:
                if str(Path.cwd()) not in sys.path:
                    sys.path.insert(0, str(Path.cwd()))
                self._loader = ConfigLoader(options.schema)
                with in_words("the schema can't be used"):
                    _ = self._loader.schema  # imports it
                self.by = options.schema
            elif options.loader:
                self._loader = ConfigLoader.find(options.loader)
                self._find(key, options.loader)
                self.by = options.loader

    @property
    def validates(self) -> bool:
        """Whether contents are checked by a schema."""
        return self._loader is not None

    @property
    def codec(self) -> Any:
        """The codec of the schema, which there has to be."""
        assert self._loader is not None
        return self._loader._codec

    def check(self, content: bytes, shown: str) -> Candidate[Any] | None:
        """What a host would make of it; None if only its format is known. Raises ConfigError, with excerpts."""
        given = self.given(content, shown)
        if self._loader is None:
            given.read()
            return None
        sources = list(self._loader.sources)
        if self._place:
            sources = [given if index in self._place else each for index, each in enumerate(sources)]
        loader = self._loader._with_sources(sources if self._place else [given])
        with contextlib.redirect_stdout(sys.stderr):
            try:
                with in_words("the schema or a source can't be used"):
                    reading = loader._read()
                with in_words("the schema can't be used", lambda text: loader._masked(text, reading)):
                    return loader._build(reading)
            except ConfigError as error:
                raise ConfigError(loader._with_excerpts(error.problems), error.reason) from None

    def given(self, content: bytes, shown: str) -> Given:
        """A content as a source."""
        return Given(content, self._form or form_of(shown) or "toml", shown)

    def _find(self, key: str, name: str) -> None:
        """Find the sources that follow the key: several are ways to the same content."""
        from confcast.fleet.sources import _Followed

        assert self._loader is not None
        followed = {at: each for at, each in enumerate(self._loader.sources) if isinstance(each, _Followed)}
        self._place = {at for at, each in followed.items() if each.key == key}
        if not self._place:
            others = ", ".join(sorted(each.key for each in followed.values())) or "none at all"
            raise wrong(f"{name} follows no key {key!r}, so hosts would not get it; it follows {others}")
        self._form = self._form or followed[min(self._place)].format
