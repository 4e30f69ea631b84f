"""Where the keys stand that a worker refuses: a person has to look there, whichever worker it was.

A worker knows keys, and no sources. The owner has the candidate that was voted on, with the layers that it was made
from, until the next load. A key that is not in them has the place of the nearest table around it that is; a problem
that has a place already keeps it. Rejected: sending places with each candidate (all of them, for one that is refused).
"""

from __future__ import annotations

import logging
from typing import Any

from confcast.config.candidate import Candidate
from confcast.errors import Problem

_log = logging.getLogger("confcast.owner")

_LARGE = 256 * 1024
"""Bytes of a payload beyond which the loop does not wait for positions, which the whole text is parsed for."""


def placed(candidate: Candidate[Any], problems: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """The same problems, with the places of their keys in the sources of the candidate. Never raises."""
    if len(candidate.payload) > _LARGE:
        return problems
    try:
        return tuple(_placed(candidate, problem) for problem in problems)
    except Exception as error:  # a user's own source tells places by code of its own
        _log.warning("where the refused keys stand can't be told: %s", type(error).__name__)
        return problems


def _placed(candidate: Candidate[Any], problem: Problem) -> Problem:
    if not problem.key or problem.location:
        return problem
    return Problem(problem.key, problem.message, candidate.origin_around(problem.key))
