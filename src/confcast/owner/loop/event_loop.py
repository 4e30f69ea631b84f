"""The event loop drives the core and carries its effects out: one thread, one selector, one mailbox.

Watching runs in a thread of its own and posts to the mailbox, as do loads that last (`relief.py`); all else runs in the
loop, loads between two of its turns. Effects are carried out in the order in which the core returns them; the inputs
that they cause (a drained pipe, a written row) are given to the core after the last effect. Journal writes happen in
the loop: an append takes some 9 µs, and no caller may be answered before it anyway. A disk that hangs therefore holds
up reloads and new workers (which have the snapshot file); workers that are attached go on serving.

Files are deleted while they are in use. Before a load the loop looks at four paths: the control socket (workers that
start need it), the lock (another owner could start), the journal (history and roster would be lost) and its ahead file.
Before a version is recorded it looks at the ahead file only, since that one is written. Before SQLite takes in what
waits, while idle, it looks at the journal and at SQLite's log.

Rejected: asyncio (a loop's own machinery costs more than a whole reload into four workers), and threads that share
the core under a lock.
"""

from __future__ import annotations

import functools
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from confcast.errors import ConfcastError, Problem
from confcast.owner.core import effects as fx
from confcast.owner.core.former_workers import FormerWorkers
from confcast.owner.core.last_good import ORIGIN
from confcast.owner.core.machine import Committed, Core, ProposalState, Rules
from confcast.owner.loop import loop_log
from confcast.owner.loop.connections import Pipes
from confcast.owner.loop.core_clock import dated, rows_of, state_row_of, with_dates, with_times
from confcast.owner.loop.event_log import log_event
from confcast.owner.loop.exit_watch import ExitWatch
from confcast.owner.loop.falling_back import falls_back, with_goodness
from confcast.owner.loop.listening import Listening
from confcast.owner.loop.load_thread import LoadThread
from confcast.owner.loop.mailbox import IdleTasks, Job, LogRotated, Mailbox
from confcast.owner.loop.present_status import Present
from confcast.owner.loop.probing import Probing
from confcast.owner.loop.queries import QUERIES, answer_to, ask_for
from confcast.owner.loop.questions import QUESTIONS, Answered
from confcast.owner.loop.relief import Relief
from confcast.owner.loop.restoring import contents_past_guards, restored, still_set
from confcast.owner.loop.troubles import Troubles, row_state
from confcast.owner.loop.waiting_clients import WaitingClients
from confcast.owner.store import handover, incomplete_roster
from confcast.owner.store.journal import Journal, JournalError, VersionRow
from confcast.owner.store.runtime_dir import RuntimeDir
from confcast.wire import processes
from confcast.wire.messages import NewsRequest, Outcome, Query, ReloadEvent, ToOwner

if TYPE_CHECKING:
    from confcast.owner.loop.outcomes import Outcomes
    from confcast.owner.store.journal_moves import Move


_ANSWERED_HERE = frozenset({*QUESTIONS, *QUERIES, NewsRequest})  # the core never sees these messages

_RETRY_AFTER = 1.0  # seconds without accepting where no descriptor is left: the socket stays readable

_LONGEST_WAIT = 86400.0  # seconds of a turn: a selector raises for a wait of 25 days, and a value may be set for longer

_FOLD_AFTER = 0.25  # seconds that what the journal has appended waits for SQLite: many reloads are one transaction

_JOURNAL_RETRY_AFTER = 30.0
"""Seconds until SQLite is tried again, or a move into the state folder, after a failure."""


