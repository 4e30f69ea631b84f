"""Reads the whole content of a regular file: not half of what a writer writes, and not without end.

Guarantees: opening never blocks (a FIFO, a device); what `read_whole` returns was the file's whole content at one
moment, at which no process on this system had it open for writing, as far as a lease shows. `at_one_moment` never
returns the content of one file from before a change together with that of another from after it (Kubernetes swaps all
files of a ConfigMap at once).

The kernel grants a *lease* (`F_SETLEASE`, `F_RDLCK`; Linux, local files of this uid) only while no process has the file
open for writing. It is released at once. A writer that opens the file in those microseconds waits for the release, and
this process gets a signal: by default SIGIO, which would kill it. So the signal is set to SIGURG, which is ignored
unless handled. Rejected: a lease only where SIGIO is handled (then a check in a plain program sees half-written files).
"""

from __future__ import annotations

import errno
import functools
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
from confcast.config.sources.layer import fingerprint_of

if sys.platform == "linux":
    import fcntl

T = TypeVar("T")

MISSING = fingerprint_of(b"confcast: there is no such file")
"""The fingerprint of a file that does not exist."""

WRITER_GRACE = 0.25
"""Seconds that a reader waits for a writer to finish."""

_POLL = 0.005
_NOT_REGULAR = "is not a regular file"
_OF_A_SOCKET = (errno.ENXIO, errno.EOPNOTSUPP)  # a socket can't even be opened: what Linux and macOS say then
_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class NotReadable(Exception):
    """The file can't be read, now or ever; the text is the predicate of a sentence about the file."""


class StillChanging(NotReadable):
    """A process has the file open for writing, or changes it faster than it can be read."""


def read_whole(path: Path | str) -> bytes:
    """Read the content of a file. May wait for `WRITER_GRACE` seconds.

    Raises:
        OSError: The file can't be opened or read.
        StillChanging: A process still writes to the file.
        NotReadable: The path is a directory or a device, or too large.
    """
    return read_with_stat(path)[0]


def read_with_stat(path: Path | str, grace: float = WRITER_GRACE) -> tuple[bytes, os.stat_result]:
    """Read the content of a file as `read_whole` does, with what the system says of the file.

    `grace`: for how many seconds to wait for a writer.
    """
    deadline = time.monotonic() + grace
    while True:
        with _opened(path) as descriptor:
            before = os.fstat(descriptor)
            content = _read(descriptor, before)
            written = being_written(descriptor)
            if not written and stat_fields(after := os.fstat(descriptor)) == stat_fields(before):
                return content, after
        if time.monotonic() >= deadline:
            raise StillChanging(
                "is still open for writing by another process" if written else "changes while it is read"
            )
        time.sleep(_POLL)


class OneWait:
    """Reads several files, and waits in vain for the writer of one of them only: a thousand would take minutes."""

    def __init__(self) -> None:
        self._has_waited = False

    def read_with_stat(self, path: Path | str) -> tuple[bytes, os.stat_result]:
        """Read one file as `read_with_stat` does."""
        try:
            return read_with_stat(path, grace=0.0) if self._has_waited else read_with_stat(path)
        except StillChanging:
            self._has_waited = True
            raise


def at_one_moment(paths: Sequence[Path], read: Callable[[], T]) -> T:
    """The result of a `read()` during which none of these files changes; calls it again for `WRITER_GRACE` seconds.

    Raises:
        StillChanging: The files changed during every call.
    """
    if len(paths) < 2:
        return read()
    deadline = time.monotonic() + WRITER_GRACE
    while True:
        expired = time.monotonic() >= deadline
        before = [*map(identity, paths)]
        try:
            found = read()
        except Exception:
            if expired or [*map(identity, paths)] == before:
                raise
        else:
            if [*map(identity, paths)] == before:
                return found
            if expired:
                raise StillChanging("change while they are read")
        time.sleep(_POLL)


@functools.lru_cache(maxsize=2048)
def checked_path(given: str | os.PathLike[str]) -> str:
    """A path that a caller gave, as a text. Raises TypeError for bytes, and ValueError for an empty text."""
    path: object = os.fspath(given)
    if not isinstance(path, str):
        raise TypeError(f"a path has to be a str or a Path, not {type(path).__name__}")
    if not path:
        raise ValueError("an empty path would be the working directory: name what is meant")
    return path


def as_path(path: str) -> Path:
    """The path, made once for all loads: each Path that is made interns its parts, and a table of strings grows."""
    return Path(path)


def identity(path: Path | str) -> tuple[int, ...] | None:
    """The fields of a file's stat that change with its content; None if the file can't be reached."""
    try:
        return stat_fields(os.stat(path))  # noqa: PTH116 - a Path or plain text
    except OSError:
        return None


def read_now(path: Path | str) -> bytes:
    """Read the content of a file as it is now, without waiting for a writer. Raises OSError and NotReadable."""
    with _opened(path) as descriptor:
        return _read(descriptor, os.fstat(descriptor))


def fingerprint_now(path: Path | str) -> bytes:
    """The fingerprint of a file's content as it is now, without waiting for a writer. Never raises.

    A file that is missing, or can't be read, has a fingerprint of its own.
    """
    try:
        return fingerprint_of(read_now(path))
    except (FileNotFoundError, NotADirectoryError):
        return MISSING
    except (OSError, ValueError, NotReadable) as error:  # ValueError: a null byte
        return fingerprint_of(f"confcast: {type(error).__name__}: {error}".encode(errors="surrogatepass"))


def is_being_written(path: Path | str) -> bool:
    """Whether a process has the file open for writing; False if the system can't say."""
    try:
        with _opened(path) as descriptor:
            return being_written(descriptor)
    except (OSError, NotReadable):
        return False


def being_written(descriptor: int) -> bool:
    """Whether a process has the file of a descriptor, itself open for reading, open for writing."""
    if sys.platform != "linux":
        return False
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        # EAGAIN: open for writing. EACCES: a file of another uid. EINVAL: the file system has no leases.
        return error.errno == errno.EAGAIN
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


@contextmanager
def _opened(path: Path | str) -> Iterator[int]:
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno in _OF_A_SOCKET:
            raise NotReadable(_NOT_REGULAR) from error
        raise
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _read(descriptor: int, found: os.stat_result) -> bytes:
    if stat.S_ISDIR(found.st_mode):
        raise NotReadable("is a directory, not a file")
    if not stat.S_ISREG(found.st_mode):
        raise NotReadable(_NOT_REGULAR)
    content = b""
    # Reading one byte more than is allowed detects a file that is too large, also one that grows.
    while chunk := os.read(descriptor, min(found.st_size, MAX_BYTES) + 1 if not content else 1 << 20):
        content += chunk
        if len(content) > MAX_BYTES:
            raise NotReadable(f"is larger than {MAX_BYTES // 1024**2} MiB")
    return content


def stat_fields(found: os.stat_result) -> tuple[int, ...]:
    """The fields of a file's stat that change with its content."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
