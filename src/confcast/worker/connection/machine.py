"""The worker's state machine: what each message from the owner changes in this process.

It is pure, except for the functions that it is given: `build` and `patch` (the codec), `check` (the user's `precommit`
functions), `derive` and `drop` (what is derived of a staged candidate), and `follows` (whether an observer waits for
settlings). `handle(frame)` returns effects to be carried out
in their order; a swap always comes before the Applied that reports it. Guarantees:

- Every Commit and every Install gets exactly one answer, Applied or Declined.
- The version that is held never goes down, and never changes its content. A higher version with the same digest only
  renumbers: the object stays, and no `precommit` function or observer is called.
- A staged candidate is dropped with its pipe, and where the snapshot file's version is held meanwhile. It is swapped in
  only by the Commit of its own round. `drop` is called for each that is not swapped in, or was refused.
- A version on trial stands in a slot beside what is held; observers and the snapshot file know nothing of it. It leaves
  the slot by being committed (the object is swapped in), or when another number is applied; the end of a pipe changes
  nothing. So no number that this process has shown, held or on trial, goes down.
- While what is held may be undone, `kept` is what was held before the first such version. An undo to it swaps that
  object in: nothing is built, nobody is asked. At most held, slot, staged and kept are in memory.
- A patch is applied to its base alone. Where one does not fit, because it has another base or because the application
  has changed what is held, the pipe is closed, and over the next one whole payloads come until one was built: what is
  wrong in one process refuses nothing.

Rejected: dropping frames that make no sense (the pipe is closed instead: Hello and Install bring both ends into one
state), running `precommit` again for a staged candidate that is then installed (it ran at the vote), and asking
`precommit` functions whether an undo may put back earlier content (a no would keep what no other worker runs), dropping
the slot when the owner installs once more what is held (numbers would go down: where a trial has ended, the number that
is committed has gone past it), and a timer that ends `kept` (the owner says so; else the next frame after its time).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sized
from typing import Any, get_args

import msgspec

from confcast.errors import ImpossibleMessage, Problem
from confcast.wire.messages import (
    Abort,
    Answer,
    Applied,
    Commit,
    Declined,
    Goodbye,
    Install,
    Observe,
    OnTrial,
    Prepare,
    Provisional,
    Refused,
    Settled,
    ToOwner,
    ToWorker,
    Tried,
    Try,
    Unhealthy,
    Vote,
)

UNDO_TAKES = 10.0
"""Seconds after the time of a provisional version for which the undo that its end may bring is awaited."""


class ReplicaState(enum.Enum):
    """The state of this process's conversation with its owner."""

    DETACHED = 0
    GREETED = 1
    READY = 2
    STAGED = 3
    REFUSED = 4
    CLOSED = 5


class Held(msgspec.Struct, frozen=True):
    """The version that this process serves, or, as version 0, what it may be given."""

    version: int
    digest: bytes
    config: Any

    def __repr__(self) -> str:
        return f"Held(version={self.version})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:  # a Struct's own would show the configuration
        return [("version", self.version)]


# ---- effects, to be carried out in their order


class Reply(msgspec.Struct, frozen=True):
    """Send a message to the owner."""

    message: ToOwner


class Swap(msgspec.Struct, frozen=True):
    """Make `new` the newest configuration. `old` is None for the first value in a process, which is no change."""

    old: Held | None
    new: Held


class Renumber(msgspec.Struct, frozen=True):
    """Give the content that this process holds a new number. No observer is called."""

    new: Held


class Slot(msgspec.Struct, frozen=True):
    """Keep `held` on trial beside what is held. None: the trial is over here; what was promoted was swapped in before.

    `share`: 0.0: all pins get it. Otherwise the share of the entities whose pins get it, chosen by their hash with
    `salt`. `begun`: whether it is used; a trial by entity is not before its Settled.
    """

    held: Held | None = None
    share: float = 0.0
    salt: str = ""
    begun: bool = False


class Keep(msgspec.Struct, frozen=True):
    """What is held under this number may be undone within these seconds; 0.0: no more.

    `former`: what was held before the first such version, to be kept with all that is derived of it; None: nothing.
    Comes before the Swap that brings a provisional version, and after the Swap that brings `former` back, or one that
    is not provisional.
    """

    version: int
    seconds: float
    former: Held | None = None


class Settle(msgspec.Struct, frozen=True):
    """All live workers that were not excused have applied the held content. Once per content, not for the first."""

    held: Held


