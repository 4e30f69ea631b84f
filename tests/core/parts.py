"""The stand-ins that the simulated world is made of: pipes, a journal, workers' processes, an owner's process.

They keep state and do nothing by themselves; `simulation.py` moves them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from confcast.errors import Problem
from confcast.owner.core import effects as fx
from confcast.owner.core.machine import Committed, Core, OperatorState, Proven
from confcast.owner.store.kept_versions import judgement_of
from confcast.wire.messages import PROTOCOL, Counts, Hello, Install, Prepare, ReloadEvent
from confcast.worker.connection.machine import DoesNotFit, Held, Machine, ReplicaState, no_patch
from tests.core.world import patched

SCHEMA = b"schema"
NOTHING_SET = OperatorState()


@dataclass
class Pipe:
    number: int
    pid: int
    up: deque = field(default_factory=deque)
    down: deque = field(default_factory=deque)
    leaving: object = None  # the one frame that the owner has handed over and the kernel has not taken yet
    received: bool = False
    peer_open: bool = True
    owner_open: bool = True
    late: bool = False  # what was sent up comes later than all else


class Journal:
    """Rows, retired numbers and the roster; `deleted`: still written to, and gone with the owner that has it open.

    `gathers`: it was made anew, and whoever lives and has not connected since is missing on the roster.

    `settled`: versions whose barrier is closed; `declined`: those that a worker has declined; `taken_back`: those on
    probation when an undo of them, or of a later one, was written.

    `state`: what stands beside the newest row: the number of an undo, and the content that it refuses. `operators`:
    what people have set, by the version beside which it was written last; `values`: what each version was made from.
    """

    def __init__(self, high_water: int = 0, clock: Callable[[], float] = lambda: 0.0) -> None:
        self.clock = clock
        self.rows: dict[int, bytes] = {}
        self.values: dict[int, bytes] = {}
        self.operators: dict[int, OperatorState] = {}
        self.state: tuple[int, bytes] = (0, b"")
        self.settled: set[int] = set()
        self.declined: set[int] = set()
        self.taken_back: set[int] = set()
        self.high_water = high_water
        self.roster: set[int] = set()
        self.gathers = False
        self.deleted = False
        self.forgets = False  # which content was good: it keeps few versions
        self.untried: dict[int, OperatorState] = {}  # what people had set beside each version, before its last trial
        self._closed = NOTHING_SET, NOTHING_SET  # what was last found with a probation that is over, and without it

    def write(self, version: int, content: bytes, values: bytes = b"", operator: OperatorState = NOTHING_SET) -> None:
        self.rows[version], self.values[version], self.operators[version] = content, values, operator
        self.high_water = max(self.high_water, version)

    def take_back(self, above: int, below: int) -> None:
        """What is on probation between these two never becomes good."""
        self.taken_back |= {each for each in self.rows if above < each < below and self._proves(each) > self.clock()}

    def _proves(self, version: int) -> float:
        window = self.operators[version].window
        return 0.0 if window is None else window.proves

    @property
    def good(self) -> set[int]:
        """The versions that are good by now: superseded or not, on probation no more, and confirmed if need be."""
        return {each for each in self.settled - self.declined - self.taken_back if not self._is_open(each)}

    def _is_open(self, version: int) -> bool:
        window = self.operators[version].window
        return window is not None and (window.deadline > 0.0 or window.proves > self.clock())

    def was_good(self, content: bytes) -> bool:
        """Whether any version with this content is good, and still kept."""
        return not self.forgets and any(self.rows[each] == content for each in self.good)

    @property
    def operator(self) -> OperatorState:
        """What people have set, as of the last write; a probation that is over is none."""
        if not self.rows:
            return NOTHING_SET
        operator = self.operators[newest := max(self.rows)]
        if operator.window is None or self._is_open(newest):
            return operator
        if self._closed[0] is not operator:
            self._closed = operator, msgspec.structs.replace(operator, window=None)
        return self._closed[1]

    def judge(self, event: ReloadEvent) -> None:
        """What is known of a version by this event."""
        if (judgement := judgement_of(event)) is not None:
            version = judgement.version
            self.declined |= set() if judgement.good else {version}
            self.settled |= {version} & self.rows.keys()

    def proven(self) -> Proven | None:
        """What a window would fall back to, or does."""
        window = self.operator.window
        version = window.fallback if window else max(self.good, default=0)
        if not version:
            return None
        content, operator = self.rows[version], self.operators[version]
        committed = Committed(version, content, content, False, self.values[version])
        return Proven(committed, operator.layer, operator.expires)

    def newest(self) -> Committed | None:
        if not self.rows:
            return None
        version = max(self.rows)
        content, undo = self.rows[version], self.state[0] == version
        return Committed(version, content, content, undo, self.values[version])


class Process:
    """A worker: the real machine, and a pipe or none.

    `stopped`: it reads nothing; and if `stuffed`, nothing more fits into its pipe either. `asked`: what its precommit
    functions have passed since the last swap, as (old, new). `other`: what in its Hello the owner will not have.
    `slow`: its functions take time; `inside`: the frame for which one runs. `step`: how far it is on its way to serve
    without an owner's answer, 0 for not at all; `serves`: it has had an answer, or is at the end of that way.
    `asked`: the Observe that its observers have to answer yet, 0 for none; `lingers`: they take their time;
    `fails`: one of them raises. `altered`: the application has changed in place what is held. `failed`: why its death
    speaks against what it ran. `counted`: its requests, by version. Every third process is of a build that knows no
    patches, and every seventh of one that knows neither trials nor probations.
    """

    def __init__(self, pid: int, clock: Callable[[], float], held: Held | None = None, **other: object) -> None:
        self.pid = pid
        self.refuses: set[bytes] = set()
        self.passed: set[tuple[bytes, bytes]] = set()
        self.alive = True
        self.stopped = False
        self.stuffed = False
        self.pipe: Pipe | None = None
        self.other = other
        self.slow = False
        self.inside: object = None
        self.step = 0
        self.found: Held | None = None
        self.serves = False
        self.asked = 0
        self.lingers = self.fails = False
        self.failures = 0
        self.altered = False
        self.failed = ""
        self.counted: dict[int, Counts] = {}
        patch = self._patch if pid % 3 else no_patch
        self.machine = Machine(self._build, self._check, lambda: pid % 2 == 0, patch, clock=clock)
        if held is not None:
            self.machine.adopt(held)

    @property
    def held(self) -> Held | None:
        return self.machine.held

    @property
    def trial(self) -> int:
        """The number of what it has on trial; 0: nothing."""
        return self.machine.trial

    @property
    def knows_trials(self) -> bool:
        return self.pid % 7 != 0

    @property
    def can_connect(self) -> bool:
        return self.alive and not self.stopped and self.inside is None and self.machine.state is not ReplicaState.CLOSED

    def takes_time(self, frame: object) -> bool:
        """Whether slow functions run for this frame."""
        held = self.held
        if not self.slow or held is None or not isinstance(frame, Install | Prepare) or frame.digest == held.digest:
            return False
        return isinstance(frame, Prepare) or (not frame.undo and frame.version > held.version)

    @property
    def fits(self) -> bool:
        """Whether an owner has to serve it."""
        return not self.other

    def hello(self) -> Hello:
        version, digest = (self.held.version, self.held.digest) if self.held else (0, b"")
        usual = {"protocol": PROTOCOL, "name": "app", "schema": SCHEMA, "patches": self.machine.patches}
        usual["trial"] = self.trial if self.knows_trials else None
        usual["trial_digest"] = self.machine.trial_digest
        return Hello(pid=self.pid, role="replica", version=version, digest=digest, **usual | self.other)

    def _build(self, payload: bytes) -> bytes:
        self.altered = False
        return payload

    def _patch(self, held: bytes, change: bytes) -> bytes:
        if self.altered:
            raise DoesNotFit
        return patched(held, change)

    def _check(self, number: int, old: bytes, new: bytes) -> tuple[Problem, ...]:
        if new[:1] in self.refuses:  # whatever overrides are in it
            return (Problem("", "refused"),)
        self.passed.add((old, new))
        return ()


class OwnerProcess:
    """`watched`: whose deaths it will notice. `known`: who has sent it a Hello, in this life or by its journal."""

    def __init__(self, core: Core, roster: tuple[int, ...]) -> None:
        self.core = core
        self.effects = deque(core.begin())
        self.inputs: deque[fx.Input] = deque()
        self.timers: list[fx.WakeAt] = []
        self.loads: deque[fx.Load] = deque()
        self.restores: deque[fx.Restore] = deque()
        self.unchecked: deque[tuple[int, bytes]] = deque()  # loads whose candidate is proposed already; their values
        self.awaited: list[Pipe] | None = None  # whose Hello is handed over before Accepted
        self.watched = set(roster)
        self.known = set(roster)
