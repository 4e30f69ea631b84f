"""Writes what the guide shows: the page's tables, the picture, and the results of which both are."""

from __future__ import annotations

from benchmarks.rivals import chart, table
from benchmarks.rivals.job import ROOT
from benchmarks.rivals.results import Results

FOLDER = ROOT / "src" / "confcast" / "guide" / "rivals"
FILE, PICTURE = "results.json", "events.svg"


def write(results: Results) -> None:
    """All of it. Raises ValueError if the page has other blocks; then only the JSON is written: it took minutes."""
    results = Results.from_json(results.to_json())
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / FILE).write_bytes(results.to_json())
    page = FOLDER.with_suffix(".md")
    text = table.replaced(page.read_text(encoding="utf-8"), results)
    (FOLDER / PICTURE).write_bytes(chart.svg(results))
    page.write_text(text, encoding="utf-8")
