"""JSON with comments: what the JSON reader makes of it without them, in the same lines and columns."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from confcast.config.sources.formats import json as strict
from confcast.config.sources.formats import jsonc
from confcast.config.sources.formats.common import Unparsable

TEXTS = ("x", "// no comment", "/* nor this */", ", ]", ',}"', "\\", "\\\\", 'a"//"b', "é", "http://x/*", "")


def value(chance: random.Random, depth: int) -> Any:
    kind = chance.randrange(6 if depth < 3 else 4)
    if kind == 4:
        return [value(chance, depth + 1) for _ in range(chance.randrange(4))]
    if kind == 5:
        return {f"{chance.choice(TEXTS)}{n}": value(chance, depth + 1) for n in range(chance.randrange(4))}
    return (chance.choice(TEXTS), chance.randrange(-9, 99), None, chance.random())[kind]


def written(data: Any, chance: random.Random) -> str:
    """The data with comments and blanks in every place where there may be some, and trailing commas."""
    gap = gaps(chance)
    if isinstance(data, list):
        items = [f"{gap()}{written(item, chance)}{gap()}" for item in data]
    elif isinstance(data, dict):
        pairs = data.items()
        items = [f"{gap()}{json.dumps(key)}{gap()}:{gap()}{written(item, chance)}{gap()}" for key, item in pairs]
    else:
        return json.dumps(data, ensure_ascii=chance.random() < 0.5)
    trailing = f",{gap()}" if items and chance.random() < 0.4 else gap()
    return f"{'{['[isinstance(data, list)]}{','.join(items)}{trailing}{'}]'[isinstance(data, list)]}"


def gaps(chance: random.Random) -> Any:
    choices = ("", "", " ", "\n", "// c, ]\n", "/* c */", '/* "c\n */', "/**/", "/***/", '//"\n', "\t/*/*/", "//\r\n")
    return lambda: chance.choice(choices)


def test_documents_by_chance_are_read_and_each_value_is_where_it_stands():
    for seed in range(600):
        chance = random.Random(seed)
        data = {"a": value(chance, 0), "b": value(chance, 0)}
        gap = gaps(chance)
        text = f"{gap()}{written(data, chance)}{gap()}"
        assert jsonc.parse(text) == data, text
        blank = jsonc.as_json(text)
        assert len(blank) == len(text)
        assert [at for at, each in enumerate(blank) if each in "\r\n"] == [
            at for at, each in enumerate(text) if each in "\r\n"
        ]
        lines = text.split("\n")
        for path, spot in jsonc.locate(text).items():
            line, column = spot.value
            assert not lines[line - 1][column - 1 :].startswith((" ", "//", "/*")), (text, path)


@pytest.mark.parametrize(
    ("text", "says", "place"),
    [
        ("[,]", "Expecting value", (1, 2)),
        ("[1,,]", "Expecting value", (1, 4)),
        ("[1,\n/* x */,]", "Expecting value", (2, 8)),
        ("{,}", "Expecting property name", (1, 2)),
        ('{"a": , }', "Expecting value", (1, 7)),
        ("[1 /* x", "a comment that begins here has no end", (1, 4)),
        ("/*/", "a comment that begins here has no end", (1, 1)),
        ("[1 / 2]", "Expecting ',' delimiter", (1, 4)),
        ("[1 # x\n]", "Expecting ',' delimiter", (1, 4)),
        ('["x // y]', "Unterminated string", (1, 2)),
        ("['a']", "Expecting value", (1, 2)),
        ('{"a": 1, // x\n"a": 2}', "has this key twice", (2, 1)),
        ('{"a": NaN /* x */}', "JSON has no NaN", (1, 7)),
        ("//\n" + "[" * 200, "is nested more than", (2, 101)),
    ],
)
def test_what_is_no_json_without_comments_is_refused_where_it_stands(text, says, place):
    with pytest.raises(Unparsable) as caught:
        jsonc.parse(text)
    assert says in caught.value.message
    assert (caught.value.line, caught.value.column) == place


@pytest.mark.parametrize("text", ["", " \n", "// only\n", "/* only */"])
def test_comments_alone_are_no_document(text):
    assert jsonc.parse(text) is None


@pytest.mark.timeout(30)
@pytest.mark.parametrize("before", ["", "// x\n", "/* x */ [1,], "], ids=["nothing", "comment", "comma"])
@pytest.mark.parametrize(
    "text",
    [
        *(each * 300_000 for each in ("/", '"', ",", "/*", "//", '"\\', '\\"', ", ", '"a,')),
        ("," + " " * 1000) * 1000 + "]",
        "[,]" * 10**5,
    ],
    ids=lambda text: text[:3],
)
def test_no_text_takes_for_ever(text, before):
    with pytest.raises(Unparsable):
        jsonc.parse(f'{{"a": {before}{text}')


# ---- strict JSON says which format there is


@pytest.mark.parametrize(
    "text",
    ["// x\n{}", "{ // x\n}", '{"a": 1 /* x */}', "[1, // x\n2]", '{"a" // x\n:1}', '{"a": // x\n1}', '{"a":1}\n//x'],
)
def test_a_comment_in_json_is_refused_with_the_format_that_has_them(text):
    with pytest.raises(Unparsable) as caught:
        strict.parse(text)
    assert caught.value.message == 'is no valid JSON: JSON has no comments: format="jsonc" reads them'
    line = text.split("\n")[caught.value.line - 1]
    assert line[caught.value.column - 1] == "/"


@pytest.mark.parametrize("text", ["[1,]", '{"a": 1,\n }', "[[1], ]"])
def test_so_is_a_trailing_comma(text):
    with pytest.raises(Unparsable, match="JSON has no comma behind the last item"):
        strict.parse(text)


@pytest.mark.parametrize("text", ["[,]", "[]]", '{"a": 1]', "[1 / 2]"])
def test_other_mistakes_are_told_as_before(text):
    with pytest.raises(Unparsable) as caught:
        strict.parse(text)
    assert "jsonc" not in caught.value.message
