"""Answers are shortened until they fit into a frame: history, workers, versions and changes may be larger than one.

Guarantees. Every answer becomes a frame: the caller gets at least the outcome, or the reason why there is none.
Rejected: raising (answers are made in the owner's loop, which would end), and sending nothing (the caller would wait
for its whole timeout, and take the owner for dead).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from confcast.wire.framing import frame
from confcast.wire.messages import (
    MAX_FRAME,
    History,
    Message,
    Outcome,
    Refused,
    ReloadEvent,
    Versions,
    Workers,
    WorkerStatus,
    encode,
)

TOO_LONG = "the answer is longer than a frame can be"

_UNFIT = (TypeError, ValueError, OverflowError, RecursionError)
"""What encoding raises for a value that msgpack can't write."""


def frame_of(answer: Message) -> tuple[bytes, bool]:
    """The frame of this answer, or of its longest shortened form that fits; and whether it is the whole answer."""
    for shorter in _ever_shorter(answer):
        try:
            body = encode(shorter)
        except _UNFIT:
            continue
        if len(body) <= MAX_FRAME:
            return frame(body), shorter is answer
    return frame(encode(Refused(TOO_LONG, final=False))), False


def _ever_shorter(answer: Message) -> Iterator[Message]:
    yield answer
    match answer:
        case Outcome(id, event):
            yield from (Outcome(id, each) for each in _shorter_events(event))
        case History(id, events):
            bare = [_bare(event) for event in events]
            yield History(id, bare)
            while bare := bare[: len(bare) // 2]:
                yield History(id, bare)
        case Workers(id, workers):
            yield Workers(id, list(map(_without_reasons, workers)))
        case Versions(id, versions):
            while versions := versions[: len(versions) // 2]:
                yield Versions(id, versions)


def _shorter_events(event: ReloadEvent) -> Iterator[ReloadEvent]:
    without = msgspec.structs.replace(event, changes=[], observer_errors=[])
    yield without
    yield _bare(without)
    yield msgspec.structs.replace(_bare(without), applied=[], lagging=[])


def _bare(event: ReloadEvent) -> ReloadEvent:
    """The event with its result and the workers that lag, but without changes, problems and reasons."""
    return msgspec.structs.replace(
        event,
        changes=[],
        problems=[],
        error_message=TOO_LONG if event.problems else None,
        lagging=list(map(_without_reasons, event.lagging)),
        observer_errors=[],
    )


def _without_reasons(worker: WorkerStatus) -> WorkerStatus:
    return msgspec.structs.replace(worker, reason="", last_observer_error="")