class ReportObservers(msgspec.Struct, frozen=True):
    """Report the observers' failures and open calls under this number, now and at each step until all have run."""

    number: int


class Deliver(msgspec.Struct, frozen=True):
    """Wake the caller that waits for this answer."""

    answer: Answer


class Disconnect(msgspec.Struct, frozen=True):
    """Close the pipe and connect again."""

    reason: str


class Terminate(msgspec.Struct, frozen=True):
    """Close the pipe, and never connect again. `refused`: the owner's message; if None, `problems` say why."""

    refused: Refused | None
    problems: tuple[Problem, ...] = ()


class Warn(msgspec.Struct, frozen=True):
    """Log a warning."""

    text: str


Effect = Reply | Swap | Renumber | Slot | Keep | Settle | ReportObservers | Deliver | Disconnect | Terminate | Warn
Build = Callable[[bytes], Any]
Patch = Callable[[Any, bytes], Any]
Check = Callable[[int, Any, Any], tuple[Problem, ...]]
Derive = Callable[[int, Any], tuple[Problem, ...]]
Clock = Callable[[], float]


class CannotBuild(Exception):
    """Raised by `build` if the payload can't be made a configuration; `problem` says why."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        super().__init__(str(problem))


class DoesNotFit(Exception):
    """Raised by `patch` where what is held is not as the patch has it."""


def no_patch(config: Any, patch: bytes) -> Any:
    """Fit no patch: for a worker that takes whole payloads only."""
    raise DoesNotFit


def derive_nothing(round_: int, config: Any) -> tuple[Problem, ...]:
    """Derive nothing of a configuration."""
    return ()


def drop_nothing() -> None:
    """Drop nothing that was derived."""


def no_clock() -> float:
    """The time where none passes: what is kept for an undo is kept until the owner says that it is over."""
    return 0.0


class Machine:
    """One replica's side of the protocol. Not thread-safe: only the reading thread calls it.

    Args:
        build: Makes a configuration of a payload, or raises CannotBuild.
        check: `check(round, old, new)` runs the `precommit` functions, reports each to the owner before it runs, and
            returns the problems of those that refused. Round 0 means an Install.
        follows: Returns whether an observer waits for settlings; called at each version that is applied.
        patch: Makes a configuration of the one that is held and a patch of it, or raises DoesNotFit.
        derive: `derive(round, config)` builds what is derived of a configuration that follows another, and returns why
            that can't be built. Called after `check`, and for an undo, too.
        drop: Closes what `derive` has built for a candidate that is not swapped in.
        derived: What is derived. While it is empty, `derive` is not called: the way of a vote is short.
        clock: The time, in seconds: for how long what is held may be undone.

    Attributes:
        held: The version that is committed here.
        slot: The version on trial beside it, as the Slot that was given last; None: there is none.
        kept: What was held before the first version that may still be undone; None: nothing.
        declined: The committed version that this process has declined, and does not have; 0 for none.
        patches: Whether the next Hello says that patches are taken.
    """

    def __init__(
        self,
        build: Build,
        check: Check,
        follows: Callable[[], bool],
        patch: Patch = no_patch,
        derive: Derive = derive_nothing,
        drop: Callable[[], None] = drop_nothing,
        derived: Sized = (),
        clock: Clock = no_clock,
    ) -> None:
        self.patches = patch is not no_patch
        self.state = ReplicaState.DETACHED
        self.held: Held | None = None
        self.slot: Slot | None = None
        self.kept: Held | None = None
        self.declined = 0
        self.answers_within = 0.0  # in seconds, by the last Install; 0: not known yet
        self.precommit_timeout = 0.0  # likewise
        self._build = build
        self._check = check
        self._follows = follows
        self._patch = patch
        self._derive = derive
        self._drop = drop
        self._derived = derived
        self._clock = clock
        self._until = 0.0  # the time until which `held` may be undone; 0.0: it may not
        self._shown = 0  # the highest number that was shown here, held or on trial
        self._tried = b""  # the digest of what had that number, if that was on trial
        self._round = 0
        self._staged: Held | None = None  # its version does not count
        self._refusal: tuple[Problem, ...] = ()
        self._settled_version = 0  # the newest version for which Settle was given
        self._effects: list[Effect] = []

    def connected(self) -> None:
        """Note that a pipe is open, and that Hello was sent on it.

        Raises:
            ImpossibleMessage: There is a pipe already, or the machine is closed.
        """
        if self.state is not ReplicaState.DETACHED:
            raise ImpossibleMessage(self.state.name, "a new pipe")
        self._rest(ReplicaState.GREETED)

    def ended(self) -> None:
        """Drop the staged candidate, since the pipe has ended. After `close()` this makes the machine usable again."""
        self._rest(ReplicaState.DETACHED)

    def close(self) -> None:
        """Take no more versions from an owner; the version that is held stays."""
        self._rest(ReplicaState.CLOSED)

    def adopt(self, held: Held) -> Held:
        """Hold the snapshot file's version, if nothing is held yet. Returns what is held.

        A candidate that was staged before is dropped: it was to be the first value here, and no `precommit` function
        was asked whether it may follow this one. A Commit of it ends the pipe; an Install asks.
        """
        if self.held is None:
            self.held, self._settled_version, self._shown = held, held.version, held.version
            if self._staged is not None:
                self._rest(ReplicaState.READY)
        return self.held

    @property
    def trial(self) -> int:
        """The number of the version on trial that is held beside the committed one, for Hello; 0: none."""
        return self.slot.held.version if self.slot is not None and self.slot.held is not None else 0

    @property
    def trial_digest(self) -> bytes:
        """The digest of what has that number: were the trial lost with its row, the owner could give it out again."""
        return self.slot.held.digest if self.slot is not None and self.slot.held is not None else b""

    def handle(self, frame: ToWorker) -> list[Effect]:
        """Handle one message. Returns the effects. Raises ImpossibleMessage if there is no pipe."""
        if self.state in (ReplicaState.DETACHED, ReplicaState.CLOSED):
            raise ImpossibleMessage(self.state.name, frame)
        effects: list[Effect] = []
        self._effects = effects  # set now: a fault in `build` or `check` must leave no effects for the next frame
        if self._until and self._clock() >= self._until + UNDO_TAKES and not isinstance(frame, Install):
            self._note_provisional(0.0)
        try:
            _TABLE[type(frame)](self, frame)
        except DoesNotFit:
            self.patches = False
            self._disconnect("a patch does not fit what is held here; the whole payload is asked for")
        return effects

    # ---- frames

    def _install(self, frame: Install) -> None:
        self.answers_within = frame.answers_within or self.answers_within
        self.precommit_timeout = frame.precommit_timeout or self.precommit_timeout
        held = self.held
        if held is not None and frame.version == held.version and frame.digest == held.digest:
            self._note_provisional(frame.provisional)
            self._answer(Applied(frame.version, self._follows()))
        elif held is not None and not self._is_new(frame.version, frame.digest):
            text = f"holds version {self._shown} already, and a version never goes down or changes its content"
            self._answer(Declined(frame.version, (Problem("", text),)))
            return
        else:
            self._install_new(frame)
        if frame.trial is not None and self.held is not None and self.held.version == frame.version:
            self._install_trial(frame.trial)

    def _install_new(self, frame: Install) -> None:
        asks = self.held is not None and not frame.undo  # the first value in a process is no change
        problems: tuple[Problem, ...] = ()
        new = self._known(frame.digest, undo=frame.undo)
        if new is None:
            if self._staged is not None:
                self._drop_staged()
            new, problems = self._make(frame, 0, asks)
        if self.held is None and frame.declined:
            many = "a worker refuses" if frame.declined == 1 else f"{frame.declined} workers refuse"
            text = f"starting on version {frame.version}, which {many}: `confcast status` says which, and why"
            self._effects.append(Warn(text))
        if new is not None:
            self._apply(frame.version, new, frame.provisional)
        elif self.held is not None:
            self._answer(Declined(frame.version, problems))
        else:
            self._effects += [Reply(Goodbye()), Terminate(None, problems)]
            self._rest(ReplicaState.CLOSED)

    def _install_trial(self, trial: OnTrial) -> None:
        """Take the version that is on trial by entity; what was installed is held by now.

        If it can't be built here, or a `precommit` function refuses it, that is said against the version: this process
        has no vote any more. One that has declined the committed version takes no part.
        """
        if not self._is_new(trial.version, trial.digest):
            self._disconnect(f"trial {trial.version}, below a version that was shown here")
            return
        problems: tuple[Problem, ...] = ()
        new = self._known(trial.digest)
        if new is None:
            new, problems = self._make(Install(trial.version, trial.digest, trial.payload), 0, asks=True)
        if new is None:
            reason = "; ".join(map(str, problems))
            self._effects.append(Reply(Unhealthy(trial.version, reason)))
        else:
            self._take_trial(trial, new, begun=trial.begun)

    def _prepare(self, frame: Prepare) -> None:
        staged: Held | None = self.held
        problems: tuple[Problem, ...] = ()
        if self._staged is not None:
            self._drop_staged()
        if staged is None or staged.digest != frame.digest:  # else it runs here already
            staged = self._known(frame.digest) if self.slot is not None else None
        if staged is None:
            staged, problems = self._make(frame, frame.round, asks=self.held is not None)
        self._round, self._staged, self._refusal = frame.round, staged, problems
        self.state = ReplicaState.REFUSED if problems else ReplicaState.STAGED
        self._effects.append(Reply(Vote(frame.round, not problems, problems)))

    def _commit(self, frame: Commit) -> None:
        staged = self._staged if frame.round == self._round else None
        if staged is not None and (frame.version > self._shown or self._is_new(frame.version, staged.digest)):
            self._apply(frame.version, staged, frame.provisional)
        elif self.state is ReplicaState.REFUSED and frame.round == self._round:
            self._answer(Declined(frame.version, self._refusal))
        else:
            self._disconnect(f"commit of round {frame.round}, which was neither staged nor refused here")

    def _try(self, frame: Try) -> None:
        staged = self._staged if frame.round == self._round else None
        if staged is None or self.held is None or not self._is_new(frame.version, staged.digest):
            self._disconnect(f"trial of round {frame.round}, which was not staged here")
            return
        self._staged = None  # it is in the slot, so `_rest` drops nothing
        self._take_trial(frame, staged, begun=not frame.share)
        self._rest(ReplicaState.READY)

    def _provisional(self, frame: Provisional) -> None:
        if self.held is not None and frame.version == self.held.version:
            self._note_provisional(frame.seconds)

    def _abort(self, frame: Abort) -> None:
        if self.state in (ReplicaState.STAGED, ReplicaState.REFUSED) and frame.round == self._round:
            self._rest(ReplicaState.READY)

    def _settled(self, frame: Settled) -> None:
        held, slot = self.held, self.slot
        if self.state is ReplicaState.GREETED or held is None:
            return
        if slot is not None and frame.version == self.trial and not slot.begun:
            self.slot = msgspec.structs.replace(slot, begun=True)
            self._effects.append(self.slot)
        if frame.version == held.version and self._settled_version < frame.version:
            self._settled_version = frame.version
            self._effects.append(Settle(held))

    def _observe(self, frame: Observe) -> None:
        self._effects.append(ReportObservers(frame.number))

    def _refused(self, frame: Refused) -> None:
        if frame.final:
            self._effects.append(Terminate(frame))
            self._rest(ReplicaState.CLOSED)
        else:
            self._disconnect(frame.reason)

    def _deliver(self, frame: Answer) -> None:
        self._effects.append(Deliver(frame))

    # ---- common parts

    def _is_new(self, version: int, digest: bytes) -> bool:
        """Whether this number is above all that were shown here, or again that of the newest trial and its content."""
        return version > self._shown or (version == self._shown and digest == self._tried != b"")

    def _known(self, digest: bytes, *, undo: bool = False) -> Held | None:
        """What has this digest, and needs neither a build nor a question any more.

        That is what is held, on trial or staged. What is kept was agreed to as a change of something else: for an
        `undo` alone.
        """
        trial = self.slot.held if self.slot is not None else None
        known = (self.held, trial, self._staged, self.kept if undo else None)
        return next((each for each in known if each is not None and each.digest == digest), None)

    def _make(self, frame: Install | Prepare, round_: int, asks: bool) -> tuple[Held | None, tuple[Problem, ...]]:
        """Build the configuration, call the `precommit` functions if `asks`, and build what is derived of it.

        Returns what to swap in, or why not. The first value in a process derives nothing: `attach()` does it later.

        No variable holds the configuration while they run: error trackers send the variables of every frame.
        """
        try:
            built = Held(0, frame.digest, self._built(frame))
        except CannotBuild as error:
            return None, (error.problem,)
        held = self.held
        problems = self._check(round_, held.config, built.config) if asks and held is not None else ()
        if held is not None and not problems and self._derived:
            problems = self._derive(round_, built.config)
        return (None if problems else built), problems

    def _built(self, frame: Install | Prepare) -> Any:
        if not frame.base:
            config, self.patches = self._build(frame.payload), self._patch is not no_patch
            return config
        held = self.held
        if held is None or held.digest != frame.base:
            raise DoesNotFit
        return self._patch(held.config, frame.payload)

    def _apply(self, version: int, new: Held, provisional: float) -> None:
        """Hold this content under this number, and answer Applied. It ends a trial: pins go up to the number.

        What is usual is written out: after a pause none of this is in the processor's caches, and each call costs 2 µs.
        """
        old, staged = self.held, self._staged
        same = old if old is not None and old.digest == new.digest else None
        is_put_back = same is None and new is self.kept  # then it must still be there for the Swap
        keeps = provisional > 0.0 and not is_put_back
        if keeps:
            self._keep(version, provisional, self._what_to_keep(new))
        if same is not None:
            self._renumber(same, version)
        else:
            self.held = Held(version, new.digest, new.config)
            if old is None:
                self._settled_version = version
            self._effects.append(Swap(old, self.held))
        self._shown, self._tried, self.declined = version, b"", 0
        if self._until and not keeps:
            self._keep(version, provisional, None)
        if self.slot is not None:
            self.slot = None
            self._effects.append(Slot())
        self._effects.append(Reply(Applied(version, self._follows())))
        if staged is None or staged is new:  # as `_rest`, with nothing to drop
            self.state, self._staged, self._refusal = ReplicaState.READY, None, ()
        else:
            self._rest(ReplicaState.READY)

    def _renumber(self, old: Held, version: int) -> None:
        """Give the content a new number. Settle is still to come for it if the old number was not settled."""
        if self._settled_version == old.version:
            self._settled_version = version
        self.held = Held(version, old.digest, old.config)
        self._effects.append(Renumber(self.held))

    def _take_trial(self, frame: Try | OnTrial, new: Held, *, begun: bool) -> None:
        """Put this content into the slot under its number. One that is used already goes on being used."""
        again = self.slot is not None and self.trial == frame.version and self.slot.begun
        held = Held(frame.version, new.digest, new.config)
        self.slot = Slot(held, frame.share, frame.salt, begun or again)
        self._shown, self._tried = held.version, held.digest
        self._effects += (self.slot, Reply(Tried(held.version)))

    def _what_to_keep(self, new: Held) -> Held | None:
        """What an undo would put back once this content is held: of two with the same content, the one that is held."""
        kept = self._undone_to()
        return new if kept is not None and kept.digest == new.digest else kept

    def _undone_to(self) -> Held | None:
        """What an undo of the next provisional version would put back: what is held, if that is provisional no more.

        The owner has rounded the seconds up to whole ones: where the next version comes in the last of them, its undo
        finds another content than is kept here, and is built.
        """
        return self.kept if self._until and self._clock() < self._until else self.held

    def _keep(self, version: int, seconds: float, kept: Held | None) -> None:
        self.kept, self._until = kept, self._clock() + seconds if seconds else 0.0
        self._effects.append(Keep(version, seconds, kept))

    def _note_provisional(self, seconds: float) -> None:
        """Note for how long what is held may still be undone. A window may be opened over what is proven itself."""
        held = self.held
        if held is not None and (seconds or self._until):
            self._keep(held.version, seconds, self._undone_to() if seconds else None)

    def _answer(self, message: Applied | Declined) -> None:
        self.declined = message.version if isinstance(message, Declined) else 0
        self._effects.append(Reply(message))
        self._rest(ReplicaState.READY)

    def _disconnect(self, reason: str) -> None:
        self._effects.append(Disconnect(reason))
        self._rest(ReplicaState.DETACHED)

    def _rest(self, state: ReplicaState) -> None:
        self.state = state
        self._refusal = ()
        self._drop_staged()

    def _drop_staged(self) -> None:
        staged, self._staged = self._staged, None
        if staged is not None:
            self._drop()


_TABLE: dict[type, Callable[[Machine, Any], None]] = {
    Install: Machine._install,
    Prepare: Machine._prepare,
    Commit: Machine._commit,
    Try: Machine._try,
    Provisional: Machine._provisional,
    Abort: Machine._abort,
    Settled: Machine._settled,
    Observe: Machine._observe,
    Refused: Machine._refused,
    **dict.fromkeys(get_args(Answer), Machine._deliver),
}
