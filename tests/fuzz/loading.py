"""What holds for the text of any file, whatever its format: a layer whose every value has a place, or a ConfigError.

And of a loader: a candidate that its own payload decodes to, or a ConfigError. Each place is one of the text; a text
that is no document is never quoted, and nor is a password that was read.
"""

from __future__ import annotations

import atexit
import contextlib
import datetime as dt
import os
import re
import shutil
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, Field, SecretStr

from confcast import ConfigError, ConfigLoader, File, Layer, Problem
from confcast.config.validation.field_errors import MOST
from tests.fuzz.bounds import LONGEST, Cut, Finding
from tests.fuzz.rooms import room
from tests.unit.config.codec.exactness import assert_exact
from tests.unit.config.sources.test_fuzz import TOKENS, paths

T = TypeVar("T")

SENTINEL = "Hunter2"
"""What a password has in it."""

_MOST_LOOKED_AT = 1000
"""Values of one text whose places are looked at: of a text that was grown, every few."""

_STACK = contextlib.ExitStack()
atexit.register(_STACK.close)
_ROOM = Path(os.environ.get("CONFCAST_FUZZ_ROOM") or _STACK.enter_context(room()))
"""Where targets' files lie: in the folder that `scripts/fuzz` removes, or in one that ends with the process."""


def own_folder(target: str) -> Path:
    """A target's own, by its module's name: a replay has all targets in one process, one after another."""
    folder = _ROOM / target.rpartition(".")[2]
    folder.mkdir()
    return folder


MOST_FILES = 8
"""Files of a folder that an input fills."""


def filled(folder: Path, data: bytes, put: Callable[[bytes, bytes], None]) -> None:
    """Make a folder anew, and put into it what an input has in turns, each behind its length: a name, a content."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    cut = Cut(data)
    for _ in range(MOST_FILES):
        if not cut:
            break
        with contextlib.suppress(OSError):  # a name that is too long, or there already
            put(cut.chunk(), cut.chunk())


FOLDER = own_folder("loading")
"""Of the targets of one file's text, each of which writes its file before it is read."""


class Inner(BaseModel):
    """A table."""

    number: int = 1
    text: str | None = None
    tree: dict[str, Any] = {}
    when: dt.datetime | None = None


class Outer(BaseModel):
    """A configuration with what files may hold."""

    a: Inner = Inner()
    b: list[Inner] = []
    d: dict[str, str] = {}
    x: str = ""
    ratio: float = Field(default=0.5, ge=0, le=1)
    mode: Literal["on", "off"] = "on"
    password: SecretStr = SecretStr("")


def tokens(form: str) -> list[bytes]:
    """Pieces of a format, and the keys of the schema."""
    keys = ["number", "text", "tree", "when", "ratio", "mode", "password", SENTINEL]
    return [each.encode(errors="surrogatepass") for each in [*TOKENS.get(form, ()), *keys] if each]


def outcome(read: Callable[[], T]) -> tuple[T | None, list[Problem]]:
    """What it gives, or the problems that it raises."""
    try:
        return read(), []
    except ConfigError as error:
        if not error.problems:
            raise Finding("an error without a problem") from error
        return None, error.problems


class Text:
    """A file's text, and which places are in it."""

    def __init__(self, name: str, content: bytes) -> None:
        text = content.decode("utf-8-sig", errors="replace")
        self.content = content
        self._name = name
        self._place = re.compile(rf"{re.escape(name)}:(\d+):(\d+)")
        self._lines = len(re.split("\r\n|[\n\r\x85\u2028\u2029]", text))
        self._longest = max(map(len, text.split("\n")))

    def has(self, location: str) -> bool:
        """Whether a location is that of the file, or of a line and column of it, or just behind."""
        if location == self._name:
            return True
        found = self._place.fullmatch(location)
        return bool(found) and 1 <= int(found[1]) <= self._lines + 1 and 1 <= int(found[2]) <= self._longest + 1

    def check(self, problems: list[Problem]) -> None:
        """Each problem is in it; one behind many more than a person reads counts the others."""
        for problem in problems:
            counts = problem == problems[-1] and len(problems) > MOST and not problem.key and not problem.location
            if not self.has(problem.location) and not counts:
                raise Finding(f"a problem's place is none of the text: {problem}")


def check(form: str, content: bytes, **options: Any) -> None:
    """Read this text as a file of this format, and load it."""
    path = FOLDER / f"app.{form}"
    path.write_bytes(content)
    read(File(path, allow_empty=True, **options), Text(str(path), content))


def named(source: Any, text: Text) -> None:
    """Load this source of texts with names, which has this text: only the schema says which keys they set."""
    loader = ConfigLoader(Outer, source)
    candidate, problems = outcome(loader.load)
    text.check(problems)
    has_password = any(b"PASSWORD" in line.upper() and SENTINEL.encode() in line for line in text.content.split(b"\n"))
    if text.content.count(SENTINEL.encode()) == 1 and has_password and b"PASSWORD=" + SENTINEL.encode() in text.content:
        _quotes_nothing(problems)
        assert SENTINEL not in repr(candidate)


class Read(NamedTuple):
    """A source of what was read already: to read it once more would take time that is none of the load's."""

    layer: Layer

    def read(self) -> Layer:
        return self.layer


def read(source: Any, text: Text) -> None:
    """Read this source, which has this text, and load what it gives."""
    layer, problems = outcome(source.read)
    text.check(problems)
    if layer is None:
        _quotes_nothing(problems)
        loads(ConfigLoader(Outer, source), text, has_password=False)
        return
    every = list(islice(paths(layer.data), 50 * _MOST_LOOKED_AT))  # aliases may stand for a million
    for where in every[:: 1 + len(every) // _MOST_LOOKED_AT]:
        assert text.has(layer.where(where)), f"the place of a value is {layer.where(where)}"
        assert text.has(layer.where(where, key=True))
    loads(ConfigLoader(Outer, Read(layer)), text, has_password=has_a_password(layer.data))


def loads(loader: ConfigLoader[Outer], text: Text, *, has_password: bool) -> None:
    """Load, and look at what comes of it."""
    candidate, problems = outcome(loader.load)
    text.check(problems)
    if has_password and text.content.count(SENTINEL.encode()) == 1:
        _quotes_nothing(problems)
    if candidate is not None:
        if len(text.content) <= LONGEST:  # to compare what was grown takes longer than to load it
            assert_exact(loader._codec.decode(candidate.payload), candidate.config)
        assert SENTINEL not in repr(candidate) or not has_password


def has_a_password(data: Any) -> bool:
    return isinstance(data, dict) and isinstance(text := data.get("password"), str) and SENTINEL in text


def _quotes_nothing(problems: list[Problem]) -> None:
    for problem in problems:
        if SENTINEL in str(problem):
            raise Finding(f"a message quotes a password: {problem}")
