"""Everyone around the owner in the simulated world: workers, strangers, callers, their pipes, what befalls them."""

from __future__ import annotations

from typing import Any

from confcast.owner import effects as fx
from confcast.wire.messages import PROTOCOL, Goodbye, Hello, Reload
from confcast.worker import protocol as worker
from confcast.worker.protocol import Held
from tests.core.census import Census
from tests.core.oracle import Oracle
from tests.core.parts import Journal, OwnerProcess, Pipe, Process

_CLIENTS, _STRANGERS = 90000, 80000  # so are their pids told from workers'


class Crowd:
    """The part of the world that is no owner's."""

    oracle: Oracle
    census: Census
    journal: Journal
    owner: OwnerProcess | None
    snapshot: Held | None

    def __init__(self) -> None:
        self.processes: list[Process] = []
        self.pipes: dict[int, Pipe] = {}
        self.calls = 0
        self._pids = 0

    def lives(self, pid: int) -> bool:
        return any(process.alive for process in self.processes if process.pid == pid)

    def known(self) -> set[int]:
        """Who lives and was heard of: by this owner, or by a former one that could write it down."""
        assert self.owner
        return {pid for pid in self.owner.known if self.lives(pid)}

    def start_worker(self, held: Held | None = None, **other: object) -> Process:
        self._pids += 1
        process = Process(self._pids, held, **other)
        self.processes.append(process)
        self.oracle.process_began(process)
        return process

    def connect(self, process: Process) -> None:
        pipe = process.pipe = self._open(process.pid)
        pipe.up.append(process.hello())
        process.machine.connected()

    def _open(self, pid: int) -> Pipe:
        pipe = Pipe(len(self.pipes) + 1, pid)
        self.pipes[pipe.number] = pipe
        return pipe

    def _read(self, process: Process, pipe: Pipe) -> None:
        frame = pipe.down.popleft()
        effects = process.machine.handle(frame)
        self.oracle.worker_answers(frame, effects)
        self.census.worker_reads(frame, effects)
        for effect in effects:
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

    def stop(self, process: Process, *, stuffed: bool) -> None:
        process.stopped, process.stuffed = True, stuffed
        self.census.stops(process)

    def fork(self, process: Process) -> None:
        if process.held is not None:
            self.start_worker(process.held)

    def kill(self, process: Process) -> None:
        self.census.dies(process)
        self._close_peer(process)
        process.alive = False

    def leave(self, process: Process) -> None:
        if process.pipe is not None:
            process.pipe.up.append(Goodbye())
            self._close_peer(process)
            process.machine.close()

    # ---- strangers and callers

    def a_stranger_talks(self, message: Any) -> None:
        """Somebody says this on a pipe of its own, without a Hello."""
        self.calls += 1
        pipe = self._open(_STRANGERS + self.calls)
        pipe.up.append(message)

    def call(self, process: Process | None = None) -> Pipe | None:
        """A worker, or a client of its own, calls reload()."""
        if self.owner is None:
            return None
        self.calls += 1
        if process is not None and process.pipe is not None:
            pipe = process.pipe
        else:
            pipe = self._open(_CLIENTS + self.calls)
            pipe.up.append(Hello(PROTOCOL, pipe.pid, "client", "app"))
        pipe.up.append(Reload(self.calls))
        self.oracle.called((pipe.number, self.calls))
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
