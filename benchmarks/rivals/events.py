"""The ten events, each to a server of its own, under load; each ends with a valid change, if it is none itself.

What was said is what the operator's command says of the change that the event is about; where there is none, the line
of the server's log that says most.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from threading import Event as Clock
from time import monotonic
from typing import NamedTuple

import msgspec

from benchmarks.rivals.counting import Change, Counted, Death, count, has_shown, is_everywhere
from benchmarks.rivals.job import WORKERS, Rival, first_half
from benchmarks.rivals.load import Answer, ask, loading
from benchmarks.rivals.site import Site, started

_LOOK, _BETWEEN, _PATIENCE = 0.05, 0.3, 20.0
_SAYS_MUCH = (re.compile(r"Error: |keeping|runs on"), re.compile(r"error|invalid|refus|not |fail", re.IGNORECASE))
_SAYS_LITTLE = re.compile(r" |Traceback|.*SIGKILL")
_LONGEST = 150


class Plan(NamedTuple):
    """How long things take. Seconds.

    Attributes:
        bad: How long a file stays bad.
        limit: How long a change is waited for.
        changes: How many follow each other where two settings change at once.
        quiet: For so long nothing but the newest content must have been answered, for the change to have arrived.
        answers: How many requests must have been answered while a file is bad, however long that takes.
    """

    bad: float
    limit: float
    changes: int
    quiet: float = 0.5
    answers: int = 0


FULL = Plan(bad=3.0, limit=12.0, changes=20)
QUICK = Plan(bad=1.0, limit=5.0, changes=6)


class Outcome(msgspec.Struct, frozen=True):
    """Of one event at one rival.

    Attributes:
        event: Its name.
        counted: Its figures; None where there is nothing to do it to.
        lives: Whether the server was there at the end.
        said: What the operator was told; empty if nothing.
        by: Who said it: `command`, `log`, or nothing.
        cost_ns: Of one look at a setting, before the event; None where it was not measured.
    """

    event: str
    counted: Counted | None
    lives: bool = True
    said: str = ""
    by: str = ""
    cost_ns: float | None = None


class Stage:
    """What an event does things to, and what is kept of it."""

    def __init__(self, site: Site, answers: list[Answer], plan: Plan) -> None:
        self.site, self.plan = site, plan
        self.changes: list[Change] = []
        self.said, self.by = "", ""
        self.death: Death | None = None
        self._answers = answers
        self._log = site.log_end
        self._clock = Clock()  # never set: it waits, and nothing else

    def wait(self, seconds: float) -> None:
        """Let the load go on, and until as many requests were answered as the plan wants; not for ever."""
        wanted = len(self._answers) + self.plan.answers
        self._clock.wait(seconds)
        end = monotonic() + _PATIENCE
        while len(self._answers) < wanted and monotonic() < end:
            self._clock.wait(_LOOK)

    def change(self, number: int, write: Callable[[str], None] | None = None, *, is_meant: bool = True) -> None:
        """A valid content, written so or renamed to be the file; and what the operator does then."""
        (write or self.site.replace)(self.site.rival.write(number, number))
        written = monotonic()
        said = self.site.publish()
        self.changes.append(Change(number, written, monotonic() if said is not None else written))
        if is_meant and said:
            self.said, self.by = _short(said), "command"

    def spoil(self, do: Callable[[], object]) -> None:
        """Something bad to the file, and what the operator does then."""
        do()
        if said := self.site.publish():
            self.said, self.by = _short(said), "command"
        self.wait(self.plan.bad)
        self._note_log()

    def kill(self, worker: int) -> None:
        """As the kernel does that is out of memory."""
        after = monotonic()
        os.kill(worker, signal.SIGKILL)
        self.death = Death(after, monotonic())

    def settle(self) -> None:
        """Wait until the last change has arrived everywhere, or for the limit."""
        end = monotonic() + self.plan.limit
        while monotonic() < end and self.site.is_alive:
            shown_by = has_shown(self._answers, self.changes[-1].number, monotonic() - self.plan.quiet)
            if len(shown_by) >= WORKERS and is_everywhere(shown_by, self.site.alive):
                break
            self._clock.wait(_LOOK)
        self._note_log()

    def _note_log(self) -> None:
        """What the log says, unless something was said already."""
        if not self.said:
            self.said = _short(telling(self.site.log_from(self._log).splitlines()))
            self.by = "log" if self.said else ""


def telling(lines: list[str]) -> str:
    """The last of these lines of a log that says why; with those after it, if it only announces them; or nothing."""
    for pattern in _SAYS_MUCH:
        for number, line in reversed([*enumerate(lines)]):
            if pattern.search(line) and not _SAYS_LITTLE.match(line):
                return " ".join(lines[number : number + 3]) if "validation error" in line else line
    return ""


def _short(said: str) -> str:
    """One line without what differs from run to run: times, pids, folders."""
    said = re.sub(r"(\[[-\d]+ [\d:]+ [+\d]+\]|[-\d]+ [\d:,]+) \[\d+\] ", "", said)
    said = re.sub(r"(?<=pid.)\d+", "…", said)
    said = re.sub(r"(?<![\w:/.])/[^\s'\":]*/", "", said)
    said = re.sub(r"\s+", " ", said).strip()
    return said if len(said) <= _LONGEST else said[: _LONGEST - 1].rstrip() + "…"


# ---- the events


def _valid(stage: Stage) -> None:
    stage.change(2)


def _replaced_by(text: Callable[[Rival], str]) -> Callable[[Stage], None]:
    def event(stage: Stage) -> None:
        stage.spoil(lambda: stage.site.replace(text(stage.site.rival)))
        stage.change(3, is_meant=False)

    return event


def _missing(stage: Stage) -> None:
    stage.spoil(lambda: stage.site.path.unlink())
    stage.change(3, is_meant=False)


def _paused(stage: Stage) -> None:
    def write(text: str) -> None:
        with stage.site.path.open("w", encoding="utf-8") as file:
            file.write(first_half(text))
            file.flush()
            stage.wait(stage.plan.bad / 2)
            file.write(text.removeprefix(first_half(text)))

    stage.change(2, write)


def _swapped(stage: Stage) -> None:
    stage.change(2, stage.site.swap)


def _worker(stage: Stage) -> None:
    """Nobody asks for the bad file: it lies there when the worker dies."""
    stage.site.replace(_bad_syntax(stage.site.rival))
    stage.wait(stage.plan.bad)
    victim = stage.site.workers()
    if victim:
        stage.kill(min(victim))
    stage.wait(2 * stage.plan.bad)
    stage.change(3, is_meant=False)


def _helper(stage: Stage) -> None:
    helper = stage.site.helper()
    assert helper is not None
    os.kill(helper, signal.SIGKILL)
    stage.wait(stage.plan.bad)
    stage.change(2)


def _both(stage: Stage) -> None:
    for number in range(2, 2 + stage.plan.changes):
        stage.change(number)
        stage.wait(_BETWEEN)


def _bad_syntax(rival: Rival) -> str:
    return rival.write(2, 2).replace("left", '"left', 1)


class Event(NamedTuple):
    """One of the ten; the guide's page says what each is.

    Attributes:
        name: In the results.
        title: In the picture.
        happens: What happens.
    """

    name: str
    title: str
    happens: Callable[[Stage], None]


EVENTS = (
    Event("valid", "valid change", _valid),
    Event("syntax", "bad syntax", _replaced_by(_bad_syntax)),
    Event("type", "wrong type", _replaced_by(lambda rival: rival.write("many", 2))),
    Event("missing", "missing file", _missing),
    Event("empty", "empty file", _replaced_by(lambda rival: "")),
    Event("paused", "paused write", _paused),
    Event("swap", "..data swap", _swapped),
    Event("worker", "worker killed", _worker),
    Event("helper", "helper killed", _helper),
    Event("both", "changes in a row", _both),
)


def run(rival: Rival, python: Path, event: Event, plan: Plan) -> Outcome:
    """One event at a server of its own. Raises Failed."""
    with started(rival, python, is_swapped=event.name == "swap") as site:
        before = site.await_workers()
        if event.name == "helper" and site.helper() is None:
            return Outcome(event.name, None)
        cost = round(site.cost_ns(), 1) if event.name == "valid" else None
        return msgspec.structs.replace(observed(site, event, plan, before, lambda: ask(site.port)), cost_ns=cost)


def observed(site: Site, event: Event, plan: Plan, before: frozenset[int], asked: Callable[[], Answer]) -> Outcome:
    """The event at a server that runs, whose workers are these, and what came of it."""
    with loading(asked) as answers:
        stage = Stage(site, answers, plan)
        stage.wait(plan.quiet)
        event.happens(stage)
        stage.settle()
        alive, lives = site.alive, site.is_alive
    counted = count(answers, stage.changes, before, alive, stage.death)
    return Outcome(event.name, counted, lives, stage.said, stage.by)
