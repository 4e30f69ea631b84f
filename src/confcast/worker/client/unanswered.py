"""The event that a caller gets when no owner has answered: verbs that return an event never raise for that."""

from __future__ import annotations

import time

from confcast.errors import Problem
from confcast.wire.messages import ReloadEvent, ReloadResult


def unanswered(began: float, why: str) -> ReloadEvent:
    """The event of a request that no owner has answered.

    Args:
        began: When the request was made, in seconds since 1970.
        why: What is said of it; each line becomes a problem.
    """
    problems = [Problem("", line.strip()) for line in why.splitlines()]
    return ReloadEvent(
        timestamp=began,
        result=ReloadResult.OWNER_UNAVAILABLE,
        problems=problems,
        error_message="\n".join(map(str, problems)),
        duration_ms=round((time.time() - began) * 1000, 3),
    )
