"""The rows of both tables, and the cells that no schedule can reach, or few ever do, each with the reason.

A cell that is listed here is tried all the same: `test_every_cell.py` has every row in every state, and
`test_rows.py` says of those that can't be reached that they are dropped or refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tests.core.rows import Cell

OWNER_ROWS = (
    *("Reload", "Reload, and another version runs", "Check", "Rollback", "Rollback, and another version runs"),
    *("Set", "Set, and another version runs", "Unset", "Unset, and another version runs"),
    *("Resume", "Resume, and another version runs", "Confirm", "Trigger"),
    *("Loaded, nothing differs", "Loaded, something differs", "Loaded, unchecked", "Loaded, of another load"),
    *("LoadFailed", "LoadFailed, of another load"),
    *("Checked", "Checked, and not exact", "Checked, of another load"),
    *("Recorded", "RecordFailed, there", "RecordFailed, not there", "RecordFailed, unreadable", "Accepted"),
    *("Wake, load", "Wake, stage", "Wake, barrier", "Wake, undo", "Wake, deferred"),
    *(f"Wake, {timer}, of a wait that is over" for timer in ("load", "stage", "barrier", "undo", "deferred")),
    *("Wake, gather", "Wake, observers", "Wake, expiry", "Wake, confirm", "Wake, proven", "Wake, trial"),
    *("Hello", "Hello, of a client", "Hello, on a new pipe", "Hello, once more"),
    *("Hello, other schema", "Hello, other protocol"),
    *("Working", "Vote, yes", "Vote, no", "Vote, of another round"),
    *("Applied", "Applied, another version", "Declined", "Declined, another version"),
    *("Observed", "Observed, which a caller waits for", "Tried", "Tried, another version"),
    *("Unhealthy", "Unhealthy, another version", "Counts", "Counts, another version"),
    *("Probed", "Probed, another version", "Goodbye", "Drained", "PipeEnded"),
    *("ProcessGone", "ProcessGone, and it failed", "HandsOver", "MasterGone"),
)
WORKER_ROWS = (
    *("Install, what is held", "Install, a higher number", "Install, something newer", "Install, what is staged"),
    *("Install, refused here", "Install, older", "Install, other content", "Install, an undo that is refused here"),
    *("Install, with a trial", "Install, with a trial that is refused here", "Install, a patch that does not fit"),
    *("Prepare", "Prepare, what is held", "Prepare, refused here", "Prepare, a patch that does not fit"),
    *("Commit, this round", "Commit, another round", "Commit, this round, no higher number"),
    *("Try, this round", "Try, another round", "Try, no higher number"),
    *("Provisional, what is held", "Provisional, something else", "Abort, this round", "Abort, another round"),
    *("Settled, what is held", "Settled, something else", "Observe", "Outcome", "Refused", "Refused, for good"),
)


class Beyond(NamedTuple):
    """Cells that can't be reached: those of these rows for which `holds`, by state and standing.

    `seldom`: they can be, but for that several things must come together of which each is rare; none is asked for.
    """

    why: str
    rows: tuple[str, ...]
    holds: Callable[[str, str], bool]
    seldom: bool = False


def _in(*states: str) -> Callable[[str, str], bool]:
    return lambda state, standing: state in states


def _but_in(*states: str) -> Callable[[str, str], bool]:
    return lambda state, standing: state not in states


_EVERYWHERE = _but_in()

_OWNER = (
    Beyond(
        "the event loop answers a write that was ordered, and nothing ends RECORDING but that answer",
        ("Recorded", "RecordFailed, there", "RecordFailed, not there", "RecordFailed, unreadable"),
        _but_in("RECORDING"),
    ),
    Beyond("the event loop answers an Accept, and no barrier ends before", ("Accepted",), _but_in("COMMITTING")),
    Beyond(
        "a load gives one result, and only that ends LOADING with the load's number still the present one",
        ("Loaded, nothing differs", "Loaded, something differs", "Loaded, unchecked", "LoadFailed"),
        _but_in("LOADING"),
    ),
    Beyond(
        "a load's check ends after its Loaded, which ends LOADING, and the next load has another number",
        ("Checked", "Checked, and not exact"),
        _in("LOADING"),
    ),
    *(
        Beyond("each state has tokens of its own", (f"Wake, {timer}",), _but_in(state))
        for timer, state in (
            ("load", "LOADING"),
            ("stage", "STAGING"),
            ("barrier", "COMMITTING"),
            ("undo", "RECORDING"),
            ("deferred", "IDLE"),
        )
    ),
    Beyond("nothing else ends the wait for the next try", ("Wake, undo, of a wait that is over",), _EVERYWHERE),
)
_WORKER = (
    Beyond("with its pipe it has dropped what it had staged", ("Install, what is staged",), _but_in("STAGED")),
    Beyond(
        "the first frame for a worker is an Install, or a Prepare where nothing is committed yet",
        (
            *("Commit, this round", "Commit, this round, no higher number", "Try, this round", "Abort, this round"),
            *("Provisional, what is held", "Settled, what is held", "Settled, something else", "Observe"),
        ),
        _in("GREETED"),
    ),
    Beyond(
        "which content a worker has is known for certain once it has answered on its pipe, and no patch is sent before",
        ("Prepare, a patch that does not fit",),
        _in("GREETED"),
    ),
    Beyond(
        "a pipe is in order, so a Commit, a Try or an Abort comes after the Prepare of its round, and before the next",
        ("Commit, another round", "Try, another round", "Abort, another round"),
        _EVERYWHERE,
    ),
    Beyond("what was staged is, until its Commit", ("Commit, this round",), _in("READY")),
    Beyond("who has refused it, or has dropped it, tries nothing", ("Try, this round",), _in("READY", "REFUSED")),
    Beyond("no owner tries a number that a worker has told it of", ("Try, no higher number",), _EVERYWHERE),
    Beyond(
        "it goes to workers that have applied the version, and is behind it in their pipe",
        ("Provisional, something else",),
        _EVERYWHERE,
    ),
    Beyond(
        "a core refuses for good; what may come later is said of answers that are too long", ("Refused",), _EVERYWHERE
    ),
    Beyond("it answers the first Hello on a pipe", ("Refused, for good",), _but_in("GREETED")),
    Beyond(
        "a number with two contents: a journal has gone back, and what brings the number past them can't be written",
        ("Install, other content",),
        _but_in("GREETED"),
        seldom=True,
    ),
    Beyond(
        "its pipe takes no Abort of what it has refused, and nothing since, until a trial by entity is under way",
        ("Install, with a trial",),
        _in("REFUSED"),
        seldom=True,
    ),
    Beyond(
        "of those who were heard nobody runs what was committed since, which is an undo, and then a canary votes late",
        ("Settled, something else",),
        _in("STAGED", "REFUSED"),
        seldom=True,
    ),
    Beyond(
        "a worker has shown a number on trial that its next owner knows nothing of, and is excused after its no",
        ("Commit, this round, no higher number",),
        _in("REFUSED"),
        seldom=True,
    ),
)


def found(cell: Cell, *, of_owner: bool) -> Beyond | None:
    """What says of this cell that it can't be reached, or seldom; None: it can."""
    row, state, standing = cell
    for each in _OWNER if of_owner else _WORKER:
        if row in each.rows and each.holds(state, standing):
            return each
    return None


def why_not(cell: Cell, *, of_owner: bool) -> str | None:
    """Why this cell can't be reached, or seldom; None: it can."""
    beyond = found(cell, of_owner=of_owner)
    return None if beyond is None else beyond.why
