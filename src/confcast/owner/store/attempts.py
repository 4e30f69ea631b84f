"""What an owner tried to load, and what it must not load: one record for the thread that loads and the watcher.

Guarantees. The watcher requests no load of content that a load has read since the watcher looked. Content that kills an
owner is not loaded again: its fingerprint stands in the in-progress file from before its validation until the result,
and the next owner quarantines it until a call or a signal requests a load. A disabled owner loads nothing.

How. The in-progress file has the 16 bytes of a fingerprint, or as many zeros. Both are written over what stands there,
since that takes less time than to empty the file (8 µs for both writes instead of 18), and since a disk that is full by
now has room for it.

Rejected: three callbacks between the two threads (each had a part of the state, none had all of it).
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from confcast.errors import Problem
from confcast.log_fields import about
from confcast.owner.store.identity import identity

_log = logging.getLogger("confcast.owner")

_NONE = bytes(16)
"""What the in-progress file says between two loads, in the place of a fingerprint."""


class Attempts:
    """Which content was attempted last, which is quarantined, and whether loading is disabled. For any thread.

    Args:
        path: The in-progress file, made when it is missing. Its folder may be deleted and made anew meanwhile.
        disabled: Why this owner may never load anything (the schema's code has changed); None where it may.

    Attributes:
        path: The in-progress file.
        disabled: Why nothing may be loaded now; None where loading is allowed.
        disabled_for_good: Whether `disabled` was given.
        reads: How often a load has read content; to be taken before the content for `compare` is read.

    Raises:
        OSError: The in-progress file can't be opened.
    """

    def __init__(self, path: Path, disabled: Problem | None = None) -> None:
        self.path = path
        self.disabled = self._disabled_at_first = disabled
        self.disabled_for_good = disabled is not None
        self.reads = 0
        self._open()
        self._quarantined = os.pread(self._fd, len(_NONE), 0)
        self._on_read: Callable[[bool], None] = lambda other: None
        self._lock = threading.Lock()  # for `reads` and `_attempted`, which two threads change
        self._attempted: bytes | None = None

    def disable(self, why: Problem) -> None:
        """Allow no load until `enable()`."""
        self.disabled = why

    def enable(self) -> None:
        """Allow loads again, unless this owner is disabled for good."""
        self.disabled = self._disabled_at_first

    def move_to(self, path: Path) -> None:
        """Keep the in-progress file at this path from the next load on."""
        self.path = path

    def close(self) -> None:
        """Close the in-progress file, and leave its content for the next owner."""
        os.close(self._fd)

    # ---- called by the thread that loads

    def is_quarantined(self, fingerprint: bytes) -> bool:
        """Whether an owner died while it loaded this content."""
        return fingerprint == self._quarantined

    def begin(self, fingerprint: bytes) -> None:
        """Write that this content is being loaded. If that raises OSError, the content must not be loaded."""
        if identity(self.path) != self._identity:
            former = self._fd
            self._open()
            os.close(former)
        os.pwrite(self._fd, fingerprint, 0)

    def end(self, fingerprint: bytes) -> None:
        """Write that the owner survived loading this content, whatever the load's result was. A failure is logged."""
        if fingerprint == self._quarantined:
            self._quarantined = _NONE
        try:
            os.pwrite(self._fd, _NONE, 0)
        except OSError as error:
            _log.error(
                "the in-progress file %s could not be cleared: %s",
                self.path,
                error,
                extra=about("file_not_written", path=self.path, error=error),
            )

    def add(self, fingerprint: bytes) -> None:
        """Count the content that a load has read as attempted, whatever the load's result is.

        Before the first call, the content that the watcher finds first counts as attempted.
        """
        with self._lock:
            other = fingerprint != self._attempted
            self._attempted = fingerprint
            self.reads += 1
        self._on_read(other)

    def exchange(self, before: bytes, after: bytes, follow: Callable[[], None]) -> None:
        """Count `after` as attempted where `before` was: what a load has read is told by other files from now on.

        `follow` makes the fingerprints tell of those files. No comparison that began before it counts.
        """
        with self._lock:
            follow()
            self.reads += 1
            if self._attempted == before:
                self._attempted = after
        self._on_read(True)

    def forget(self) -> None:
        """Count nothing as attempted, since the outcome could not be kept (a full disk).

        The watcher requests a load of the same content when it next compares content after `recheck` seconds.
        """
        with self._lock:
            self._attempted = b""

    # ---- called by the watcher

    def when_read(self, callback: Callable[[bool], None]) -> None:
        """Call `callback` after each `add`, in that thread, with whether the content differs from the one before."""
        self._on_read = callback

    def compare(self, found: bytes, reads: int, changed: Callable[[], None]) -> bool:
        """Count this content as attempted, and call `changed` if other content was. Raises what `changed` raises.

        Returns:
            False, and nothing is counted, when a load has read content since `reads`: that may be newer than `found`.
        """
        with self._lock:
            if reads != self.reads:
                return False
            before, self._attempted = self._attempted, found
        if before is not None and before != found:
            try:
                changed()
            except BaseException:
                with self._lock:
                    self._attempted = before
                raise
        return True

    def _open(self) -> None:
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._identity = identity(self._fd)
