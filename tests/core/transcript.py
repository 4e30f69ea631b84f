"""Runs a transcript: commands in, what the owner's core and the workers' machines do about them out, as text.

A transcript is a file of blocks: lines of commands, `----`, the lines that they give, an empty line. A line that begins
with `#` is a comment. `COMMANDS` has the commands. The owners and workers are the real state machines; pipes keep what
was sent until it is delivered, time moves by `deadline` alone, and a content is one letter (see `world.py`).

Each input of an owner is a line `> ...`, and so is each frame that a worker reads; below it stand the states before
and after, where they differ, and the effects.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from typing import Literal

from confcast.owner.core import effects as fx
from confcast.owner.core import transitions
from confcast.wire.canary import Canary
from confcast.wire.messages import (
    Check,
    Confirm,
    Counts,
    Goodbye,
    Install,
    Prepare,
    Reload,
    ReloadResult,
    Resume,
    Rollback,
    Unhealthy,
    Working,
)
from confcast.worker.connection.machine import (
    Disconnect,
    DoesNotFit,
    Held,
    Machine,
    ReplicaState,
    Reply,
    Settle,
    Slot,
    Terminate,
    no_patch,
)
from tests.core.parts import Journal
from tests.core.world import WHY, Owner, patch, patched

MARK = "----"
_OF_HELLO = {"schema": str.encode, "name": str, "protocol": int}


class Transcript:
    """What one file is about: generations of owners, their journals, and the workers."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.workers: dict[int, _Worker] = {}
        self.current = _Generation(Journal())
        self.generations = {"g1": self.current}
        self._shown = 0

    @property
    def owner(self) -> _Owner:
        assert self.current.owner is not None, "no owner runs"
        return self.current.owner

    def run(self, text: str) -> str:
        """The same text, with the lines that its commands give now."""
        written: list[str] = []
        expected = False
        for line in text.rstrip().split("\n"):
            if expected:
                expected = line != ""
                written += [] if expected else [""]
            elif line == MARK:
                written += [MARK, *(self.lines or ["ok"])]
                self.lines, expected = [], True
            else:
                written.append(line)
                if line and not line.startswith("#"):
                    self._command(line)
        return "\n".join(written) + "\n"

    def _command(self, line: str) -> None:
        name, *words = line.split()
        pairs = dict(word.split("=", 1) for word in words if "=" in word)
        COMMANDS[name](self, *(word for word in words if "=" not in word), **pairs)

    def show(self, what: str) -> None:
        """`show nothing`: the commands of this block up to `show all` give no lines."""
        if what == "nothing":
            self._shown = len(self.lines)
        else:
            del self.lines[self._shown :]

    # ---- owners

    def journal(self, row: str = "", *, high_water: str = "0") -> None:
        """`journal 1:A` or `journal high_water=7`: before the owner starts, the journal holds this."""
        self.current.journal = Journal(int(high_water))
        if row:
            self.current.journal.write(int(row[:-2]), row[-1].encode())

    def start(self, *words: str, **rules: str) -> None:
        """`start [gathering] [silent=refuse]`: an owner begins with what the journal holds."""
        journal = self.current.journal
        row = journal.newest()
        self.current.owner = _Owner(
            self,
            journal,
            (row.version, row.payload) if row else None,
            undo=bool(row and row.undo),
            refused=journal.state[1],
            operator=journal.operator,
            high_water=journal.high_water,
            roster=tuple(sorted(journal.roster & set(self.workers))),
            gathering="gathering" in words,
            **rules,
        )

    def kill_owner(self) -> None:
        """The owner dies; workers may still read what it had sent, and then find their pipes ended."""
        self.current.owner = None

    def generation(self, name: str) -> None:
        """`generation g2`: the server is fully reloaded. Commands are for the new generation from now on."""
        old, journal = self.current.journal, Journal(self.current.journal.high_water)
        journal.rows, journal.values, journal.operators = dict(old.rows), dict(old.values), dict(old.operators)
        journal.state = old.state
        self.current = self.generations[name] = _Generation(journal)

    def use(self, name: str) -> None:
        """`use g1`: commands are for this generation from now on."""
        self.current = self.generations[name]

    def reload(self) -> None:
        """A client calls reload()."""
        self.owner.is_asked()

    def reload_within(self, seconds: str) -> None:
        """`reload_within 600`: a client calls reload(), to be confirmed within these seconds."""
        self.owner.is_asked_for(Reload, confirm_within=float(seconds))

    def reload_on_trial(self, size: str, *words: str, seconds: str = "60") -> None:
        """`reload_on_trial 1 [entity] [seconds=60]`: a client calls reload(canary=Canary(1, ...))."""
        by: Literal["worker", "entity"] = "entity" if "entity" in words else "worker"
        sized = size if size.endswith("%") else int(size)
        self.owner.is_asked_for(Reload, canary=Canary(sized, seconds=float(seconds), by=by))

    def counts(self, pid: str, version: str, answered: str) -> None:
        """`counts 10 2 50`: this worker reports so many requests that have ended on this version, each of an entity."""
        worker, many = self.workers[int(pid)], int(answered)
        worker.owner.receives(worker.peer, Counts(int(version), many, 0, many))

    def unhealthy(self, pid: str, version: str) -> None:
        """`unhealthy 10 2`: this worker says that it is unhealthy with this version."""
        worker = self.workers[int(pid)]
        worker.owner.receives(worker.peer, Unhealthy(int(version), "slow"))

    def confirm(self) -> None:
        """A client calls confirm()."""
        self.owner.is_asked_for(Confirm)

    def rollback(self) -> None:
        """A client calls rollback()."""
        self.owner.is_asked_for(Rollback)

    def ask_to_resume(self) -> None:
        """A client calls resume()."""
        self.owner.is_asked_for(Resume)

    def check(self) -> None:
        """A client calls check()."""
        self.owner.is_asked_for(Check)

    def restores(self, content: str, version: str) -> None:
        """`restores A 1`: the journal gives the content of this kept version."""
        self.owner.restores(content.encode(), int(version))

    def trigger(self, origin: str) -> None:
        """`trigger signal`: a load is requested by a signal, or by `watch`, `start` or `restart`."""
        self.owner.is_triggered(origin)

    def loads(self, content: str, *words: str, number: str = "") -> None:
        """`loads B [unchecked] [patch] [number=1]`: the present load, or one before it, ends with this content.

        `patch`: and gives the patch that makes it of what is committed.
        """
        load, payload, base = int(number or self.owner.last_load), content.encode(), self.owner.core.committed.payload
        change = {"base": base, "patch": patch(base, payload)} if "patch" in words else {}
        differs = payload != base
        self.owner.feed(fx.Loaded(load, payload, payload, differs=differs, checked=not differs, **change))
        if differs and "unchecked" not in words:
            self.owner.feed(fx.Checked(load))

    def checks(self, *words: str) -> None:
        """`checks [fails]`: the check of the load that was left unchecked ends."""
        self.owner.feed(fx.Checked(self.owner.last_load, problems=(WHY,) if "fails" in words else ()))

    def load_fails(self, result: str) -> None:
        """`load_fails validation_failed`: the load that is under way gives no candidate."""
        self.owner.fails_to_load(ReloadResult(result))

    def writes(self, *words: str) -> None:
        """`writes [unreported]`: the journal has the row; the owner learns of it, or does not."""
        self.owner.write()
        if "unreported" not in words:
            self.owner.records()

    def write_fails(self, row: str) -> None:
        """`write_fails absent`: the write gave an error, and the row is `present`, `absent` or `unreadable`."""
        if row == "present":
            self.owner.write()
        self.owner.fails_to_record(fx.RowState(row))

    def deadline(self, timer: str) -> None:
        """`deadline stage`: time passes until the newest deadline of this timer."""
        self.owner.waits_out(fx.Timer(timer))

    def accepts(self, word: str) -> None:
        """`accepts later`: connections wait at the next Accept, until `accepts now`."""
        self.owner.accepts = word == "now"
        if self.owner.accepts:
            self.owner.feed(fx.Accepted())

    def master_gone(self) -> None:
        """The master is dead, or has closed."""
        self.owner.feed(fx.MasterGone())

    def state(self) -> None:
        """Shows the owner, the workers as it knows them, and what each worker serves."""
        if (owner := self.current.owner) is None:
            self.lines.append("no owner")
        else:
            self.lines.append(f"owner {owner.state.name} version={owner.version} high_water={owner.core.high_water}")
            self.lines += [f"  {s.pid} {s.state}" + (f" ({s.reason})" * bool(s.reason)) for s in owner.core.statuses()]
        self.lines += [worker.shown() for worker in self.workers.values()]

    # ---- workers

    def worker(self, pid: str, *words: str, holds: str = "", refuses: str = "", **hello: str) -> None:
        """`worker 10 [patches] [trials] [holds=1:A] [refuses=B] [schema=x] [name=x] [protocol=9]`: a process starts.

        It connects. `patches`: it takes patches. `trials`: it knows trials and probations.
        """
        made = self.workers[int(pid)] = _Worker(self, int(pid), refuses.encode(), patches="patches" in words)
        made.knows_trials = "trials" in words
        if holds:
            made.machine.adopt(Held(int(holds[:-2]), holds[-1].encode(), holds[-1].encode()))
        made.connect(**{name: _OF_HELLO[name](value) for name, value in hello.items()})

    def connect(self, pid: str) -> None:
        """`connect 10`: this worker opens a pipe; an older one may still be open."""
        self.workers[int(pid)].connect()

    def disconnect(self, pid: str) -> None:
        """`disconnect 10`: the pipe breaks, with what was sent and not read; the process lives."""
        worker = self.workers[int(pid)]
        worker.end()
        if worker.owner is worker.generation.owner:
            worker.owner.loses_pipe(worker.peer)

    def end_pipe(self, number: str) -> None:
        """`end_pipe 2`: the owner sees the end of the second pipe that was opened to it."""
        self.owner.feed(fx.PipeEnded(int(number)))

    def kill(self, pid: str) -> None:
        """`kill 10`: the process dies; a child of it may hold its pipe open."""
        worker = self.workers.pop(int(pid))
        if worker.owner is worker.generation.owner:
            worker.owner.loses(worker.peer)

    def goodbye(self, pid: str) -> None:
        """`goodbye 10`: the worker ends in its own time."""
        worker = self.workers.pop(int(pid))
        worker.owner.receives(worker.peer, Goodbye())

    def alter(self, pid: str) -> None:
        """`alter 10`: the application has changed in place what this worker holds."""
        self.workers[int(pid)].altered = True

    def refuse(self, pid: str, content: str = "") -> None:
        """`refuse 10 B`: a precommit function of this worker refuses B from now on; `refuse 10`: nothing."""
        self.workers[int(pid)].refuses = content.encode()

    def stop(self, pid: str) -> None:
        """`stop 10`: this process reads nothing."""
        self.workers[int(pid)].stopped = True

    def resume(self, pid: str) -> None:
        """`resume 10`: it reads again."""
        self.workers[int(pid)].stopped = False

    def stuff(self, pid: str) -> None:
        """`stuff 10`: the owner does not learn that a frame to this worker has left, and sends it no other one."""
        worker = self.workers[int(pid)]
        worker.owner.stuffed.add(worker.peer.pipe)

    def drain(self, pid: str) -> None:
        """`drain 10`: the frame to this worker has left, so the owner may send the next one."""
        worker = self.workers[int(pid)]
        worker.owner.unblocks(worker.peer)

    def slow(self, pid: str) -> None:
        """`slow 10`: the next precommit function of this worker runs until `finish 10`."""
        self.workers[int(pid)].slow = True

    def finish(self, pid: str) -> None:
        """`finish 10`: its function has ended."""
        self.workers[int(pid)].finish()

    def deliver(self, *pids: str) -> None:
        """`deliver 10`: these workers read what was sent to them. Their answers stay with them until `answer`."""
        for pid in pids:
            self.workers[int(pid)].read()

    def answer(self, *pids: str) -> None:
        """`answer 10`: the owner receives the answers of these workers."""
        for pid in pids:
            self.workers[int(pid)].answer()

    def stabilize(self, *pids: str) -> None:
        """`stabilize [10 11]`: these workers, or all, read and answer until there is nothing left to read."""
        chosen = [worker for pid, worker in self.workers.items() if not pids or str(pid) in pids]
        while any(worker.moves() for worker in chosen):
            for worker in chosen:
                worker.read()
                worker.answer()


