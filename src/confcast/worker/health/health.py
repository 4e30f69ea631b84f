"""What one process says against its version: health checks, `unhealthy`, and the counts of its requests.

While what runs here may be undone (a slot of a trial, a probation, a window), a thread calls the health checks each
second, and sends the counts that have changed; once nothing is provisional, and nothing is to be told, the thread ends:
a process at rest is woken by nothing. The thread also sends what `unhealthy` was told, so that no request waits for the
owner's pipe. Checks run in another thread (`checks.py`), so that a hanging one holds up neither the counts nor what
else is said. Nothing here holds up a vote, a swap or the process's end: who calls in takes a lock for microseconds.

What a process says while it leaves is no evidence: an application closes its pools before its last thread ends. So
nothing is checked any more from the end of its lifespan on, or once the interpreter exits.

Rejected: checks between requests (an idle worker would not be judged), and sending the counts with each request.
"""

from __future__ import annotations

import atexit
import functools
import logging
import threading
import time
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from confcast.errors import NotAttached
from confcast.log_fields import about
from confcast.texts import printable
from confcast.wire.messages import Counts, Message, Unhealthy
from confcast.wire.signal_mask import application_signals, block_signals
from confcast.worker.derived.building import text_of
from confcast.worker.health.checks import DEADLINE, Check, Round, Runner, said_here
from confcast.worker.health.complaints import MOST, Complaint, Complaints
from confcast.worker.health.tally import Tally, renew_lock
from confcast.worker.pins import Pinnable
from confcast.worker.snapshot import Snapshot

if TYPE_CHECKING:  # importing it takes 6 MiB, which a worker without a loop need not pay
    import asyncio

_log = logging.getLogger("confcast.worker")

INTERVAL = 1.0
"""Seconds between two calls of a health check, and between two messages with counts."""

_COMING = 0.05
"""Seconds between two looks for a version that may be undone and is not swapped in yet."""

_LONGEST = 2000
"""How many characters of a reason are told to the config owner."""


class Judged(Pinnable[Any], Protocol):
    """A replica, as its health knows it."""

    _provider: Any

    @property
    def snapshot(self) -> Snapshot[Any]:
        """The pinned snapshot in a pin, the newest outside."""