class EventLoop:
    """The owner's event loop. Built in the owner's main thread; once it runs, its methods belong to the loop's thread.

    Args:
        rules: The core's rules.
        runtime_dir: The runtime directory, in use already; its allowed uids may open a pipe, too.
        listener: The control socket, listening.
        open_journal: Opens the journal; called again when its file was deleted.
        mailbox: The queue to which the watcher, a load that lasts and signals post.
        loading: What serves the loads.
        on_event: Called with every event that is recorded (the first load's event decides whether the owner goes on).
        former: The runtime directory of the generation before, if there is one.
        passed: A listening socket that outlives owners, on which this one accepts, too.
        follow_log: Continues in the next log file after a rotation; None where the log is no file.
        relief: The threads that run the loop, and its loads.
        outcomes: What tells sources that follow what came of their contents; None if there are none.

    Attributes:
        exit_reason: Why the loop ended, or ends after this turn: empty when its master is gone; None while it runs.
    """

    def __init__(
        self,
        rules: Rules,
        runtime_dir: RuntimeDir,
        listener: socket.socket,
        open_journal: Callable[[], Journal],
        mailbox: Mailbox[fx.Input | Answered | LogRotated],
        loading: LoadThread,
        on_event: Callable[[ReloadEvent], None],
        *,
        former: Path | None = None,
        passed: socket.socket | None = None,
        follow_log: Callable[[], None] | None = None,
        relief: Relief | None = None,
        outcomes: Outcomes | None = None,
    ) -> None:
        self.exit_reason: str | None = None
        self._outcomes = outcomes
        self._former = former
        self._follow_log = follow_log
        self._relief = relief or Relief()
        self._rules = rules
        self._runtime_dir = runtime_dir
        self._open_journal = open_journal
        self._journal = open_journal()
        self._journal_incomplete = False  # a new journal lacks what could not be written into it
        self._will_fold = False
        self._mailbox = mailbox
        self._loading = loading
        self._on_event = on_event
        self._probing = Probing(rules.probes, mailbox.post)
        self._selector = selectors.DefaultSelector()
        self._inputs: deque[fx.Input | Answered] = deque()
        self._drained: list[int] = []  # pipes whose frames have left since the last Drained
        self._unlogged: deque[ReloadEvent] = deque()  # events to log once all callers have been answered
        allowed = runtime_dir.allowed_uids
        self._pipes = Pipes(self._selector, self._inputs.append, allowed.uids(), rules.vote_timeout, allowed.group)
        self._exit_watch, self._master = ExitWatch(self._selector), ExitWatch(self._selector)
        self._retry_at: float | None = None
        self._idle_tasks = IdleTasks()
        send = functools.partial(self._pipes.send, from_core=False)
        self._clients = WaitingClients(rules.load_timeout, send, loading.submit_question, self._shown_state)
        self._recorded = 0  # events
        self._timers: dict[fx.Timer, tuple[float, fx.Wake]] = {}  # of each kind only the newest counts
        self._troubles = Troubles()
        self._try, self._failures = self._troubles.attempt, self._troubles.counts
        self._listening = Listening(self._selector, listener, passed, self._pipes.accept, self._retry_later)
        self._listening.watch()
        self._selector.register(mailbox, selectors.EVENT_READ, lambda mask: self._take_mail())

    # ---- start, move, end

    def start_from(
        self,
        row: VersionRow | None,
        roster: tuple[int, ...],
        high_water: int,
        *,
        gathering: bool,
        outlived: bool = False,
        starts_anew: bool = False,
        last_good: bool = False,
    ) -> None:
        """Build the core from what the journal holds, before the first turn of the loop."""
        state = self._journal.state
        committed = None
        operator, fallback = falls_back(with_times(state.operator), row, self._journal)
        if row is not None:
            undo = state.undo == row.version
            committed = Committed(row.version, row.digest, row.payload, undo, row.values)
        self.core = Core(
            self._rules,
            committed=committed,
            high_water=high_water,
            roster=() if outlived else roster,
            refused=state.refused,
            operator=operator,
            fallback=fallback,
            starts_anew=starts_anew,
            gathering=gathering and not outlived,
            former_workers=FormerWorkers(roster, gathers=gathering) if outlived else None,
            last_good=last_good,
            still_set=functools.partial(still_set, loading=self._loading),
            now=time.monotonic(),
            report=loop_log.transitions(),
        )
        for pid in roster:
            self._add_member(fx.AddMember(pid))
        self._perform(self.core.begin())

    def watch_master(self, pid: int, since: int) -> None:
        """Give MasterGone to the core when this process, which began at `since`, is dead."""
        self._watch_exit(self._master, pid, lambda failed: fx.MasterGone())
        if not processes.is_alive(pid, since):  # dead, or its pid is another process's now
            self._inputs.append(fx.MasterGone())

    def count_loss(self, what: str) -> None:
        """Count in the totals that a file the owner must have was gone, and was made anew."""
        self._failures[what] += 1

    def watch_channel(self, channel: socket.socket, receive: Callable[[], bool]) -> None:
        """Call `receive` whenever this channel is readable, until it returns False."""

        def ready(mask: int) -> None:
            if not receive():
                self._selector.unregister(channel)

        self._selector.register(channel, selectors.EVENT_READ, ready)

    def copy_journal(self) -> None:
        """Write a copy of the journal for the next generation. Call it only while the owner is idle."""
        self._try(
            "copy of the journal",
            lambda: handover.write_copy(self._journal, self.core.high_water, self._runtime_dir.folder),
        )

    def take_back(self) -> None:
        """Delete the copy after the next generation has ended, and never give out the numbers that it gave out."""
        self._try("copy of the journal", lambda: self.core.retire(handover.take_back(self._runtime_dir.folder)))
        self._try("burnt number", lambda: self._journal.retire(self.core.high_water))

    def move_to_state_folder(self) -> float:
        """Move the journal into the state folder, if the former owner has released it; only while the owner is idle.

        Returns:
            Seconds until the next try; 0 when none is needed.
        """
        if self._runtime_dir.awaited is None:
            return 0.0
        from confcast.owner.store.journal_moves import into_state_folder  # most owners move nothing

        tell = functools.partial(handover.before_the_move, self._former, self.core.high_water)
        move = functools.partial(into_state_folder, tell=tell)
        return self._move("the journal can't move into the state folder yet", move)

    def leave_state_folder(self) -> float:
        """Release the state folder for the next generation, for good. Returns the seconds until the next try, or 0."""
        from confcast.owner.store.journal_moves import out_of_state_folder

        return self._move("the state folder can't be released yet", out_of_state_folder)

    def _move(self, trouble: str, move: Move) -> float:
        try:
            moved = move(self._runtime_dir, self._journal, self._open_journal)
        except (ConfcastError, OSError) as error:
            self._failures["move"] += 1
            loop_log.journal_not_moved(trouble, error)
            return _JOURNAL_RETRY_AFTER
        self._journal = moved or self._journal
        return 0.0 if moved is not None else _RETRY_AFTER

    def fold(self) -> float:
        """Take into SQLite what the journal has appended; the seconds until the next try, or 0."""
        try:
            if self._journal.in_place():  # else the next load makes it anew, and what waits is as lost as the history
                self._journal.fold()
        except ConfcastError as error:
            self._failures["fold"] += 1
            loop_log.journal_behind(error)
            return _JOURNAL_RETRY_AFTER
        self._will_fold = False
        return 0.0

    def expect(self, pids: list[int]) -> None:
        """Know workers of another server's, before they connect. Call it in the loop's thread, between two inputs."""
        self._handle_inputs()  # who has connected by now is here
        new, left = self.core.expect(pids)
        for pid in new:
            self._add_member(fx.AddMember(pid))
        for pid in left:  # as at a Goodbye
            self._remove_member(fx.RemoveMember(pid))
            self._inputs.append(fx.ProcessGone(pid))

    def hand_over(self, *, on: bool) -> None:
        """A next generation takes over: a window ends before this owner is idle. Or, not `on`: it was called off."""
        self._inputs.append(fx.HandsOver(on))
        self._clients.forget()  # who looks on has to find the next owner

    def stop(self, reason: str) -> None:
        """End the loop. Must be called in the loop's thread."""
        self.exit_reason = reason

    def when_idle(self, job: Job) -> None:
        """Call `job` while no reload is under way; the job returns the seconds until its next call, 0 for none."""
        self._idle_tasks.add(job)

    def run(self) -> None:
        """Run until the core gives Exit, or `stop()` is called; in the main thread, which only waits for that."""
        self._relief.run(self._turns, self._mailbox.wake)

    def close(self) -> None:
        """Close all that this loop opened. A client that waits for an answer sees its pipe end."""
        self._loading.close()
        self._probing.close()
        self._pipes.close_all()
        self._exit_watch.close()
        self._master.close()
        self._listening.close()
        self._selector.close()
        self._journal.close()

    # ---- the loop

    def _turns(self) -> None:
        """Loads, and turns between them; until the loop ends, or is taken over from this thread during a load."""
        while self._goes_on():
            for result in self._loading.serve_here():
                self._inputs.append(result)
                self._handle_inputs()
            if self._relief.has_loop():
                self._log_events()
            if self._goes_on():
                self._turn()

    def _goes_on(self) -> bool:
        return self._relief.has_loop() and self.exit_reason is None

    def _turn(self) -> None:
        ready = self._selector.select(self._until_next())
        for key, mask in ready:
            key.data(mask)
        now = time.monotonic()
        for when, wake in list(self._timers.values()):
            if when <= now:
                del self._timers[wake.timer]
                self._inputs.append(self._with_what_hangs(wake))
        if self._retry_at is not None and self._retry_at <= now:
            self._retry()
        self._pipes.close_timed_out(now)
        self._clients.expire(now, self._loading.doing)
        self._handle_inputs()
        self._clients.tell()
        if self.core.state is ProposalState.IDLE:
            self._idle_tasks.do(now)
        self._log_events()

    def _log_events(self) -> None:
        while self._unlogged:
            log_event(self._unlogged.popleft())

    def _handle_inputs(self) -> None:
        while self._inputs and self.exit_reason is None:
            self._hand_over(self._inputs.popleft())

    def _take_mail(self) -> None:
        for given in self._mailbox.take():
            if isinstance(given, LogRotated):
                if self._follow_log is not None:
                    self._try("next log file", self._follow_log)
            else:
                self._inputs.append(given)

    def _with_what_hangs(self, wake: fx.Wake) -> fx.Wake:
        """Add to a load's deadline what the load waits for, which only the stack of its thread shows."""
        loads = wake.timer in (fx.Timer.LOAD, fx.Timer.STAGE)
        return fx.Wake(wake.timer, wake.token, self._loading.doing()) if loads else wake

    def _until_next(self) -> float | None:
        if self._inputs:
            return 0.0
        times = [when for when, _ in self._timers.values()]
        limits = (self._retry_at, self._pipes.deadline(), self._clients.deadline())
        times += [when for when in limits if when is not None]
        if self.core.state is ProposalState.IDLE:
            times += self._idle_tasks.next()
        return min(max(0.0, min(times) - time.monotonic()), _LONGEST_WAIT) if times else None

    def _hand_over(self, given: fx.Input | Answered) -> None:
        if isinstance(given, Answered):
            self._clients.answered(given)
        elif isinstance(given, fx.Received) and type(given.message) in _ANSWERED_HERE:
            self._try("answer", functools.partial(self._reply, given.pipe, given.message))
        else:
            if isinstance(given, fx.Loaded) and given.differs:
                given = with_goodness(given, self._journal, self._failures)
            self._perform(self.core.handle(self._loading.located(given), time.monotonic()))
            self._probing.follow(self.core)
            if self._outcomes is not None:
                self._outcomes.follow(self.core)

    def _perform(self, effects: list[fx.Effect]) -> None:
        for effect in effects:
            _PERFORM[type(effect)](self, effect)
        if self._drained:
            self._inputs.append(fx.Drained(tuple(self._drained)))
            self._drained.clear()

    # ---- effects

    def _send(self, effect: fx.Send) -> None:
        if self._pipes.send(effect.pipe, effect.message, from_core=True):
            self._drained.append(effect.pipe)

    def _load(self, effect: fx.Load) -> None:
        self._try("folder", self._recreate_what_was_deleted)
        self._loading.submit(effect, contents_past_guards(effect, self._journal, self.core.operator.trial))

    def _restore(self, effect: fx.Restore) -> None:
        self._inputs.append(restored(effect, self._journal, self._rules, self._loading))

    def _wake_at(self, effect: fx.WakeAt) -> None:
        self._timers[effect.timer] = (effect.when, fx.Wake(effect.timer, effect.token))

    def _record(self, effect: fx.Record) -> None:
        row, state = rows_of(effect, self._rules.schema)
        self._commit(lambda: self._journal.record(row, state), lambda: self._journal.holds(row.version, row.digest))

    def _record_state(self, effect: fx.RecordState) -> None:
        state, serial = state_row_of(effect, self.core.committed.version), effect.operator.serial
        self._commit(lambda: self._journal.record_state(state), lambda: self._journal.holds_state(serial))

    def _commit(self, write: Callable[[], None], holds: Callable[[], bool]) -> None:
        """Write to the journal, and give the outcome to the core. `holds`: whether a write that failed is there."""
        try:
            if self._journal_incomplete or not self._journal.can_append():
                self._recreate_what_was_deleted()
        except (ConfcastError, OSError) as error:  # nothing was written: that much is known
            self._not_recorded(fx.RowState.ABSENT, error)
            return
        try:
            write()
        except JournalError as error:
            self._not_recorded(row_state(holds), error)
        else:
            self._inputs.appendleft(fx.Recorded())

    def _note_state(self, effect: fx.NoteState) -> None:
        state = state_row_of(effect, self.core.committed.version)
        self._try("state beside the version", lambda: self._journal.record_state(state, flush=False))

    def _accept_all(self, effect: fx.Accept) -> None:
        """Accept all connections that wait. Without a descriptor left: log, count, and try again later."""
        self._listening.accept_all()
        self._inputs.append(fx.Accepted())

    def _not_recorded(self, state: fx.RowState, error: Exception) -> None:
        if state is not fx.RowState.PRESENT:
            self._loading.forget_attempt()
        problem = Problem("", f"the journal could not be written: {error}", str(self._runtime_dir.journal))
        self._inputs.appendleft(fx.RecordFailed(state, problem))

    def _write_snapshot(self, effect: fx.WriteSnapshot) -> None:
        self._loading.committed(effect.digest, effect.payload, self.core.committed.values)
        version = (self._rules.schema, effect.version, effect.digest, effect.payload)
        self._try("snapshot file", lambda: self._runtime_dir.save(*version))
        self._try("number for the former owner", lambda: self._tell_the_former(effect.version))

    def _tell_the_former(self, number: int) -> None:
        if self._former is not None:
            handover.write_number(self._former, number)

    def _add_member(self, effect: fx.AddMember) -> None:
        member = (effect.pid, processes.started(effect.pid))
        if not self._try("roster", lambda: self._journal.add_member(*member)):  # for a new file there is mostly room
            self._try("note of a worker", lambda: self._runtime_dir.note(member))
        self._watch_exit(self._exit_watch, effect.pid, lambda failed: fx.ProcessGone(effect.pid, failed))

    def _remove_member(self, effect: fx.RemoveMember) -> None:
        self._try("roster", lambda: self._journal.remove_member(effect.pid))
        self._try("note of a worker", lambda: self._runtime_dir.take_note_back(effect.pid))
        self._exit_watch.leaves(effect.pid)

    def _answer(self, effect: fx.Answer) -> None:
        pipe, number = effect.call
        self._pipes.send(pipe, Outcome(number, dated(effect.event)), from_core=False)

    def _record_event(self, effect: fx.RecordEvent) -> None:
        event = dated(effect.event)
        self._recorded += 1
        if event or event.origin not in ("start", ORIGIN):  # a start that is refused is reported by the master
            self._unlogged.append(event)
        self._try("history", lambda: self._journal.add_event(event))
        if not self._will_fold:
            self._will_fold = True
            self._idle_tasks.add(self.fold, time.monotonic() + _FOLD_AFTER)
        if self._outcomes is not None:
            self._outcomes.on_event(effect, self.core)
        self._on_event(event)

    def _reply(self, pipe: int, message: ToOwner) -> None:
        if isinstance(message, QUESTIONS):
            self._clients.ask(pipe, ask_for(message, self._journal, self.core, self._rules))
        elif isinstance(message, NewsRequest):
            self._clients.await_news(pipe, message)
        elif isinstance(message, QUERIES):
            self._answer_query(pipe, message)

    def _answer_query(self, pipe: int, query: Query) -> None:
        failures = self._failures + self._probing.unanswered
        counts = {"dropped": self.core.dropped, "refused": self._pipes.refused, "failures": failures}
        counts["spoken_against"] = self.core.evidence.total
        answer = answer_to(query, self._journal, self.core, self._rules, self._present(), counts)
        self._pipes.send(pipe, answer, from_core=False)

    def _shown_state(self) -> tuple[object, ...]:
        """What a status shows, as far as it does not go on by itself: to find out that it has changed."""
        core = self.core
        counted = self._recorded, core.evidence.total.total()
        return core.committed.version, core.state, core.operator, counted, core.statuses()

    def _present(self) -> Present:
        loading = self.core.state in (ProposalState.LOADING, ProposalState.STAGING)  # in which the check may hang
        people = with_dates(self.core.operator)
        hangs = self._loading.doing() if loading else ""
        return Present(people, self._loading.overrides(people.layer), self.core.phase(), hangs)

    # ---- inputs that come from no pipe

    def _watch_exit(self, exit_watch: ExitWatch, pid: int, gone: Callable[[str], fx.Input]) -> None:
        if not exit_watch.watch(pid, lambda failed: self._inputs.append(gone(failed))):
            self._failures["death watch"] += 1
            self._retry_later()

    def _retry_later(self) -> None:
        """Try again later what failed because no descriptor was left."""
        if self._retry_at is None:
            self._retry_at = time.monotonic() + _RETRY_AFTER

    def _retry(self) -> None:
        self._retry_at = None
        for exit_watch in (self._master, self._exit_watch):
            if not exit_watch.try_again():
                self._retry_later()
        self._listening.watch()

    def _recreate_what_was_deleted(self) -> None:
        """Make files anew that were deleted while in use, since SQLite goes on committing into a deleted file.

        Raises OSError, ConfcastError; what could not be made is tried again by the next call.
        """
        if (missing := self._runtime_dir.missing()) is not None:
            self._recreate_runtime_dir(missing)
        if self._journal_incomplete or not self._journal.in_place():
            self._recreate_journal()
        elif not self._journal.can_append():
            self._journal.renew_ahead()

    def _recreate_runtime_dir(self, missing: Path) -> None:
        loop_log.made_anew(missing)
        self.count_loss("folder lost")
        self._listening.replace(self._runtime_dir.listen())
        if (committed := self.core.committed).version:
            self._write_snapshot(fx.WriteSnapshot(committed.version, committed.digest, committed.payload))

    def _recreate_journal(self) -> None:
        if not self._journal_incomplete:  # else this is a further try, perhaps one of many
            loop_log.made_anew(self._runtime_dir.journal, ", with the newest version, without history and totals")
            self.count_loss("journal lost")
        self._journal_incomplete = True
        if not self._journal.in_place():
            former = self._journal
            self._journal = self._open_journal()  # until the new journal can be made, the former one answers queries
            former.close()
        incomplete_roster.mark(self._journal, whole=False)  # if this owner dies on the way, the next one gathers
        self._record_anew()
        self._journal.describe(self._rules.schema, self._rules.fields)
        self._journal.retire(self.core.high_water)
        for pid in self.core.known:
            self._journal.add_member(pid, processes.started(pid))
        incomplete_roster.mark(self._journal, whole=not self.core.gathers)
        self._journal_incomplete = False

    def _record_anew(self) -> None:
        """Write the committed version into a new journal; before it, what a window falls back to, or may yet."""
        committed = self.core.committed
        if not committed.version or self._journal.holds(committed.version, committed.digest):
            return
        written = self._journal.latest()  # of a former try
        for fallback, layer, _ in self.core.fallbacks:
            if written is None or fallback.version > written.version:
                kept = (fallback.version, fallback.digest, self._rules.schema, fallback.payload, time.time())
                self._journal.record(VersionRow(*kept, values=fallback.values, layer=layer))
        content = (committed.version, committed.digest, committed.payload, committed.undo, self.core.refused)
        record = fx.Record(*content, values=committed.values, operator=self.core.operator)
        self._journal.record(*rows_of(record, self._rules.schema))


