"""INI: what configparser makes of a text, the place of each part of it, and words for what configparser refuses.

The documents are the same in every run; `FUZZ=1000000 pytest tests/unit/config/sources/formats/test_ini.py` takes so
many others.
"""

from __future__ import annotations

import configparser
import io
import os
import random
import time
from typing import Any

import pytest

from confcast.config.schema.key_path import value_at
from confcast.config.sources.formats import ini
from confcast.config.sources.formats.common import MAX_DEPTH, Unparsable
from confcast.config.sources.formats.ini import Reader
from confcast.config.sources.formats.ini_interpolation import MOST_WORK, Text
from tests.support.calls import calls
from tests.unit.config.sources.formats.ini_documents import document

DOCUMENTS = int(os.environ.get("FUZZ", "1500"))
FIRST = random.SystemRandom().randrange(2**60) if "FUZZ" in os.environ else 0


def by_configparser(text: str, *, interpolate: bool) -> Any:
    """What configparser makes of a file with this text; its error, where it refuses the text."""
    parser: configparser.RawConfigParser = (
        configparser.ConfigParser if interpolate else configparser.RawConfigParser
    )()
    try:
        parser.read_file(io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8"))
        return {name: dict(parser.items(name)) for name in parser.sections()}
    except configparser.Error as error:
        return error


def by_us(text: str, reader: Reader) -> Any:
    try:
        return reader.parse(text)
    except Unparsable as error:
        return error


def check_places(text: str, reader: Reader, found: dict[str, Any]) -> None:
    """Each section, key and value that was found stands where `locate` says."""
    lines = text.replace("\r\n", "\n").split("\n")
    spots = reader.locate(text)
    for name, table in found.items():
        line, column = spots[(name,)].key
        assert lines[line - 1][column - 1 :].startswith(f"[{name}]")
        for key, value in table.items():
            (line, column), (value_line, value_column) = spots[name, key]
            assert lines[line - 1][column - 1 :].lower().startswith(key)
            first = value.lstrip().split("\n")[0]
            assert lines[value_line - 1][value_column - 1 :].startswith(first), (text, name, key)


# ---- documents by chance


@pytest.mark.timeout(60 + DOCUMENTS // 500)
def test_a_document_by_chance_is_what_configparser_makes_of_it():
    accepted = 0
    for seed in range(DOCUMENTS):
        text = document(FIRST + seed)
        expected, found = by_configparser(text, interpolate=False), by_us(text, Reader())
        assert isinstance(found, Unparsable) is isinstance(expected, configparser.Error), text
        if isinstance(found, Unparsable):
            assert "\n" not in found.message
            assert found.line == 0 or found.column > 0
            continue
        assert (found or {}) == expected, text
        assert list(found or {}) == list(expected), text
        check_places(text, Reader(), found or {})
        accepted += 1
    assert accepted > DOCUMENTS / 2, f"{accepted} of {DOCUMENTS}: too few to prove anything"


@pytest.mark.timeout(60 + DOCUMENTS // 500)
def test_so_it_is_with_interpolation():
    accepted = resolved = 0
    for seed in range(DOCUMENTS):
        text = document(FIRST + seed)
        expected, found = by_configparser(text, interpolate=True), by_us(text, Reader(interpolate=True))
        faults = [] if not isinstance(found, dict) else [each for each in texts(found) if each.fault]
        assert (isinstance(found, Unparsable) or bool(faults)) is isinstance(expected, configparser.Error), text
        if isinstance(expected, dict):
            assert (found or {}) == expected, text
            accepted += 1
            resolved += any(each.made_of for each in texts(found or {}))
    assert accepted > DOCUMENTS / 4, f"{accepted} of {DOCUMENTS}: too few to prove anything"
    assert resolved > DOCUMENTS / 50, f"{resolved} of {DOCUMENTS}: too few to prove anything"


def texts(found: dict[str, dict[str, str]]) -> list[Text]:
    return [value for table in found.values() for value in table.values() if isinstance(value, Text)]


# ---- places


def test_keys_and_values_are_found_however_they_are_written():
    text = (
        "# comment\n"
        "[general]\n"
        "dbpath = /tmp/x\n"
        "Max-Age:15m\n"
        "  odd = part of the value above\n"
        "host =\n"
        "    # comment\n"
        "\n"
        "    http://a\n"
        "    http://b\n"
        "a b\t=\t x = y : z\n"
        "empty =\n"
        "  [indented]\n"
        "\ttab=1\n"
        "last=2"
    )
    spots = Reader().locate(text)
    assert {path[-1]: (*spot.key, *spot.value) for path, spot in spots.items()} == {
        "general": (2, 1, 2, 1),
        "dbpath": (3, 1, 3, 10),
        "max-age": (4, 1, 4, 9),
        "host": (6, 1, 9, 5),
        "a b": (11, 1, 11, 8),
        "empty": (12, 1, 13, 3),
        "last": (15, 1, 15, 6),
    }


def test_an_empty_value_is_behind_its_delimiter():
    assert Reader().locate("[a]\nx = \ny=1")["a", "x"].value == (2, 5)


def test_an_indented_section_and_keys_of_one_indent_are_no_continuation():
    spots = Reader().locate("  [a]\n  x = 1\n  y = 2\n")
    assert (spots[("a",)].key, spots["a", "y"].key, spots["a", "y"].value) == ((1, 3), (3, 3), (3, 7))


def test_line_breaks_of_windows_and_of_old_macs_count_as_one():
    for text in ("[a]\r\nx = 1\r\ny = 2\r\n", "[a]\rx = 1\ry = 2\r"):
        assert Reader().parse(text) == {"a": {"x": "1", "y": "2"}}
        assert Reader().locate(text)["a", "y"].value == (3, 5)


def test_a_byte_order_mark_is_taken_off_by_the_file():
    with pytest.raises(Unparsable, match="has no \\[section\\]"):
        Reader().parse("\ufeff[a]\nx=1\n")


# ---- [DEFAULT]


def test_each_section_has_what_stands_in_default_and_its_place_is_there():
    text = "[DEFAULT]\nx = 1\ny = 2\n[a]\ny = 3\n[b]\n"
    found = Reader().parse(text)
    assert found == {"a": {"x": "1", "y": "3"}, "b": {"x": "1", "y": "2"}}
    assert [value.inherited for value in texts(found)] == [True, True, True]
    assert Reader().locate(text)["a", "x"].value == (2, 5)
    assert Reader().locate(text)["a", "y"].value == (5, 5)


def test_default_alone_is_no_document_unless_it_is_asked_for():
    assert Reader().parse("[DEFAULT]\nx = 1\n") is None
    assert Reader(table=("DEFAULT",)).parse("[DEFAULT]\nx = 1\n") == {"DEFAULT": {"x": "1"}}
    assert not texts(Reader(table=("DEFAULT",)).parse("[DEFAULT]\nx = 1\n") or {})


# ---- tables in tables


def test_a_dot_or_a_colon_leads_to_a_table_in_a_table():
    text = "[a.b]\nx = 1\n[a]\ny = 2\n[a:c.d]\nz = 3\n"
    assert Reader(nested=True).parse(text) == {"a": {"b": {"x": "1"}, "y": "2", "c": {"d": {"z": "3"}}}}
    spots = Reader(nested=True).locate(text)
    assert value_at(Reader(nested=True).parse(text), ("a", "c", "d", "z")) == "3"
    assert (spots["a", "b"].key, spots["a", "c", "d", "z"].value, spots["a", "c"].key) == ((1, 1), (6, 5), (5, 1))
    assert Reader().parse(text) == {"a.b": {"x": "1"}, "a": {"y": "2"}, "a:c.d": {"z": "3"}}


@pytest.mark.parametrize(
    ("text", "says", "place"),
    [
        ("[a]\nb = 1\n[a.b]\nx = 1\n", "is a table here and a key elsewhere", (3, 1)),
        ("[a.b]\nx = 1\n[a]\nb = 1\n", "is a table here and a key elsewhere", (4, 1)),
        ("[a.b]\nx = 1\n[a:b]\nX = 1\n", "has this key twice", (4, 1)),
        (f"[{'.'.join('a' * (MAX_DEPTH + 1))}]\n", "is nested more than", (1, 1)),
    ],
)
def test_tables_that_exclude_each_other_are_refused(text, says, place):
    with pytest.raises(Unparsable, match=says) as caught:
        Reader(nested=True).parse(text)
    assert (caught.value.line, caught.value.column) == place


def test_a_table_takes_the_place_of_what_a_section_only_inherits():
    found = Reader(nested=True).parse("[DEFAULT]\nb = 1\n[a]\n[a.b]\nx = 1\n[c.b]\n[c]\n")
    assert found == {"a": {"b": {"b": "1", "x": "1"}}, "c": {"b": {"b": "1"}}}


# ---- what is refused


@pytest.mark.parametrize(
    ("text", "says", "place"),
    [
        ("x = 1\n", "has no [section] above this line: each key belongs to one", (1, 1)),
        ("\n  x = 1\n[a]\n", "has no [section] above this line: each key belongs to one", (2, 3)),
        ("[a]\nx = 1\n X = 2\nx = 3\n", "has this key twice in one section", (4, 1)),
        ("[a]\n[b]\n[a]\n", "has this section twice", (3, 1)),
        ("[a]\nx\n", "is no valid INI: a line has to be [section], key = value, or a comment", (2, 1)),
        ("[a]\n  = 5\n", "is no valid INI: a line has to be [section], key = value, or a comment", (2, 3)),
        ("[a]\nx\ny\nz\n", "(also line 3, 4)", (2, 1)),
        ("[a]\nx" + " " * 300 + "y\n", "has more than 250 blanks before any = or :", (2, 2)),
    ],
)
def test_it_is_refused_with_the_place_and_without_a_word_of_the_text(text, says, place):
    with pytest.raises(Unparsable) as caught:
        Reader().parse(text)
    assert says in caught.value.message
    assert (caught.value.line, caught.value.column) == place


def test_the_key_that_is_there_twice_is_named_by_its_path():
    with pytest.raises(Unparsable) as caught:
        Reader().parse("[a]\nx = 1\nx = 2\n")
    assert caught.value.path == ("a", "x")


def test_blanks_behind_a_delimiter_or_in_a_comment_are_nobody_s_business():
    text = f"[a]\n# x{' ' * 500}y\nx = 1{' ' * 500}2\n"
    assert Reader().parse(text) == {"a": {"x": f"1{' ' * 500}2"}}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[a]\nx = %(y)s\n", "refers by %(…)s to a key that neither its section nor [DEFAULT] has"),
        ("[a]\nx = %(x)s\n", "refers to itself by %(…)s, or through more than 10 keys"),
        ("[a]\nx = 100%\n", "has a % that begins no %(name)s: write %% for a percent sign"),
        ("[a]\nx = %(y\n", "has a % that begins no %(name)s: write %% for a percent sign"),
    ],
)
def test_a_reference_that_leads_nowhere_is_refused_at_its_value(text, says):
    with pytest.raises(Unparsable) as caught:
        Reader(interpolate=True).parse(text)
    assert caught.value.message == says
    assert (caught.value.line, caught.value.column, caught.value.path) == (2, 5, ("a", "x"))


def test_an_inherited_reference_that_leads_nowhere_is_left_to_the_section():
    found = Reader(interpolate=True).parse("[DEFAULT]\nlog = %(name)s.log\n[a]\nname = x\n[b]\n")
    assert found is not None
    assert found["a"]["log"] == "x.log"
    assert found["b"]["log"].fault.startswith("refers by %(…)s to a key")


def test_a_value_knows_what_it_was_made_of():
    found = Reader(interpolate=True).parse(
        "[a]\nuser = u\npassword = p\nlogin = %(user)s:%(password)s\nurl = x%(LOGIN)s\n"
    )
    assert found is not None
    assert {key: set(value.made_of) for key, value in found["a"].items() if isinstance(value, Text)} == {
        "login": {"user", "password"},
        "url": {"login", "user", "password"},
    }


# ---- what would take for ever


def laughs(each: str) -> str:
    lines = [f"x{depth} = {each.format(depth + 1) * 10}" for depth in range(7)]
    return "\n".join(["[a]", *lines, "x7 = ha", ""])


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(laughs("%(x{})s"), id="ten of ten of ten"),
        pytest.param(laughs("%(x{})s").replace("ha", ""), id="nothing, so often"),
        pytest.param("[a]\nx = " + "%%" * (MOST_WORK // 20_000), id="percent signs"),
        pytest.param("[a]\nx = " + "%(" * 150_000, id="references without an end"),
        pytest.param("[a]\nx = " + "y" * 4_000_000 + "\n" + "".join(f"x{n} = %(x)s\n" for n in range(9)), id="copies"),
    ],
)
def test_a_small_text_that_stands_for_much_is_refused_at_once(text):
    with pytest.raises(Unparsable, match="stands for too much text"):
        Reader(interpolate=True).parse(text)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("line", ["word", "  word", "[word", "[]", "\tword\n  words"], ids=repr)
def test_many_lines_that_are_none_are_refused_by_the_first_of_them(line):
    """Configparser takes the square of their number."""
    began = time.process_time()
    with pytest.raises(Unparsable, match=r"is no valid INI: a line has to be .* \(also line .*, …\)") as refused:
        Reader().parse("[a]\n" + f"{line}\n" * 80_000)
    assert refused.value.line == 2
    assert time.process_time() - began < 1.0


def test_a_value_of_many_lines_that_have_no_delimiter_is_one():
    found = Reader().parse("[a]\nkey =\n" + "  word\n" * 500 + "other = 1\n[b]\nx = 2\n")
    assert found == {"a": {"key": "\nword" * 500, "other": "1"}, "b": {"x": "2"}}


def _is_no_later_fault(found: object) -> bool:
    """Whether it is a document, or is refused by its first line that is none."""
    return not isinstance(found, tuple) or found[2].startswith("is no valid INI")


def test_a_text_is_read_alike_where_wrong_lines_are_counted(monkeypatch):
    def outcome(text: str) -> object:
        try:
            return Reader().parse(text)
        except Unparsable as error:
            return error.line, error.column, error.message.partition(" (also")[0]

    usual = {text: found for text in map(document, range(400)) if _is_no_later_fault(found := outcome(text))}
    assert len(usual) > 300
    monkeypatch.setattr(ini, "_MOST_WRONG", 0)
    assert {text: outcome(text) for text in usual} == usual


@pytest.mark.timeout(30)
def test_blanks_in_a_line_without_a_delimiter_don_t_take_for_ever():
    with pytest.raises(Unparsable):
        Reader().parse("[a]\n" + ("x" + " " * 249) * 800 + "x\n")


@pytest.mark.timeout(30)
def test_values_of_default_in_all_sections_have_a_limit():
    keys = "".join(f"k{number} = 1\n" for number in range(1000))
    text = f"[DEFAULT]\n{keys}" + "".join(f"[s{number}]\n" for number in range(101))
    told = r"has 101000 values by \[DEFAULT\] in all sections: more than 100000: write them into the sections that use"
    with pytest.raises(Unparsable, match=told):
        Reader().parse(f"{text}# {'x' * 400_000}\n")


def test_a_small_file_may_stand_for_fewer_of_them():
    keys = "".join(f"k{number} = 1\n" for number in range(15))
    text = f"[DEFAULT]\n{keys}" + "".join(f"[s{number}]\n" for number in range(1000))
    with pytest.raises(
        Unparsable, match=r"has 15000 values by \[DEFAULT\] in all sections: more than 1[0-9]{4}: write"
    ):
        Reader().parse(text)
    assert len(Reader().parse(f"{text}# {'x' * 20_000}\n")) == 1000
    assert len(Reader(table=("s1",)).parse(text)["s1"]) == 15


def test_a_long_value_of_default_is_one_object_in_all_sections_and_their_characters_have_a_limit():
    text = f"[DEFAULT]\nk = {'x' * 1_000_000}\n" + "".join(f"[s{number}]\n" for number in range(16))
    for reader in (Reader(), Reader(interpolate=True), Reader(nested=True)):
        assert len({id(table["k"]) for table in reader.parse(text).values()}) == 1
        with pytest.raises(
            Unparsable, match=r"by \[DEFAULT\] of 17000000 characters in all sections: more than 16777216"
        ):
            reader.parse(text + "[s16]\n")


def test_references_in_default_are_counted_until_they_are_too_many_and_not_in_each_section():
    text = f"[DEFAULT]\nx =\nk = {'%(x)s' * 3500}\n" + "".join(f"[s{number}]\n" for number in range(800))
    assert calls(lambda: Reader(interpolate=True).parse(text)) < 300_000


@pytest.mark.timeout(30)
def test_many_references_in_one_section_don_t_take_for_ever():
    text = "[a]\nx = 1\n" + "".join(f"k{number} = %(x)s%(k{number // 2})s\n" for number in range(1, 5000)) + "k0 = 0\n"
    found = by_us(text, Reader(interpolate=True))
    assert isinstance(found, Unparsable)  # through more than ten keys
    assert "through more than 10 keys" in found.message


@pytest.mark.timeout(30)
def test_places_of_many_empty_values_don_t_take_for_ever():
    text = "[a]\n" + "".join(f"k{number} =\n" for number in range(20_000))
    assert Reader().locate(text)["a", "k19999"].value == (20_001, 9)


# ---- advice


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("1\n  y = 2", "the lines below are indented"),
        ("80 ; http", "a comment behind a value is part of it"),
        ('"80"', "quotes are part of a value"),
    ],
)
def test_a_value_with_more_in_it_than_was_meant_has_advice(value, says):
    found = Reader().notes(f"[a]\nx = {value}\n[b]\nx = 1\n")
    assert list(found) == [("a", "x")]
    assert says in found["a", "x"].whole


def test_a_section_of_thousands_of_parts_takes_no_square_of_them():
    text = f"[{'a.' * 16_000}a]\nk = %(none)s\n"
    with pytest.raises(Unparsable, match="refers by"):
        Reader(nested=True, interpolate=True).parse(text)
    assert calls(lambda: Reader(nested=True).locate(text)) < 2000
