"""Imports a loader by `MODULE:NAME`, for the command line and for every launcher of a server.

Whatever the import raises, SystemExit included, becomes a ConfigError, with the place in the user's code if there is
one. Rejected: loaders from a file's path (it would be a second module, beside the one that workers import, with classes
of its own).
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from confcast.errors import ConfigError, NotCarried, Problem
from confcast.texts import close_matches

Loader = TypeVar("Loader")

_MISSING = object()


def find_loader(path: str, loader: type[Loader]) -> Loader:
    """Import the loader that `MODULE:NAME` names; see `ConfigLoader.find`, which passes its own class."""
    module, _, name = path.partition(":")
    if not (module and name):
        raise wrong(f"{path!r} has to be MODULE:NAME, such as pkg.settings:loader")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    with in_words(f"{module} can't be imported"):
        found: Any = importlib.import_module(module)
    for part in name.split("."):
        with in_words(f"{module}:{name} can't be read"):
            found = _attribute(found, part, f"{module} has no {name!r}")
    if callable(found) and not isinstance(found, loader):
        with in_words(f"{module}:{name} can't be called without arguments"):
            found = found()
    if not isinstance(found, loader):
        raise wrong(f"{module}:{name} is no ConfigLoader, and gives none when it is called: {type(found).__name__}")
    return found


def _attribute(holder: Any, part: str, otherwise: str) -> Any:
    found = getattr(holder, part, _MISSING)
    if found is _MISSING:
        raise wrong(f"{otherwise}{_hint(part, holder)}")
    return found


@contextlib.contextmanager
def in_words(what: str, masked: Callable[[str], str] = str) -> Iterator[None]:
    """Turn whatever the user's code raises in the block into a ConfigError with the place that raised it.

    Args:
        what: What failed, as the beginning of the message.
        masked: Takes secrets out of the text of the exception.
    """
    try:
        yield
    except (ConfigError, NotCarried, KeyboardInterrupt):
        raise
    except BaseException as error:  # a module may raise anything, SystemExit included
        raise wrong(f"{what}: {type(error).__name__}: {masked(str(error))}", place_of(error)) from error


def wrong(message: str, place: str = "") -> ConfigError:
    """A ConfigError with one problem that is about no key."""
    return ConfigError([Problem("", message, place)])


def place_of(error: BaseException) -> str:
    """The traceback's last line in the user's code, not in Python's or an installed package's; empty for none."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}:{error.offset}"
    import sysconfig  # imported here, as runpy in schema/kinds.py: an owner's start has mostly no use for it

    places = (sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib"))
    theirs = ("<frozen ", str(Path(__file__).parents[1]), *places)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(theirs)]
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""


def _hint(part: str, holder: Any) -> str:
    public = [name for name in dir(holder) if not name.startswith("_")]  # every module has a __loader__
    close = close_matches(part, public)
    return f"; did you mean {close[0]!r}?" if close else ""
