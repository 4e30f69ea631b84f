"""Questions that take a load, or the decoding of versions: asked by clients, answered by the thread that loads.

Guarantees. A question changes nothing: what was read for it counts as no attempt, no version comes of it, and no event.
Content that killed an owner is not loaded for one. Each has the deadline of a load, counted from when it was asked, and
is answered then, whatever hangs. One is worked on at a time, in the order in which they came; no more than `MOST` wait.

Rejected: a thread of its own (two loads of one source at once, whose connections may be bound to their thread), and the
layers of the last load instead of a load (an edit since would not be explained).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, get_args

import msgspec

from confcast.config import restart
from confcast.config.candidate import Candidate
from confcast.config.described import described
from confcast.config.diff import differences, shown_values
from confcast.config.dotted_keys import LONGEST_KEY, did_you_mean, too_long
from confcast.config.loader import ConfigLoader
from confcast.errors import ConfigError, Problem, more
from confcast.owner.loop.explanations import explanation
from confcast.owner.loop.open_question import Answered as Answered
from confcast.owner.loop.open_question import OpenQuestion as OpenQuestion
from confcast.owner.loop.shown_changes import shown_changes
from confcast.texts import shortened
from confcast.wire.messages import (
    Answer,
    ConfigRequest,
    Configuration,
    Described,
    Differences,
    DiffRequest,
    Explained,
    ExplainRequest,
    Question,
    SchemaRequest,
    Shown,
    ShowRequest,
)

QUESTIONS: tuple[type[Question], ...] = get_args(Question)

MOST = 32
"""How many questions may wait."""

_MOST_SHOWN = 10_000
"""How many values a `ShowRequest` is answered with at the most."""


class _Waiting(NamedTuple):
    pipe: int
    ask: OpenQuestion
    deadline: float


class Questions:
    """The questions that wait for their answers. For the loop's thread.

    Args:
        limit: Seconds that a question may take.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._number = 0
        self._waiting: deque[_Waiting] = deque()
        self._is_at_work = 0  # the number of the question that the thread has; 0 for none

    def add(self, pipe: int, ask: OpenQuestion, now: float) -> Answer | None:
        """Have this question answered. Returns the answer at once if too many wait; `ask.number` is given here."""
        if len(self._waiting) >= MOST:
            return refusal(ask.question, f"{MOST} other questions wait for the config owner: ask again later")
        self._number += 1
        self._waiting.append(_Waiting(pipe, msgspec.structs.replace(ask, number=self._number), now + self._limit))
        return None

    def next(self) -> OpenQuestion | None:
        """The question for the thread that loads, if it has none; to be called after each other method."""
        if self._is_at_work or not self._waiting:
            return None
        self._is_at_work = self._waiting[0].ask.number
        return self._waiting[0].ask

    def answered(self, given: Answered) -> tuple[int, Answer] | None:
        """The pipe that an answer goes to; None if its deadline has passed."""
        if self._is_at_work == given.number:
            self._is_at_work = 0
        found = next((each for each in self._waiting if each.ask.number == given.number), None)
        if found is None:
            return None
        self._waiting.remove(found)
        return found.pipe, given.answer

    def deadline(self) -> float | None:
        """When `expired` is to be called; None if nothing waits."""
        return self._waiting[0].deadline if self._waiting else None

    def expired(self, now: float, hangs: str) -> list[tuple[int, Answer]]:
        """The pipes whose deadlines have passed, each with its answer.

        Args:
            now: The time.
            hangs: What the thread that loads waits for, in words; empty if that is not known.
        """
        over = [each for each in self._waiting if each.deadline <= now]
        self._waiting = deque(each for each in self._waiting if each.deadline > now)
        why = f"not answered within {self._limit:g} s (load_timeout)" + (f"; a load waits for {hangs}" if hangs else "")
        return [(each.pipe, refusal(each.ask.question, why)) for each in over]


def refusal(question: Question, *why: Problem | str) -> Answer:
    """The answer that says why there is none."""
    problems = tuple(each if isinstance(each, Problem) else Problem("", each) for each in why)
    match question:
        case ExplainRequest(id):
            return Explained(id, problems=problems)
        case DiffRequest(id):
            return Differences(id, problems=problems)
        case ShowRequest(id):
            return Shown(id, problems=problems)
        case SchemaRequest(id):
            return Described(id, problems=problems)
        case ConfigRequest(id):
            return Configuration(id, problems=problems)


def answer_to(
    ask: OpenQuestion, loader: ConfigLoader[Any], load: Callable[[], Candidate[Any]], values: bytes = b""
) -> Answer:
    """The answer to a question, in the thread that loads. Raises ConfigError, ProtocolError.

    Args:
        ask: The question.
        loader: The loader.
        load: Loads the sources; called if the answer takes that. Raises ConfigError.
        values: What the sources gave to the version that runs; empty if that is not known.
    """
    question, codec = ask.question, loader._codec
    if isinstance(question, ExplainRequest):
        return Explained(question.id, explanation(question.key, ask, loader, load, values))
    if isinstance(question, ConfigRequest):
        from confcast.owner.loop.running_configuration import configuration  # imported here: few owners are asked it

        return configuration(question, ask, loader, load, values)
    if isinstance(question, ShowRequest):
        return Shown(question.id, _running(question.key, loader, codec.decode(ask.contents["running"])))
    if isinstance(question, SchemaRequest):
        return Described(question.id, described(codec, question.key))
    sources = load().config if "sources" in (question.a, question.b) else None
    a, b = (codec.decode(ask.contents[name]) if name in ask.contents else sources for name in (question.a, question.b))
    if (question.a, question.b) == ("running", "sources") and restart.has_restarts(loader.schema):
        return Differences(question.id, shown_changes(restart.pending(codec, restart.kept(codec, a, b), a, b)))
    return Differences(question.id, shown_changes(differences(codec, a, b)))


def _running(key: str, loader: ConfigLoader[Any], config: Any) -> tuple[tuple[str, Any], ...]:
    """What runs at and below a key; everything for an empty one. Raises ConfigError if there is no such key."""
    if why := too_long(key):
        raise ConfigError([Problem(shortened(key, LONGEST_KEY), why)])
    meant, shown, rest = {key, key.replace('"', "")}, list[tuple[str, Any]](), 0
    below = tuple(f"{each}." for each in meant) if key else ("",)
    values = list(shown_values(loader._codec, config))
    for name, value in values:
        if name in meant:
            return ((name, value(True)),)
        if name.startswith(below):
            rest += len(shown) == _MOST_SHOWN
            shown += [(name, value(False))] if len(shown) < _MOST_SHOWN else []
    if not shown and key:
        raise ConfigError(
            [Problem(key, f"nothing runs under this key{did_you_mean(key, [name for name, _ in values])}")]
        )
    return (*shown, (more(rest), None)) if rest else tuple(shown)
