"""The formats: what they accept, what they refuse and where, and where everything stands."""

from __future__ import annotations

import datetime as dt
import json as stdlib_json
import tomllib
from typing import Any

import pytest
import yaml as pyyaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from confcast.config.sources.formats import json, toml, yaml
from confcast.config.sources.formats.common import Unparsable

TAB = "a tab where it can't be: YAML indents with blanks only"
FORMATS = {"json": json, "toml": toml, "yaml": yaml}


def refusal(form: str, text: str) -> tuple[str, int, int]:
    with pytest.raises(Unparsable) as caught:
        FORMATS[form].parse(text)
    return caught.value.message, caught.value.line, caught.value.column


def leaves(data: Any, path: tuple[Any, ...] = ()) -> Any:
    """Every path of a document but the root."""
    inside = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in inside:
        yield (*path, key)
        yield from leaves(value, (*path, key))


# ---- what is no document


@pytest.mark.parametrize(
    ("form", "text"),
    [("json", ""), ("json", " \n"), ("toml", ""), ("toml", "# nothing\n"), ("yaml", ""), ("yaml", "# nothing\n")],
)
def test_a_text_without_content_is_no_document(form, text):
    assert not FORMATS[form].parse(text)


@pytest.mark.parametrize(
    ("form", "text", "message", "line", "column"),
    [
        ("json", '{"a": 1,\n "b": }', "is no valid JSON: Expecting value", 2, 7),
        ("json", '{"a": 1,\n "a": 2}', "has this key twice in one table", 2, 2),
        ("json", '{"a": [{"b": 1, "b": 2}]}', "has this key twice in one table", 1, 17),
        ("json", '{"a": {"NaN": 1},\n "b": NaN}', "is no valid JSON: JSON has no NaN", 2, 7),
        ("json", '{"a": -Infinity}', "is no valid JSON: JSON has no -Infinity", 1, 7),
        ("json", '{"a": "x', "is no valid JSON: Unterminated string starting", 1, 7),
        ("toml", "a = 1\na = 2", "is no valid TOML: Cannot overwrite a value", 2, 6),
        ("toml", "a = 1\nb = \n", "is no valid TOML: Invalid value", 2, 5),
        ("toml", "a = [1", "is no valid TOML: Unclosed array", 1, 7),
        ("yaml", "a: 1\nb: 2\na: 3\n", "has this key twice in one table", 3, 1),
        ("yaml", "a:\n  b: 1\n  ? b\n  : 2\n", "has this key twice in one table", 3, 5),
        ("yaml", "1: x\ntrue: y\n", "has this key twice in one table", 2, 1),
        ("yaml", "a: [1\nb: 2", "is no valid YAML: did not find expected ',' or ']'", 2, 2),
        ("yaml", "? [1, 2]\n: x", "has a table or a list for a key", 1, 3),
        ("yaml", "a: 2024-99-99", "is no valid YAML: not a valid timestamp; quote it if it is text", 1, 4),
        (
            "yaml",
            "a: 1\n---\nb: 2",
            "has a second document here (--- begins one): a configuration is one document",
            2,
            1,
        ),
        ("yaml", "a: 1\nb: \x01", "is no valid YAML: a character that YAML does not allow", 2, 4),
        ("yaml", "a:\n\tb: 1", f"is no valid YAML: {TAB}", 2, 1),
        ("yaml", "a: 1\n\tb: 2", f"is no valid YAML: {TAB}", 2, 1),
        ("yaml", "a: @x", "is no valid YAML: found character that cannot start any token", 1, 4),
        ("yaml", "<<: 3", "is no valid YAML: '<<' merges tables only", 1, 5),
    ],
)
def test_a_broken_document_is_refused_with_its_place(form, text, message, line, column):
    assert refusal(form, text) == (message, line, column)


