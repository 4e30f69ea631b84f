"""What is to be told to the config owner against versions: at most one message a second for a version and a reason.

Guaranteed: whoever complains waits for nothing, and a handler that complains at each request costs its owner one
message a second; if its reason differs each time, 32 for each version. What is not sent is counted, and the next
message about the same says how many there were. A complaint that no owner could be told is kept, and told to the next
one. At most 32 are kept: of more, the oldest is dropped. What is dropped is counted, and logged once.

Rejected: one message a second for the process (a noisy reason would hide another), a bound over all versions (noise
against one would hide what is said against another), and a queue without an end.
"""

from __future__ import annotations

import threading
from typing import Any

MOST = 32
"""How many different complaints are remembered, and how many new reasons a second are told of one version."""

INTERVAL = 1.0
"""Seconds between two messages about the same version with the same reason."""


class Complaint:
    """One reason against one version.

    Attributes:
        version: Its number.
        reason: In the application's words, secrets not masked.
        config: The configuration whose secrets they may show; None if there is none.
        more: How often the same was said since the last message.
        is_due: Whether it is to be sent.
        next_at: Until when the same is only counted.
        was_logged: Whether this process's log has it.
    """

    __slots__ = ("config", "is_due", "more", "next_at", "reason", "version", "was_logged")

    def __init__(self, version: int, reason: str, config: Any) -> None:
        self.version = version
        self.reason = reason
        self.config = config
        self.more = 0
        self.is_due = False
        self.next_at = 0.0
        self.was_logged = False


class Complaints:
    """The complaints of one replica. Any thread may call any method.

    Attributes:
        made: How often anything was said against any version.
        dropped: How many different ones were dropped before they were sent.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()  # reentrant: a signal's handler may complain, too
        self._known: dict[tuple[int, str], Complaint] = {}
        self._lately: dict[int, tuple[float, int]] = {}  # by version: since when, and how many new reasons since
        self.made = 0
        self.dropped = 0

    def add(self, version: int, reason: str, config: Any, now: float) -> bool:
        """Note a complaint. Returns whether it is to be sent, and was not before."""
        with self._lock:
            self.made += 1
            complaint = self._known.get((version, reason))
            if complaint is None:
                if not self._is_admitted(version, now):
                    self.dropped += 1
                    return False
                self._make_room()
                complaint = self._known[version, reason] = Complaint(version, reason, config)
            if complaint.is_due or now < complaint.next_at:
                complaint.more += 1
                return False
            complaint.is_due, complaint.config = True, config
            return True

    def due(self) -> list[Complaint]:
        """Those that are to be sent, the oldest first."""
        with self._lock:
            return [each for each in self._known.values() if each.is_due]

    def sent(self, complaint: Complaint, more: int, now: float) -> None:
        """Note that a message about it has left, which says that it was made so many times more."""
        with self._lock:
            complaint.is_due, complaint.next_at = False, now + INTERVAL
            complaint.more -= more
            complaint.config = None

    def _is_admitted(self, version: int, now: float) -> bool:
        """Whether one more reason against this version may be told now."""
        since, count = self._lately.get(version, (now, 0))
        if now - since >= INTERVAL:
            since, count = now, 0
        if len(self._lately) >= MOST:
            self._lately.clear()
        self._lately[version] = (since, count + 1)
        return count < MOST

    def _make_room(self) -> None:
        if len(self._known) < MOST:
            return
        oldest = next((key for key, each in self._known.items() if not each.is_due), None)
        if oldest is None:
            oldest = next(iter(self._known))
            self.dropped += 1
        del self._known[oldest]
