"""Which cells of both tables the simulated worlds have reached, and how often; which no world can reach, and why.

A cell is a row of `test_every_cell.py` (an input, or a frame, told apart by what it says) in a state. The owner's state
is where its proposal is, and what is provisional or held then; the worker's is that of its machine, and what it holds.
So a million schedules say of each cell how often it was tried, and none may be at zero but those of `unreached.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, get_args

import msgspec

from confcast.owner.core import effects as fx
from confcast.owner.core.machine import Core, ProposalState
from confcast.wire import messages as ms
from confcast.worker.connection import machine as worker

Cell = tuple[str, str, str]
"""Its row; the state of the machine; what is provisional or held then, and nothing for a worker."""

PHASES = tuple(state.name for state in ProposalState)
STANDINGS = ("settled", "held", "probation", "window", "trial")
"""As in the table of what each trigger does: provisional is one thing at a time, and what is held may be it as well."""
MIXTURES = (
    *STANDINGS,
    *(f"held, {other}" for other in ("probation", "window", "trial")),
    *("trial, probation", "trial, window", "held, trial, probation"),
)
"""What can be so at once."""
HOLDINGS = ("nothing", "a version", "a version that may be put back", "a version on trial")
"""What a worker has, the last two beside the one that is committed."""
NEVER = ("REFUSED, nothing",)
"""No function is asked whether a first version may come."""
HEARS = tuple(state.name for state in worker.ReplicaState if state.name not in ("DETACHED", "CLOSED"))
_WAITS = {fx.Timer.LOAD, fx.Timer.STAGE, fx.Timer.BARRIER, fx.Timer.UNDO, fx.Timer.DEFERRED}
_ROWS = {fx.RowState.PRESENT: "there", fx.RowState.ABSENT: "not there", fx.RowState.UNREADABLE: "unreadable"}


def standing(core: Core) -> str:
    """What is provisional or held for this owner."""
    operator = core.operator
    if operator.trial is not None:
        return "trial"
    if operator.window is not None:
        return "window" if operator.window.deadline else "probation"
    return "settled" if operator.hold is None else "held"


def mixture(core: Core) -> str:
    """All of it that is so at once."""
    operator = core.operator
    window = operator.window
    parts = ["held"] if operator.hold is not None else []
    parts += ["trial"] if operator.trial is not None else []
    parts += [] if window is None else ["window" if window.deadline else "probation"]
    return ", ".join(parts) or "settled"


# ---- the owner's rows: each function is called before its input is handled


def _hello(core: Core, hello: ms.Hello, pipe: int) -> str:
    if hello.protocol != ms.PROTOCOL:
        return "Hello, other protocol"
    if hello.role == "client":
        return "Hello, of a client"
    if hello.schema != core.rules.schema:
        return "Hello, other schema"
    if core.roster.on(pipe) is not None:
        return "Hello, once more"
    known = core.roster.of(hello.pid)
    return "Hello" if known is None or known.pipe is None else "Hello, on a new pipe"


def _vote(core: Core, vote: ms.Vote, pipe: int) -> str:
    return f"Vote, {'yes' if vote.ok else 'no'}" if vote.round == core.round else "Vote, of another round"


def _observed(core: Core, observed: ms.Observed, pipe: int) -> str:
    waits = observed.number and core._observing.waits
    return "Observed, which a caller waits for" if waits else "Observed"


def _operation(core: Core, asked: Any, pipe: int) -> str:
    name = type(asked).__name__
    newest = core.operator.trial.version if core.operator.trial is not None else core.committed.version
    return name if asked.expect in (None, newest) else f"{name}, and another version runs"


def _of_version(core: Core, message: Any, pipe: int) -> str:
    name = type(message).__name__
    trial = core.operator.trial.version if core.operator.trial is not None else 0
    if message.version == core.committed.version or (trial and message.version == trial):
        return name
    return f"{name}, another version"


def _loaded(core: Core, given: fx.Loaded) -> str:
    if not core._loads.is_present(given.number):
        return "Loaded, of another load"
    if not given.differs:
        return "Loaded, nothing differs"
    return "Loaded, something differs" if given.checked else "Loaded, unchecked"


def _load_failed(core: Core, given: fx.LoadFailed) -> str:
    return "LoadFailed" if core._loads.is_present(given.number) else "LoadFailed, of another load"


def _checked(core: Core, given: fx.Checked) -> str:
    if not core._loads.is_present(given.number):
        return "Checked, of another load"
    return "Checked, and not exact" if given.problems else "Checked"


def _wake(core: Core, given: fx.Wake) -> str:
    late = given.timer in _WAITS and given.token != core._token
    return f"Wake, {given.timer.value}" + (", of a wait that is over" if late else "")


_OF_MESSAGES: dict[type, Callable[[Core, Any, int], str]] = {
    ms.Hello: _hello,
    ms.Vote: _vote,
    ms.Observed: _observed,
    **dict.fromkeys((ms.Reload, ms.Rollback, ms.Set, ms.Unset, ms.Resume), _operation),
    **dict.fromkeys((ms.Applied, ms.Declined, ms.Tried, ms.Unhealthy, ms.Counts), _of_version),
}
_OF_INPUTS: dict[type, Callable[[Core, Any], str]] = {
    fx.Loaded: _loaded,
    fx.LoadFailed: _load_failed,
    fx.Checked: _checked,
    fx.Wake: _wake,
    fx.RecordFailed: lambda core, given: f"RecordFailed, {_ROWS[given.row]}",
    fx.ProcessGone: lambda core, given: "ProcessGone" + (", and it failed" if given.failed else ""),
    fx.Probed: lambda core, given: _of_version(core, given, 0),
}


def row_of(core: Core, given: fx.Input) -> str:
    """The row of this input, which is about to be handed to the core."""
    if isinstance(given, fx.Received):
        message = given.message
        find = _OF_MESSAGES.get(type(message))
        return find(core, message, given.pipe) if find else type(message).__name__
    known = _OF_INPUTS.get(type(given))
    return known(core, given) if known else type(given).__name__


# ---- the worker's rows: each is found out after its frame was handled, from what was there before


class Before(NamedTuple):
    """What a worker's machine had before a frame."""

    state: worker.ReplicaState
    held: worker.Held | None
    trial: int
    kept: worker.Held | None
    staged: worker.Held | None
    round: int
    shown: int

    @property
    def holding(self) -> str:
        """What it had, of HOLDINGS."""
        if self.held is None:
            return HOLDINGS[0]
        return HOLDINGS[3] if self.trial else HOLDINGS[1] if self.kept is None else HOLDINGS[2]


