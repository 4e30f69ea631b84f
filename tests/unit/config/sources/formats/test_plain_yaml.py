"""The quick path for plain YAML: what libyaml and our walk make of the same text, or `NOT_PLAIN`.

The documents are the same in every run; `FUZZ=1000000 pytest tests/unit/config/sources/formats/test_plain_yaml.py`
takes so many others (a million take some minutes).
"""

from __future__ import annotations

import os
import random
import re
from typing import Any

import pytest
import yaml as pyyaml

from confcast.config.sources.formats import plain_yaml, yaml
from confcast.config.sources.formats.common import MAX_DEPTH, Unparsable
from confcast.config.sources.formats.plain import NOT_PLAIN
from tests.support.calls import calls
from tests.unit.config.sources.formats.yaml_documents import document

DOCUMENTS = int(os.environ.get("FUZZ", "4000"))
FIRST = random.SystemRandom().randrange(2**60) if "FUZZ" in os.environ else 0


def same(one: Any, other: Any) -> bool:
    """Equal in value, in type and in order. A repr tells 1 from 1.0 and True, 0.0 from -0.0, a text from a date."""
    return type(one) is type(other) and repr(one) == repr(other)


def by_libyaml(text: str) -> Any:
    """What yaml.py makes of a text without the quick path; the error, where it refuses the text."""
    try:
        return yaml.parse_any(text)
    except Unparsable as error:
        return error


def is_plain(text: str) -> bool:
    """Whether the quick path takes a text; then it has to give what libyaml gives."""
    found = plain_yaml.parse(text)
    if found is NOT_PLAIN:
        return False
    expected = by_libyaml(text)
    assert same(found, expected), (text, found, expected)
    return True


# ---- documents by chance


