"""What came of an event: from the answers and the moments of the changes alone.

A request is `torn` if its two looks at settings that belong together are of two contents; `wrong` if it shows a value
that no valid content has had; `old` if it began after a change was made and all was told, and shows an earlier content.
What a request shows that was under way at the change is neither. A request that a worker was answering when it was
killed is no failure: nobody could have kept it, whoever configures; it is counted by itself.

A change has arrived when each worker that lives has shown it. Rejected: that for half a second every answer shows it,
of whichever workers: on a busy machine the one of four that was well was the only one that answered in that time, and
the change counted as arrived in a server most of whose requests failed, before and after.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from math import inf
from typing import NamedTuple

import msgspec

from benchmarks.rivals.job import DEFAULT, FIRST, WORKERS
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


class Death(NamedTuple):
    """Of a worker that was killed, at some moment between these two. Seconds of CLOCK_MONOTONIC."""

    after: float
    before: float


class Counted(msgspec.Struct, frozen=True, omit_defaults=True):
    """Figures of one event.

    Attributes:
        requests: How many were asked.
        failed: Without a good answer, but for those of `died`.
        torn: See above.
        wrong: See above.
        slowest: Seconds that the slowest request took that was answered; 0 if none was.
        old_seconds: From the last valid change to the beginning of the last request that shows an earlier content; None
            if by the end not every worker has shown it, or some request was answered otherwise since.
        old: Requests that began after the last valid change was made, and what the operator runs had ended, and that
            show an earlier one.
        kept: Workers of before that live at the end.
        new: Other workers that live at the end, and have answered.
        died: Requests that a worker was answering when it was killed.
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
    died: int = 0


def count(
    answers: Sequence[Answer],
    changes: Sequence[Change],
    before: frozenset[int],
    alive: frozenset[int],
    death: Death | None = None,
) -> Counted:
    """Count.

    Args:
        answers: All of the event.
        changes: The valid ones, in their order; at least one.
        before: The workers of before the event.
        alive: The processes that there are at its end.
        death: Of a worker, if one was killed.
    """
    valid = {FIRST, *(str(change.number) for change in changes)}
    known = valid | {str(DEFAULT)}
    good = [each for each in answers if each.is_good]
    died = sum(death is not None and _died(each, death) for each in answers)
    last = changes[-1]
    late = [each for each in good if _is_old(each, last.number) and each.began >= last.written]
    old_for = max((each.began - last.written for each in late), default=0.0)
    return Counted(
        requests=len(answers),
        failed=len(answers) - len(good) - died,
        torn=sum(each.left != each.right and {each.left, each.right} <= known for each in good),
        wrong=sum(not {each.left, each.right} <= known or {each.left, each.right} == {str(DEFAULT)} for each in good),
        slowest=round(max((each.ended - each.began for each in good), default=0.0), 2),
        old_seconds=round(old_for, 2) if is_everywhere(has_shown(answers, last.number), alive) else None,
        old=sum(each.began >= last.told for each in late),
        kept=len(before & alive),
        new=len(({each.pid for each in good} & alive) - before),
        died=died,
    )


def has_shown(answers: Sequence[Answer], number: int, until: float = inf) -> frozenset[int]:
    """The workers that have shown this content since the last answer, or failure, that was another.

    Args:
        answers: In the order in which they came.
        number: Of the content.
        until: Nobody, if another answer has come since then. Seconds of CLOCK_MONOTONIC.
    """
    newest = [*takewhile(lambda each: each.left == each.right == str(number), reversed(answers))]
    if len(newest) < len(answers) and answers[-len(newest) - 1].ended > until:
        return frozenset()
    return frozenset(each.pid for each in newest)


def is_everywhere(shown_by: frozenset[int], alive: frozenset[int]) -> bool:
    """Whether that is every worker: where all of them are being replaced, some that have shown it are no more."""
    return len(shown_by & alive) >= WORKERS


def _died(answer: Answer, death: Death) -> bool:
    return answer.is_cut and answer.began <= death.before and answer.ended >= death.after


def _is_old(answer: Answer, number: int) -> bool:
    return any(shown.isdigit() and 0 < int(shown) < number for shown in (answer.left, answer.right))
