"""Files to documents: which files of a folder are to be indexed, and what is in one of them.

Guarantees: only regular files inside the folder are read (no links, no hidden names), none larger than it may be, and
only text: UTF-8 without a NUL byte. A file that vanishes or can't be read meanwhile is left out and logged once per
look; it stops nobody. Every function here is safe in any thread.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from confcast.examples.leindex.index import Document, Stamp, words

_log = logging.getLogger("confcast.examples.leindex")


class Found(NamedTuple):
    """A file of the folder: its name relative to the folder, and the state it was seen in."""

    name: str
    stamp: Stamp


def scan(folder: Path, max_file_size: int) -> dict[str, Found]:
    """The files to index, by name. `max_file_size` is in bytes; a missing folder has no files, and is logged."""
    found = {}
    for path in _regular_files(folder):
        try:
            status = path.lstat()
        except OSError as error:
            _log.info("left out of the index: %s", error)
            continue
        if status.st_size <= max_file_size:
            name = path.relative_to(folder).as_posix()
            found[name] = Found(name, Stamp(status.st_mtime_ns, status.st_size))
    return found


def _regular_files(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder, onerror=_say_left_out):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place, name)
            if not name.startswith(".") and path.is_file() and not path.is_symlink():
                yield path


def _say_left_out(error: OSError) -> None:
    """A whole folder, perhaps all of them: a slip in the command line rather than a file that went away."""
    _log.warning("left out of the index: %s", error)


def parse(folder: Path, found: Found) -> Document | None:
    """Read one file; None when it is no text or can't be read."""
    try:
        content = Path(folder, found.name).read_bytes()
        if b"\0" in content:
            return None
        return Document(found.name, found.stamp, Counter(words(content.decode())))
    except UnicodeDecodeError:
        return None
    except OSError as error:
        _log.info("left out of the index: %s", error)
        return None
