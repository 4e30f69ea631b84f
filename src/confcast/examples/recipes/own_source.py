"""A source that an application brings along: a file of Java properties, which later sources override key by key.

    loader = ConfigLoader("confcast.examples.recipes.own_source:Settings", Properties("app.properties"))

    # app.properties
    name = search
    total = 512

A class with `read()` is a source. With `watched()`, a change is noticed at once, instead of within 30 seconds; with
positions, a message says `app.properties:3` instead of `app.properties`. All values are text: pydantic makes numbers.

Two rules hold for every source. A source that can't be read is an error and never an empty table, or a configuration of
defaults would be served: what `read()` raises is one. No message quotes the content, which may be a secret.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from pydantic import BaseModel

from confcast import Layer


class Settings(BaseModel, frozen=True):
    """The schema."""

    name: str = ""
    total: int = 256


class Properties(msgspec.Struct, frozen=True):
    """A file of properties as a source. A line without `=` is an error; one that begins with `#` is a comment."""

    path: str

    def read(self) -> Layer:
        """Read the file. Raises OSError, UnicodeDecodeError, ValueError: the loader reports each."""
        lines = enumerate(Path(self.path).read_text("utf-8").splitlines(), 1)
        pairs = [(n, line.split("=", 1)) for n, line in lines if line.strip() and not line.startswith("#")]
        places = {(key.strip(),): f"{self.path}:{n}" for n, (key, _) in pairs}
        return Layer(self.path, {key.strip(): text.strip() for _, (key, text) in pairs}, places=lambda: places)

    def watched(self) -> tuple[Path, ...]:
        """The paths whose changes reload: the file, whether it exists or not."""
        return (Path(self.path).absolute(),)
