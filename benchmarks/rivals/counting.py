"""What came of an event: from the answers and the moments of the changes alone.

A request is `torn` if its two looks at settings that belong together are of two contents; `wrong` if it shows a value
that no valid content has had; `old` if it began after a change was made and all was told, and shows an earlier content.
What a request shows that was under way at the change is neither.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from benchmarks.rivals.job import DEFAULT, FIRST
from benchmarks.rivals.load import Answer


class Change(NamedTuple):
    """A valid content, and when it was made. Seconds of CLOCK_MONOTONIC.

    Attributes:
        number: Of both settings.
        written: When the file was whole.
        told: When the operator's command had ended; the same, if there is none.
    """

    number: int
    written: float
    told: float


class Counted(msgspec.Struct, frozen=True):
    """Figures of one event.

    Attributes:
        requests: How many were asked.
        failed: Without a good answer.
        torn: See above.
        wrong: See above.
        slowest: Seconds that the slowest request took that was answered; 0 if none was.
        old_seconds: From the last valid change to the beginning of the last request that shows an earlier content; None
            if by the end not every request is answered with it.
        old: Requests that began after the last valid change was made, and what the operator runs had ended, and that
            show an earlier one.
        kept: Workers of before that live at the end.
        new: Other workers that answered at the end.
    """

    requests: int
    failed: int
    torn: int
    wrong: int
    slowest: float
    old_seconds: float | None
    old: int
    kept: int
    new: int


def count(
    answers: Sequence[Answer],
    changes: Sequence[Change],
    before: frozenset[int],
    alive: frozenset[int],
    since: float,
) -> Counted:
    """Count.

    Args:
        answers: All of the event.
        changes: The valid ones, in their order; at least one.
        before: The workers of before the event.
        alive: The processes that there are at its end.
        since: From when on every answer must be the newest content, for the change to have arrived.
    """
    valid = {FIRST, *(str(change.number) for change in changes)}
    known = valid | {str(DEFAULT)}
    good = [each for each in answers if each.is_good]
    last = changes[-1]
    late = [each for each in good if _is_old(each, last.number) and each.began >= last.written]
    old_for = max((each.began - last.written for each in late), default=0.0)
    return Counted(
        requests=len(answers),
        failed=len(answers) - len(good),
        torn=sum(each.left != each.right and {each.left, each.right} <= known for each in good),
        wrong=sum(not {each.left, each.right} <= known or {each.left, each.right} == {str(DEFAULT)} for each in good),
        slowest=round(max((each.ended - each.began for each in good), default=0.0), 2),
        old_seconds=round(old_for, 2) if has_settled(answers, last.number, since) else None,
        old=sum(each.began >= last.told for each in late),
        kept=len(before & alive),
        new=len({each.pid for each in good if each.began >= since} - before),
    )


def has_settled(answers: Sequence[Answer], number: int, since: float) -> bool:
    """Whether all answers since then have been this content; there must be some."""
    recent = [each for each in answers[-2000:] if each.began >= since]
    return bool(recent) and all(each.is_good and each.left == each.right == str(number) for each in recent)


def _is_old(answer: Answer, number: int) -> bool:
    return any(shown.isdigit() and 0 < int(shown) < number for shown in (answer.left, answer.right))
