"""The owner warns at its start of files that are mounted one by one, since it never notices their replacement.

A Kubernetes `subPath` mount, or `docker run -v FILE:FILE`, binds one file's inode. When the file is replaced outside,
the mount keeps the old one: the watch reports nothing, and a reload reads the same as before. The table of mounts lists
such files. Rejected: refusing to start (a write in place is noticed, and some services write so).
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path

from confcast.log_fields import about

_log = logging.getLogger("confcast.watch")

_TABLE = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(rb"\\([0-7]{3})")


def warn_of_mounted_files(paths: Iterable[Path]) -> None:
    """Log which files are mounted by themselves, and what to do about it; nothing where there is no table of mounts."""
    try:
        table = _TABLE.read_bytes()
    except OSError:
        return
    if found := mounted_files(paths, table):
        _log.warning(
            "mounted as a single file (a Kubernetes subPath, or docker -v FILE:FILE): %s; what is put in the place of "
            "such a file outside is never seen here, neither by watching nor by a reload: mount the directory instead",
            ", ".join(map(str, found)),
            extra=about("mounted_files", paths=found),
        )


def mounted_files(paths: Iterable[Path], table: bytes) -> list[Path]:
    """The paths that lead to mount points and are files.

    Args:
        paths: As the sources name them; links are followed.
        table: The text of `/proc/self/mountinfo`: proc_pid_mountinfo(5).
    """
    points = {_unescaped(fields[4]) for line in table.splitlines() if len(fields := line.split(b" ")) > 4}
    return [path for path in paths if os.fsencode(os.path.realpath(path)) in points and path.is_file()]


def _unescaped(point: bytes) -> bytes:
    """A mount point without escapes: the table has blanks, tabs, line breaks and backslashes as octal numbers."""
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 8)]), point)