class _Owner(Owner):
    """An owner that writes down what it does, and whose journal keeps what its effects write."""

    def __init__(self, transcript: Transcript, journal: Journal, committed: tuple[int, bytes] | None, **rest) -> None:
        self.transcript, self.journal = transcript, journal
        self.ordered: fx.Record | fx.RecordState | None = None
        self.frames: defaultdict[int, deque] = defaultdict(deque)
        super().__init__(committed, **rest)
        version, high_water = self.version, self.core.high_water
        transcript.lines.append(f"> owner starts version={version} high_water={high_water} roster={rest['roster']}")
        transcript.lines += [f"  {transitions.effect_text(each, self.core.roster, self.now)}" for each in self.all]

    def feed(self, given: fx.Input) -> None:
        before, shown = self.state, transitions.input_text(given, self.core.roster)
        effects = self.core.handle(given, self.now)
        if effects or not isinstance(given, fx.Drained):
            self._write_down(shown, before.name, effects)
        self.log += effects
        self.all += effects
        for effect in effects:
            self._carry_out(effect)
        for effect in effects:
            if isinstance(effect, fx.Send) and effect.pipe not in self.stuffed:
                self.feed(fx.Drained((effect.pipe,)))
        if fx.Accept() in effects and self.accepts:
            self.feed(fx.Accepted())

    def _write_down(self, shown: str, before: str, effects: list[fx.Effect]) -> None:
        moved = [] if before == self.state.name else [f"{before} => {self.state.name}"]
        done = [transitions.effect_text(effect, self.core.roster, self.now) for effect in effects]
        self.transcript.lines += [f"> {shown}", *(f"  {each}" for each in (*moved, *done))]

    def _carry_out(self, effect: fx.Effect) -> None:
        match effect:
            case fx.Send(pipe, message):
                self.frames[pipe].append(message)
            case fx.Record() | fx.RecordState():
                self.ordered = effect
            case fx.Retire(version):
                self.journal.high_water = max(self.journal.high_water, version)
            case fx.ClearRefused():
                self.journal.state = (self.journal.state[0], b"")
            case fx.AddMember(pid):
                self.journal.roster.add(pid)
            case fx.RemoveMember(pid):
                self.journal.roster.discard(pid)

    def write(self) -> None:
        """The row that was ordered goes into the journal."""
        assert self.ordered is not None
        if isinstance(self.ordered, fx.RecordState):
            self.journal.operators[max(self.journal.rows)] = self.ordered.operator
            return
        version = self.ordered.version
        self.journal.write(version, self.ordered.payload, self.ordered.values, self.ordered.operator)
        self.journal.state = (version if self.ordered.undo else 0, self.ordered.refused)


