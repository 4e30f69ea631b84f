"""The quick path for plain TOML: what tomllib makes of the same text, or `NOT_PLAIN`.

The documents are the same in every run; `FUZZ=1000000 pytest tests/unit/config/sources/formats/test_plain_toml.py`
takes so many others.
"""

from __future__ import annotations

from typing import Any

import pytest

from confcast.config.sources.formats import plain_toml, toml
from confcast.config.sources.formats.common import Unparsable
from confcast.config.sources.formats.plain import NOT_PLAIN
from tests.unit.config.sources.formats.test_plain_yaml import DOCUMENTS, FIRST, same
from tests.unit.config.sources.formats.toml_documents import document


def by_tomllib(text: str) -> Any:
    """What toml.py makes of a text without the quick path; the error, where it refuses the text."""
    try:
        return toml.parse_any(text)
    except Unparsable as error:
        return error


def is_plain(text: str) -> bool:
    """Whether the quick path takes a text; then it has to give what tomllib gives."""
    found = plain_toml.parse(text)
    if found is NOT_PLAIN:
        return False
    expected = by_tomllib(text)
    assert same(found, expected), (text, found, expected)
    return True


@pytest.mark.timeout(60 + DOCUMENTS // 200)
def test_a_document_by_chance_is_the_same_in_both_ways_or_not_plain():
    plain = sum(is_plain(document(FIRST + seed)) for seed in range(DOCUMENTS))
    assert plain > DOCUMENTS / 5, f"{plain} of {DOCUMENTS}: too few to prove anything"


PLAIN = """\
# a comment with x = y
version = "2.0"
raw = 'a\\b'  # behind

[memory]
total = 4096
ratio = -0.5
"quoted key" = true
[servers.alpha]
tags = [ "a", 'b, c', 1.5, false ]
none = []
\t[servers.beta]
\thost = "Größe"
[[listed]]
n = 1
[listed.inner]
deep = true
[[listed.items]]
q = 1
[[listed.items]]
q = 2
[[listed]]
n = 2
[listed.inner]
deep = false
"""


def test_a_plain_document_is_read_without_tomllib(monkeypatch):
    expected = by_tomllib(PLAIN)
    monkeypatch.setattr("tomllib.loads", None)
    assert same(toml.parse(PLAIN), expected)
    assert same(toml.parse(PLAIN.replace("\n", "\r\n")), expected)


@pytest.mark.parametrize(
    "text",
    [
        *("", "# nothing", "a", "a =", "= 1", "a = 1\na = 2", "a.b = 1", "a = b", "a = {}", "a = {b = 1}", "a = [[1]]"),
        *("a = 01", "a = 1_0", "a = 0x1", "a = 1e3", "a = +1", "a = inf", "a = 1979-05-27", "a = 07:32:00", "a = True"),
        *("a = " + "9" * 19, 'a = "\\n"', 'a = """b"""', "a = '''b'''", 'a = "b', "a = 'b'c", "a = [1,]"),
        *("a = [1,\n2]",),
        *("a = 1\r", "a = 1 # \x01", "a = '\x7f'", "a = 1 b", "a b = 1", "é = 1", "\ufeffa = 1", "a\u2028= 1"),
        *("a = 1\x85",),
        *("[a]\n[a]", "[a.b]\n[a]", "[a]\n[[a]]", "[[a]]\n[a]", "a = 1\n[a]", "a = 1\n[a.b]", "a = []\n[[a]]"),
        *("a = []\n[a.b]",),
        *("[a]\nb = 1\n[a.b]", "[a.b]\n[a]\nb = 1", "[a.b]\nc = 1\n[[a.b]]", "[[a.b]]\n[a]\nb = 1", "[ a ]"),
        *("[a . b]", "[a]]"),
        *("[[a]\n]", "[]", "[[]]", "[a.]", "[" + ".".join("a" * 30) + "]\nb = 1", "[[a]]\nb = [1]\n[[a.b]]", "[a] b"),
    ],
)
def test_what_may_be_anything_else_is_left_to_tomllib(text):
    assert plain_toml.parse(text) is NOT_PLAIN


def test_of_an_unplain_document_tomllib_says_what_it_said():
    with pytest.raises(Unparsable, match=r"is no valid TOML: Cannot overwrite a value") as caught:
        toml.parse("a = 1\nb = 2\na = 2")
    assert (caught.value.line, caught.value.column) == (3, 6)


def test_two_keys_never_have_the_same_list():
    found = toml.parse("a = [1]\nb = [1]\n")
    assert found["a"] == found["b"]
    assert found["a"] is not found["b"]


def test_a_text_of_a_megabyte_takes_no_longer_because_its_end_does_not_fit():
    """Backtracking would take hours: each of these lines fits up to its last character."""
    for head, piece, tail in [
        ("a = [", "1, ", "{]"),
        ("a = '", "b", "\x00'"),
        ("", "k", " x"),
        ("[", "a.", ".]"),
        ("#", "x", "\x01"),
    ]:
        assert plain_toml.parse(head + piece * (1_000_000 // len(piece)) + tail) is NOT_PLAIN
