"""Files that are mounted one by one: no change of them is ever seen, and nothing else tells.

A Kubernetes `subPath` mount, or `docker run -v FILE:FILE`, binds one file's inode. What is put in the file's place
outside stays outside, so that watching is deaf and a reload reads what it has read before. That is found at the start,
in the table of mounts, and said once. Rejected: refusing to start (what writes in place is seen, and some have it so).
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable
from pathlib import Path

_log = logging.getLogger("confcast.watch")

_TABLE = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(rb"\\([0-7]{3})")


def warn_of_mounted_files(paths: Iterable[Path]) -> None:
    """Log the files that are mounted themselves, with what to do about it. Says nothing where there is no table."""
    try:
        table = _TABLE.read_bytes()
    except OSError:
        return
    if found := mounted_files(paths, table):
        _log.warning(
            "mounted as a single file (a Kubernetes subPath, or docker -v FILE:FILE): %s; what is put in the place of "
            "such a file outside is never seen here, neither by watching nor by a reload: mount the directory instead",
            ", ".join(map(str, found)),
        )


def mounted_files(paths: Iterable[Path], table: bytes) -> list[Path]:
    """Those of the files that are mount points.

    Args:
        paths: As they are named in the configuration; links are followed.
        table: The text of `/proc/self/mountinfo`: proc_pid_mountinfo(5).
    """
    points = {_unescaped(fields[4]) for line in table.splitlines() if len(fields := line.split(b" ")) > 4}
    return [path for path in paths if os.fsencode(os.path.realpath(path)) in points and path.is_file()]


def _unescaped(point: bytes) -> bytes:
    """Blanks, tabs, line breaks and backslashes stand as octal numbers in the table."""
    return _ESCAPED.sub(lambda found: bytes([int(found[1], 8)]), point)
