"""The ahead file: what the journal has written and SQLite has not, each entry one append, numbered and checksummed.

Guarantees. An entry that `append()` has returned for outlives the death of every process, and of the machine too if it
was flushed. An entry whose write failed, or that a death cut short, is not there: `read()` ends before it, and nothing
is written behind it before it is cut off. So a full disk costs the entry that it refused, and no other.

How. An entry is its checksum (CRC-32 of all that follows), the length of its body, its number, its kind, its body;
integers are little-endian. Numbers rise, so entries behind a higher number are left over from a longer file. The
numbers go on when the file is emptied: SQLite keeps the number of the last entry that it has, and takes none twice.
The file is made with the first entry, 0600 and owned as the journal is, and is deleted when its owner leaves cleanly.

Rejected: a transaction of SQLite for each entry (two of them took 67 µs of a reload, two appends take 18), a mapped
file (a process that touches a page which was cut off is killed), and space that is allocated once and written over (a
flush is cheaper where the size stays, but former payloads, which have secrets, stay in the file).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from confcast.log_fields import about
from confcast.owner.store.identity import Identity, identity
from confcast.owner.store.sqlite_file import AHEAD, flush_folder

_log = logging.getLogger("confcast.journal")

_flush: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync

_CHECKSUM = struct.Struct("<I")
_HEAD = struct.Struct("<IQB")
"""The length of the body, the number, and the kind."""

_MOST_ENTRIES, _MOST_BYTES = 512, 1024 * 1024
"""How much may wait for SQLite: a start reads all of it, and the folder may be in /dev/shm, which is memory."""


class Entry(NamedTuple):
    """One entry: its number, what it is, and its content."""

    number: int
    kind: int
    body: bytes


class AheadFile:
    """The ahead file of one open journal. For one thread. To be read before it is written.

    Args:
        journal: The journal's path, whose file exists.
        durable: Whether an entry that is flushed must survive the death of the machine.

    Attributes:
        path: The file's path, beside the journal's.

    Raises:
        OSError: The file exists, and can't be opened.
    """

    def __init__(self, journal: Path, *, durable: bool) -> None:
        self.path = f"{journal}{AHEAD}"
        self._journal = journal
        self._durable = durable
        self._fd = -1
        self._identity: Identity | None = None
        self._size = self._count = 0  # of the whole entries
        self._has_tail = False  # behind the whole entries there may be something else
        self._closed = False
        with contextlib.suppress(FileNotFoundError):
            self._hold(os.open(self.path, os.O_RDWR | os.O_CLOEXEC))

    @property
    def exists(self) -> bool:
        """Whether the file was made; only then can it be deleted by others."""
        return self._fd >= 0

    def in_place(self) -> bool:
        """Whether the path still leads to the file, if there is one."""
        return self._fd < 0 or identity(self.path) == self._identity

    def has_room_for(self, body: bytes) -> bool:
        """Whether this much may be appended; else what waits is to be taken into SQLite, and this with it."""
        return self._count < _MOST_ENTRIES and self._size + len(body) <= _MOST_BYTES

    def append(self, entry: Entry, *, flush: bool) -> None:
        """Write an entry behind the last one, and flush it if it must survive the machine.

        Raises:
            OSError: The write failed. The entry is cut off, or if that fails, too, only `read()` tells of it.
        """
        if self._fd < 0:
            self._make()
        if self._has_tail:
            self._cut()
        rest = _HEAD.pack(len(entry.body), entry.number, entry.kind) + entry.body
        written = _CHECKSUM.pack(zlib.crc32(rest)) + rest
        self._has_tail = True
        try:
            done = os.pwrite(self._fd, written, self._size)
            while done < len(written):  # a nearly full disk takes a part, and refuses the rest
                done += os.pwrite(self._fd, written[done:], self._size + done)
            if flush and self._durable:
                _flush(self._fd)
        except OSError:
            with contextlib.suppress(OSError):
                self._cut()
            raise
        self._size += len(written)
        self._count += 1
        self._has_tail = False

    def read(self) -> list[Entry]:
        """Every whole entry, from the file itself; what is behind the last of them is cut off. Raises OSError."""
        content = _content(self._fd) if self._fd >= 0 else b""
        entries, self._size = whole_entries(content)
        self._count = len(entries)
        if self._size < len(content):
            lost = len(content) - self._size
            _log.warning(
                "%s ends with %d bytes that are no whole entry: they are cut off",
                self.path,
                lost,
                extra=about("file_cut", path=self.path, bytes=lost),
            )
            self._has_tail = True
            with contextlib.suppress(OSError):  # else before the next entry
                self._cut()
        return entries

    def clear(self) -> None:
        """Empty the file, since SQLite has all of it. Raises OSError; what it still holds is not taken twice."""
        if self._fd >= 0:
            os.ftruncate(self._fd, 0)
        self._size = self._count = 0
        self._has_tail = False

    def remove(self) -> None:
        """Delete the file, since SQLite has all of it; another one in its place stays. Raises OSError."""
        if self._fd >= 0 and self.in_place():
            Path(self.path).unlink()

    def renew(self) -> None:
        """Begin another file with the next entry, since this one was deleted or replaced."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._identity = -1, None
        self._size = self._count = 0
        self._has_tail = False

    def close(self) -> None:
        """Close the file, and take no more entries; harmless when called again."""
        self.renew()
        self._closed = True

    def _make(self) -> None:
        if self._closed:
            raise OSError(errno.EBADF, "it is closed")
        Path(self.path).unlink(missing_ok=True)  # what others have put there, in the place of this one
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._hold(fd)
        if self._durable:
            flush_folder(self._journal.parent)

    def _hold(self, fd: int) -> None:
        """Use this file: for its owner alone, who is the journal's where this process may choose (as SQLite's log)."""
        try:
            os.fchmod(fd, 0o600)
            if os.geteuid() == 0:
                status = self._journal.stat()
                with contextlib.suppress(OSError):  # root of another machine may not; SQLite goes on, too
                    os.fchown(fd, status.st_uid, status.st_gid)
        except BaseException:
            os.close(fd)
            raise
        self._fd, self._identity = fd, identity(fd)

    def _cut(self) -> None:
        os.ftruncate(self._fd, self._size)
        if self._durable:
            _flush(self._fd)  # or the machine's death could bring back a version that was reported as refused
        self._has_tail = False


def whole_entries(content: bytes) -> tuple[list[Entry], int]:
    """The entries that a file with this content has, and where the last of them ends."""
    entries: list[Entry] = []
    view, end = memoryview(content), 0
    body_at = _CHECKSUM.size + _HEAD.size
    while len(content) - end >= body_at:
        (checksum,) = _CHECKSUM.unpack_from(content, end)
        length, number, kind = _HEAD.unpack_from(content, end + _CHECKSUM.size)
        following = end + body_at + length
        if following > len(content) or zlib.crc32(view[end + _CHECKSUM.size : following]) != checksum:
            break  # a torn entry
        if entries and number <= entries[-1].number:
            break  # left over from a longer file
        entries.append(Entry(number, kind, content[end + body_at : following]))
        end = following
    return entries, end


def _content(fd: int) -> bytes:
    content = b""
    while chunk := os.pread(fd, 1 << 20, len(content)):
        content += chunk
    return content
