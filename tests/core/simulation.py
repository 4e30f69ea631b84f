"""A world without processes: owners, workers, clients, pipes, a journal and a clock, moved one step at a time.

The cores under test are the real ones; everything else is a stand-in that may stop between any two steps. Each pipe is
first in, first out; between pipes, processes and deadlines every order can happen. What must hold is judged by
`oracle.py`, which is told what passes and never looks into the owner's core.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from confcast.errors import Problem
from confcast.owner import effects as fx
from confcast.owner.core import Committed, Core, Rules, State
from confcast.wire.messages import PROTOCOL, Goodbye, Hello, Outcome, Reload, ReloadResult
from confcast.worker import protocol as worker
from confcast.worker.protocol import Held, Machine
from tests.core.oracle import Oracle

Move = Callable[[], None]
SCHEMA = b"schema"


@dataclass
class Pipe:
    number: int
    pid: int
    up: deque = field(default_factory=deque)
    down: deque = field(default_factory=deque)
    leaving: object = None  # the one frame that the owner has handed over and the kernel has not taken yet
    heard: bool = False
    peer_open: bool = True
    owner_open: bool = True


class Journal:
    """Rows, burnt numbers and the roster; `deleted`: still written to, and gone with the owner that has it open."""

    def __init__(self, floor: int = 0) -> None:
        self.rows: dict[int, bytes] = {}
        self.floor = floor
        self.roster: set[int] = set()
        self.deleted = False

    def write(self, version: int, content: bytes) -> None:
        self.rows[version] = content
        self.floor = max(self.floor, version)

    def newest(self) -> Committed | None:
        if not self.rows:
            return None
        version = max(self.rows)
        return Committed(version, self.rows[version], self.rows[version])


class Process:
    """A worker: the real machine, and a pipe or none."""

    def __init__(self, pid: int, held: Held | None = None) -> None:
        self.pid = pid
        self.refuses: set[bytes] = set()
        self.alive = True
        self.stopped = False
        self.pipe: Pipe | None = None
        self.machine = Machine(bytes, self._check)
        if held is not None:
            self.machine.adopt(held)

    @property
    def held(self) -> Held | None:
        return self.machine.held

    def _check(self, old: bytes, new: bytes) -> tuple[Problem, ...]:
        return (Problem("", "refused"),) if new in self.refuses else ()


class OwnerProcess:
    def __init__(self, core: Core, watched: set[int]) -> None:
        self.core = core
        self.effects = deque(core.begin())
        self.inputs: deque[fx.Input] = deque()
        self.timers: list[fx.WakeAt] = []
        self.loads: deque[int] = deque()
        self.watched = watched


class World:
    def __init__(self, silent: str = "proceed") -> None:
        self.oracle = Oracle(self)
        self.now = 1000.0
        self.rules = Rules(schema=SCHEMA, silent=silent)
        self.journal = Journal()
        self.snapshot: Held | None = None
        self.sources: bytes | None = b"A"
        self.next_write = "ok"
        self.hangs = False
        self.processes: list[Process] = []
        self.pipes: dict[int, Pipe] = {}
        self.owner: OwnerProcess | None = None
        self.owners = 0
        self.calls = 0
        self._pids = 0

    # ---- what can happen by itself

    def moves(self) -> list[Move]:
        """Everything that may happen next without anybody's doing."""
        moves = [move for process in self.processes for move in self._moves_of(process)]
        return moves + self._moves_of_owner()

    def _moves_of(self, process: Process) -> list[Move]:
        if not process.alive or process.stopped or process.machine.state is worker.State.CLOSED:
            return []
        pipe = process.pipe
        if pipe is None:
            moves = [lambda: self.connect(process)] if self.owner else []
        elif pipe.down:
            moves = [lambda: self._read(process, pipe)]
        else:
            moves = [] if pipe.owner_open else [lambda: self._hang_up(process)]
        if process.held is None and self.snapshot and (pipe or not self.owner):
            moves.append(lambda: self._start_on_snapshot(process))
        return moves

    def _moves_of_owner(self) -> list[Move]:
        owner = self.owner
        if owner is None:
            return []
        moves: list[Move] = []
        for pipe in [pipe for pipe in self.pipes.values() if pipe.owner_open]:
            if pipe.leaving is not None and self._takes(pipe):
                moves.append(lambda pipe=pipe: self._drain(pipe))
        if owner.effects:
            return [self.perform, *moves]
        for pipe in [pipe for pipe in self.pipes.values() if pipe.owner_open]:
            if pipe.up:
                moves.append(lambda pipe=pipe: self._receive(pipe))
            elif not pipe.peer_open:
                moves.append(lambda pipe=pipe: self._end(pipe))
        moves += [lambda given=given: self._take(given) for given in owner.inputs]
        moves += [lambda pid=pid: self._bury(pid) for pid in sorted(owner.watched) if not self.lives(pid)]
        if owner.loads and not self.hangs:
            moves.append(self.finish_load)
        return moves

    def _takes(self, pipe: Pipe) -> bool:
        """A stopped process lets its pipe fill up."""
        return not any(process.pipe is pipe and process.stopped for process in self.processes)

    # ---- workers

    def lives(self, pid: int) -> bool:
        return any(process.alive for process in self.processes if process.pid == pid)

    def start_worker(self, held: Held | None = None) -> Process:
        self._pids += 1
        process = Process(self._pids, held)
        self.processes.append(process)
        self.oracle.process_began(process)
        return process

    def connect(self, process: Process) -> None:
        pipe = process.pipe = self._open(process.pid)
        held = process.held
        version, digest = (held.version, held.digest) if held else (0, b"")
        pipe.up.append(Hello(PROTOCOL, process.pid, "replica", "app", SCHEMA, version, digest))
        process.machine.connected()

    def _open(self, pid: int) -> Pipe:
        pipe = Pipe(len(self.pipes) + 1, pid)
        self.pipes[pipe.number] = pipe
        return pipe

    def _read(self, process: Process, pipe: Pipe) -> None:
        frame = pipe.down.popleft()
        for effect in process.machine.handle(frame):
            if isinstance(effect, worker.Reply):
                pipe.up.append(effect.message)
            elif isinstance(effect, worker.Hang | worker.GiveUp):
                self._close_peer(process)
            self.oracle.worker_did(process, effect)

    def _hang_up(self, process: Process) -> None:
        self._close_peer(process)
        process.machine.ended()

    def _close_peer(self, process: Process) -> None:
        if process.pipe is not None:
            process.pipe.peer_open = False
            process.pipe.down.clear()
            process.pipe = None

    def _start_on_snapshot(self, process: Process) -> None:
        process.machine.adopt(self.snapshot)
        self.oracle.worker_did(process, worker.Swap(None, self.snapshot))

    def break_pipe(self, process: Process, *, lose_frames: bool) -> None:
        """Both ends see its end; the process lives."""
        if process.pipe is not None:
            if lose_frames:
                process.pipe.up.clear()
            self._close_peer(process)
            process.machine.ended()

    def fork(self, process: Process) -> None:
        if process.held is not None:
            self.start_worker(process.held)

    def kill(self, process: Process) -> None:
        self._close_peer(process)
        process.alive = False

    def leave(self, process: Process) -> None:
        if process.pipe is not None:
            process.pipe.up.append(Goodbye())
            self._close_peer(process)
            process.machine.close()

    # ---- callers

    def call(self, process: Process | None = None) -> None:
        """A worker, or a client of its own, calls reload()."""
        if self.owner is None:
            return
        self.calls += 1
        if process is not None and process.pipe is not None:
            pipe = process.pipe
        else:
            pipe = self._open(90000 + self.calls)
            pipe.up.append(Hello(PROTOCOL, pipe.pid, "client", "app"))
        pipe.up.append(Reload(self.calls))
        self.oracle.called((pipe.number, self.calls))

    def trigger(self, origin: str = "signal") -> None:
        self.oracle.triggered()
        if self.owner is not None:
            self.owner.inputs.append(fx.Trigger(origin))

    # ---- the owner's life

    def start_owner(self) -> None:
        if self.owner is not None:
            return
        self.owners += 1
        gathering = self.journal.deleted
        if gathering:
            self.journal = Journal(floor=1_000_000 * self.owners)
            self.oracle.journal_was_lost()
        roster = tuple(sorted(pid for pid in self.journal.roster if self.lives(pid)))
        core = Core(
            self.rules,
            committed=self.journal.newest(),
            floor=self.journal.floor,
            roster=roster,
            gathering=gathering,
            now=self.now,
        )
        self.oracle.owner_began(self.journal.newest())
        self.owner = OwnerProcess(core, set(roster))
        self.owner.inputs.append(fx.Trigger("restart" if self.owners > 1 else "start"))

    def kill_owner(self) -> None:
        self.owner = None
        for pipe in self.pipes.values():
            pipe.owner_open = False
            pipe.up.clear()
            pipe.leaving = None

    def lose_journal(self) -> None:
        """Its folder is deleted, with the snapshot file in it."""
        self.journal.deleted = True
        self.snapshot = None

    # ---- the owner's inputs

    def _receive(self, pipe: Pipe) -> None:
        pipe = self._knocking_first(pipe)
        message = pipe.up.popleft()
        pipe.heard = True
        self.oracle.owner_hears(pipe, message)
        self._feed(fx.Received(pipe.number, pipe.pid, message))

    def _knocking_first(self, pipe: Pipe | None) -> Pipe | None:
        """The shell takes every waiting Hello before anything that may close a barrier."""
        assert self.owner
        if self.owner.core.state in (State.LOADING, State.RECORDING, State.COMMITTING):
            for other in self.pipes.values():
                if other.owner_open and other.up and not other.heard:
                    return other
        return pipe

    def _instead(self) -> bool:
        knocking = self._knocking_first(None)
        if knocking is not None:
            self._receive(knocking)
        return knocking is not None

    def _end(self, pipe: Pipe) -> None:
        if not self._instead():
            pipe.owner_open = False
            self.oracle.pipe_ended(pipe)
            self._feed(fx.PipeEnded(pipe.number))

    def _take(self, given: fx.Input) -> None:
        if not self._instead():
            self.owner.inputs.remove(given)
            self._feed(given)

    def _bury(self, pid: int) -> None:
        if not self._instead():
            self.owner.watched.discard(pid)
            self.oracle.owner_buries(pid)
            self._feed(fx.ProcessGone(pid))

    def _drain(self, pipe: Pipe) -> None:
        if pipe.peer_open:
            pipe.down.append(pipe.leaving)
        pipe.leaving = None
        self.owner.inputs.append(fx.Drained(pipe.number))

    def finish_load(self) -> None:
        if self._instead():
            return
        number = self.owner.loads.popleft()
        if self.sources is None:
            given = fx.LoadFailed(number, ReloadResult.VALIDATION_FAILED, (Problem("", "bad"),))
        else:
            # As the loading thread does: the diff is taken from what was committed last.
            differs = self.owner.core.committed.payload != self.sources
            given = fx.Loaded(number, self.sources, self.sources, differs)
        self.oracle.load_read(number, self.sources)
        self._feed(given)

    def next_deadline(self) -> None:
        """The clock jumps to the next deadline; by then everyone who is awake has knocked, where that is waited for."""
        owner = self.owner
        if owner is None or owner.effects or not owner.timers:
            return
        wake = min(owner.timers, key=lambda timer: timer.when)
        if wake.timer is fx.Timer.GATHER:
            self._everyone_knocks()
            if self.owner is not owner or owner.effects:
                return
        owner.timers.remove(wake)
        self.now = max(self.now, wake.when)
        owner.inputs.append(fx.Wake(wake.timer, wake.token))

    def _everyone_knocks(self) -> None:
        for process in self.processes:
            while process.alive and not process.stopped and process.machine.state is not worker.State.CLOSED:
                if process.pipe is not None and process.pipe.owner_open:
                    break
                self.connect(process) if process.pipe is None else self._hang_up(process)
        for pipe in list(self.pipes.values()):
            while self.owner and pipe.owner_open and pipe.up and not pipe.heard:
                while self.owner and self.owner.effects:
                    self.perform()
                if self.owner:
                    self._receive(pipe)
        while self.owner and self.owner.effects:
            self.perform()

    def _feed(self, given: fx.Input) -> None:
        assert not self.owner.effects
        self.oracle.owner_turns(given)
        self.owner.effects.extend(self.owner.core.handle(given, self.now))

    # ---- the owner's effects, one at a time

    def perform(self) -> None:
        effect = self.owner.effects.popleft()
        self.oracle.owner_does(effect)
        match effect:
            case fx.Send(number, message):
                self._send(self.pipes[number], message)
            case fx.ClosePipe(number):
                self._close_owners_end(self.pipes[number])
            case fx.Load(number):
                self.owner.loads.append(number)
            case fx.WakeAt():
                self.owner.timers.append(effect)
            case fx.Record(version, content):
                self._record(version, content)
            case fx.Answer((number, call), event):
                if self.pipes[number].owner_open and self.pipes[number].peer_open:
                    self.pipes[number].down.append(Outcome(call, event))
            case fx.Exit():
                self.kill_owner()
            case _:
                self._keep(effect)

    def _keep(self, effect: fx.Effect) -> None:
        """What goes into files."""
        match effect:
            case fx.Burn(version):
                self.journal.floor = max(self.journal.floor, version)
            case fx.WriteSnapshot(version, content):
                self.snapshot = Held(version, content, content)
            case fx.Enroll(pid):
                self.journal.roster.add(pid)
                self.owner.watched.add(pid)
            case fx.Strike(pid):
                self.journal.roster.discard(pid)
                self.owner.watched.discard(pid)

    def _send(self, pipe: Pipe, message) -> None:
        assert pipe.leaving is None, "a second frame before the first was drained"
        if pipe.owner_open:
            pipe.leaving = message

    def _close_owners_end(self, pipe: Pipe) -> None:
        if pipe.leaving is not None and pipe.peer_open:
            pipe.down.append(pipe.leaving)
        pipe.owner_open, pipe.leaving = False, None
        pipe.up.clear()

    def _record(self, version: int, content: bytes) -> None:
        how, self.next_write = self.next_write, "ok"
        if self.journal.deleted:
            mine, self.journal = self.owner.core.committed, Journal(self.owner.core.floor)
            if mine.version:
                self.journal.write(mine.version, mine.digest)
            self.journal.roster = {status.pid for status in self.owner.core.statuses()}
        if how in ("ok", "present", "unreadable, written"):
            self.journal.write(version, content)
            self.oracle.journaled(version, content)
        problem = Problem("", "disk")
        row = {"present": fx.RowState.PRESENT, "absent": fx.RowState.ABSENT}.get(how, fx.RowState.UNREADABLE)
        self.owner.inputs.append(fx.Recorded() if how == "ok" else fx.RecordFailed(row, problem))

    # ---- the end: nobody disturbs any more

    def come_to_rest(self) -> None:
        """Everybody wakes, what is open comes to its end, and one more reload finds nobody silent."""
        self.next_write, self.hangs = "ok", False
        for process in self.processes:
            process.stopped = False
        self._run_down()
        self.oracle.check_rest()
        self.sources = b"A" if self.sources is None else self.sources
        self.call()
        self._run_down()
        self.oracle.check_rest()
        self.oracle.check_last_outcome()

    def _run_down(self) -> None:
        """Everything is delivered; deadlines come only where nothing else moves."""
        for _ in range(5000):
            self.start_owner()
            moves = self.moves()
            if moves:
                moves[0]()
            elif self.owner.timers:
                self.next_deadline()
            elif self.owner.core.state is State.IDLE:
                return
            else:
                raise AssertionError("a deadlock: somebody is waited for, without a deadline")
            self.oracle.check()
        raise AssertionError("no rest: something goes round in circles")