class Health:
    """The health of one replica's process. Any thread may call any method.

    Args:
        replica: The replica, whose pins and snapshot count.
        name: Its name.
        masked: Masks secrets: `masked(text, instead, *configurations)`.
        loop: Returns the event loop that is bound, or None.

    Attributes:
        interval: Seconds between two calls of a check, and between two messages with counts.
        deadline: Seconds after which a check that has not answered is a no.
        complaints: What is said against versions.
        before: The version that was the newest before the present one, and its tally; set by each swap.
    """

    def __init__(
        self,
        replica: Judged,
        name: str,
        masked: Callable[..., str],
        loop: Callable[[], asyncio.AbstractEventLoop | None],
    ) -> None:
        self.interval = INTERVAL
        self.deadline = DEADLINE
        self.complaints = Complaints()
        self._replica = replica
        self._name = name
        self._masked = masked
        self._loop = loop
        self._checks: list[Check] = []
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.RLock()  # reentrant: a signal's handler may complain, too
        self._send: Callable[[Message], bool] | None = None
        self._provisional = (0, 0.0)  # a version, and until when it may be undone
        self._slot: Snapshot[Any] | None = None
        self.before: tuple[int, Tally] | None = None
        self._sent: dict[int, tuple[int, int, int]] = {}
        self._leaves = False
        self._dropping_was_logged = False
        self._thread: threading.Thread | None = None
        # Made with the thread: by then a worker whose threads are green has patched the library.
        self._woken: threading.Event | None = None
        self._runner: Runner | None = None

    # ---- what the application says

    def declare(self, function: Callable[[], Any]) -> None:
        """As `Replica.healthcheck`. Raises TypeError."""
        if not callable(function):
            raise TypeError(f"a health check is called without arguments; {function!r} can't be called")
        with self._lock:
            self._checks.append(Check(function))

    def unhealthy(self, reason: object) -> None:
        """As `Replica.unhealthy`; in a unit test `override()` keeps what is said."""
        text = reason if isinstance(reason, str) else text_of(reason)  # type: ignore[arg-type]
        try:
            snapshot = self._replica.snapshot
        except NotAttached:
            self.complaints.made += 1
            _log.warning(
                "replica %r has no version that could be unhealthy: it is not attached",
                self._name,
                extra=about("complaint_without_version", name=self._name),
            )
            return
        provider = self._replica._provider
        if provider is None or not provider.heard(snapshot.version, text):
            self._speak(snapshot, text)

    def check_here(self) -> list[str]:
        """For unit tests: call each check once, in this thread. Returns what they say against the newest version."""
        return [said for check in list(self._checks) if (said := said_here(check, self._replica))]

    # ---- what the link and the replica report

    def report_to(self, send: Callable[[Message], bool]) -> None:
        """Send by this function from now on; it returns whether a pipe has taken the message."""
        with self._lock:
            self._send, self._leaves = send, False

    def provisional(self, version: int, seconds: float) -> None:
        """What runs under this number may be undone within these seconds; 0.0: no more."""
        with self._lock:
            self._provisional = (version, time.monotonic() + seconds if seconds else 0.0)
            self._sent = {}  # the owner may be a new one; while counts are sent, it is not changed but replaced
            if seconds:
                self._wake()

    def on_trial(self, snapshot: Snapshot[Any] | None) -> None:
        """Beside what is held there is this version on trial; None: there is none any more."""
        with self._lock:
            self._slot = snapshot
            self._sent = {}
            if snapshot is not None:
                self._wake()

    def owner_is_back(self) -> None:
        """There is a pipe on which the owner has given a version: tell what no owner could be told."""
        if self.complaints.due():
            self._wake()

    def serves(self, *, leaves: bool) -> None:
        """Whether the application has begun to leave: what its checks say from then on is no evidence."""
        with self._lock:
            self._leaves = leaves
            if leaves:
                self._stop_runner()

    def close(self) -> None:
        """Judge nothing any more, until the next attach."""
        with self._lock:
            self._provisional, self._slot, self._send = (0, 0.0), None, None
            self._stop_runner()
            if self._woken is not None:
                self._woken.set()

    def after_fork(self) -> None:
        """Have nothing in a forked child: the threads, and what was counted, are the parent's."""
        self.complaints = Complaints()
        renew_lock()
        self._begin()
        for check in self._checks:
            check.call = None
        if (newest := self._newest()) is not None:
            object.__setattr__(newest, "_tally", Tally())

    # ---- the thread

    def _wake(self) -> None:
        """Have the thread look at what is to be done, now."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():  # an error in a log handler ends it
                self._start()
            if self._woken is not None:
                self._woken.set()

    def _start(self) -> None:
        _leave_at_exit()
        _living.add(self)
        woken = self._woken = threading.Event()
        to_run = (woken, threading.get_native_id())
        thread = threading.Thread(target=self._run, args=to_run, name="confcast-judging", daemon=True)
        try:
            with application_signals():  # the new thread inherits the mask of the thread that starts it
                thread.start()
        except RuntimeError as error:  # the next thing to be said tries again
            _log.error(
                "what is said against a version is told later: %s",
                error,
                extra=about("no_thread", what="complaints", error=error),
            )
            return
        self._thread = thread

    def _run(self, woken: threading.Event, starter: int) -> None:
        block_signals(starter)
        next_round = time.monotonic()
        while True:
            woken.clear()
            now = time.monotonic()
            judged = self._judged(now)
            if judged and now >= next_round:
                next_round = now + self.interval
                self._look(judged, now)
            self._tell(now)
            self._log_dropping()
            with self._lock:
                # What is provisional is told before the swap, which may take longer than this thread's start.
                is_coming = not judged and now < self._provisional[1]
                if not judged and not is_coming and not woken.is_set():
                    self._thread = None
                    self._stop_runner()
                    return
            woken.wait(_COMING if is_coming else max(0.0, next_round - time.monotonic()))

    def _judged(self, now: float) -> list[Snapshot[Any]]:
        """The versions that may still be undone."""
        with self._lock:
            (version, until), slot = self._provisional, self._slot
        newest = self._newest() if now < until else None
        if newest is not None and newest.version != version:
            newest = None
        return [each for each in (newest, slot) if each is not None]

    def _newest(self) -> Snapshot[Any] | None:
        try:
            return self._replica._snapshot
        except NotAttached:
            return None

    def _look(self, judged: list[Snapshot[Any]], now: float) -> None:
        """Begin a round of checks, look for one that hangs, and send the counts that have changed."""
        with self._lock:
            if judged and self._checks and not self._leaves:
                self._check(judged, now)
        if judged:
            self._count()

    def _check(self, judged: list[Snapshot[Any]], now: float) -> None:
        if self._runner is not None and (call := self._runner.hung(now, self.deadline)) is not None:
            self._speak(call.snapshot, f"{call.check.name}: it has not answered within {self.deadline:g} s")
            self._stop_runner()
        try:
            self._runner = self._runner or Runner()
        except RuntimeError as error:
            _log.error(
                "the health checks are called later: %s",
                error,
                extra=about("no_thread", what="health checks", error=error),
            )
            return
        self._runner.begin(Round(self._replica, list(self._checks), judged, self._bound(), self.deadline, self._speak))

    def _bound(self) -> asyncio.AbstractEventLoop | None:
        loop = self._loop()
        return None if loop is None or loop.is_closed() else loop

    def _stop_runner(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            runner.stop()

    def _count(self) -> None:
        newest, slot, before, sent = self._newest(), self._slot, self.before, self._sent
        tallies = dict((before,) if before is not None else ())
        tallies |= {each.version: each._tally for each in (newest, slot) if each is not None}
        for version, tally in tallies.items():
            failed, entities = tally.failed, tally.entities  # read first: they are never above `answered`
            counts = (tally.answered, failed, entities)
            if counts != sent.get(version, (0, 0, 0)) and self._say(Counts(version, *counts)):
                sent[version] = counts
        for version in sent.keys() - tallies.keys():
            del sent[version]

    # ---- what is said

    def _speak(self, snapshot: Snapshot[Any], reason: str) -> None:
        """Have the thread tell the owner this reason against a version."""
        is_due = self.complaints.add(snapshot.version, reason, snapshot.config, time.monotonic())
        if is_due or (self.complaints.dropped and not self._dropping_was_logged):
            self._wake()

    def _tell(self, now: float) -> None:
        for complaint in self.complaints.due():
            more = complaint.more
            text = self._text(complaint, more)
            is_told = self._say(Unhealthy(complaint.version, text))
            if not complaint.was_logged:
                complaint.was_logged = True
                owner = "the config owner is told" if is_told else "no config owner answers; the next one is told"
                _log.warning(
                    "version %d is unhealthy (%s): %s",
                    complaint.version,
                    owner,
                    text,
                    extra=about("unhealthy", version=complaint.version, reason=text),
                )
            if is_told:
                self.complaints.sent(complaint, more, now)

    def _log_dropping(self) -> None:
        if self.complaints.dropped and not self._dropping_was_logged:
            self._dropping_was_logged = True
            text = "more than %d different reasons against a version at once: the others are only counted. Are there "
            _log.warning(
                text + "numbers in them that differ each time?", MOST, extra=about("complaints_left_out", limit=MOST)
            )

    def _text(self, complaint: Complaint, times: int) -> str:
        masked = self._masked(complaint.reason, "a reason whose secrets can't be found", complaint.config)
        more = f" ({times} more times)" if times else ""
        return printable(masked)[: _LONGEST - len(more)] + more

    def _say(self, message: Message) -> bool:
        send = self._send
        return send is not None and send(message)


_living: weakref.WeakSet[Health] = weakref.WeakSet()


@functools.cache
def _leave_at_exit() -> None:
    """Registered with the first thread, so called before what the application has registered at its import."""
    atexit.register(_leave)


def _leave() -> None:
    for health in list(_living):
        health.serves(leaves=True)
