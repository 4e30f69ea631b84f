"""`scripts/bench --plot`: how the figures grow, as pictures, as JSON, and as the tables of the guide's page on speed.

One file for each picture: `load.py`, `workers.py`, `size.py`, `leaf.py`; what they measure are the functions of the
families of rows. `figures.py` says what a picture is of, `drawing.py` draws it (nothing else imports matplotlib), and
`page.py` writes the tables. What was measured once can be drawn again, without being measured, from the JSON.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from benchmarks.plots.figures import Figures

GUIDE = Path(__file__).parents[2] / "src" / "confcast" / "guide" / "speed"
FILE = "figures.json"
_PACKAGES = ("confcast", "pydantic", "msgspec", "PyYAML")


def measure(rounds: int) -> Figures:
    """Every picture's figures, and what reading costs; progress goes to standard error."""
    from benchmarks import read
    from benchmarks.plots import leaf, load, size, workers
    from benchmarks.servers.machine import describe

    machine = describe(_PACKAGES)
    charts = []
    for module in (load, workers, size, leaf):
        began = time.monotonic()
        charts.append(module.measure(rounds))
        print(f"{charts[-1].name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return Figures(machine, charts, read.measure(rounds))


def draw(figures: Figures, folder: Path) -> None:
    """Write the pictures and the JSON there, and the tables into the page of that name beside, if it has blocks.

    Raises ValueError if that page is of other figures; then only the JSON is written, since it took minutes.
    """
    from benchmarks.plots import drawing, page

    figures = Figures.from_json(figures.to_json())  # drawn again, they are of the same types: no whole numbers
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_bytes(figures.to_json())
    beside = folder.with_suffix(".md")
    text = beside.read_text(encoding="utf-8") if beside.is_file() else ""
    text = page.replaced(text, figures) if page.is_one(text) else ""
    for chart in figures.charts:
        (folder / f"{chart.name}.svg").write_bytes(drawing.svg(chart))
    if text:
        beside.write_text(text, encoding="utf-8")
