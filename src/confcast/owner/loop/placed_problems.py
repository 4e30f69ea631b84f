"""Adds to problems where their keys stand in a candidate's sources: a worker that refuses knows keys, not sources."""

from __future__ import annotations

import logging
from typing import Any

from confcast.config.candidate import Candidate
from confcast.errors import Problem

_log = logging.getLogger("confcast.owner")

_LARGE = 256 * 1024
"""Bytes of a payload beyond which refusals get no positions: the loop would wait while the whole text is parsed."""


def placed(candidate: Candidate[Any], problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """The same problems, with the positions of their keys in the candidate's sources. Never raises."""
    if len(candidate.payload) > _LARGE:
        return problems
    try:
        return tuple(_placed(candidate, problem) for problem in problems)
    except Exception as error:  # a user's source gives positions by its own code
        _log.warning("where the refused keys stand can't be told: %s", type(error).__name__)
        return problems


def _placed(candidate: Candidate[Any], problem: Problem) -> Problem:
    if not problem.key or problem.location:
        return problem
    return Problem(problem.key, problem.message, candidate.origin_around(problem.key))
