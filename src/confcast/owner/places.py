"""Where a path leads: the directories in which something has to happen before it can lead to other content.

A path is walked as the kernel walks it, one name after the other. Every link on the way can be swapped (Kubernetes
swaps `..data`, half-way), so the directory that holds it counts, and so does the one that holds the file, or would
hold it if it were there. The parents of these count as well: a watch sits on an inode, which tells when it is moved
away itself, and nothing when the directory above it is.

Rejected: `Path.resolve()` and the parents of the outcome (the links are lost), all ancestors (`/` hears much, and
what is moved that far up is found by comparing content).
"""

from __future__ import annotations

import os
from pathlib import Path

Places = dict[str, tuple[int, int]]
"""Directories by their path without links, each with its device and inode."""

_LINKS = 40  # on the way to one file, as the kernel has it


def places_of(paths: tuple[Path, ...]) -> Places:
    """The existing directories in which something must happen before a path can lead to other content."""
    names = {place for path in paths for place in _on_the_way(path)}
    names |= {os.path.dirname(name) for name in names}  # noqa: PTH120 (plain text all the way)
    found: Places = {}
    for name in names:
        try:
            status = os.stat(name)  # noqa: PTH116
        except OSError:
            continue  # gone meanwhile: what is above it is among the names too
        found[name] = (status.st_dev, status.st_ino)
    return found


def _on_the_way(path: Path) -> set[str]:
    """The directory that holds the file, or the nearest that there is, and of each link on the way the one it is in."""
    found: set[str] = set()
    here, links = "/", 0
    names = [*reversed(path.absolute().parts[1:])]
    while names:
        name = names.pop()
        if name == "..":
            here = os.path.dirname(here)  # noqa: PTH120 (no link is left in `here`)
            continue
        target = _target(entry := os.path.join(here, name))  # noqa: PTH118
        if target is not None:
            found.add(here)
            links += 1
            here = "/" if target.is_absolute() else here
            names += reversed(target.parts[target.is_absolute() :])
            if links > _LINKS:
                return found
        elif names and os.path.isdir(entry):  # noqa: PTH112
            here = entry
        else:
            break
    return found | {here}


def _target(entry: str) -> Path | None:
    try:
        return Path(os.readlink(entry))  # noqa: PTH115
    except OSError:
        return None