@pytest.mark.parametrize("text", ["a: !!python/object:os.system x", "a: !own", "a: !!set {x, y}", "a: !!omap [x: 1]"])
def test_yaml_tags_beyond_the_plain_types_are_refused(text):
    message, line, column = refusal("yaml", text)
    assert message.startswith("has a tag that is not one of YAML's plain types")
    assert (line, column) == (1, 4)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("yaml", "password: *hunter2"),
        ("yaml", "password: !hunter2!x y"),
        ("yaml", "password: !hunter2 y"),
        ("yaml", "password: 'hunter2"),
        ("yaml", "password: !!int hunter2"),
        ("json", '{"password": hunter2}'),
        ("json", '{"password": "hunter2'),
        ("toml", "password = hunter2"),
        ("toml", "password = 'hunter2"),
        ("toml", 'password = "hunter2\\q"'),
    ],
)
def test_a_refusal_never_quotes_a_value(form, text):
    message, *_ = refusal(form, text)
    assert "hunter2" not in message


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("json", '{"a":' * 10_000),
        ("json", "[" * 10_000 + "]" * 10_000),
        ("json", '["]", ' * 101 + "1" + "]" * 101),
        ("json", '["\\"]", ' * 101 + "1" + "]" * 101),
        ("json", '{"a": [' * 51 + "]}" * 51),
        ("toml", "a = " + "[" * 10_000 + "]" * 10_000),
        ("toml", "a = " + "[" * 150 + "]" * 150),
        ("toml", ".".join("a" * 500) + " = 1"),
        ("yaml", "[" * 10_000 + "]" * 10_000),
        ("yaml", "- " * 10_000 + "a"),
        ("yaml", "- " * 150 + "a"),
        ("yaml", "a: &a [*a]"),
    ],
)
def test_a_document_that_nests_too_deep_is_refused(form, text):
    assert refusal(form, text)[0] == "is nested more than 100 levels deep"


def test_a_document_at_the_limit_of_depth_is_accepted():
    text = '{"a":' * 99 + "[]" + "}" * 99
    assert json.parse(text) == yaml.parse(text)
    assert toml.parse("a = " + "[" * 99 + "]" * 99)


@pytest.mark.parametrize("text", ["[" * 200, '\\"' + "[" * 200, '\\\\", "b": "' + "[" * 200])
def test_brackets_in_texts_are_no_levels(text):
    assert json.parse(f'{{"a": "{text}", "c": [{", ".join(["[[], {}]"] * 99)}]}}')


def test_a_hundred_thousand_levels_of_yaml_do_not_end_the_process():
    assert refusal("yaml", "[" * 100_000)[0] == "is nested more than 100 levels deep"


def test_aliases_that_multiply_are_refused_and_plain_ones_are_not():
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 6)
    )
    most = yaml.most_expanded(bomb)
    assert most == 10_000 + 50 * len(bomb)
    assert refusal("yaml", bomb)[0] == f"has aliases that stand for more than {most} nodes"
    long = "".join(f"- {n}\n" for n in range(20_000))
    assert len(yaml.parse(long)) == 20_000


@pytest.mark.parametrize("form", FORMATS)
def test_a_number_with_too_many_digits_is_refused(form):
    text = {"json": '{"a": %s}', "toml": "a = %s", "yaml": "a: %s"}[form] % ("9" * 5000)
    assert refusal(form, text)[0].startswith("is no valid")


# ---- YAML as data


YAML = """\
base: &base {a: 1, b: [x, y]}
other: &other {b: 9, c: 9}
one: {<<: *base, a: 2}
two:
  <<: [*base, *other]
  d: 4
plain: [yes, off, ~, 1.5, 0x10, 2024-01-02, "no", !!str 12, !!binary aGk=]
text: |
  two
  lines
1: number
=: equals
"""


def test_yaml_gives_what_pyyaml_gives():
    expected = pyyaml.safe_load(YAML)
    assert yaml.parse(YAML) == expected
    assert expected["two"] == {"a": 1, "b": ["x", "y"], "c": 9, "d": 4}
    assert expected["plain"] == [True, False, None, 1.5, 16, dt.date(2024, 1, 2), "no", "12", b"hi"]


def test_every_place_in_yaml_is_found_also_behind_aliases():
    spots = yaml.locate(YAML)
    assert set(spots) == set(leaves(yaml.parse(YAML)))
    assert spots["one", "a"].value == (3, 21)
    assert spots["one", "b"] == ((1, 20), (1, 23))
    assert spots["two", "c"].value == (2, 25)
    assert spots["text",] == ((8, 1), (8, 7))
    assert spots["plain", 2].value == (7, 19)


