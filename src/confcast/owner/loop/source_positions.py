"""What positions in a candidate's sources tell a person: where refused keys stand, and which edits are hidden.

Guaranteed: it never raises. A source of the user's gives positions by its own code, and a load does not fail for it.
"""

from __future__ import annotations

import logging
from typing import Any

from confcast.config.candidate import Candidate
from confcast.errors import Problem
from confcast.log_fields import about

_log = logging.getLogger("confcast.owner")

_LARGE = 256 * 1024
"""Bytes of a payload beyond which refusals get no positions: the loop would wait while the whole text is parsed."""


def hidden_edits(candidate: Candidate[Any], before: Candidate[Any] | None) -> tuple[str, ...]:
    """Notes on edits that a higher source hides: since the load before, or, if somebody asked, since what runs."""
    try:
        return tuple(candidate.hidden_edits_since(before)) if before is not None else ()
    except Exception as error:  # a source of the user's gives positions by its own code
        _log.warning(
            "edits that are hidden can't be told: %s",
            type(error).__name__,
            extra=about("positions_unknown", error=type(error).__name__),
        )
        return ()


def placed(candidate: Candidate[Any], problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """The same problems, with the positions of their keys: a worker that refuses knows keys, not sources."""
    if len(candidate.payload) > _LARGE:
        return problems
    try:
        return tuple(_placed(candidate, problem) for problem in problems)
    except Exception as error:  # a user's source gives positions by its own code
        _log.warning(
            "where the refused keys stand can't be told: %s",
            type(error).__name__,
            extra=about("positions_unknown", error=type(error).__name__),
        )
        return problems


def _placed(candidate: Candidate[Any], problem: Problem) -> Problem:
    if not problem.key or problem.location:
        return problem
    return Problem(problem.key, problem.message, candidate.origin_around(problem.key))
