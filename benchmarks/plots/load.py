"""A whole load by the size of the file, beside the parser that is part of it, or that it does without.

The rest of a load is the same for each format: reading, merging, validating, encoding, and proving that the workers
decode the same. CPU time of one thread, with the collector off, as in `growth.py`.
"""

from __future__ import annotations

import json
import tempfile
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.backends import COUNTS, Settings, json_text, toml_text, values, yaml_text
from benchmarks.growth import MOST_ROUNDS, times
from benchmarks.plots.figures import Chart, Line, Panel, rounded


class Format(NamedTuple):
    """A way to write the file, and who else parses it."""

    title: str
    suffix: str
    write: Callable[[dict[str, Any]], str]
    parser: str
    parse: Callable[[str], object]


def measure(rounds: int) -> Chart:
    """Each format at each size."""
    panels = [_panel(each, min(rounds, MOST_ROUNDS)) for each in _formats()]
    return Chart("load", "A whole load, and the format's own parser", "size of the file, KB", "CPU time, ms", panels)


def _formats() -> list[Format]:
    import yaml

    def libyaml(text: str) -> object:
        return yaml.load(text, yaml.CSafeLoader)

    return [
        Format("YAML, plain", "yaml", yaml_text, "PyYAML's CSafeLoader", libyaml),
        Format("YAML, with an anchor", "yaml", _with_an_anchor, "PyYAML's CSafeLoader", libyaml),
        Format("TOML", "toml", toml_text, "tomllib", tomllib.loads),
        Format("JSON", "json", json_text, "json", json.loads),
    ]


def _with_an_anchor(data: dict[str, Any]) -> str:
    """One is enough: the document is not plain, and libyaml reads all of it."""
    return yaml_text(data).replace("limit: 1\n", "limit: &limit 1\n", 1)


def _panel(each: Format, rounds: int) -> Panel:
    found = [_at(each, count, rounds) for count in COUNTS]
    loads = [(size, load) for size, load, _ in found]
    parsers = [(size, parser) for size, _, parser in found]
    return Panel(each.title, [Line("a whole load", loads), Line(each.parser, parsers, is_peer=True)])


def _at(each: Format, count: int, rounds: int) -> tuple[float, float, float]:
    """The size of the file, and the milliseconds of a load and of the parser."""
    from confcast import ConfigLoader

    text = each.write(values(count))
    with tempfile.TemporaryDirectory(prefix="confcast-bench-") as folder:
        path = Path(folder) / f"config.{each.suffix}"
        path.write_text(text, encoding="utf-8")
        load, parse = times(rounds, [ConfigLoader(Settings, path).load, lambda: each.parse(text)])
    return rounded(len(text) / 1000), rounded(load), rounded(parse)