def test_without_the_c_library_yaml_is_read_all_the_same(monkeypatch):
    monkeypatch.delattr(pyyaml, "CSafeLoader")
    assert yaml.parse(YAML) == pyyaml.safe_load(YAML)
    assert refusal("yaml", "a: 1\nb: \x01") == ("is no valid YAML: a character that YAML does not allow", 2, 4)
    assert "hunter2" not in refusal("yaml", "password: *hunter2")[0]
    assert refusal("yaml", "[" * 900) == ("is nested more than 100 levels deep", 1, 101)


# ---- places in TOML


TOML = '''\
top = 1  # a comment with = and [brackets]
"quoted \\u0041" = 'x'
a.b . "c.d" = [ 1, # one
  2, {x = "}", y.z = [[3], []]},
]
text = """
two "" lines \\""" = [
"""
raw = \'\'\'a'b\'\'\'
when = 1979-05-27 07:32:00Z

[ table . sub ] # header
key = -1.5e3
[[list]]
n = 1
[list.inner]
deep = true
[[list.items]]
q = 1
[[list]]
n = 2
[[list.items]]
q = 2
[[list.items]]
q = 3
'''


def test_every_place_in_toml_is_found():
    spots = toml.locate(TOML)
    assert set(spots) == set(leaves(tomllib.loads(TOML)))
    values = {
        ("top",): (1, 7),
        ("quoted A",): (2, 19),
        ("a", "b", "c.d"): (3, 15),
        ("a", "b", "c.d", 0): (3, 17),
        ("a", "b", "c.d", 1): (4, 3),
        ("a", "b", "c.d", 2, "x"): (4, 11),
        ("a", "b", "c.d", 2, "y", "z", 0, 0): (4, 24),
        ("text",): (6, 8),
        ("raw",): (9, 7),
        ("when",): (10, 8),
        ("table", "sub"): (12, 1),
        ("table", "sub", "key"): (13, 7),
        ("list", 0, "n"): (15, 5),
        ("list", 0, "inner", "deep"): (17, 8),
        ("list", 1): (20, 1),
        ("list", 1, "n"): (21, 5),
        ("list", 1, "items", 1, "q"): (25, 5),
    }
    assert {path: spots[path].value for path in values} == values
    assert spots["a", "b"].key == (3, 3)
    assert spots["table", "sub"].key == (12, 11)


class Writer:
    """Writes a document as TOML in one of the many ways there are, and notes where each value begins."""

    def __init__(self, draw: Any) -> None:
        self.draw, self.text = draw, ""
        self.values: dict[tuple[Any, ...], tuple[int, int]] = {}

    def pick(self, *choices: str) -> str:
        return self.draw(st.sampled_from(choices))

    def note(self, path: tuple[Any, ...]) -> None:
        before = self.text.split("\n")
        self.values[path] = len(before), len(before[-1]) + 1

    def key(self, key: str) -> str:
        basic = stdlib_json.dumps(key, ensure_ascii=False)
        bare = key and all(char.isascii() and (char.isalnum() or char in "-_") for char in key)
        literal = not any(char < " " or char in "'\x7f" for char in key)
        return self.pick(basic, *([key] if bare else []), *([f"'{key}'"] if literal else []))

    def tables(self, table: dict[str, Any], path: tuple[Any, ...], header: tuple[str, ...]) -> None:
        """Plain values first: after a header they would belong to another table."""
        later = []
        for key, value in table.items():
            if isinstance(value, dict) and value and self.draw(st.booleans()):
                later.append((key, value, "[]"))
            elif isinstance(value, list) and value and all(map(is_table, value)) and self.draw(st.booleans()):
                later.append((key, value, "[[]]"))
            else:
                self.pair(self.key(key), value, (*path, key))
                self.text += self.pick("\n", " # = [x]\n", "\r\n", "\n\n\t")
        for key, value, kind in later:
            name = (*header, self.key(key))
            for index, item in enumerate(value if kind == "[[]]" else [value]):
                space = self.pick("", " ")
                title = f"{space}{f'{space}.{space}'.join(name)}{space}"
                self.text += f"[[{title}]]\n" if kind == "[[]]" else f"[{title}]#]\n"
                self.tables(item, (*path, key, index) if kind == "[[]]" else (*path, key), name)

    def pair(self, name: str, value: Any, path: tuple[Any, ...]) -> None:
        if isinstance(value, dict) and len(value) == 1 and self.draw(st.booleans()):
            ((key, inner),) = value.items()
            self.pair(f"{name}{self.pick('.', ' . ')}{self.key(key)}", inner, (*path, key))
        else:
            self.text += f"{name}{self.pick('=', ' = ')}"
            self.value(value, path)

    def value(self, value: Any, path: tuple[Any, ...]) -> None:
        self.note(path)
        if isinstance(value, dict):
            self.text += "{"
            for index, (key, item) in enumerate(value.items()):
                self.text += ", " if index else self.pick("", " ")
                self.pair(self.key(key), item, (*path, key))
            self.text += "}"
        elif isinstance(value, list):
            self.text += "["
            for index, item in enumerate(value):
                self.text += self.pick("", " ", "\n  ", " # ]\n")
                self.value(item, (*path, index))
                self.text += self.pick(",", "\n,", " ,")
            self.text += "]"
        else:
            self.text += self.scalar(value)

    def scalar(self, value: Any) -> str:
        if isinstance(value, str):
            basic = stdlib_json.dumps(value, ensure_ascii=False)
            plain = not any(char < " " or char in "'\x7f" for char in value)
            lines = f'"""\n{basic[1:-1]}"""'
            return self.pick(basic, lines, *([f"'{value}'", f"'''{value}'''"] if plain else []))
        if isinstance(value, bool):
            return str(value).lower()
        return value.isoformat(self.pick(" ", "T")) if isinstance(value, dt.datetime) else str(value)


