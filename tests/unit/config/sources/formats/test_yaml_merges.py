"""Merge keys: of several tables the first wins, however long its keys are.

PyYAML 6.0.4 itself lets the last one win unless the key is one character long.
"""

from __future__ import annotations

import pytest

from confcast.config.sources.formats import yaml


@pytest.mark.parametrize("key", ["k", "key", "1", "ключ"])
def test_of_several_tables_in_one_merge_the_first_wins_and_what_stands_beside_wins_over_all(key):
    text = f"a: &a {{{key}: 1, a: 1}}\nb: &b {{{key}: 2, b: 2}}\nc: {{<<: [*a, *b]}}\nd: {{<<: [*a, *b], {key}: 3}}\n"
    document = yaml.parse(text)
    name = next(iter(document["a"]))
    assert document["c"] == {name: 1, "a": 1, "b": 2}
    assert document["d"] == {name: 3, "a": 1, "b": 2}
    assert yaml.locate(text)["c", name].value[0] == 1
    assert yaml.locate(text)["d", name].value[0] == 4
