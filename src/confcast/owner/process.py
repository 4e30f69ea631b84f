"""The owner process: one thread, one selectors loop, one mailbox; it drives the core and carries its effects out.

The loop owns everything but the loads and the watching, which run beside it and speak through the mailbox. Effects
are carried out in the order in which the core gives them; whatever one of them leads to (a drained pipe, a written
row) is handed to the core after the last of them. Journal writes happen in the loop: SQLite writes into the page
cache in some 40 µs, and nobody may be answered before a row is written anyway.

Rejected: asyncio (a loop's own machinery costs more than a whole reload into four workers), and threads that share
the core under a lock.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import msgspec

from confcast.errors import Problem
from confcast.owner.core import Committed, Core, Rules, State
from confcast.owner.effects import (
    Answer,
    Burn,
    ClosePipe,
    Drained,
    Effect,
    Enroll,
    Exit,
    Input,
    Load,
    MasterGone,
    ProcessGone,
    Received,
    Record,
    Recorded,
    RecordEvent,
    RecordFailed,
    RowState,
    Send,
    Strike,
    Timer,
    Trigger,
    Wake,
    WakeAt,
    WriteSnapshot,
)
from confcast.owner.house import House
from confcast.owner.journal import Journal, JournalError, VersionRow
from confcast.owner.loading import Loading
from confcast.owner.mailbox import Mailbox
from confcast.owner.pipes import Pipes
from confcast.wire import processes, snapshots
from confcast.wire.messages import (
    Applied,
    ClearHistory,
    Declined,
    Done,
    History,
    HistoryRequest,
    Message,
    Outcome,
    ReloadEvent,
    Stats,
    StatsRequest,
    Workers,
    WorkersRequest,
)

_log = logging.getLogger("confcast.owner")

_QUERIES = (StatsRequest, HistoryRequest, ClearHistory, WorkersRequest)
_ENDS_A_BARRIER = (Applied, Declined)


class Owner:
    """The loop. Built and run in the owner's main thread.

    Args:
        rules: What the core goes by.
        house: Where it lives, entered already.
        listener: The control socket, listening.
        open_journal: Opens the journal; called again when its file was deleted.
        mailbox: Where the loading thread, the watcher and signals post to.
        loading: Not started yet.
        allowed_uids: Whose processes may open a pipe.
        told: Called with every event that is recorded (the one of the first load decides whether the owner stays).
    """

    def __init__(
        self,
        rules: Rules,
        house: House,
        listener: socket.socket,
        open_journal: Callable[[], Journal],
        mailbox: Mailbox[Input],
        loading: Loading,
        allowed_uids: frozenset[int],
        told: Callable[[ReloadEvent], None],
    ) -> None:
        self.exit_reason: str | None = None
        self._rules = rules
        self._house = house
        self._open_journal = open_journal
        self._journal = open_journal()
        self._mailbox = mailbox
        self._loading = loading
        self._told = told
        self._selector = selectors.DefaultSelector()
        self._inputs: deque[Input] = deque()
        self._pipes = Pipes(self._selector, self._inputs.append, allowed_uids)
        self._deaths: dict[int, processes.Death] = {}
        self._timers: dict[Timer, tuple[float, Wake]] = {}  # of each kind only the newest is heeded
        self._failures: Counter[str] = Counter()
        self._listener = listener
        self._listen()
        self._selector.register(mailbox, selectors.EVENT_READ, lambda mask: self._inputs.extend(mailbox.take()))

    # ---- life

    def stand_on(self, row: VersionRow | None, roster: tuple[int, ...], floor: int, *, gathering: bool) -> None:
        """Continue from what the journal holds, before the first turn of the loop."""
        committed = Committed(row.version, row.digest, row.payload) if row is not None else None
        now = time.monotonic()
        self.core = Core(self._rules, committed=committed, floor=floor, roster=roster, gathering=gathering, now=now)
        for pid in roster:
            self._enroll(Enroll(pid))
        for effect in self.core.begin():
            self._perform(effect)

    def watch_master(self, pid: int) -> None:
        """Leave when this process is dead."""
        try:
            death = processes.Death(pid)
        except ProcessLookupError:
            self._inputs.append(MasterGone())
            return
        self._deaths[0] = death
        self._selector.register(death, selectors.EVENT_READ, lambda mask: self._master_gone())

    def listen_to(self, leash: socket.socket, hear: Callable[[], bool]) -> None:
        """Call `hear` whenever the master has said something, until it returns False."""

        def ready(mask: int) -> None:
            if not hear():
                self._selector.unregister(leash)

        self._selector.register(leash, selectors.EVENT_READ, ready)

    def run(self) -> None:
        """Until the core says Exit."""
        self._loading.start()
        while self.exit_reason is None:
            self._turn()

    def close(self) -> None:
        """Everything this loop opened. What clients wait for ends with their pipes."""
        self._loading.close()
        self._pipes.close_all()
        for death in self._deaths.values():
            death.close()
        self._listener.close()
        self._selector.close()
        self._journal.close()

    # ---- the loop

    def _turn(self) -> None:
        for key, mask in self._selector.select(self._until_next()):
            key.data(mask)
        now = time.monotonic()
        for when, wake in list(self._timers.values()):
            if when <= now:
                del self._timers[wake.timer]
                self._inputs.append(wake)
        while self._inputs and self.exit_reason is None:
            self._feed(self._inputs.popleft())

    def _until_next(self) -> float | None:
        if self._inputs:
            return 0.0
        if not self._timers:
            return None
        return max(0.0, min(when for when, _ in self._timers.values()) - time.monotonic())

    def _feed(self, given: Input) -> None:
        if self._may_end_a_barrier(given):
            # Whoever started on the snapshot file knocked before it served: its Hello is in the backlog by now.
            before = len(self._inputs)
            self._pipes.accept(self._listener)
            knocks = len(self._inputs) - before
            if knocks:
                self._inputs.rotate(knocks)
                self._inputs.insert(knocks, given)
                return
        self._hand_over(given)

    def _may_end_a_barrier(self, given: Input) -> bool:
        if self.core.state not in (State.COMMITTING, State.RECORDING):
            return False
        if isinstance(given, Received):
            return isinstance(given.message, _ENDS_A_BARRIER)
        return not isinstance(given, Drained)

    def _hand_over(self, given: Input) -> None:
        if isinstance(given, Received) and isinstance(given.message, _QUERIES):
            self._pipes.send(given.pipe, self._answer_query(given.message), from_core=False)
            return
        for effect in self.core.handle(given, time.monotonic()):
            self._perform(effect)

    def _perform(self, effect: Effect) -> None:
        _PERFORM[type(effect)](self, effect)

    # ---- effects

    def _send(self, effect: Send) -> None:
        self._pipes.send(effect.pipe, effect.message, from_core=True)

    def _close_pipe(self, effect: ClosePipe) -> None:
        self._pipes.close(effect.pipe)

    def _load(self, effect: Load) -> None:
        self._loading.submit(effect)

    def _wake_at(self, effect: WakeAt) -> None:
        self._timers[effect.timer] = (effect.when, Wake(effect.timer, effect.token))

    def _record(self, effect: Record) -> None:
        row = VersionRow(effect.version, effect.digest, self._rules.schema, effect.payload, time.time())
        try:
            self._stay_in_place()
            self._journal.record(row)
        except (JournalError, OSError) as error:
            problem = Problem("", f"the journal could not be written: {error}", str(self._house.journal))
            self._inputs.appendleft(RecordFailed(self._row_state(row), problem))
        else:
            self._inputs.appendleft(Recorded())

    def _row_state(self, row: VersionRow) -> RowState:
        try:
            return RowState.PRESENT if self._journal.holds(row.version, row.digest) else RowState.ABSENT
        except JournalError:
            return RowState.UNREADABLE

    def _burn(self, effect: Burn) -> None:
        self._try("burnt number", lambda: self._journal.burn(effect.version))

    def _write_snapshot(self, effect: WriteSnapshot) -> None:
        self._loading.committed(effect.digest, effect.payload)
        folder, schema = self._house.folder, self._rules.schema
        self._try(
            "snapshot file",
            lambda: snapshots.save(folder, schema, effect.version, effect.digest, effect.payload),
        )

    def _enroll(self, effect: Enroll) -> None:
        self._try("roster", lambda: self._journal.enroll(effect.pid, processes.started(effect.pid)))
        if effect.pid in self._deaths:
            return
        try:
            death = processes.Death(effect.pid)
        except ProcessLookupError:
            self._inputs.append(ProcessGone(effect.pid))
            return
        self._deaths[effect.pid] = death
        self._selector.register(death, selectors.EVENT_READ, lambda mask: self._gone(effect.pid))

    def _strike(self, effect: Strike) -> None:
        self._try("roster", lambda: self._journal.strike(effect.pid))
        death = self._deaths.pop(effect.pid, None)
        if death is not None:
            self._selector.unregister(death)
            death.close()

    def _answer(self, effect: Answer) -> None:
        pipe, number = effect.call
        self._pipes.send(pipe, Outcome(number, _dated(effect.event)), from_core=False)

    def _record_event(self, effect: RecordEvent) -> None:
        event = _dated(effect.event)
        if event or event.origin != "start":  # a first load that is refused is the master's to tell
            _tell_the_log(event)
        self._try("history", lambda: self._journal.add_event(event))
        self._told(event)

    def _exit(self, effect: Exit) -> None:
        self.exit_reason = effect.reason

    def _try(self, what: str, write: Callable[[], None]) -> None:
        """A write that nothing depends on: a failure is logged, counted, and stops nothing."""
        try:
            write()
        except (JournalError, OSError) as error:
            self._failures[what] += 1
            _log.error("the %s could not be written (failure %d): %s", what, self._failures[what], error)

    # ---- inputs that are none of a pipe's

    def _gone(self, pid: int) -> None:
        death = self._deaths.pop(pid)
        self._selector.unregister(death)
        death.close()
        self._inputs.append(ProcessGone(pid))

    def _master_gone(self) -> None:
        death = self._deaths.pop(0)
        self._selector.unregister(death)
        death.close()
        self._inputs.append(MasterGone())

    def _listen(self) -> None:
        self._selector.register(self._listener, selectors.EVENT_READ, lambda mask: self._pipes.accept(self._listener))

    def _stay_in_place(self) -> None:
        """SQLite goes on committing into a deleted file: make folder, lock, journal and socket anew first."""
        if self._journal.in_place() and self._house.in_place():
            return
        _log.error("%s was deleted while in use: made anew; history and totals are lost", self._house.journal.parent)
        self._selector.unregister(self._listener)
        self._listener.close()
        self._journal.close()
        self._listener = self._house.enter()
        self._listen()
        self._journal = self._open_journal()
        committed, schema = self.core.committed, self._rules.schema
        if committed.version:
            self._journal.record(
                VersionRow(committed.version, committed.digest, schema, committed.payload, time.time())
            )
            snapshots.save(self._house.folder, schema, committed.version, committed.digest, committed.payload)
        for member in self.core.roster:
            self._journal.enroll(member.pid, processes.started(member.pid))

    # ---- queries

    def _answer_query(self, request: Message) -> Message:
        if isinstance(request, StatsRequest):
            return Stats(request.id, self._stats())
        if isinstance(request, HistoryRequest):
            return History(request.id, self._journal.events(request.limit))
        if isinstance(request, WorkersRequest):
            return Workers(request.id, self.core.statuses())
        assert isinstance(request, ClearHistory)
        self._try("history", self._journal.clear_events)
        return Done(request.id)

    def _stats(self) -> dict[str, Any]:
        return {
            **self._journal.totals(),
            "version": self.core.committed.version,
            "owner_pid": os.getpid(),
            "dropped": dict(self.core.dropped),
            "refused": dict(self._pipes.refused),
            "failures": dict(self._failures),
        }


_PERFORM: dict[type, Callable[[Owner, Any], None]] = {
    Send: Owner._send,
    ClosePipe: Owner._close_pipe,
    Load: Owner._load,
    WakeAt: Owner._wake_at,
    Record: Owner._record,
    Burn: Owner._burn,
    WriteSnapshot: Owner._write_snapshot,
    Enroll: Owner._enroll,
    Strike: Owner._strike,
    Answer: Owner._answer,
    RecordEvent: Owner._record_event,
    Exit: Owner._exit,
}


def _dated(event: ReloadEvent) -> ReloadEvent:
    """The core knows a clock that only goes forward; a person wants a date."""
    return msgspec.structs.replace(event, timestamp=time.time() - (time.monotonic() - event.timestamp))


def _tell_the_log(event: ReloadEvent) -> None:
    if not event:
        _log.error(
            "%s: refused (%s), version %d stays\n%s", event.origin, event.result, event.version, event.error_message
        )
    elif event.lagging:
        names = "; ".join(f"{status.pid}: {status.reason or status.state}" for status in event.lagging)
        _log.warning("%s: %s, version %d, but for %s", event.origin, event.result, event.version, names)
    else:
        level = logging.INFO if event.changes or event.origin != "call" else logging.DEBUG
        _log.log(level, "%s: %s, version %d in %.1f ms", event.origin, event.result, event.version, event.duration_ms)


def heed_signals(mailbox: Mailbox[Input]) -> None:
    """HUP is a trigger. INT is the terminal's word to the master. TERM: the owner leaves with its master."""
    signal.set_wakeup_fd(mailbox.wakeup_fd, warn_on_full_buffer=False)
    signal.signal(signal.SIGHUP, lambda number, frame: mailbox.post(Trigger("signal")))
    signal.signal(signal.SIGTERM, lambda number, frame: _log.info("SIGTERM: leaving when the master is gone"))
    for number in (signal.SIGINT, signal.SIGIO):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
