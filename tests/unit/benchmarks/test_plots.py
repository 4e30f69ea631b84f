"""The pictures of `scripts/bench --plot`, drawn from figures made up here."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import pytest

from benchmarks import plots
from benchmarks.plots import drawing, page
from benchmarks.plots.figures import Chart, Figures, Line, Panel

ROOT = Path(__file__).parents[3]
SIZE = {"name": "size", "title": "By size", "x": "size, KB", "y": "time, ms"}
OURS = {"label": "a whole load", "points": [[0.3, 0.25], [9, 2.5]]}
PEER = {"label": "json", "points": [[9, 1.5]], "is_peer": True}
READ = ["settings.latest (ns); peer: a slot", 7.12, 7.0, 1.02, 1.1, True]
TINY = {
    "machine": {"CPU": "a processor", "CPUs": "2"},
    "charts": [
        SIZE | {"panels": [{"title": "", "lines": [OURS, PEER]}]},
        SIZE | {"name": "panels", "panels": [{"title": name, "lines": [OURS]} for name in ("JSON", "TOML", "YAML")]},
    ],
    "reading": [READ],
}


PAGE = "# Speed\n\n" + "".join(
    f"<!-- scripts/bench --plot: {name} -->\nold\n<!-- end -->\n\n" for name in ("machine", "reading", "size", "panels")
)


@pytest.fixture
def figures() -> Figures:
    return Figures.from_json(json.dumps(TINY).encode())


def texts(svg: bytes) -> list[str]:
    root = ET.fromstring(svg)
    return ["".join(each.itertext()) for each in root.iter("{http://www.w3.org/2000/svg}text")]


def test_a_picture_has_its_labels_as_text(figures: Figures):
    one, several = (texts(drawing.svg(chart)) for chart in figures.charts)
    for wanted in ("By size", "size, KB", "time, ms", "a whole load", "json", "0.3", "9", "1"):
        assert wanted in one
    assert {"JSON", "TOML", "YAML"} <= set(several)


def test_the_same_figures_give_the_same_picture_and_others_another(figures: Figures):
    chart = figures.charts[0]
    assert drawing.svg(chart) == drawing.svg(chart)
    moved = msgspec.structs.replace(chart, panels=[Panel("", [Line("a whole load", [(0.3, 0.25), (9, 2.6)])])])
    assert moved.fingerprint != chart.fingerprint
    assert drawing.svg(moved) != drawing.svg(chart)


def test_a_picture_does_not_depend_on_settings_of_matplotlib(figures: Figures):
    expected = drawing.svg(figures.charts[0])
    drawn = "import sys; from benchmarks.plots import drawing; from benchmarks.plots.figures import Figures; "
    drawn += "sys.stdout.buffer.write(drawing.svg(Figures.from_json(sys.stdin.buffer.read()).charts[0]))"
    set_by_user = "import matplotlib; matplotlib.rcParams['font.size'] = 30; "
    command = [sys.executable, "-c", set_by_user + drawn]
    found = subprocess.run(command, cwd=ROOT, input=figures.to_json(), capture_output=True, check=True, timeout=50)
    assert found.stdout == expected


def test_a_picture_is_small_bears_no_date_and_has_colours_for_dark_pages(figures: Figures):
    for chart in figures.charts:
        svg = drawing.svg(chart).decode()
        assert len(svg) < 60_000
        assert "<dc:date>" not in svg
        assert "@media(prefers-color-scheme:dark)" in svg
        for colour in (drawing.PAPER, drawing.INK, drawing.GRID):  # each is there to be replaced
            assert f": {colour}" in svg.partition("</style>")[2]


@pytest.mark.parametrize("colour", drawing.COLOURS)
@pytest.mark.parametrize("paper", [drawing.PAPER, drawing.DARK[drawing.PAPER]])
def test_a_line_stands_out_on_light_and_on_dark(colour: str, paper: str):
    """By WCAG 2.2: 3:1 for what is no text."""
    low, high = sorted((luminance(colour), luminance(paper)))
    assert (high + 0.05) / (low + 0.05) >= 3


def luminance(colour: str) -> float:
    parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
    return sum(weight * each for weight, each in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("points", [[], [(0, 1)], [(1, -1)], [(1, float("nan"))]])
def test_what_logarithmic_axes_can_t_show_is_no_line(points: list[tuple[float, float]]):
    with pytest.raises(ValueError, match="above 0"):
        Line("label", points)


def test_drawing_writes_pictures_json_and_tables_and_again_from_the_json(figures: Figures, tmp_path: Path):
    beside = tmp_path / "speed.md"
    beside.write_text(PAGE, encoding="utf-8")
    plots.draw(figures, tmp_path / "speed")
    first = {path.name: path.read_bytes() for path in (tmp_path / "speed").iterdir()}
    assert set(first) == {"size.svg", "panels.svg", plots.FILE}
    text = beside.read_text(encoding="utf-8")
    assert text == page.replaced(PAGE, figures)
    again = ["--plot", str(tmp_path / "speed"), "--from", str(tmp_path / "speed" / plots.FILE)]
    subprocess.run([sys.executable, "-m", "benchmarks", *again], cwd=ROOT, check=True, timeout=50)
    assert {path.name: path.read_bytes() for path in (tmp_path / "speed").iterdir()} == first
    assert beside.read_text(encoding="utf-8") == text


def test_a_picture_bears_the_fingerprint_of_what_the_json_has(tmp_path: Path):
    """Whole numbers become others on their way through JSON."""
    panel = Panel("", [Line("two points", [(1, 2), (3, 4)])])
    plots.draw(Figures({}, [Chart("whole", "title", "x", "y", [panel])], []), tmp_path)
    (chart,) = Figures.from_json((tmp_path / plots.FILE).read_bytes()).charts
    assert f"figures {chart.fingerprint}" in (tmp_path / "whole.svg").read_text(encoding="utf-8")


def test_the_tables_have_every_figure(figures: Figures):
    text = page.replaced(PAGE, figures)
    assert "\nold\n" not in text
    assert text.startswith("# Speed\n\n<!-- scripts/bench --plot: machine -->\n\n- CPU: a processor\n")
    lines = text.splitlines()
    assert "| settings.latest | 7.12 | a slot | 7 |" in lines
    assert "| **size, KB** | **0.3** | **9** |" in lines
    assert "| a whole load | 0.25 | 2.5 |" in lines
    assert "| json | - | 1.5 |" in lines
    assert "| **TOML: size, KB** | **0.3** | **9** |" in lines
    assert page.replaced(text, figures) == text


def test_a_page_without_a_place_for_a_table_is_refused(figures: Figures):
    with pytest.raises(ValueError, match="no block for panels"):
        page.replaced(PAGE.replace("panels", "size"), figures)


def test_figures_without_those_of_a_table_are_refused(figures: Figures):
    """As those of an older run, drawn again."""
    with pytest.raises(ValueError, match="no figures for the page's block leaf"):
        page.replaced(f"{PAGE}{PAGE.replace('panels', 'leaf')}", figures)


def test_nothing_but_the_drawing_imports_matplotlib():
    files = [path for top in ("src", "benchmarks", "tests") for path in (ROOT / top).rglob("*.py")]
    found = {str(path.relative_to(ROOT)) for path in files if "matplotlib" in imported(path)}
    assert found == {"benchmarks/plots/drawing.py"}


def imported(path: Path) -> set[str]:
    """What a file imports that names matplotlib."""
    text = path.read_text(encoding="utf-8")
    nodes = [*ast.walk(ast.parse(text))] if "matplotlib" in text else []
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return {name.partition(".")[0] for name in names}


def test_the_rows_are_measured_without_matplotlib():
    checked = "import sys, benchmarks.__main__; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", checked], cwd=ROOT, check=True, timeout=50)


def test_a_chart_of_other_fields_is_refused():
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"name": "x"}', type=Chart)