def before(machine: worker.Machine) -> Before:
    """To be called before the frame is handled."""
    mine = machine
    return Before(mine.state, mine.held, mine.trial, mine.kept, mine._staged, mine._round, mine._shown)


def _install(was: Before, frame: ms.Install, effects: list[Any], refuses: set[bytes]) -> str:
    replies = [each.message for each in effects if isinstance(each, worker.Reply)]
    if frame.trial is not None:
        spoken = any(isinstance(each, ms.Unhealthy) for each in replies)
        return "Install, with a trial" + (" that is refused here" if spoken else "")
    held = was.held
    if held is not None and (held.version, held.digest) == (frame.version, frame.digest):
        return "Install, what is held"
    if any(isinstance(each, ms.Declined) for each in replies):
        if frame.version > was.shown:
            return "Install, refused here"
        assert held is not None
        return "Install, other content" if frame.version == held.version else "Install, older"
    if any(isinstance(each, worker.Renumber) for each in effects):
        return "Install, a higher number"
    if was.staged is not None and was.staged.digest == frame.digest:
        return "Install, what is staged"
    undone = frame.undo and frame.digest[:1] in refuses
    return "Install, an undo that is refused here" if undone else "Install, something newer"


def _prepare(was: Before, frame: ms.Prepare, effects: list[Any]) -> str:
    if was.held is not None and was.held.digest == frame.digest:
        return "Prepare, what is held"
    refused = any(isinstance(each, worker.Reply) and not each.message.ok for each in effects)
    return "Prepare, refused here" if refused else "Prepare"


