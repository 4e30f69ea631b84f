"""What the rig records by looking: which processes begin and end, and what the owner says of itself."""

from __future__ import annotations

import contextlib
import os
import threading

from confcast import OwnerUnavailable, ReloadEvent, Status
from tests.torture.history import Outcome, Process, Recorder, State, now
from tests.torture.leftovers import Baseline
from tests.torture.site import Site

_EVERY, _STATE_EACH, _EVENTS_EACH = 0.1, 3, 50
"""Seconds between two looks at processes; the others are at each third, and each fiftieth, of them."""


class Watcher:
    """Looks, in a thread of its own, from `start` to `stop`.

    Args:
        site: What is looked at.
        recorder: Where it is recorded.
        wall: `time.time()` minus `time.monotonic()`.
        first: Seconds in which it is noted what processes have.

    Attributes:
        baseline: What they have had then.
    """

    def __init__(self, site: Site, recorder: Recorder, wall: float, first: float) -> None:
        self._site, self._recorder, self._wall, self._first = site, recorder, wall, first
        self.baseline = Baseline()
        self._known: dict[int, str] = {}
        self._told: set[tuple[float, int, str]] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._lock = threading.Lock()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Look a last time."""
        self._over.set()
        self._thread.join()
        self.look_at_processes()
        self.ask_state()
        self.ask_events()

    def _run(self) -> None:
        count = 0
        while not self._over.wait(_EVERY):
            count += 1
            self.look_at_processes()
            if count % _STATE_EACH == 0:
                self.ask_state()
            if count * _EVERY <= self._first:
                self.baseline.add(self._site.processes())
            if count % _EVENTS_EACH == 0:
                self.ask_events()

    def look_at_processes(self) -> None:
        """Which have begun, or ended, since the last look."""
        found = {pid: role for role, pids in self._site.processes().items() for pid in pids if role != "booting"}
        with self._lock:
            for pid in found.keys() - self._known.keys():
                self._record(pid, found[pid], "began")
            for pid in self._known.keys() - found.keys():
                self._record(pid, self._known[pid], "ended")
            self._known = found

    def _record(self, pid: int, role: str, what: str) -> None:
        self._recorder.write(Process(at=now(), by=os.getpid(), pid=pid, role=role, what=what))

    def ask_state(self) -> None:
        """What runs, if an owner answers."""
        began = now()
        with contextlib.suppress(OwnerUnavailable):
            status = self._site.client.status()
            self._recorder.write(self._state(began, status))

    def _state(self, began: float, status: Status) -> State:
        tried = [each.version for each in status.workers if each.state == "trial"]
        return State(
            at=now(),
            by=os.getpid(),
            began=began,
            version=status.version,
            owner=self._site.owner() or 0,
            trial=max(tried, default=0) if status.provisional == "trial" else 0,
            window=status.version if status.provisional == "confirm" else 0,
            deadline=status.deadline - self._wall if status.deadline is not None else 0.0,
            held=status.held is not None,
            workers={str(each.pid): each.version for each in status.workers},
            overrides=[each.key for each in status.overrides],
        )

    def ask_events(self) -> None:
        """What the owner says of its loads; each is recorded once."""
        with contextlib.suppress(OwnerUnavailable):
            for event in reversed(self._site.client.get_event_history()):
                self._tell(event)

    def _tell(self, event: ReloadEvent) -> None:
        key = (event.timestamp, event.version, str(event.result))
        with self._lock:
            if key in self._told:
                return
            self._told.add(key)
        serials = [int(str(change.new)) for change in event.changes if change.key == "serial" and change.new]
        self._recorder.write(
            Outcome(
                at=now(),
                by=os.getpid(),
                began=event.timestamp - self._wall,
                result=str(event.result),
                origin=event.origin,
                version=event.version,
                previous=event.previous_version,
                serial=serials[0] if serials else 0,
                dry_run=event.dry_run,
                confirm_by=event.confirm_by,
                evidence=event.evidence,
            )
        )
