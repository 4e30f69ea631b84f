"""Whether a path still leads to a file that is open: files are deleted or replaced while an owner uses them."""

from __future__ import annotations

import os
from pathlib import Path

Identity = tuple[int, int]
"""A file's device and inode: of an open descriptor they never change."""


def identity(place: Path | str | int) -> Identity | None:
    """The device and inode that a path leads to, or that a descriptor is open on; None where there is nothing."""
    try:
        status = os.stat(place)  # noqa: PTH116 - a path or a descriptor
    except OSError:
        return None
    return status.st_dev, status.st_ino
