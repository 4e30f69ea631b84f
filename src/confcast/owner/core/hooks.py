"""The steps that `steps.py` takes and other files define, by file: each is one part of what an owner does.

A step that only its own file and those above it take is not listed. Rejected: objects for the parts, each with a
reference to the others (all of them change one state, and mypy finds a missing method here as well).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from confcast.errors import Problem
from confcast.owner.core.members import Member
from confcast.owner.core.operator_state import OperatorState, Window
from confcast.owner.core.requests import Request
from confcast.owner.core.version_numbers import Committed


class Hooks(ABC):
    """What `Steps` needs of its subclasses."""

    # ---- operations (operations.py)

    @abstractmethod
    def _give_way(self) -> None:
        """End a dry run that is in its vote, if anything else is due."""

    @abstractmethod
    def _operate(self, request: Request) -> bool:
        """Begin an operation. Returns False if it is answered at once."""

    @abstractmethod
    def _end_dry_run(self) -> None:
        """Answer a dry run, all of whose votes are in, or whose deadline has come."""

    # ---- windows and probations (windows.py, probations.py)

    @abstractmethod
    def _has_died(self, member: Member, why: str) -> None:
        """Note the death of a worker that is off the roster; `why`: as in ProcessGone."""

    @abstractmethod
    def _note_superseded(self, before: Committed, window: Window | None) -> None:
        """Note until when the version before would have been on probation; `window`: the one that was open then."""

    @abstractmethod
    def _weigh(self) -> None:
        """Look, once more, at what speaks against what runs."""

    @abstractmethod
    def _probation_ends(self) -> None:
        """Prove what runs, if its time is over, nothing was said against it, and no write is under way."""

    @abstractmethod
    def _provisional_until(self) -> float:
        """Until when what runs may still be undone; 0.0: it is not provisional."""

    @abstractmethod
    def _why_over(self) -> tuple[str, ...]:
        """Why the window that is open is over, in words; empty if none is open, or it goes on."""

    @abstractmethod
    def _must_take_back(self) -> bool:
        """Whether the window is over, and what it must undo runs."""

    @abstractmethod
    def _end_window(self) -> None:
        """Undo what is provisional, or close the window if nothing is to be undone."""

    @abstractmethod
    def _take_back_in_barrier(self) -> None:
        """Undo the version whose barrier this is."""

    @abstractmethod
    def _with_window(self, operator: OperatorState) -> OperatorState:
        """What people will have set, with the window as the write that is ordered now leaves it."""

    # ---- trials (trials.py)

    @abstractmethod
    def _ends_trial(self) -> bool:
        """Undo what is on trial, if anything speaks against it or must go first. Returns whether that has begun."""

    @abstractmethod
    def _trial_is_due(self) -> bool:
        """Whether the trial must be undone, or its time is over."""

    @abstractmethod
    def _trial_is_over(self) -> bool:
        """Whether the time of the trial is over, and nothing speaks against it."""

    @abstractmethod
    def _decide_trial(self) -> None:
        """Put what was on trial to everyone, go on for once, or undo it."""

    @abstractmethod
    def _trial_refused(self, problems: tuple[Problem, ...]) -> None:
        """Undo what was on trial, since not all would have it."""

    @abstractmethod
    def _trial_has_ended(self) -> None:
        """The journal has no trial any more."""

    @abstractmethod
    def _layer_to_load(self) -> bytes:
        """The overrides that the load which begins is made with: of what is on trial, or of what is committed."""

    @abstractmethod
    def _order_commit(self) -> None:
        """Order the write of the candidate for which all have voted: of a version, or of a trial."""

    # ---- a first start (last_good.py)

    @abstractmethod
    def _first_load_ends(self, *, failed: bool) -> None:
        """Note whether the newest good version must be put back, if the present proposal is a first start's load."""

    @abstractmethod
    def _fall_back(self) -> None:
        """Put back the newest good version."""