def _of_round(was: Before, frame: ms.Commit | ms.Try | ms.Abort) -> str:
    name = type(frame).__name__
    if frame.round != was.round:
        return f"{name}, another round"
    no_higher = not isinstance(frame, ms.Abort) and frame.version <= was.shown
    again = was.trial and isinstance(frame, ms.Commit | ms.Try) and frame.version == was.trial  # it is promoted
    if no_higher and not again:
        return "Try, no higher number" if name == "Try" else f"{name}, this round, no higher number"
    return f"{name}, this round"


def row_of_frame(was: Before, frame: ms.ToWorker, effects: list[Any], refuses: set[bytes]) -> str:
    """The row of this frame, by what the machine did with it; `refuses`: which contents its functions refuse."""
    name = type(frame).__name__
    if isinstance(frame, ms.Install | ms.Prepare):
        if frame.base and any(isinstance(each, worker.Disconnect) for each in effects):
            return f"{name}, a patch that does not fit"
        return _install(was, frame, effects, refuses) if name == "Install" else _prepare(was, frame, effects)
    if isinstance(frame, ms.Commit | ms.Try | ms.Abort):
        return _of_round(was, frame)
    if isinstance(frame, ms.Provisional | ms.Settled):
        known = was.held is not None and frame.version in (was.held.version, was.trial)
        return f"{name}, {'what is held' if known else 'something else'}"
    if isinstance(frame, ms.Refused):
        return "Refused, for good" if frame.final else "Refused"
    return name


# ---- what was reached

REQUESTS: tuple[type, ...] = (ms.Reload, *get_args(ms.Operation))
_OPTIONS = {
    kind: [each for each in msgspec.structs.fields(kind) if not each.required and each.name != "id"]
    for kind in REQUESTS
}
EFFECTS = (*get_args(fx.Effect), *get_args(worker.Effect))


def options() -> Iterator[str]:
    """Each option of each request that a core serves, as it is counted where somebody gives it."""
    for kind, fields in _OPTIONS.items():
        yield from (f"{kind.__name__}({each.name})" for each in fields)


def _given(asked: Any) -> Iterator[str]:
    for each in _OPTIONS[type(asked)]:
        value = getattr(asked, each.name)
        if value and value != each.default:
            yield f"{type(asked).__name__}({each.name})"


class Rows:
    """What one world, or many, have reached.

    `owner`, `worker`: by cell. `holdings`: what workers had, by state. `mixtures`: all that was provisional or held at
    once, when somebody asked for anything. `options`: how often each was given. `effects`: by kind. `answers`: by
    result.
    """

    def __init__(self) -> None:
        self.owner: Counter[Cell] = Counter()
        self.worker: Counter[Cell] = Counter()
        self.holdings: Counter[str] = Counter()
        self.mixtures: Counter[str] = Counter()
        self.options: Counter[str] = Counter()
        self.effects: Counter[type] = Counter()
        self.answers: Counter[str] = Counter()
        self._seen: tuple[Any, str] = None, ""  # what people had set when this was last looked at, and its standing

    def add(self, other: Rows) -> None:
        """Count all of the other's, too."""
        for name in ("owner", "worker", "holdings", "mixtures", "options", "effects", "answers"):
            getattr(self, name).update(getattr(other, name))

    def owner_hears(self, core: Core, given: fx.Input) -> None:
        """An input is about to be handed over."""
        if core.operator is not self._seen[0]:
            self._seen = core.operator, standing(core)
        self.owner[row_of(core, given), PHASES[core.state], self._seen[1]] += 1
        if type(given) is fx.Received and type(given.message) in _OPTIONS:
            self.mixtures[mixture(core)] += 1
            self.options.update(_given(given.message))

    def owner_does(self, effect: fx.Effect) -> None:
        """An effect is about to be carried out."""
        self.effects[type(effect)] += 1
        if isinstance(effect, fx.Answer):
            self.answers[effect.event.result.name] += 1

    def worker_reads(self, was: Before, frame: ms.ToWorker, effects: list[Any], refuses: set[bytes]) -> None:
        """A frame was handled."""
        state = was.state.name
        self.worker[row_of_frame(was, frame, effects, refuses), state, ""] += 1
        self.holdings[f"{state}, {was.holding}"] += 1
        for effect in effects:
            self.effects[type(effect)] += 1