_PERFORM: dict[type, Callable[[EventLoop, Any], object]] = {
    fx.Send: EventLoop._send,
    fx.ClosePipe: lambda loop, effect: loop._pipes.close(effect.pipe),
    fx.Load: EventLoop._load,
    fx.Restore: EventLoop._restore,
    fx.WakeAt: EventLoop._wake_at,
    fx.Record: EventLoop._record,
    fx.RecordState: EventLoop._record_state,
    fx.NoteState: EventLoop._note_state,
    fx.ClearRefused: lambda loop, effect: loop._try("end of a refusal", loop._journal.forgive),
    fx.Accept: EventLoop._accept_all,
    fx.Retire: lambda loop, effect: loop._troubles.burn(lambda: loop._journal.retire(effect.version)),
    fx.Retried: lambda loop, effect: loop._troubles.retried(effect),
    fx.Gathered: lambda loop, effect: loop._try("roster", lambda: incomplete_roster.mark(loop._journal, whole=True)),
    fx.WriteSnapshot: EventLoop._write_snapshot,
    fx.AddMember: EventLoop._add_member,
    fx.RemoveMember: EventLoop._remove_member,
    fx.Answer: EventLoop._answer,
    fx.RecordEvent: EventLoop._record_event,
    fx.Spoken: lambda loop, effect: loop_log.core_warning(effect.text),
    fx.Exit: lambda loop, effect: loop.stop(effect.reason),
}
