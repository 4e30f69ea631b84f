"""The stand-ins that the simulated world is made of: pipes, a journal, workers' processes, an owner's process.

They keep state and do nothing by themselves; `simulation.py` moves them.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from confcast.errors import Problem
from confcast.owner import effects as fx
from confcast.owner.core import Committed, Core
from confcast.wire.messages import PROTOCOL, Hello
from confcast.worker.protocol import Held, Machine, State

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
    """A worker: the real machine, and a pipe or none.

    `stopped`: it reads nothing; and if `stuffed`, nothing more fits into its pipe either. `asked`: what its precommit
    functions have passed since the last swap, as (old, new). `other`: what in its Hello the owner will not have.
    """

    def __init__(self, pid: int, held: Held | None = None, **other: object) -> None:
        self.pid = pid
        self.refuses: set[bytes] = set()
        self.passed: set[tuple[bytes, bytes]] = set()
        self.alive = True
        self.stopped = False
        self.stuffed = False
        self.pipe: Pipe | None = None
        self.other = other
        self.machine = Machine(bytes, self._check, lambda: pid % 2 == 0)
        if held is not None:
            self.machine.adopt(held)

    @property
    def held(self) -> Held | None:
        return self.machine.held

    @property
    def can_knock(self) -> bool:
        return self.alive and not self.stopped and self.machine.state is not State.CLOSED

    @property
    def fits(self) -> bool:
        """Whether an owner has to serve it."""
        return not self.other

    def hello(self) -> Hello:
        version, digest = (self.held.version, self.held.digest) if self.held else (0, b"")
        usual = {"protocol": PROTOCOL, "name": "app", "schema": SCHEMA}
        return Hello(pid=self.pid, role="replica", version=version, digest=digest, **usual | self.other)

    def _check(self, old: bytes, new: bytes) -> tuple[Problem, ...]:
        if new in self.refuses:
            return (Problem("", "refused"),)
        self.passed.add((old, new))
        return ()


class OwnerProcess:
    """`watched`: whose deaths it will hear of. `known`: whom it has heard of, in this life or by its journal."""

    def __init__(self, core: Core, roster: tuple[int, ...]) -> None:
        self.core = core
        self.effects = deque(core.begin())
        self.inputs: deque[fx.Input] = deque()
        self.timers: list[fx.WakeAt] = []
        self.loads: deque[int] = deque()
        self.watched = set(roster)
        self.known = set(roster)
