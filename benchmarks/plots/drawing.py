"""Draws a picture as SVG. The only file that imports matplotlib, which takes a second: only what draws pays for it.

Guarantees: the same figures give the same bytes with the same matplotlib, whatever settings of matplotlib the user has;
text is text, in the reader's own font. A picture has a background of its own, which is dark where the reader's
preference is: a transparent one would take the page's, and GitHub's page may be dark on a light system. Lines have
colours that are visible on both. Peers are dashed.

Rejected: pyplot, which looks for a display and keeps every figure; text as outlines, which is four times as large.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from itertools import cycle
from typing import TYPE_CHECKING, Any

from benchmarks.plots.figures import Chart, Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAPER, INK, GRID = "#ffffff", "#1f2328", "#d8dee4"
DARK = {PAPER: "#0d1117", INK: "#e6edf3", GRID: "#30363d"}
COLOURS = ("#2f7ed8", "#c9601a", "#2a9148", "#8e62d6")

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "confcast",
    "font.size": 10,
    "font.sans-serif": ["DejaVu Sans"],
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GRID,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.fontsize": 9,
}
_COLUMNS = 2
_WIDTH, _HEIGHT_OF_ONE, _HEIGHT_OF_A_ROW = 7.2, 4.0, 2.9  # inches


def svg(chart: Chart) -> bytes:
    """The picture as a file of SVG."""
    said = f"figures {chart.fingerprint}"
    return written(lambda: _figure(chart), chart.title, said, "scripts/bench --plot")


def written(draw: Callable[[], Figure], title: str, description: str, creator: str) -> bytes:
    """Whatever is drawn, as a file of SVG."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        file = io.BytesIO()
        metadata = {"Date": None, "Creator": creator, "Title": title, "Description": description}
        draw().savefig(file, format="svg", metadata=metadata)
    head, end, rest = file.getvalue().decode("utf-8").partition("</style>")
    return f"{head}{_dark()}{end}{rest}".replace(" \n", "\n").encode("utf-8")


def new_figure(width: float, height: float) -> Figure:
    """A picture with nothing on it, of this size in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _figure(chart: Chart) -> Figure:
    columns = min(len(chart.panels), _COLUMNS)
    lines = -(-len(chart.panels) // columns)
    height = _HEIGHT_OF_ONE if lines == 1 else lines * _HEIGHT_OF_A_ROW
    figure = new_figure(_WIDTH, height)
    axes = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for panel, each in zip(chart.panels, axes.flat, strict=False):
        _draw(each, panel)
    for each in axes.flat[len(chart.panels) :]:
        each.remove()
    if len(chart.panels) == 1:  # panels share an axis, and the places of their points differ
        places = sorted({x for line in chart.panels[0].lines for x, _ in line.points})
        axes.flat[0].set_xticks(places, [f"{x:.2g}" if x < 10 else f"{x:,.0f}" for x in places])
    figure.suptitle(chart.title, fontsize=11)
    figure.supxlabel(chart.x, fontsize=10)
    figure.supylabel(chart.y, fontsize=10)
    return figure


def _draw(axes: Axes, panel: Panel) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log")
    axes.set_yscale("log")
    for line, colour in zip(panel.lines, cycle(COLOURS)):
        style = "--" if line.is_peer else "-"
        axes.plot(*zip(*line.points, strict=True), style, marker="o", markersize=4, color=colour, label=line.label)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axis.set_minor_locator(NullLocator())
    axes.set_title(panel.title, fontsize=10)
    axes.legend(loc="upper left")


def _dark() -> str:
    """Rules of CSS: whoever prefers dark pages has the background, the ink and the grid in other colours."""
    rules = [f"text{{fill:{DARK[INK]}!important}}"]
    for light, dark in DARK.items():
        rules += [f'[style*="{name}: {light}"]{{{name}:{dark}!important}}' for name in ("fill", "stroke")]
    return f"@media(prefers-color-scheme:dark){{{''.join(rules)}}}"
