"""One picture of all: a row for each rival, a column for each event, and in each cell how it went, as sign and text.

Signs differ in shape, for whoever does not see their colours.
"""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.plots import drawing
from benchmarks.rivals.events import EVENTS, Outcome
from benchmarks.rivals.results import Results

SLOW = 1.0
"""Seconds above which old answers, or a request, are counted against it."""
_WIDTH, _HEIGHT_OF_A_ROW, _REST = 11.5, 0.38, 1.1
_SIGNS = (
    ("o", "#2a9148", "served rightly, and soon"),
    ("^", "#c9601a", "late or torn"),
    ("X", "#c62f3b", "wrong or failed"),
)


class Verdict(NamedTuple):
    """A cell.

    Attributes:
        grade: Of the sign: 0 is good, 2 is bad.
        text: Why.
    """

    grade: int
    text: str


def verdict(outcome: Outcome) -> Verdict:
    """The worst that happened, in a few letters."""
    counted = outcome.counted
    if counted is None:
        return Verdict(0, "none")
    if not outcome.lives:
        return Verdict(2, "ended")
    if counted.failed:
        return Verdict(2, f"{counted.failed} failed")
    if counted.wrong:
        return Verdict(2, f"{counted.wrong} wrong")
    if counted.old_seconds is None:
        return Verdict(2, "stays old")
    if counted.torn:
        return Verdict(1, f"{counted.torn} torn")
    if counted.slowest >= SLOW:
        return Verdict(1, f"waits {counted.slowest:.1f} s")
    return Verdict(int(counted.old_seconds >= SLOW), f"{counted.old_seconds:.2f} s")


def svg(results: Results) -> bytes:
    """The picture as a file of SVG."""
    title, said = "Ten events under load", f"figures {results.fingerprint}"
    return drawing.written(lambda: _figure(results), title, said, "scripts/bench --rivals")


def _figure(results: Results) -> drawing.Figure:
    rows = len(results.rivals)
    figure = drawing.new_figure(_WIDTH, rows * _HEIGHT_OF_A_ROW + _REST)
    axes = figure.subplots()
    for y, found in enumerate(results.rivals):
        for x, outcome in enumerate(found.outcomes):
            grade, text = verdict(outcome)
            marker, colour, _ = _SIGNS[grade]
            axes.plot([x], [y], marker, color=colour, markersize=8)
            axes.text(x + 0.12, y, text, va="center", fontsize=8)
    for marker, colour, label in _SIGNS:
        axes.plot([], [], marker, color=colour, markersize=8, label=label)
    axes.set_xlim(-0.3, len(EVENTS) - 0.15)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.set_xticks(range(len(EVENTS)), [event.title for event in EVENTS], fontsize=8, ha="left")
    axes.set_yticks(range(rows), [found.shown for found in results.rivals], fontsize=9)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.legend(loc="outside lower center", ncols=len(_SIGNS))
    return figure
