"""The output that an owner wrote into a nameless file, copied to the descriptor where it belongs.

The owner copies it when it serves; the master, when the owner has died before. The copy waits some seconds for a slow
reader, and no longer: a pipe that nobody reads must not hold up a start, nor the error of one.

Rejected: `shutil.copyfileobj` and `os.sendfile` (they block where nobody reads).
"""

from __future__ import annotations

import errno
import os
import select

_CHUNK = select.PIPE_BUF
"""Bytes that a pipe takes at once when poll() says that it is writable."""
_ROOM_TIMEOUT = 5.0
"""Seconds that a chunk waits for room."""


def copy_on(file: int, destination: int, begin: int = 0) -> int:
    """Write the content of the file to the destination.

    Args:
        file: A descriptor that can be read at any place.
        destination: A descriptor of any kind.
        begin: The first byte.

    Returns:
        The offset behind the last byte.

    Raises:
        OSError: The content can't be written; TimeoutError where no reader makes room.
    """
    while data := os.pread(file, _CHUNK, begin):
        begin += _write(destination, data)
    return begin


def _write(destination: int, data: bytes) -> int:
    poller = select.poll()
    poller.register(destination, select.POLLOUT)
    if not poller.poll(_ROOM_TIMEOUT * 1000):
        raise TimeoutError(errno.ETIMEDOUT, f"nobody reads it within {_ROOM_TIMEOUT:g} s")
    try:
        return os.write(destination, data)
    except BlockingIOError:  # another writer has taken the room
        return 0
