"""How long an answer to a reload can take, for everyone who waits for one: owner, master, worker and command line.

Rejected: a fixed number of seconds (a caller gave up, and was told "unknown", while a `precommit` function was within
its own deadline).
"""

from __future__ import annotations

_SLACK = 1.0


def answers_within(load_timeout: float = 10.0, vote_timeout: float = 2.0, precommit_timeout: float = 30.0) -> float:
    """Seconds in which a reload is answered that begins at once, whatever hangs: a load, a vote and a barrier.

    Args:
        load_timeout: The manager's option, as the others.
        vote_timeout: For a worker that is silent.
        precommit_timeout: For a worker that runs functions.
    """
    return load_timeout + 2 * max(vote_timeout, precommit_timeout) + _SLACK
