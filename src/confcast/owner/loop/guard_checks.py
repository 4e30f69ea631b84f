"""Asks the loader's guards about a candidate, in the thread that loads, before any worker is asked.

What comes of a trip, by what the load is for:

    a load, set, check      refuses the candidate (GUARDED), unless `allow` names the guard: then the event notes it
    the same, with what is  no guard is asked: it has passed them
    on trial
    resume                  the same, but no guard is asked about content that ran before, as a kept version
    unset                   the same for what trips whatever is set, so by the sources alone: a reload may allow it
                            first. What the unset itself uncovers is noted, and not refused: nobody could allow it
    a start                 noted in the event, and nothing is refused: nobody could allow it
    force, an expiry        no guard is asked
    rollback, undo          come from the journal, through no load

Guaranteed: a guard that raises has tripped; secrets of both configurations are masked in what a user's guard says. A
guard that was allowed each of the last five times that it tripped is said to be useless. A refusal of a content, and
the call that then allows it, count as one time. The counts are this owner's: they end with it, as rarely as that is.

Rejected: an `unset` that passes all guards (whatever it takes away, a change of the sources that was refused a moment
before comes with it), guards in the core (they run the user's code), and beside the workers' votes (the workers would
build for nothing what a person has mistyped).
"""

from __future__ import annotations

import shlex
from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Any, NamedTuple

from confcast.config.candidate import Candidate, Reading
from confcast.config.diff import secrets_masked
from confcast.config.dotted_keys import did_you_mean
from confcast.config.guarding import Guard, key_of
from confcast.config.loader import ConfigLoader
from confcast.errors import ConfigError, Problem
from confcast.owner.core.effects import Guarding, Load
from confcast.texts import shortened
from confcast.wire.messages import Check, Set, Unset

_USELESS_AFTER = 5
_LONGEST = 500
_PLAIN = Load(0, insist=True)


class Verdict(NamedTuple):
    """What guards say of one candidate.

    Attributes:
        problems: Why it is refused; empty if it passes.
        notes: What tripped all the same, for the event.
    """

    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


class _Trip(NamedTuple):
    guard: Guard
    text: str


class GuardChecks:
    """The guards of a loader, and how often each was allowed. For one thread at a time.

    Args:
        loader: Has the guards.
    """

    def __init__(self, loader: ConfigLoader[Any]) -> None:
        self._loader = loader
        self._last: defaultdict[str, deque[tuple[bytes, bool]]] = defaultdict(lambda: deque(maxlen=_USELESS_AFTER))

    def check_names(self, allow: Iterable[str]) -> None:
        """Raise ConfigError, with the names that there are, if a call allows a guard that there is not."""
        known = sorted(guard.name for guard in self._loader._guards)
        problems = [Problem("", _unknown(name, known)) for name in allow if name not in known]
        if problems:
            raise ConfigError(problems)

    def verdict(self, order: Load, old: Any, candidate: Candidate[Any], reading: Reading) -> Verdict:
        """What the guards say of a candidate that was made of this reading."""
        if not self._loader._guards or order.guarding is Guarding.NONE:
            return Verdict()
        tripped, digest = list(self._tripped(old, candidate.config)), candidate.digest
        if order.guarding is not Guarding.WARN and isinstance(order.edit, Unset) and tripped:
            return self._of_unset(tripped, old, reading)
        if order.guarding is Guarding.WARN:
            return Verdict(notes=_warnings(tripped))
        refusing = [trip for trip in tripped if trip.guard.name not in order.allow]
        useless = () if order.dry else self._count(tripped, {trip.guard.name for trip in refusing}, digest)
        if refusing:
            how = _command(order, (*order.allow, *_names(refusing)))
            problems = (Problem(key_of(trip.guard), f"{_said(trip)}; if it is meant: {how}") for trip in refusing)
            return Verdict(problems=tuple(problems))
        return Verdict(notes=(*(f"{_said(trip)}: allowed by this call" for trip in tripped), *useless))

    def _of_unset(self, tripped: list[_Trip], old: Any, reading: Reading) -> Verdict:
        """What trips with all that is set, too, is refused: it comes of the sources."""
        try:
            kept = self._loader._propose(reading.with_overrides(reading.inherited, reading.inherited))
        except BaseException:  # what was set is what is wrong with it, and a validator may raise anything
            return Verdict(notes=_warnings(tripped))
        by_sources = {trip.guard.name for trip in self._tripped(old, kept.config)}
        refusing = [trip for trip in tripped if trip.guard.name in by_sources]
        if not refusing:
            return Verdict(notes=_warnings(tripped))
        how = f"the sources say so, whatever is set; if it is meant, first {_command(_PLAIN, _names(refusing))}"
        return Verdict(tuple(Problem(key_of(trip.guard), f"{_said(trip)}; {how}") for trip in refusing))

    def _tripped(self, old: Any, new: Any) -> Iterable[_Trip]:
        for guard in self._loader._guards:
            try:
                text = str(guard.trips(old, new) or "")
            except BaseException as error:  # a user's guard may raise anything
                text = _raised(error)
            if text:
                yield _Trip(guard, self._masked(text, old, new))

    def _masked(self, text: str, old: Any, new: Any) -> str:
        try:
            return shortened(secrets_masked(self._loader._codec, old, new)(text), _LONGEST)
        except Exception as error:
            return f"(the text is left out: what is a secret can't be told, {type(error).__name__})"

    def _count(self, tripped: list[_Trip], refusing: set[str], digest: bytes) -> tuple[str, ...]:
        """Count these trips. Returns what is to be said of the guards that were allowed each of the last times."""
        useless = []
        for guard, _ in tripped:
            last, allowed = self._last[guard.name], guard.name not in refusing
            if last and last[-1][0] == digest:
                allowed = last.pop()[1] or allowed
            last.append((digest, allowed))
            if len(last) == _USELESS_AFTER and all(passed for _, passed in last):
                last.clear()  # said again after as many more
                useless.append(
                    f"the guard {guard.name} was allowed each of the last {_USELESS_AFTER} times that it tripped, so "
                    "it is useless as it is: give it another bound, or take it out"
                )
        return tuple(useless)


def _raised(error: BaseException) -> str:
    try:
        return f"it raised {type(error).__name__}: {error}"
    except BaseException:  # so may the text of what it raised
        return f"it raised {type(error).__name__}"


def _said(trip: _Trip) -> str:
    """The sentence on one trip, without its key where that stands in front of it as a problem's."""
    return f"{trip.text} (guard {trip.guard.name})"


def _warnings(tripped: Iterable[_Trip]) -> tuple[str, ...]:
    return tuple(f"{_said(trip)}: a reload would be refused" for trip in tripped)


def _names(tripped: Iterable[_Trip]) -> Iterable[str]:
    return (trip.guard.name for trip in tripped)


def _command(order: Load, names: Iterable[str]) -> str:
    if order.guarding is Guarding.UNLESS_KNOWN:
        return "`confcast reload --force --reason WHY`, which ends the hold and asks no guard"
    options = " ".join(f"--allow {shlex.quote(name)}" for name in dict.fromkeys(names))
    sets = isinstance(order.edit, Set) or (isinstance(order.edit, Check) and order.edit.values)
    return f"`confcast set … {options}`" if sets else f"`confcast reload {options}`"


def _unknown(name: str, known: list[str]) -> str:
    if not known:
        return f"allow={name!r}: this server's loader has no guards"
    return f"allow={name!r}: no guard is called so{did_you_mean(name, known)}; there are: {', '.join(known)}"