class _Generation:
    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.owner: _Owner | None = None


class _Worker:
    """A worker's machine at the end of a pipe, from which it reads when the transcript says so."""

    def __init__(self, transcript: Transcript, pid: int, refuses: bytes, *, patches: bool) -> None:
        self.transcript, self.pid = transcript, pid
        self.generation = transcript.current
        self.refuses = refuses
        self.stopped = self.slow = self.knows_trials = False
        self.inside: object = None
        self.unread: deque = deque()
        self.unsaid: deque = deque()
        self.altered = False
        self.machine = Machine(
            self._build,
            lambda number, old, new: (WHY,) if new == self.refuses else (),
            lambda: True,
            patch=self._patch if patches else no_patch,
        )

    def connect(self, **hello: object) -> None:
        self.end()
        held = self.machine.held
        self.owner = self.generation.owner
        assert self.owner is not None, "no owner runs"
        self.machine.connected()
        version, digest = (held.version, held.digest) if held else (0, b"")
        trial = self.machine.trial if self.knows_trials else None
        hello = {"patches": self.machine.patches, "trial": trial} | hello
        self.peer = self.owner.meets(self.pid, version, digest, **hello)
        self.unread = self.owner.frames[self.peer.pipe]

    def _build(self, payload: bytes) -> bytes:
        self.altered = False
        return payload

    def _patch(self, held: bytes, change: bytes) -> bytes:
        if self.altered:
            raise DoesNotFit
        return patched(held, change)

    def end(self) -> None:
        """The pipe has ended, with what was not read and not sent."""
        self.unread, self.unsaid = deque(), deque()
        self.inside = None
        if self.machine.state is not ReplicaState.DETACHED:
            self.machine.ended()

    def moves(self) -> bool:
        return bool((not self.stopped and self.inside is None and self.unread) or self.unsaid)

    def read(self) -> None:
        while self.unread and not self.stopped and self.inside is None:
            frame = self.unread.popleft()
            if self.slow and isinstance(frame, Install | Prepare):
                self.slow, self.inside = False, frame
                self._write_down(frame, ["runs app:check"])
                self.unsaid.append(Working(getattr(frame, "round", 0), "app:check"))
            else:
                self._obey(frame)

    def finish(self) -> None:
        frame, self.inside = self.inside, None
        self._obey(frame)

    def answer(self) -> None:
        while self.unsaid:
            message = self.unsaid.popleft()
            if self.owner is self.generation.owner:  # else it has died, and nobody receives this
                self.owner.receives(self.peer, message)

    @property
    def _roster(self):
        return self.owner.core.roster

    def _obey(self, frame) -> None:
        state, before = self.machine.state, self.machine.held
        done = []
        for effect in self.machine.handle(frame):
            match effect:
                case Reply(message):
                    self.unsaid.append(message)
                    done.append(f"answers {transitions.text(message, self._roster)}")
                case Slot(held):
                    done.append(f"tries {_content(held)}" if held else "tries nothing any more")
                case Settle(held):
                    done.append(f"{held.version} is settled here")
                case Disconnect() | Terminate():
                    done.append("closes its pipe" + " for good" * isinstance(effect, Terminate))
        if self.machine.held != before:
            done.insert(0, f"serves {_content(self.machine.held)}")
        if self.machine.state is not state:
            done.insert(0, f"{state.name} => {self.machine.state.name}")
        self._write_down(frame, done)

    def _write_down(self, frame, done: list[str]) -> None:
        shown = transitions.text(frame, self._roster)
        self.transcript.lines += [f"> {self.pid} reads {shown}", *(f"  {each}" for each in done)]

    def shown(self) -> str:
        return f"{self.pid} {self.machine.state.name} serves {_content(self.machine.held)}"


def _content(held: Held | None) -> str:
    return f"{held.version}:{held.config.decode()}" if held else "nothing"


COMMANDS: dict[str, Callable] = {
    name: method
    for name, method in vars(Transcript).items()
    if not name.startswith("_") and callable(method) and name != "run"
}
