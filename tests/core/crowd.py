"""Everyone around the owner in the simulated world: workers, strangers, callers, their pipes, what befalls them."""

from __future__ import annotations

from typing import Any

from confcast.owner.core import effects as fx
from confcast.wire.messages import (
    PROTOCOL,
    Applied,
    Counts,
    Declined,
    Goodbye,
    Hello,
    Observed,
    ObserverError,
    Reload,
    Unhealthy,
    Working,
)
from confcast.worker.connection import machine as worker
from confcast.worker.connection.machine import Held
from tests.core import rows
from tests.core.census import Census
from tests.core.oracle import Oracle
from tests.core.parts import Journal, OwnerProcess, Pipe, Process

_CLIENTS, _STRANGERS = 90000, 80000  # so their pids differ from workers'


class Crowd:
    """The part of the world that is no owner's."""

    oracle: Oracle
    census: Census
    rows: rows.Rows
    journal: Journal
    owner: OwnerProcess | None
    snapshot: Held | None
    disk_is_full: bool
    now: float

    def __init__(self) -> None:
        self.processes: list[Process] = []
        self.living: list[Process] = []
        self.pids: set[int] = set()  # of those
        self._by_pid: dict[int, Process] = {}
        self.pipes: dict[int, Pipe] = {}
        self.open_pipes: list[Pipe] = []  # at the owner's end, and perhaps some that were closed since
        self.notes: set[int] = set()
        self.calls = 0
        self._pids = 0

    def _clock(self) -> float:
        return self.now

    def lives(self, pid: int) -> bool:
        return pid in self.pids

    def process(self, pid: int) -> Process:
        """The worker that has, or had, this pid."""
        return self._by_pid[pid]

    def known(self) -> set[int]:
        """Who lives and has sent a Hello: to this owner, or to a former one that could write it down."""
        assert self.owner
        return self.owner.known & self.pids

    def start_worker(self, held: Held | None = None, **other: object) -> Process:
        self._pids += 1
        process = Process(self._pids, self._clock, held, **other)
        self.processes.append(process)
        self.living.append(process)
        self.pids.add(process.pid)
        self._by_pid[process.pid] = process
        self.oracle.process_began(process)
        return process

    def connect(self, process: Process) -> None:
        pipe, process.asked = self._open(process.pid), 0
        process.pipe = pipe
        pipe.up.append(process.hello())
        process.machine.connected()

    def _open(self, pid: int) -> Pipe:
        pipe = Pipe(len(self.pipes) + 1, pid)
        self.pipes[pipe.number] = pipe
        self.open_pipes.append(pipe)
        return pipe

    def _read(self, process: Process, pipe: Pipe) -> None:
        frame = pipe.down.popleft()
        if process.takes_time(frame):
            process.inside = frame
            pipe.up.append(Working(getattr(frame, "round", 0), "app:check"))
        else:
            self._obey(process, frame)

    def _come_out(self, process: Process) -> None:
        """Its function has ended, after a while; the pipe may have ended before."""
        self.time_passes(0.5)
        frame, process.inside = process.inside, None
        self._obey(process, frame)
        if process.pipe is None and process.machine.state not in (
            worker.ReplicaState.DETACHED,
            worker.ReplicaState.CLOSED,
        ):
            process.machine.ended()

    def _obey(self, process: Process, frame: object) -> None:
        self.oracle.worker_reads(process, frame)
        before = rows.before(process.machine)
        effects = process.machine.handle(frame)
        self.oracle.worker_answers(frame, effects)
        self.census.worker_reads(frame, effects)
        self.rows.worker_reads(before, frame, effects, process.refuses)
        for effect in effects:
            if isinstance(effect, worker.Reply):
                if isinstance(effect.message, Applied | Declined):
                    process.serves, process.step = True, 0
                    self.notes.discard(process.pid)
                if process.pipe is not None:
                    process.pipe.up.append(effect.message)
            elif isinstance(effect, worker.ReportObservers) and process.pipe is not None:
                process.asked = effect.number
                process.pipe.up.append(Observed(effect.number, process.failures, "", (), ("slow",)))
            elif isinstance(effect, worker.Disconnect | worker.Terminate):
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

    def _serve_without(self, process: Process) -> None:
        """One step of it: the note, the Hello at whoever listens, the snapshot file, and then it serves."""
        process.step += 1
        if process.step == 1 and not self.disk_is_full:
            self.notes.add(process.pid)
        elif process.step == 2:
            if process.pipe is not None and not process.pipe.owner_open:
                self._hang_up(process)
            if process.pipe is None and self.owner:
                self.connect(process)
        elif process.step == 3:
            process.found = process.held or self.snapshot
        elif process.step == 4:
            process.step = 0
            if process.held is None and process.found is not None:
                process.machine.adopt(process.found)
                self.oracle.worker_did(process, worker.Swap(None, process.found))
                self.census.notes("a worker starts without an owner")
            process.serves = process.held is not None

    def break_pipe(self, process: Process, *, lose_frames: bool) -> None:
        """Both ends see its end; the process lives."""
        if process.pipe is not None:
            if lose_frames:
                process.pipe.up.clear()
                self.oracle.frames_are_lost(process.pid)
            self._close_peer(process)
            if process.inside is None:
                process.machine.ended()

    def stop(self, process: Process, *, stuffed: bool) -> None:
        process.stopped, process.stuffed = True, stuffed
        self.census.stops(process)

    def fork(self, process: Process) -> None:
        if process.held is not None:
            child = self.start_worker(process.held)
            if child.knows_trials:
                child.machine.slot, child.machine._tried = process.machine.slot, process.machine._tried
                child.passed = set(process.passed)
                self.oracle.process_began(child)

    def kill(self, process: Process, *, failed: str = "") -> None:
        self.census.dies(process)
        process.failed = failed
        self._close_peer(process)
        process.alive = False
        self.living.remove(process)
        self.pids.discard(process.pid)

    def says(self, process: Process, *messages: Any) -> None:
        """On its pipe, once it has said Hello there, and holds anything."""
        if process.pipe is not None and process.held is not None and process.can_connect:
            process.pipe.up.extend(messages)

    def leave(self, process: Process) -> None:
        if process.pipe is not None and process.inside is None:
            process.pipe.up.append(Goodbye())
            self.notes.discard(process.pid)
            self._close_peer(process)
            process.machine.close()

    # ---- what speaks for and against a version

    def counts(self, process: Process, answered: int) -> None:
        """So many more requests have ended on what is on trial there, or on what is held; half named an entity."""
        version = process.machine.trial or (process.held.version if process.held else 0)
        if process.pipe is None or process.machine.state is worker.ReplicaState.GREETED or not version:
            return
        before = process.counted.get(version, Counts(version, 0, 0))
        total = before.answered + answered
        process.counted[version] = Counts(version, total, 0, total // 2)
        process.pipe.up.append(process.counted[version])

    def speaks(self, process: Process) -> None:
        """It says that it is unhealthy with what is on trial there, or with what it holds."""
        version = process.machine.trial or (process.held.version if process.held else 0)
        if process.pipe is not None and process.machine.state is not worker.ReplicaState.GREETED and version:
            process.pipe.up.append(Unhealthy(version, "slow"))

    # ---- observers

    def observers_have_run(self, process: Process) -> None:
        """They run in a thread of their own: also while a function of the reading thread's takes time."""
        number, process.asked = process.asked, 0
        self._reports(process, number, ())

    def observer_fails(self, process: Process) -> None:
        """Now, and from now on."""
        process.fails = True
        if process.machine.state is not worker.ReplicaState.GREETED:
            self._reports(process, process.asked, ("slow",) if process.asked else ())

    def _reports(self, process: Process, number: int, waits_for: tuple[str, ...]) -> None:
        process.failures += process.fails
        errors = (ObserverError(0, "rebuild", "ValueError", 1),) if process.fails else ()
        if process.pipe is not None:
            process.pipe.up.append(Observed(number, process.failures, "rebuild", errors, waits_for))

    # ---- strangers and callers

    def a_stranger_talks(self, message: Any) -> None:
        """Somebody says this on a pipe of its own, without a Hello."""
        self.calls += 1
        pipe = self._open(_STRANGERS + self.calls)
        pipe.up.append(message)

    def call(self, process: Process | None = None, wait_observers: float | None = None) -> Pipe | None:
        """A worker, or a client of its own, calls reload()."""
        return self.ask(Reload, process, wait_observers=wait_observers)

    def ask(self, kind: type[Any], process: Process | None = None, **asked: Any) -> Pipe | None:
        """A worker, or a client of its own, asks for this."""
        if self.owner is None:
            return None
        self.calls += 1
        if process is not None and process.pipe is not None:
            pipe = process.pipe
        else:
            pipe = self._open(_CLIENTS + self.calls)
            pipe.up.append(Hello(PROTOCOL, pipe.pid, "client", "app"))
        message = kind(self.calls, **asked)
        pipe.up.append(message)
        self.oracle.called((pipe.number, self.calls), message)
        return pipe

    def caller_goes(self) -> None:
        """The newest client of its own does not wait any longer."""
        clients = [pipe for pipe in self.pipes.values() if pipe.pid >= _CLIENTS and pipe.peer_open]
        if clients:
            clients[-1].peer_open = False

    def trigger(self, origin: str = "signal") -> None:
        self.oracle.triggered()
        if self.owner is not None:
            self.owner.inputs.append(fx.Trigger(origin))
