"""The text of a transition of the state machine: the state, the input, the state that follows, and the effects.

    STAGING: 10->owner Vote round=1 ok=yes => RECORDING: Record version=2

`FIELDS` lists what is shown of each type; the text of a type or field that is not listed there is left out. So no
payload, digest, changed value or problem gets into a log, whatever fields a message is given later.

Rejected: the reprs of inputs and effects (they are long, and problems quote what a validator of the application says),
and logging in the core (a transition is then tested by way of `logging`, and formatted although nobody reads it).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Any

from confcast.owner.core import effects as fx
from confcast.owner.core.members import Roster
from confcast.owner.core.proposal import ProposalState
from confcast.wire import messages as ms

FIELDS: dict[type, tuple[str, ...]] = {
    # a field written as "name?" is shown by its name alone, where its value is true
    ms.Hello: ("role", "version", "trial?"),
    ms.Working: ("round", "function"),
    ms.Vote: ("round", "ok", "problems"),
    ms.Applied: ("version",),
    ms.Declined: ("version", "problems"),
    ms.Observed: ("number", "failures"),
    ms.Tried: ("version",),
    ms.Unhealthy: ("version",),
    ms.Counts: ("version", "answered", "failed", "entities"),
    ms.Reload: ("id", "origin", "force?", "expect?", "confirm_within?", "canary?"),
    ms.Check: ("id",),
    ms.Rollback: ("id", "version", "expect?"),
    ms.Set: ("id", "expect?", "confirm_within?"),
    ms.Unset: ("id", "expect?"),
    ms.Resume: ("id", "expect?"),
    ms.Confirm: ("id", "version"),
    ms.Install: ("version", "undo?", "base?", "trial?"),
    ms.Prepare: ("round", "base?"),
    ms.Commit: ("round", "version"),
    ms.Try: ("round", "version"),
    ms.Abort: ("round",),
    ms.Settled: ("version", "named"),
    ms.Observe: ("number",),
    ms.Provisional: ("version", "seconds"),
    ms.Refused: ("final?",),
    ms.ReloadEvent: ("result", "version", "problems", "lagging", "dry_run?"),
    ms.WorkerStatus: ("pid", "state"),
    fx.Drained: ("pipes",),
    fx.PipeEnded: ("pipe",),
    fx.ProcessGone: ("pid", "failed?"),
    fx.Probed: ("version",),
    fx.Trigger: ("origin",),
    fx.Loaded: ("number", "differs", "restores?"),
    fx.Checked: ("number", "problems"),
    fx.LoadFailed: ("number", "result", "problems"),
    fx.Wake: ("timer",),
    fx.HandsOver: ("on",),
    fx.RecordFailed: ("row",),
    fx.ClosePipe: ("pipe",),
    fx.Load: ("number", "insist?", "rebuild?", "compare?", "dry?"),
    fx.Restore: ("number", "version"),
    fx.Record: ("version", "undo?"),
    fx.Retire: ("version",),
    fx.Gathered: (),
    fx.WriteSnapshot: ("version",),
    fx.AddMember: ("pid",),
    fx.RemoveMember: ("pid",),
    fx.Answer: ("call", "event"),
    fx.RecordEvent: ("event",),
    fx.Spoken: ("version",),
    fx.Retried: ("what", "version", "times", "problem?"),
}

_LONGEST_NAME = 200


def line(
    before: ProposalState, given: str, after: ProposalState, effects: Iterable[fx.Effect], roster: Roster, now: float
) -> str:
    """The transition in one line. `given` is the text of the input; a pipe of the roster is shown as its process."""
    shown = "; ".join(effect_text(effect, roster, now) for effect in effects)
    return f"{before.name}: {given} => {after.name}" + (f": {shown}" if shown else "")


def input_text(given: fx.Input, roster: Roster) -> str:
    """The text of an input. Call this before the input is handled: afterwards its pipe may belong to no member."""
    if isinstance(given, fx.Received):
        return f"{given.pid}->owner {text(given.message, roster)}"
    return text(given, roster)


def effect_text(effect: fx.Effect, roster: Roster, now: float) -> str:
    """The text of an effect; a deadline is shown by the seconds until it comes."""
    if isinstance(effect, fx.Send):
        return f"owner->{_peer(effect.pipe, roster)} {text(effect.message, roster)}"
    if isinstance(effect, fx.WakeAt):
        return f"WakeAt timer={effect.timer.value} in={effect.when - now:.3g}s"
    return text(effect, roster)


def text(data: object, roster: Roster) -> str:
    """The name of a message, an input or an effect, and its listed fields; empty ones are left out."""
    words = [type(data).__name__]
    for field in FIELDS.get(type(data), ()):
        name = field.rstrip("?")
        value = getattr(data, name)
        if name != field:
            words += [name] if value else []
        elif name in ("pipe", "pipes"):
            words.append(",".join(_peer(pipe, roster) for pipe in (value if name == "pipes" else (value,))))
        elif value not in ("", (), []):
            words.append(f"{name}={_value(name, value, roster)}")
    return " ".join(words)


def _value(name: str, value: Any, roster: Roster) -> str:
    if name == "problems":
        return str(len(value))
    if name == "call":
        return f"{_peer(value[0], roster)}#{value[1]}"
    if name in ("named", "lagging"):
        return ",".join(str(each) if name == "named" else f"{each.pid}:{each.state}" for each in value)
    if name == "event":
        return f"[{text(value, roster).partition(' ')[2]}]"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, enum.Enum):
        return str(value.value)
    return repr(value[:_LONGEST_NAME]) if name == "function" else str(value)


def _peer(pipe: int, roster: Roster) -> str:
    member = roster.on(pipe)
    return f"pipe{pipe}" if member is None else str(member.pid)