def is_table(value: Any) -> bool:
    return isinstance(value, dict)


CHARACTERS = st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]) | st.sampled_from("\"'\\\n#[]{}=,.")
TEXTS = st.text(CHARACTERS, max_size=8)
SCALARS = st.one_of(TEXTS, st.booleans(), st.integers(-(10**6), 10**6), st.datetimes().map(lambda d: d.replace(fold=0)))
DOCUMENTS = st.dictionaries(
    TEXTS,
    st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
    ),
    max_size=4,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), DOCUMENTS)
def test_whatever_way_toml_is_written_each_value_is_located(data, document):
    writer = Writer(data.draw)
    writer.tables(document, (), ())
    assert tomllib.loads(writer.text) == document
    spots = toml.locate(writer.text)
    assert set(spots) == set(leaves(document))
    assert {path: spots[path].value for path in writer.values} == writer.values


# ---- places in JSON, which is YAML too


SIMPLE = st.text('abcXYZ _-"\\,:[]{}#é', max_size=6)
JSON_DOCUMENTS = st.dictionaries(
    SIMPLE,
    st.recursive(
        SIMPLE | st.booleans() | st.integers() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SIMPLE, inner, max_size=3),
        max_leaves=8,
    ),
    min_size=1,
    max_size=4,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(JSON_DOCUMENTS, st.sampled_from([None, 1]))
def test_json_is_located_as_libyaml_locates_it(document, indent):
    text = stdlib_json.dumps(document, indent=indent, ensure_ascii=False)
    assert json.parse(text) == yaml.parse(text) == document
    assert json.locate(text) == yaml.locate(text)
    assert set(json.locate(text)) == set(leaves(document))


# ---- damaged documents


@pytest.mark.parametrize(
    ("form", "text"), [("toml", TOML), ("yaml", YAML), ("json", '{"a": [1, {"b": "x\\"y"}],\n "c": {}}')]
)
def test_a_damaged_document_is_refused_or_read_and_located_as_it_now_is(form, text):
    accepted = 0
    for index in range(len(text)):
        for damaged in (text[:index], text[:index] + text[index + 1 :], f"{text[:index]}[{text[index:]}"):
            try:
                document = FORMATS[form].parse(damaged)
            except Unparsable:
                continue
            if document is not None:
                accepted += 1
                assert set(FORMATS[form].locate(damaged)) == set(leaves(document))
                if form == "yaml":
                    assert document == pyyaml.safe_load(damaged)
    assert accepted
