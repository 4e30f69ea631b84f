"""Each step of a load is linear: ten times the size is at most twelve times the calls.

Counted are calls of functions, of Python's and of C's, which depend on no clock. What pydantic and the parsers do
inside one call is theirs; `scripts/bench --only growth` shows their time beside ours.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from confcast.config.codec import Codec
from confcast.config.diff import differences
from confcast.config.hidden_edits import hidden_edits
from confcast.config.schema.spelling import spelling_of
from confcast.config.sources import disk
from confcast.config.sources.file import File
from confcast.config.sources.formats import json as json_format
from confcast.config.sources.formats import plain_toml, plain_yaml, toml, yaml
from confcast.config.sources.formats.plain import NOT_PLAIN
from confcast.config.sources.layer import Layer
from confcast.config.sources.merge import Merged
from confcast.config.validation import infinite, shadowed, strictness
from confcast.config.validation.leftovers import Leftovers
from confcast.config.validation.validate import validate
from tests.support.calls import calls

FEW, MANY = 150, 1500  # both large enough for what only a large document is checked for


class Backend(BaseModel):
    host: str
    port: int
    weight: float = 1.0
    enabled: bool = True
    tags: list[str] = []


class Settings(BaseModel):
    limit: int = 1
    backends: dict[str, Backend] = {}
    listed: list[Backend] = []


CODEC = Codec(Settings)


def data(count: int) -> dict[str, Any]:
    backends = [
        {"host": f"10.0.{n // 256}.{n % 256}", "port": 8000 + n % 7, "weight": 1.5, "enabled": True, "tags": ["a", "b"]}
        for n in range(count)
    ]
    return {
        "limit": 1,
        "backends": {f"b{n}": each for n, each in enumerate(backends)},
        "listed": backends[: count // 2],
    }


def as_yaml(table: dict[str, Any]) -> str:
    lines = [f"limit: {table['limit']}", "backends:"]
    for name, backend in table["backends"].items():
        lines += [f"  {name}:", *(f"    {key}: {_flow(value)}" for key, value in backend.items())]
    lines.append("listed:")
    for backend in table["listed"]:
        lines += [
            f"{'  ' if index else '- '}{key}: {_flow(value)}" for index, (key, value) in enumerate(backend.items())
        ]
    return "\n".join(lines)


def as_toml(table: dict[str, Any]) -> str:
    lines = [f"limit = {table['limit']}"]
    for name, backend in table["backends"].items():
        lines += [f"[backends.{name}]", *(f"{key} = {json.dumps(value)}" for key, value in backend.items())]
    for backend in table["listed"]:
        lines += ["[[listed]]", *(f"{key} = {json.dumps(value)}" for key, value in backend.items())]
    return "\n".join(lines)


def _flow(value: Any) -> str:
    return (
        f"[{', '.join(value)}]" if isinstance(value, list) else value if isinstance(value, str) else json.dumps(value)
    )


def plainly(parse: Callable[[str], Any], text: str) -> None:
    assert parse(text) is not NOT_PLAIN


def merged(table: dict[str, Any]) -> Merged:
    """Two layers, the higher one with every second backend changed."""
    higher = {"backends": {name: {"port": 1} for name in list(table["backends"])[::2]}}
    return Merged([Layer("low", table), Layer("high", higher)], spelling_of(Settings))


def one_leaf_changed(table: dict[str, Any]) -> dict[str, Any]:
    middle = f"b{len(table['backends']) // 2}"
    return table | {"backends": table["backends"] | {middle: table["backends"][middle] | {"port": 1}}}


def one_item_changed(table: dict[str, Any]) -> dict[str, Any]:
    *items, last = table["listed"]
    return table | {"listed": [*items, last | {"port": 1}]}


def all_changed(table: dict[str, Any]) -> dict[str, Any]:
    return table | {"backends": {name: each | {"port": 1} for name, each in table["backends"].items()}}


def edits(table: dict[str, Any]) -> list[str]:
    high = Layer("high", {"backends": {name: {"port": 1} for name in table["backends"]}})
    layers = [Merged([Layer("low", low), high], spelling_of(Settings)) for low in (table, one_leaf_changed(table))]
    return hidden_edits(Settings, *layers)


def steps(table: dict[str, Any]) -> dict[str, Callable[[], Any]]:
    """Every step of a load, ready to run on so much data."""
    in_yaml, in_toml, in_json = as_yaml(table), as_toml(table), json.dumps(table)
    both, config = merged(table), Settings(**table)
    payload = CODEC.encode(config)
    leaf, item, everything = (Settings(**change(table)) for change in (one_leaf_changed, one_item_changed, all_changed))
    return {
        "plain YAML": lambda: plainly(plain_yaml.parse, in_yaml),
        "YAML": lambda: yaml.parse_any(in_yaml),
        "plain TOML": lambda: plainly(plain_toml.parse, in_toml),
        "TOML": lambda: toml.parse_any(in_toml),
        "JSON": lambda: json_format.parse(in_json),
        "positions in YAML": lambda: yaml.locate(in_yaml),
        "positions in TOML": lambda: toml.locate(in_toml),
        "positions in JSON": lambda: json_format.locate(in_json),
        "notes": lambda: yaml.notes(in_yaml),
        "merge": lambda: merged(table),
        "shadowed": lambda: [*shadowed.check(Settings, both), *shadowed.doubled(both)],
        "leftovers": lambda: [*Leftovers().warnings(Settings, both)],
        "strictness": lambda: strictness.check(Settings, table),
        "infinite": lambda: [*infinite.check(Settings, table)],
        "validate": lambda: validate(Settings, table),
        "encode": lambda: CODEC.encode(config),
        "decode": lambda: CODEC.decode(payload),
        "diff, one leaf": lambda: differences(CODEC, config, leaf),
        "diff, one item": lambda: differences(CODEC, config, item),
        "diff, everything": lambda: differences(CODEC, config, everything),
        "hidden edits": lambda: edits(table),
    }


@pytest.mark.parametrize("step", steps(data(2)))
def test_ten_times_the_size_is_at_most_twelve_times_the_calls(step):
    few, many = (steps(data(count))[step] for count in (FEW, MANY))
    few(), many()  # what is worked out once for a schema is not counted
    assert calls(many) <= 12 * calls(few)


def test_reading_a_file_takes_the_same_calls_at_any_size(tmp_path):
    """One read for the content, whatever its size."""
    paths = [tmp_path / "few.json", tmp_path / "many.json"]
    for path, count in zip(paths, (FEW, MANY), strict=True):
        path.write_text(json.dumps(data(count)))
        disk.read_whole(path)
    few, many = (calls(lambda path=path: disk.read_whole(path)) for path in paths)
    assert few == many


def test_to_say_which_file_is_watched_makes_a_path_once(tmp_path):
    file = File(tmp_path / "app.yaml")
    assert file.watched() is file.watched() is File(tmp_path / "app.yaml").watched()
    assert calls(file.watched) <= 4


# ---- what is the same is skipped


def test_a_diff_of_one_leaf_costs_a_few_times_what_encoding_costs():
    old, new = Settings(**data(MANY)), Settings(**one_leaf_changed(data(MANY)))
    diff = differences(CODEC, old, new)
    assert [change.key for change in diff] == ["backends.b750.port"]
    assert calls(lambda: differences(CODEC, old, new)) < 5 * calls(lambda: CODEC.encode(old))


class Node(BaseModel):
    leaves: list[Backend] = []
    tables: dict[str, dict[str, list[int]]] = {}
    below: dict[str, Any] | Node | None = None


NODES = Codec(Node)


def chain(levels: int, last: int) -> Node:
    node = Node(leaves=[Backend(host="last", port=last)])
    for level in range(levels):
        leaves = [Backend(host=f"h{level}", port=n) for n in range(10)]
        node = Node(leaves=leaves, below=node, tables={"a": {str(n): [*range(3)] for n in range(20)}})
    return node


def test_what_lies_deep_is_written_no_more_often_than_what_does_not():
    """With bytes made anew at each level, the deeper half of a chain would cost as often as there are levels."""

    def count(levels: int) -> int:
        old, new = chain(levels, 1), chain(levels, 2)
        (change,) = differences(NODES, old, new)
        assert change.key == "below." * levels + "leaves"
        return calls(lambda: differences(NODES, old, new))

    assert count(40) < 12 * count(4)


def test_plain_tables_in_tables_are_written_once_too():
    def nested(levels: int, last: int) -> Any:
        below: Any = {"last": [last]}
        for level in range(levels):
            below = {"beside": {f"k{level}.{n}": {"x": [n], "y": {}} for n in range(10)}, "below": below}
        return Node(below=below)

    def count(levels: int) -> int:
        old, new = nested(levels, 1), nested(levels, 2)
        (change,) = differences(NODES, old, new)
        assert change.key == "below." * (levels + 1) + "last"
        return calls(lambda: differences(NODES, old, new))

    assert count(40) < 12 * count(4)


def test_a_long_list_that_changed_is_shown_no_further_than_its_text():
    old, new = Settings(**data(MANY)), Settings(**one_item_changed(data(MANY)))
    assert calls(lambda: differences(CODEC, old, new)) < 5 * calls(lambda: CODEC.encode(old))
