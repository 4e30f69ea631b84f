"""Merge keys and aliases. Of several tables that are merged the first wins, however long its keys are.

PyYAML 6.0.4 itself lets the last one win unless the key is one character long.
"""

from __future__ import annotations

import pytest

from confcast.config.sources.formats import yaml
from confcast.config.sources.formats.common import Unparsable
from tests.support.calls import calls


@pytest.mark.parametrize("key", ["k", "key", "1", "ключ"])
def test_of_several_tables_in_one_merge_the_first_wins_and_what_stands_beside_wins_over_all(key):
    text = f"a: &a {{{key}: 1, a: 1}}\nb: &b {{{key}: 2, b: 2}}\nc: {{<<: [*a, *b]}}\nd: {{<<: [*a, *b], {key}: 3}}\n"
    document = yaml.parse(text)
    name = next(iter(document["a"]))
    assert document["c"] == {name: 1, "a": 1, "b": 2}
    assert document["d"] == {name: 3, "a": 1, "b": 2}
    assert yaml.locate(text)["c", name].value[0] == 1
    assert yaml.locate(text)["d", name].value[0] == 4


NUMBERS = ",".join(map(str, range(100)))
REPEATED = {
    "list": f"a: &a [{NUMBERS}]\nb: [{'*a,' * 2000}]\n",
    "table": f"a: &a {{{', '.join(f'k{n}: {n}' for n in range(60))}}}\nb: [{'*a,' * 2000}]\n",
    "merge": f"a: &a {{{', '.join(f'k{n}: {n}' for n in range(60))}}}\nb: [{'{<<: *a},' * 2000}]\n",
}


@pytest.mark.parametrize("text", REPEATED.values(), ids=REPEATED)
def test_what_an_alias_repeats_is_made_anew_for_each_of_them_and_takes_less_time_than_at_first(text):
    found = yaml.parse(text)
    assert len(found["b"]) == 2000
    assert all(each == found["a"] for each in found["b"])
    assert len(set(map(id, (found["a"], *found["b"])))) == 2001
    assert calls(lambda: yaml.parse(text)) < 60 * 2000


@pytest.mark.parametrize("text", REPEATED.values(), ids=REPEATED)
def test_places_and_advice_are_looked_for_where_they_are_asked_for(text):
    part = "k7" if "k7" in text else 7
    spots, notes = yaml.locate(text), yaml.notes(text)
    assert spots["b", 1999, part] == spots["a", part]
    assert notes["b", 1999, part] == notes["a", part]
    assert calls(lambda: (yaml.locate(text)["b", 1999, part], yaml.notes(text)["b", 1999, part])) < 80 * 2000
    for path in ((), ("b", 2000), ("b", "k7"), ("b", 0, "none"), ("a", part, 0)):
        assert path not in spots
        assert path not in notes


def test_lists_and_tables_in_what_an_alias_repeats_belong_to_it_alone():
    found = yaml.parse("a: &a {x: [1], y: {z: 1}}\nb: [*a, *a, *a]\n")
    parts = [part for each in (found["a"], *found["b"]) for part in (each["x"], each["y"])]
    assert len(set(map(id, parts))) == 8


@pytest.mark.parametrize("text", ["a: {<<: {b: 1, b: 2}}\n", "a: {<<: [{c: 1}, {b: 1, b: 2}]}\n"])
def test_a_key_that_stands_twice_in_a_merged_table_is_refused_as_in_any(text):
    with pytest.raises(Unparsable, match="has this key twice in one table"):
        yaml.parse(text)
