"""A question with all that its answer takes of journal and core: the thread that loads has neither; and its answer."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from confcast.owner.core.operator_state import Hold
from confcast.wire.messages import Answer, Question, WithSecrets


class OpenQuestion(WithSecrets, frozen=True):
    """A question, with what the thread that loads needs for its answer.

    Attributes:
        number: Distinguishes it from all others.
        question: As it came.
        contents: The encoded configurations that a `DiffRequest` names, by what it calls them; what runs, and the kept
            versions before it from the newest on, for an `ExplainRequest` or a `ConfigRequest`; what runs, for a
            `ShowRequest`.
        overrides: The encoded overrides that are above the sources.
        running: The encoded configuration that runs; empty if there is none.
        hold: The hold, for an `ExplainRequest` or a `ConfigRequest`; None where the sources are followed.
        version: The number of what runs, for a `ConfigRequest`.
    """

    SHOWN = ("number",)

    number: int
    question: Question
    contents: dict[int | str, bytes] = msgspec.field(default_factory=dict)
    overrides: bytes = b""
    running: bytes = b""
    hold: Hold | None = None
    version: int = 0


class Answered(NamedTuple):
    """What the thread that loads gives for an `OpenQuestion`: its number, and the answer."""

    number: int
    answer: Answer
