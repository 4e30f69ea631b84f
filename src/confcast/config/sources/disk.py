"""The bytes of a file, whole: neither torn by a writer, nor without end, nor from a thing that is no file.

Guarantees: opening never blocks (a FIFO, a device); what `read_whole` gives was the file's whole content at one
moment, at which nobody on this system had it open for writing, as far as a lease can tell; what is read
`at_one_moment` from several files is not from before a change in one and from after it in another (Kubernetes swaps
all files of a ConfigMap at once).

A *lease* (`F_SETLEASE`, `F_RDLCK`; Linux, local files of this uid) is granted only while nobody has the file open for
writing. It is given back at once. A writer that opens the file in those microseconds waits for that, and we get a
signal: by default SIGIO, which would kill this process. It is set to SIGURG, which is ignored unless somebody handles
it. Rejected: taking a lease only where SIGIO is handled (then a check in a plain program sees half-written files).
"""

from __future__ import annotations

import errno
import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from confcast.config.sources.formats.common import MAX_BYTES

if sys.platform == "linux":
    import fcntl

T = TypeVar("T")

WRITER_GRACE = 0.25
"""Seconds that a reader waits for a writer to finish."""

_POLL = 0.005
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class NotReadable(Exception):
    """Not a file to read from, or not one at this moment; the text is the rest of a sentence about the file."""


class StillChanging(NotReadable):
    """A writer holds the file open, or changes it faster than it can be read."""


def read_whole(path: Path | str) -> bytes:
    """The content of a file. May wait for `WRITER_GRACE` seconds.

    Raises:
        OSError: The file can't be opened or read.
        StillChanging: Somebody still writes to it.
        NotReadable: It is a directory or a device, or too large.
    """
    deadline = time.monotonic() + WRITER_GRACE
    while True:
        with _opened(path) as descriptor:
            before = _identity(descriptor)
            content = _read(descriptor)
            written = being_written(descriptor)
            if not written and _identity(descriptor) == before:
                return content
        if time.monotonic() >= deadline:
            raise StillChanging(
                "is still open for writing by another process" if written else "changes while it is read"
            )
        time.sleep(_POLL)


def at_one_moment(paths: Sequence[Path], read: Callable[[], T]) -> T:
    """What `read()` gives or raises while none of these files changes. May call it for `WRITER_GRACE` seconds.

    Raises:
        StillChanging: They never rested so long.
    """
    if len(paths) < 2:
        return read()
    deadline = time.monotonic() + WRITER_GRACE
    while True:
        late = time.monotonic() >= deadline
        before = [*map(identity, paths)]
        try:
            found = read()
        except Exception:
            if late or [*map(identity, paths)] == before:
                raise
        else:
            if [*map(identity, paths)] == before:
                return found
            if late:
                raise StillChanging("change while they are read")
        time.sleep(_POLL)


def identity(path: Path) -> tuple[int, ...] | None:
    """What the system says of a file, but for its content; None of one that can't be reached."""
    try:
        return _said(path.stat())
    except OSError:
        return None


def read_now(path: Path | str) -> bytes:
    """The content of a file as it is at this moment, without waiting. Raises OSError and NotReadable."""
    with _opened(path) as descriptor:
        return _read(descriptor)


def is_being_written(path: Path | str) -> bool:
    """Whether somebody has the file open for writing; False where that can't be told."""
    try:
        with _opened(path) as descriptor:
            return being_written(descriptor)
    except (OSError, NotReadable):
        return False


def being_written(descriptor: int) -> bool:
    """The same for a descriptor that is open for reading."""
    if sys.platform != "linux":
        return False
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        # EAGAIN: open for writing. EACCES: of another uid. EINVAL: the file system has no leases.
        return error.errno == errno.EAGAIN
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


@contextmanager
def _opened(path: Path | str) -> Iterator[int]:
    descriptor = os.open(path, _FLAGS)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> bytes:
    found = os.fstat(descriptor)
    if stat.S_ISDIR(found.st_mode):
        raise NotReadable("is a directory, not a file")
    if not stat.S_ISREG(found.st_mode):
        raise NotReadable("is not a regular file")
    content = b""
    # One byte more than is allowed tells a file that is too large, also one that grows.
    while chunk := os.read(descriptor, min(found.st_size, MAX_BYTES) + 1 if not content else 1 << 20):
        content += chunk
        if len(content) > MAX_BYTES:
            raise NotReadable(f"is larger than {MAX_BYTES // 1024**2} MiB")
    return content


def _identity(descriptor: int) -> tuple[int, ...]:
    return _said(os.fstat(descriptor))


def _said(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
