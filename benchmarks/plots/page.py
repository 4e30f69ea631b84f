"""The figures as tables in the guide's page on speed, each between two comments: for whoever can't see a picture.

A block stands between `<!-- scripts/bench --plot: NAME -->` and `<!-- end -->`. The names are `machine`, `reading`, and
that of each picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from benchmarks.plots.figures import Chart, Figures, Panel
from benchmarks.rows import Row

_BLOCK = re.compile(r"(?<=<!-- scripts/bench --plot: )(\w+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)
_NONE = "-"


def is_one(page: str) -> bool:
    """Whether a page has blocks."""
    return _BLOCK.search(page) is not None


def replaced(page: str, figures: Figures) -> str:
    """The page with these figures instead of those that it has. Raises ValueError if not each has its one block."""
    written = blocks(figures)
    there = {found[1] for found in _BLOCK.finditer(page)}
    if missing := sorted(written.keys() - there):
        raise ValueError(f"the page has no block for {', '.join(missing)}")
    if missing := sorted(there - written.keys()):
        raise ValueError(f"there are no figures for the page's block {', '.join(missing)}")
    return _BLOCK.sub(lambda found: f"{found[1]}{found[2]}\n{written[found[1]]}\n\n", page)


def blocks(figures: Figures) -> dict[str, str]:
    """What stands in each block, as Markdown."""
    reading = _table(("what", "ns", "beside", "ns"), map(_read, figures.reading))
    return {"machine": _machine(figures.machine), "reading": reading} | {
        chart.name: _chart(chart) for chart in figures.charts
    }


def _machine(machine: dict[str, str]) -> str:
    """One fact a line, so that no line gets long."""
    return "\n".join(f"- {name}: {value}" for name, value in machine.items())


def _read(row: Row) -> tuple[str, ...]:
    name, _, peer = row.name.replace(" (ns)", "").partition("; peer: ")
    return name, _number(row.ours), peer, _NONE if row.peer is None else _number(row.peer)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _chart(chart: Chart) -> str:
    """The panels below each other: where each point is, then what each line has there."""
    widest = max(len(_places(panel)) for panel in chart.panels)
    lines = [line for panel in chart.panels for line in _panel(chart, panel)]
    return _table((chart.y, *[""] * widest), lines)


def _panel(chart: Chart, panel: Panel) -> Iterator[tuple[str, ...]]:
    places = _places(panel)
    title = f"{panel.title}: " if panel.title else ""
    yield f"**{title}{chart.x}**", *(f"**{_number(x)}**" for x in places)
    for line in panel.lines:
        found = dict(line.points)
        yield line.label, *(_number(found[x]) if x in found else _NONE for x in places)


def _places(panel: Panel) -> list[float]:
    return sorted({x for line in panel.lines for x, _ in line.points})


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
