"""A world without processes: owners, workers, clients, pipes, a journal and a clock, moved one step at a time.

The cores under test are the real ones; everything else is a stand-in that may stop between any two steps. Each pipe is
first in, first out; between pipes, processes and deadlines every order can happen. What must hold is judged by
`oracle.py`, to which every step is reported, and which never looks into the owner's core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from confcast.errors import Problem
from confcast.owner.core import effects as fx
from confcast.owner.core.machine import Core, ProposalState, Rules
from confcast.wire.canary import Canary
from confcast.wire.messages import Change, Check, Outcome, Reload, ReloadResult, Resume
from confcast.worker.connection.machine import Held, ReplicaState
from tests.core import overrides
from tests.core.census import Census
from tests.core.crowd import Crowd
from tests.core.oracle import Oracle
from tests.core.parts import NOTHING_SET, SCHEMA, Journal, OwnerProcess, Pipe, Process
from tests.core.rows import Rows
from tests.core.world import patch

Move = Callable[[], None]
_FAILS = (ReloadResult.VALIDATION_FAILED, ReloadResult.FILE_NOT_FOUND, ReloadResult.IO_ERROR)


class World(Crowd):
    def __init__(self, silent: str = "proceed", canary: Canary | None = None, probation: float = 0.0) -> None:
        super().__init__()
        self.rules = Rules(schema=SCHEMA, silent=silent, canary=canary, probation=probation, max_error_rate=0.2)
        self.oracle = Oracle(self)
        self.now = 1000.0
        self.journal = self._new_journal(0)
        self.snapshot: Held | None = None
        self.sources: bytes | None = b"A"
        self.waits = b""  # the sources' value of a key that needs a restart, where it is another than what runs
        self.next_write = "ok"
        self.next_check_fails = False
        self.a_guard_trips = False
        self.hangs = False
        self.disk_is_full = False
        self.census = Census(self)
        self.rows = Rows()
        self.owner: OwnerProcess | None = None
        self.owners = 0
        self.starts_anew = False

    def _new_journal(self, high_water: int) -> Journal:
        """Where new content is tried first, it keeps few versions, so that what was good before is new once more."""
        journal = Journal(high_water, self._clock)
        journal.forgets = self.rules.canary is not None
        return journal

    # ---- what can happen by itself

    def moves(self) -> list[Move]:
        """Everything that may happen next without anybody's doing."""
        return [*(move for process in self.living for move in self._moves_of(process)), *self._moves_of_owner()]

    def first_move(self) -> Move | None:
        """The first of them, for which the others are not looked for."""
        for process in self.living:
            if moves := self._moves_of(process):
                return moves[0]
        return self.perform if self.owner is not None and self.owner.effects else next(self._moves_of_owner(), None)

    def _moves_of(self, process: Process) -> list[Move]:
        """Of one that lives."""
        if process.stopped:
            return []
        observe = process.asked and not process.lingers
        observing: list[Move] = [lambda: self.observers_have_run(process)] if observe else []
        if process.inside is not None:
            return [lambda: self._come_out(process), *observing]
        if process.machine.state is ReplicaState.CLOSED:
            return observing
        if process.step:
            return [lambda: self._serve_without(process)]
        pipe = process.pipe
        if pipe is None:
            moves = [lambda: self.connect(process)] if self.owner else []
        elif pipe.down:
            moves = [lambda: self._read(process, pipe)]
        else:
            moves = [] if pipe.owner_open else [lambda: self._hang_up(process)]
        moves += observing
        silent = not pipe.down if pipe else not self.owner
        if silent and not process.serves and process.fits and (process.held or self.snapshot):
            moves.append(lambda: self._serve_without(process))
        return moves

    def _moves_of_owner(self) -> Iterator[Move]:
        owner = self.owner
        if owner is None:
            return
        if owner.effects:
            yield self.perform
        pipes = self.open_pipes = [pipe for pipe in self.open_pipes if pipe.owner_open]
        for pipe in pipes:
            if pipe.leaving is not None and self._takes(pipe):
                yield partial(self._drain, pipe)
        if not owner.effects:
            yield from self._inputs_of_owner(owner, pipes)

    def _inputs_of_owner(self, owner: OwnerProcess, pipes: list[Pipe]) -> Iterator[Move]:
        for pipe in pipes:
            if pipe.up:
                if not pipe.late:
                    yield partial(self._receive, pipe)
            elif not pipe.peer_open:
                yield partial(self._end, pipe)
        for given in owner.inputs:
            yield partial(self._take, given)
        if owner.restores:
            yield self.finish_restore
        if owner.awaited is not None and not any(p.up and p.owner_open and not p.received for p in owner.awaited):
            yield self._say_accepted
        for pid in sorted(owner.watched - self.pids):
            yield partial(self._bury, pid)
        if not self.hangs and (owner.unchecked or owner.loads):  # one thread: a check comes before the next load
            yield self.finish_check if owner.unchecked else self.finish_load

    def _takes(self, pipe: Pipe) -> bool:
        """A stopped process may leave its pipe full."""
        return not any(process.stuffed and process.stopped and process.pipe is pipe for process in self.living)

    # ---- the owner's life

    def start_owner(self) -> None:
        if self.owner is not None or (self.journal.deleted and self.disk_is_full):
            return
        self.owners += 1
        if self.journal.deleted:
            self.journal = self._new_journal(1_000_000 * self.owners)
            self.journal.gathers = True
            self.oracle.journal_was_lost()
        gathering = self.journal.gathers = self.journal.gathers and not self.starts_anew
        self.census.owner_begins(gathering=gathering)
        roster = tuple(sorted(pid for pid in self.journal.roster | self.notes if self.lives(pid)))
        if not self.disk_is_full:
            self.journal.roster |= {pid for pid in self.notes if self.lives(pid)}
            self.notes.clear()
        if self.starts_anew and self.journal.operator.unconfirmed is None:
            self.journal.state = (self.journal.state[0], b"")
        core = Core(
            self.rules,
            committed=self.journal.newest(),
            high_water=self.journal.high_water,
            roster=roster,
            refused=self.journal.state[1],
            operator=self.journal.operator,
            fallback=self.journal.proven(),
            starts_anew=self.starts_anew,
            gathering=gathering,
            now=self.now,
            last_good=self.starts_anew and not self.journal.operator.is_held,
        )
        self.oracle.owner_began(self.journal.newest(), first=self.starts_anew)
        self.owner = OwnerProcess(core, roster)
        self.owner.inputs.append(fx.Trigger("start" if self.starts_anew or self.owners == 1 else "restart"))
        self.starts_anew = False

    def server_starts_anew(self) -> None:
        """No process of it lives on; the journal does, in a folder of its own."""
        self.kill_owner()
        for process in [*self.living]:
            self.kill(process)
        self.notes.clear()
        self.snapshot = None
        self.starts_anew = True
        self.start_owner()

    def time_passes(self, seconds: float) -> None:
        """With or without an owner; its deadlines are seen to late."""
        if self.owner is None or not self.owner.effects:
            self.now += seconds

    def kill_owner(self) -> None:
        if self.owner is not None:
            self.census.owner_dies(self.owner)
        self.owner = None
        for pipe in self.pipes.values():
            pipe.owner_open = False
            pipe.up.clear()
            pipe.leaving = None

    def lose_journal(self) -> None:
        """Its folder is deleted, with the snapshot file in it."""
        self.census.notes("the journal is lost")
        self.journal.deleted = True
        self.snapshot = None
        self.notes.clear()

    def journal_goes_back(self) -> None:
        """While no owner runs, a copy from before the newest version, or from before its trial, is put in its place.

        Only where somebody who is awake still has the highest number, and can report it to the next owner: without
        that, no protocol could know that it was given out.
        """
        journal = self.journal
        tries = journal.rows and journal.operator.trial is not None
        before = sorted(journal.rows)[: None if tries else -1]
        if self.owner is not None or not before or journal.deleted or self.disk_is_full:
            return
        awake = [process for process in self.processes if process.can_connect and process.fits and process.held]
        shown = {number for process in awake for number in (process.held.version, process.trial)}
        if {number for number in shown if number > before[-1]} != {max(self.oracle.contents)}:
            return  # of two numbers the owner may receive the lower one first
        if tries:
            journal.operators[before[-1]] = journal.untried.get(before[-1], NOTHING_SET)
        self.journal.rows = {version: self.journal.rows[version] for version in before}
        self.journal.settled &= set(before)
        self.journal.declined &= set(before)
        self.journal.taken_back.clear()
        self.journal.high_water = before[-1]
        self.oracle.journal_went_back(before[-1])
        self.census.notes("the journal goes back to before a trial" if tries else "the journal goes back")
        self.start_owner()
        self._everyone_connects()

    def hands_over_or_goes_on(self) -> None:
        """A next generation comes, or the one that came is called off."""
        self._hands_over(on=self.owner is not None and not self.owner.core._hands_over)

    def _hands_over(self, *, on: bool) -> None:
        if self.owner is not None:
            self.owner.inputs.append(fx.HandsOver(on))

    def probe(self, version: int) -> None:
        """A probe says no to this version."""
        if self.owner is not None:
            self.owner.inputs.append(fx.Probed(version, "503"))

    def master_goes(self) -> None:
        if self.owner is not None:
            self.owner.inputs.append(fx.MasterGone())

    # ---- the owner's inputs

    def _receive(self, pipe: Pipe) -> None:
        message = pipe.up.popleft()
        self.oracle.owner_receives(pipe, message)
        self.census.owner_receives(message, first=not pipe.received)
        pipe.received = True
        self._feed(fx.Received(pipe.number, pipe.pid, message))

    def _say_accepted(self) -> None:
        self.owner.awaited = None
        self._feed(fx.Accepted())

    def _end(self, pipe: Pipe) -> None:
        pipe.owner_open = False
        self.oracle.pipe_ended(pipe)
        self._feed(fx.PipeEnded(pipe.number))

    def _take(self, given: fx.Input) -> None:
        self.owner.inputs.remove(given)
        self._feed(given)

    def _bury(self, pid: int) -> None:
        self.owner.watched.discard(pid)
        failed = self.process(pid).failed
        self.oracle.owner_buries(pid, failed)
        self._feed(fx.ProcessGone(pid, failed))

    def _drain(self, pipe: Pipe) -> None:
        if pipe.peer_open:
            pipe.down.append(pipe.leaving)
        pipe.leaving = None
        self.owner.inputs.append(fx.Drained((pipe.number,)))

    def finish_load(self) -> None:
        load = self.owner.loads.popleft()
        number, committed = load.number, self.owner.core.committed
        values = committed.values if load.rebuild else self.sources
        layer = overrides.edited(load.layer, load.edit, self.now)
        if isinstance(load.edit, Check) and load.edit.files:
            values = load.edit.files["app.toml"]
        content = None if values is None or layer is None else overrides.content_of(values, layer)
        trips = self._trips(load, content)
        if content is None or trips:
            result = ReloadResult.GUARDED if trips else _FAILS[number % len(_FAILS)]
            content, given = None, fx.LoadFailed(number, result, (Problem("", "bad"),))
        else:
            # As the loading thread does: the diff is taken from what was committed last.
            base = committed.payload
            differs = base != content
            checked = load.compare or not differs
            shares = not checked and base and content != b"C"  # which shares too little with any other
            change = {"base": base, "patch": patch(base, content)} if shares else {}
            known = values if checked or load.values else b""
            change |= {"layer": layer, "expires": overrides.end_of(layer), "values": known}
            change |= {"pending": (Change("k", 0, self.waits),) if self.waits and not load.rebuild else ()}
            change |= {"good": self.journal.was_good(content)}
            given = fx.Loaded(number, content, content, differs, checked=checked, **change)
            self.owner.unchecked += [] if checked else [(number, values)]
        self.oracle.load_read(number, content, values)
        if load.edit is None:
            self.oracle.load_looks(number, values if content is not None else None, layer)
        self.census.load_ends(given)
        self._feed(given)

    def _trips(self, load: fx.Load, content: bytes | None) -> bool:
        """Whether a guard refuses this content."""
        trips, self.a_guard_trips = self.a_guard_trips, False
        refuses = load.guarding in (fx.Guarding.REFUSE, fx.Guarding.UNLESS_KNOWN) and not (load.compare or load.allow)
        present = self.owner.core.committed
        return trips and refuses and present.version > 0 and content not in (None, present.payload)

    def finish_restore(self) -> None:
        """A kept version's content is taken from the journal, in the owner's own thread."""
        order, journal, present = self.owner.restores.popleft(), self.journal, self.owner.core.committed.payload
        others = [each for each in sorted(journal.rows, reverse=True) if journal.rows[each] != present]
        if order.boot:
            others = sorted(journal.good, reverse=True)
        version = order.version if order.version is not None else next(iter(others), 0)
        if (content := journal.rows.get(version)) is None:
            given = fx.LoadFailed(order.number, ReloadResult.VALIDATION_FAILED, (Problem("", "not kept"),))
        else:
            former = journal.operators[version].layer
            layer = overrides.edited(former, None, self.now)
            values = journal.values[version] if layer == former else content  # what has ended is a value of it
            change = {"layer": layer, "expires": overrides.end_of(layer), "values": values, "restores": version}
            change |= {"good": journal.was_good(content)}
            given = fx.Loaded(order.number, content, content, differs=content != present, **change)
        self.oracle.load_read(order.number, content, None)
        self.oracle.load_checked(order.number, holds=True)
        self._feed(given)

    def finish_check(self) -> None:
        """The candidate was compared, and proven to decode to itself, or not, while the workers built it."""
        (number, values), fails = self.owner.unchecked.popleft(), self.next_check_fails
        self.next_check_fails = False
        self.census.check_ends(number, fails=fails)
        self.oracle.load_checked(number, holds=not fails)
        self._feed(fx.Checked(number, problems=(Problem("", "not exact"),) if fails else (), values=values))

    def next_deadline(self) -> None:
        """The clock jumps to the next deadline; by then all who are awake have connected, if that is awaited."""
        owner = self.owner
        if owner is None or owner.effects or not owner.timers:
            return
        wake = min(owner.timers, key=lambda timer: timer.when)
        if wake.timer is fx.Timer.GATHER:
            self._everyone_connects()
            if self.owner is not owner or owner.effects:
                return
        owner.timers.remove(wake)
        self.now = max(self.now, wake.when)
        owner.inputs.append(fx.Wake(wake.timer, wake.token))

    def _everyone_connects(self) -> None:
        for process in self.processes:
            while process.can_connect:
                if process.pipe is not None and process.pipe.owner_open:
                    break
                self.connect(process) if process.pipe is None else self._hang_up(process)
        for pipe in list(self.pipes.values()):
            while self.owner and pipe.owner_open and pipe.up and not pipe.received:
                while self.owner and self.owner.effects:
                    self.perform()
                if self.owner:
                    self._receive(pipe)
        while self.owner and self.owner.effects:
            self.perform()

    def _feed(self, given: fx.Input) -> None:
        assert not self.owner.effects
        self.oracle.owner_turns(given)
        self.census.owner_hears(given)
        core = self.owner.core
        self.rows.owner_hears(core, given)
        before, window = core.state, core.operator.window
        effects = core.handle(given, self.now)
        self.census.owner_turned(before, window, effects)
        self.owner.effects.extend(effects)

    # ---- the owner's effects, one at a time

    def perform(self) -> None:
        effect = self.owner.effects.popleft()
        self.oracle.owner_does(effect)
        self.census.owner_does(effect)
        self.rows.owner_does(effect)
        match effect:
            case fx.Send(number, message):
                self._send(self.pipes[number], message)
            case fx.ClosePipe(number):
                self._close_owners_end(self.pipes[number])
            case fx.Load() | fx.Restore():
                (self.owner.loads if isinstance(effect, fx.Load) else self.owner.restores).append(effect)
            case fx.WakeAt():
                self.owner.timers.append(effect)
            case fx.Record() | fx.RecordState():
                self._record(effect) if isinstance(effect, fx.Record) else self._record_state(effect)
            case fx.Answer((number, call), event):
                if self.pipes[number].owner_open and self.pipes[number].peer_open:
                    self.pipes[number].down.append(Outcome(call, event))
            case fx.Exit():
                self.kill_owner()
            case fx.AddMember() | fx.RemoveMember() | fx.Accept():
                self._keep_membership(effect)
            case _:
                self._keep(effect)

    def _keep_membership(self, effect: fx.AddMember | fx.RemoveMember | fx.Accept) -> None:
        if isinstance(effect, fx.Accept):
            self.owner.awaited = [pipe for pipe in self.pipes.values() if pipe.owner_open and not pipe.received]
            return
        files = [self.notes] if self.disk_is_full else [self.journal.roster]  # a note is an empty file
        for pids in (self.owner.watched, self.owner.known, *files):
            pids.add(effect.pid) if isinstance(effect, fx.AddMember) else pids.discard(effect.pid)

    def _keep(self, effect: fx.Effect) -> None:
        """What goes into files; a failure stops nothing."""
        if self.disk_is_full:
            if isinstance(effect, fx.WriteSnapshot):
                self.snapshot = None  # rather none than an old one
            elif isinstance(effect, fx.NoteState):
                self.oracle.note_was_lost()
            return
        if isinstance(effect, fx.RecordEvent):
            self.journal.judge(effect.event)
        match effect:
            case fx.ClearRefused():
                self.journal.state = (self.journal.state[0], b"")
            case fx.NoteState() if self.journal.rows:
                self._write_state(effect)
            case fx.Retire(version):
                self.journal.high_water = max(self.journal.high_water, version)
            case fx.Gathered():
                self.journal.gathers = False
            case fx.WriteSnapshot(version, content):
                self.snapshot = Held(version, content, content)

    def _send(self, pipe: Pipe, message) -> None:
        assert pipe.leaving is None, "a second frame before the first was drained"
        if pipe.owner_open:
            pipe.leaving = message

    def _close_owners_end(self, pipe: Pipe) -> None:
        if pipe.leaving is not None and pipe.peer_open:
            pipe.down.append(pipe.leaving)
        pipe.owner_open, pipe.leaving = False, None
        pipe.up.clear()

    def _record(self, effect: fx.Record) -> None:
        version, content = effect.version, effect.payload
        how = self._how_a_write_ends()
        if how in ("ok", "present", "unreadable, written"):
            self.oracle.journaled(version, content, effect)
            if effect.takes_back:
                self.journal.take_back(effect.takes_back, version)
            self.journal.write(version, content, effect.values, effect.operator)
            self.journal.state = (version if effect.undo else 0, effect.refused)
        self._reports_the_write(how)

    def _record_state(self, effect: fx.RecordState) -> None:
        how = self._how_a_write_ends()
        if how in ("ok", "present", "unreadable, written"):
            self._write_state(effect)
        else:
            self.census.notes("what people have set can't be written")
            if effect.operator.trial is not None:
                self.census.notes("a trial can't be written")
        self._reports_the_write(how)

    def _write_state(self, effect: fx.RecordState | fx.NoteState) -> None:
        version = max(self.journal.rows)
        assert effect.operator.serial > self.journal.operator.serial, "a serial number was used again"
        self.oracle.state_written(version, effect.operator)
        if self.journal.operator.trial is None:
            self.journal.untried[version] = self.journal.operator
        self.journal.operators[version] = effect.operator
        self.journal.state = (version if effect.undo else 0, effect.refused)

    def _how_a_write_ends(self) -> str:
        """As it was said before; a journal that was deleted is made anew first."""
        how, self.next_write = self.next_write, "ok"
        if self.disk_is_full:
            return "absent"
        if self.journal.deleted:
            core = self.owner.core
            mine, self.journal = core.committed, self._new_journal(core.high_water)
            for fallback, _, _ in core.fallbacks:
                self.journal.write(fallback.version, fallback.digest, fallback.values)
            if mine.version:
                self.journal.write(mine.version, mine.digest, mine.values, core.operator)
                self.journal.state = (mine.version if mine.undo else 0, core.refused)
            self.journal.roster = {status.pid for status in core.statuses()}
        return how

    def _reports_the_write(self, how: str) -> None:
        problem = Problem("", "disk")
        row = {"present": fx.RowState.PRESENT, "absent": fx.RowState.ABSENT}.get(how, fx.RowState.UNREADABLE)
        self.owner.inputs.append(fx.Recorded() if how == "ok" else fx.RecordFailed(row, problem))

    # ---- the end: nobody disturbs any more

    def come_to_rest(self) -> None:
        """Everybody wakes, what is open comes to its end, and one more reload finds nobody silent."""
        self.next_write, self.hangs, self.disk_is_full, self.next_check_fails = "ok", False, False, False
        self.a_guard_trips = False
        self._hands_over(on=False)
        for process in self.processes:
            process.stopped = process.slow = process.lingers = False
        for pipe in self.open_pipes:
            pipe.late = False
        self._run_down()
        self.oracle.check_rest()
        self.sources = b"A" if self.sources is None else self.sources
        operator = self.journal.operator
        boot = operator.hold is not None and operator.hold.boot and operator.unconfirmed is None
        if self.rules.canary is not None:
            self.ask(Reload, force=True)  # else it would be tried first, and nobody uses it
        else:
            self.ask(Reload if boot else Resume)  # no person is needed to end a boot's hold
        self._run_down()
        self.oracle.check_rest()
        self.oracle.check_last_outcome()

    def _run_down(self) -> None:
        """Everything is delivered; deadlines come only where nothing else moves."""
        for _ in range(5000):
            self.start_owner()
            if (move := self.first_move()) is not None:
                move()
            elif self.owner.timers:
                self.next_deadline()
            elif self.owner.core.state is ProposalState.IDLE:
                return
            else:
                raise AssertionError("a deadlock: somebody is waited for, without a deadline")
            self.oracle.check()
        raise AssertionError("no rest: something goes round in circles")
