"""The directories to watch for a path: the path's content can't change without an event in one of them.

A path is walked as the kernel walks it, one name after the other. Every link on the way can be swapped (Kubernetes
swaps `..data`, half-way), so the directory that holds the link counts, and so does the one that holds the file, or
would hold it if it existed. Their parents count as well: a watch is on an inode, and reports when that inode is moved,
but not when its parent is. A path that leads to a directory stands for everything in it, however deep, and for what the
links in it lead to.

Rejected: `Path.resolve()` and the parents of the outcome (the links are lost), and all ancestors (`/` has many events,
and comparing content finds moves that far up).
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterator
from pathlib import Path

Dirs = dict[str, tuple[int, int]]
"""Directories by their path without links, each with its device and inode."""

MOST = 10_000
"""How many entries of one directory are looked at: nobody means the whole disk. Comparing content finds the rest."""

_LINKS = 40  # links that are followed on the way to one file: the kernel's limit


def dirs_to_watch(paths: tuple[Path, ...]) -> Dirs:
    """The existing directories in which an event must happen before a path can lead to other content."""
    names = {name for path in paths for name in _on_the_way(str(path.absolute()))}
    for path in paths:
        for entry in entries_of(path.absolute()):
            if entry.is_symlink() or _is_directory(entry):
                names |= _on_the_way(entry.path)
    names |= {os.path.dirname(name) for name in names}  # noqa: PTH120 (`os.path` takes plain text)
    found: Dirs = {}
    for name in names:
        try:
            status = os.stat(name)  # noqa: PTH116
        except OSError:
            continue  # it is gone meanwhile: its parent is among the names, too
        found[name] = (status.st_dev, status.st_ino)
    return found


def entries_of(path: Path) -> Iterator[os.DirEntry[str]]:
    """Every entry of a directory, then those of its directories, and so on; nothing for a path of another kind.

    A directory that several links lead to is entered once. `MOST` entries and one more mean that there are still more.
    """
    left, entered, waiting = MOST + 1, set[tuple[int, int]](), deque([os.fspath(path)])
    while waiting:
        for entry in _entered(waiting.popleft(), entered):
            yield entry
            left -= 1
            if not left:
                return
            if _is_directory(entry):
                waiting.append(entry.path)


def _entered(name: str, entered: set[tuple[int, int]]) -> list[os.DirEntry[str]]:
    """The entries of a directory, sorted by name; none if it was entered before, or can't be read."""
    try:
        status = os.stat(name)  # noqa: PTH116
        inode = (status.st_dev, status.st_ino)
        if not stat.S_ISDIR(status.st_mode) or inode in entered:
            return []
        entered.add(inode)
        with os.scandir(name) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:  # it is gone meanwhile, or not readable
        return []


def _is_directory(entry: os.DirEntry[str]) -> bool:
    """Whether an entry leads to a directory; a link that can't be followed does not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _on_the_way(path: str) -> set[str]:
    """The directories that hold the links on the way, and the one that holds the file, or the nearest that exists.

    Where the path leads to a directory, that directory is one of them. All is plain text: a Path interns its parts, and
    with each new content of a Kubernetes volume other ones come.
    """
    found: set[str] = set()
    here, links = "/", 0
    names = [*reversed(_parts(path))]
    while names:
        name = names.pop()
        if name == "..":
            here = os.path.dirname(here)  # noqa: PTH120 (no link is left in `here`)
            continue
        target = _target(entry := os.path.join(here, name))  # noqa: PTH118
        if target is not None:
            found.add(here)
            links += 1
            here = "/" if target.startswith("/") else here
            names += reversed(_parts(target))
            if links > _LINKS:
                return found
        elif os.path.isdir(entry):  # noqa: PTH112
            if not names:
                found.add(here)
            here = entry
        else:
            break
    return found | {here}


def _target(entry: str) -> str | None:
    try:
        return os.readlink(entry)  # noqa: PTH115
    except OSError:
        return None


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