@pytest.mark.timeout(60 + DOCUMENTS // 500)
def test_a_document_by_chance_is_the_same_in_both_ways_or_not_plain():
    plain = sum(is_plain(document(FIRST + seed)) for seed in range(DOCUMENTS))
    assert plain > DOCUMENTS / 4, f"{plain} of {DOCUMENTS}: too few to prove anything"


@pytest.mark.timeout(60 + DOCUMENTS // 500)
def test_so_it_is_where_yaml_is_read_without_the_c_library(monkeypatch):
    monkeypatch.delattr(pyyaml, "CSafeLoader")
    assert sum(is_plain(document(FIRST + seed)) for seed in range(DOCUMENTS // 20)) > DOCUMENTS / 80


def test_most_documents_without_anything_doubtful_are_plain():
    """Else the generator compares nothing: of its plain writing with nothing odd, nearly all has to be taken."""
    written = [document(seed) for seed in range(1000)]
    odd = re.compile(r"[^\x20-\x7eÖößÜünï\n]|\\|[&*!|>%@`~?]|<<")
    refused = [text for text in written if not odd.search(text) and isinstance(by_libyaml(text), dict)]
    assert sum(map(is_plain, refused)) > 0.8 * len(refused) > 200


# ---- what is plain

PLAIN = """\
# a comment with x: y
---
version: "2.0"
empty:
memory:
  total: 4096   # MB

  ratio: -0.5
  'on': "no"
servers:
- host: 10.0.0.1
  tags: [a, 'b, c', 1.5, yes, 1.2.3]
  limits:
    cpu: 30s
  last: null
-   host: example.com:8080
    url: https://example.com/a?b=c&d=e
    nothing: {}
  # a comment that is indented in its own way
lists:
  - 1
  - two words, and a comma
  - []
deep: {}
last:
  a:
    b:
      c: true
  d: Größe"""


def test_a_plain_document_is_read_without_libyaml(monkeypatch):
    expected = by_libyaml(PLAIN)
    monkeypatch.setattr(yaml, "_read", None)
    assert same(yaml.parse(PLAIN), expected)
    assert same(yaml.parse(PLAIN.replace("\n", "\r\n")), expected)
    assert expected["servers"][1]["host"] == "example.com:8080"


@pytest.mark.parametrize(
    ("written", "value"),
    [
        *(("0", 0), ("-0", 0), ("-12", -12), ("9" * 18, 10**18 - 1), ("1.50", 1.5), ("-0.0", -0.0), ("0.1", 0.1)),
        *(("true", True), ("True", True), ("YES", True), ("on", True), ("off", False), ("No", False), ("null", None)),
        *(("yEs", "yEs"), ("y", "y"), ("N", "N"), ("nULL", "nULL"), ("None", "None"), ("trueish", "trueish")),
        *(("30s", "30s"), ("1e", "1e"), ("1.2.3", "1.2.3"), ("10.0.0.0/8", "10.0.0.0/8"), ("1.2.3.4:80", "1.2.3.4:80")),
        *(('"1"', "1"), ("'no'", "no"), ('""', ""), ("' a # b '", " a # b "), ('"it\'s"', "it's"), ("a:b", "a:b")),
        *(("a, b", "a, b"), ("a - b", "a - b"), ("a-", "a-"), ("/x/y", "/x/y"), ("a*b&c!d|e>f", "a*b&c!d|e>f")),
        *(("~", None), ("'it''s'", "it's"), ("''''", "'"), ("'''a'", "'a"), ("[~, 'b''']", [None, "b'"])),
        *(
            ("[]", []),
            ("[ a , 'b' ]", ["a", "b"]),
            ("[30s,1,1.5]", ["30s", 1, 1.5]),
            ("{}", {}),
            ("{ b: 1 , 'c d':  e}", {"b": 1, "c d": "e"}),
            ("", None),
        ),
    ],
)
def test_a_value_is_read_as_it_is_written(written, value):
    for text in (f"k: {written}", f"k: {written}  # x\nl: 1", f"a:\n  - {written}" if written else "a:\n  k:"):
        assert is_plain(text), text
    assert same(plain_yaml.parse(f"k: {written}"), {"k": value})


@pytest.mark.parametrize(
    "text",
    [
        *("", "\n", "# only a comment\n", "---\n", "a", "- a", "  a: 1", "a: 1\n---\nb: 2", "a: 1\n...\n"),
        *("%YAML 1.1\n---\na: 1",),
        *("a: 1\na: 2", "a:\n  b: 1\n  b: 2", "'a': 1\na: 2", "a: &x 1", "a: *x", "a: !!str 1", "<<: {a: 1}"),
        *("? a\n: b",),
        *("on: 1", "No: 1", "null: 1", "1: x", "1.5: x", "~: x", "=: x", "2024-01-02: x", "k\x85: 1", "[a]: 1"),
        *("-a: 1",),
        *("a: ~x", "a: 010", "a: 0x1F", "a: 1_000", "a: 12:30", "a: 1e3", "a: 1.0e+3", "a: .5", "a: 1.", "a: +1"),
        *("a: .inf",),
        *("a: 2024-01-02", "a: " + "9" * 19, "a: 0." + "1" * 18, "a: '", 'a: "\\n"', "a: 'it'''s'", "a: 'x' y"),
        *('a: "x"#y',),
        *(
            "a: |\n  x",
            "a: >\n  x",
            "a: x\n  y",
            "a: 'x\n  y'",
            "a: [b,\n  c]",
            "a: {b: [1]}",
            "a: {b: 1, b: 2}",
            "a: {on: 1}",
            "a: {b:1}",
            "a: {b}",
            "a: {b: 1,}",
            "a: {b: {}}",
            "a: [[b]]",
            "a: [b: c]",
        ),
        *("a: [b,]",),
        *("a: b: c", "a: b:", "a:b", "a :b", "a : b", "a: @b", "a: `b", "a: %b", "a: ${b}", "a: -", "a: - b"),
        *("- - a", "a:\n  - - b"),
        *("a: b #c\n  d", "a: 1\n  b: 2", "a:\n  b: 1\n c: 2", "a:\n    b: 1\n  c: 2", "a: 1\n- b", "a:\n- b\n - c"),
        *("a:\n  - b\n - c",),
        *("a:\n  - b\n  c: 1", "a:\n  -", "a:\n  - # x", "a:\n-b", "a:\n  - b: 1\n   c: 2", "a:\n  - b: 1\n    - c"),
        *("a: []\n  b: 1",),
        *("a:\tb", "\ta: 1", "a: b\t# x", "a: b\tc", "a:\n\tb: 1", "a: 1\t", "\t\na: 1", "a: 1\r", "a\r: 1"),
        *("a: \r\r\n1",),
        *("\ufeffa: 1", "a: \x01", "a: 1 # \x01", "a: \x7f", "a: b\u2028c", "a: b\x85c", "a: b\xa0c", "a: \ufffe"),
        *("a: \ud800", "a: \x00"),
    ],
)
def test_what_may_be_anything_else_is_left_to_libyaml(text):
    assert plain_yaml.parse(text) is NOT_PLAIN


def test_of_an_unplain_document_libyaml_says_what_it_said():
    with pytest.raises(Unparsable, match="has this key twice in one table") as caught:
        yaml.parse("a: 1\nb:\n  c: 1\n  c: 2\n")
    assert (caught.value.line, caught.value.column, caught.value.path) == (4, 3, ("b", "c"))


def test_two_keys_never_have_the_same_list_or_table():
    found = yaml.parse("a: [x]\nb: [x]\nc: {}\nd: {}\ne:\n  - [x]\n")
    tables = [found["a"], found["b"], found["c"], found["d"], found["e"][0]]
    assert len({*map(id, tables)}) == 5


def test_a_document_that_is_deeper_than_libyaml_may_read_is_not_plain():
    for levels in (plain_yaml.MOST_LEVELS - 1, plain_yaml.MOST_LEVELS + 1, MAX_DEPTH, MAX_DEPTH + 1):
        text = "".join(f"{'  ' * level}a:\n" for level in range(levels)) + "  " * levels + "a: [x]"
        assert is_plain(text) is (levels < plain_yaml.MOST_LEVELS)
    assert plain_yaml.MOST_LEVELS + 1 < MAX_DEPTH


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_key_that_is_too_long_for_a_key_is_not_plain(quote):
    short, long = quote + "k" * 900 + quote, quote + "k" * 1001 + quote
    assert is_plain(f"{short}: 1")
    assert not is_plain(f"{long}: 1")


@pytest.mark.parametrize(
    "long",
    [
        "w" * 3000,
        "w " * 1500 + "w",
        f"'{'q' * 3000}'",
        f"[{'a, ' * 1500}a]",
        "{" + ", ".join(f"k{n}: v" for n in range(900)) + "}",
    ],
)
def test_a_value_may_be_longer_than_a_key(long):
    for text in (f"a: {long}", f"a:\n- {long}\n- b", f"a:\n- b: {long}\n  c: 1"):
        assert is_plain(text)


def test_a_text_of_a_megabyte_takes_no_longer_because_its_end_does_not_fit():
    """Backtracking would take hours: each of these lines fits up to its last character."""
    for head, piece, tail in [
        ("a: ", "b ", "\t"),
        ("a: [", "b, ", "{]"),
        ("a: '", "b", "\t'"),
        ("", "k", " :"),
        ("a: #", "x", "\x01"),
    ]:
        assert not is_plain_at_all(head + piece * (1_000_000 // len(piece)) + tail)


def is_plain_at_all(text: str) -> bool:
    return plain_yaml.parse(text) is not NOT_PLAIN


def test_a_plain_document_costs_six_calls_a_line_at_most():
    text = "backends:\n" + "".join(f"  b{n}:\n    host: h{n}\n    port: {n}\n    on_off: yes\n" for n in range(500))
    assert calls(lambda: plain_yaml.parse(text)) < 6 * text.count("\n")
