"""The output that an owner wrote into a nameless file is copied to the descriptor for which it was meant.

The owner copies it when it begins to serve; the master copies it if the owner has died before. The copy waits only some
seconds for a slow reader: a pipe that nobody reads must not hold up a start, nor the error of a failed start.

Rejected: `shutil.copyfileobj` and `os.sendfile` (they block if nobody reads).
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
        file: A descriptor that can be read at any offset.
        destination: A descriptor of any kind.
        begin: The offset of the first byte to copy.

    Returns:
        The offset after the last byte.

    Raises:
        OSError: The content can't be written; TimeoutError if no reader makes room in time.
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
