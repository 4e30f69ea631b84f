"""What an owner has written into a nameless file, copied on to where it should have gone.

Master and owner both may do it: the owner when it serves, the master when it is dead before. It waits some seconds for
a reader that is slow, and not for ever: a pipe that nobody reads must not hold up a start, nor the error of one.

Rejected: `shutil.copyfileobj` and `os.sendfile` (they stand still where nobody reads).
"""

from __future__ import annotations

import errno
import os
import select

_CHUNK = select.PIPE_BUF
"""Bytes that a pipe takes at once when it says that it takes some."""
_PATIENCE = 5.0
"""Seconds that a chunk waits for room."""


def copy_on(file: int, destination: int, begin: int = 0) -> int:
    """Write what stands in the file from there on.

    Args:
        file: A descriptor that can be read at any place.
        destination: A descriptor of any kind.
        begin: The first byte.

    Returns:
        The place behind the last byte.

    Raises:
        OSError: It can't be written; TimeoutError where nobody makes room.
    """
    while data := os.pread(file, _CHUNK, begin):
        begin += _write(destination, data)
    return begin


def _write(destination: int, data: bytes) -> int:
    poller = select.poll()
    poller.register(destination, select.POLLOUT)
    if not poller.poll(_PATIENCE * 1000):
        raise TimeoutError(errno.ETIMEDOUT, f"nobody reads it within {_PATIENCE:g} s")
    try:
        return os.write(destination, data)
    except BlockingIOError:  # somebody else has taken the room
        return 0
