"""One load on its way: where it is, what it carries, when each part began, and the event that tells of it.

Times are of the core's clock; the shell turns an event's timestamp into a date. Rejected: taking the parts of the
duration in the shell (it does not know when a vote was complete).
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from confcast.errors import Problem
from confcast.owner.roster import Member, Roster
from confcast.wire.messages import Change, ReloadEvent, ReloadResult


class State(enum.IntEnum):
    """Where the one proposal is: the column of the core's table."""

    IDLE = 0
    LOADING = 1
    STAGING = 2
    RECORDING = 3
    COMMITTING = 4


@dataclass(slots=True)
class Proposal:
    """A candidate between its load and its outcome. A time of 0.0: that part has not begun."""

    origin: str
    began: float
    previous: int
    digest: bytes = b""
    payload: bytes = b""
    changes: tuple[Change, ...] = ()
    version: int = 0
    unchanged: bool = False
    loaded: float = 0.0
    ordered: float = 0.0
    recorded: float = 0.0

    @property
    def reissue(self) -> bool:
        """Whether it carries what is committed already, under a new number."""
        return self.origin == "reissue"

    def applied(self, roster: Roster, version: int, now: float) -> ReloadEvent:
        """It passed the barrier: SUCCESS, PARTIAL when somebody must be named, or UNCHANGED."""
        lagging = roster.lagging(version)
        result = ReloadResult.PARTIAL if lagging else ReloadResult.SUCCESS
        problems = [problem for member in roster for problem in member.declined or ()]
        applied = sorted(member.pid for member in roster if member.acked >= version)
        return self._event(
            ReloadResult.UNCHANGED if self.unchanged else result,
            version,
            problems,
            now,
            applied=applied,
            lagging=lagging,
        )

    def failed(
        self, result: ReloadResult, problems: Sequence[Problem], roster: Roster, version: int, now: float
    ) -> ReloadEvent:
        """It changed nothing; `version` still runs."""
        return self._event(result, version, problems, now, lagging=roster.lagging(version))

    def _event(
        self, result: ReloadResult, version: int, problems: Sequence[Problem], now: float, **who: list[Any]
    ) -> ReloadEvent:
        return ReloadEvent(
            timestamp=self.began,
            result=result,
            origin=self.origin,
            version=version,
            previous_version=self.previous,
            changes=list(self.changes),
            problems=list(problems),
            error_message=_text(problems),
            duration_ms=_ms(self.began, now),
            load_ms=_ms(self.began, self.loaded or now),
            stage_ms=_ms(self.loaded, self.ordered or self.recorded or now),
            journal_ms=_ms(self.ordered, self.recorded or now),
            commit_ms=_ms(self.recorded, now),
            **who,
        )


def late_refusal(roster: Roster, member: Member, version: int, now: float) -> ReloadEvent:
    """What no outcome can tell any more: somebody declined, late, what was committed before it woke or attached."""
    problems = list(member.declined or ())
    return ReloadEvent(
        timestamp=now,
        result=ReloadResult.PARTIAL,
        origin="late",
        version=version,
        previous_version=version,
        problems=problems,
        error_message=_text(problems),
        lagging=[roster.status(member, version)],
    )


def _text(problems: Sequence[Problem]) -> str | None:
    return "\n".join(map(str, problems)) or None


def _ms(begin: float, end: float) -> float:
    return round((end - begin) * 1000, 3) if begin else 0.0
