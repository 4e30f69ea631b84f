"""What people write that a format reads otherwise, or not at all: the error says where, what happened, what to do."""

from __future__ import annotations

import codecs
import dataclasses
import datetime as dt
import enum
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from pydantic import BaseModel, SecretStr

from confcast import ConfigError, ConfigLoader, Environment, Secret

pytestmark = pytest.mark.usefixtures("here")


class Letter(enum.Enum):
    YES = "yes"
    NO = "no"


class Model(BaseModel):
    text: str = ""
    maybe: str | None = None
    secret: SecretStr = SecretStr("")
    letter: Letter = Letter.YES
    choice: Literal["on", "off"] = "on"
    texts: list[str] = []
    labels: dict[str, str] = {}
    number: int = 1
    day: dt.date = dt.date(2024, 1, 1)
    either: str | int = ""
    anything: Any = None


@dataclasses.dataclass
class Data:
    text: str = ""
    maybe: str | None = None
    secret: Annotated[str, Secret] = ""
    texts: list[str] = dataclasses.field(default_factory=list)
    labels: dict[str, str] = dataclasses.field(default_factory=dict)


class Record(msgspec.Struct):
    text: str = ""
    maybe: str | None = None
    secret: Annotated[str, Secret] = ""
    texts: list[str] = []
    labels: dict[str, str] = {}


SCHEMAS = pytest.mark.parametrize("schema", [Model, Data, Record])


def problems(name: str, content: str | bytes, schema: Any = Model) -> list[str]:
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(schema, name).load()
    return [str(problem) for problem in caught.value.problems]


def problem(name: str, content: str | bytes, schema: Any = Model) -> str:
    (told,) = problems(name, content, schema)
    return told


# ---- YAML 1.1 reads texts as something else


BOOLEAN = "YAML reads yes, no, on, off, true and false as booleans"
QUOTE = "put it in quotes if it is meant as text"


@SCHEMAS
@pytest.mark.parametrize(
    ("written", "got", "why"),
    [
        ("no", "false", BOOLEAN),
        ("On", "true", BOOLEAN),
        ("true", "true", BOOLEAN),
        ("010", "8", "YAML reads digits after a leading 0 as an octal number"),
        ("12:30", "750", "YAML reads digits with colons as a number in base 60"),
        ("12:30.5", "750.5", "YAML reads digits with colons as a number in base 60"),
        ("1.10", "1.1", "YAML reads it as a number"),
        ("1_000", "1000", "YAML reads it as a number"),
        ("0x1f", "31", "YAML reads it as a number"),
        ("2024-01-02", "2024-01-02", "YAML reads it as a date"),
    ],
)
def test_a_value_that_yaml_does_not_read_as_text_is_explained_where_text_belongs(schema, written, got, why):
    told = problem("app.yaml", f"# above\ntext: {written}\n", schema)
    assert told.startswith("app.yaml:2:7: text: ")
    assert told.endswith(f"(got {got}; {why}: {QUOTE})")
    told = problem("app.yaml", f"texts: [a, {written}]", schema)
    assert told.startswith("app.yaml:1:12: texts.1: ")
    assert told.endswith(f"(got {got}; {why}: {QUOTE})")
    Path("app.yaml").write_text(f"text: '{written}'\n")
    assert ConfigLoader(schema, "app.yaml").load().config.text == written


@SCHEMAS
def test_an_empty_value_is_explained_where_text_belongs(schema):
    told = problem("app.yaml", "text:\n", schema)
    assert told.endswith(f"(got null; YAML reads ~ and an empty value as null: {QUOTE})")
    Path("app.yaml").write_text("maybe:\n")
    assert ConfigLoader(schema, "app.yaml").load().config.maybe is None


@SCHEMAS
def test_the_explanation_shows_no_secret(schema):
    told = problem("app.yaml", "secret: 0123", schema)
    assert told.endswith(f"(YAML reads digits after a leading 0 as an octal number: {QUOTE})")
    assert "0123" not in told
    assert "83" not in told


@pytest.mark.parametrize(("text", "got"), [("letter: no", "false"), ("choice: off", "false")])
def test_a_choice_of_words_is_explained_too(text, got):
    assert problem("app.yaml", text).endswith(f"(got {got}; {BOOLEAN}: {QUOTE})")


@pytest.mark.parametrize(
    "text", ["number: [1]", "number: 2024-01-02", "day: yes", "texts: no", "labels: no", "text: [a]", "text: !!int '5'"]
)
def test_what_would_be_wrong_in_quotes_as_well_is_not_explained(text):
    assert "quotes" not in problem("app.yaml", text)


@pytest.mark.parametrize(("name", "text"), [("app.toml", "text = 8"), ("app.json", '{"text": 8}')])
def test_other_formats_read_what_is_written(name, text):
    assert problem(name, text).endswith("text: Input should be a valid string (got 8)")


def test_a_value_of_another_source_is_not_explained_by_the_file_it_overrides(monkeypatch):
    Path("low.yaml").write_text("text: no\n")
    Path("high.toml").write_text("text = false\n")
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Model, "low.yaml", "high.toml").load()
    (told,) = caught.value.problems
    assert str(told) == "high.toml:1:8: text: Input should be a valid string (got false)"


@SCHEMAS
def test_a_key_that_yaml_does_not_read_as_text_is_placed_and_explained(schema):
    why = "(YAML reads yes, no, on and off as booleans): put it in quotes"
    assert f"app.yaml:2:3: labels.false: the key is no text but false {why}" in problems(
        "app.yaml", "labels:\n  no: Norway\n", schema
    )
    assert f"app.yaml:1:1: true: the key is no text but true {why}" in problems("app.yaml", "on: x\n", schema)


@pytest.mark.parametrize("schema", [Model, Data])
def test_a_number_for_a_key_is_placed_at_the_key(schema):
    told = problem("app.yaml", "labels:\n  a: b\n  404: x\n", schema)
    assert told == "app.yaml:3:3: labels.404: the key is no text but 404: put it in quotes"


# ---- YAML: tags, anchors, what is none


@pytest.mark.parametrize(
    "tag", ["!!python/object/apply:os.system", "!!python/name:os.system", "!own", "!!set", "!!omap"]
)
@pytest.mark.parametrize("form", ["text: {tag} [x]", "{tag} {{text: x}}", "? {tag} x\n: y", "texts: [a, {tag} x]"])
def test_a_tag_is_refused_wherever_it_stands(tag, form):
    told = problem("app.yaml", form.format(tag=tag))
    assert "has a tag that is not one of YAML's plain types" in told
    line, column = map(int, told.split(":")[1:3])
    assert (line, form.format(tag=tag).splitlines()[0].index("!") + 1) == (1, column)


def test_anchors_may_stand_at_keys_and_aliases_for_them():
    Path("app.yaml").write_text("&key text: one\nanything: {*key : two, other: *key}\n")
    config = ConfigLoader(Model, "app.yaml").load().config
    assert (config.text, config.anything) == ("one", {"text": "two", "other": "text"})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("&key text: one\n*key : two\n", "app.yaml:1:1: text: has this key twice in one table"),
        ("anything: &a {x: 1}\n*a : y\n", "app.yaml:1:11: has a table or a list for a key"),
        ("anything: &a\n  *a : 1\n", "app.yaml:1:11: has a table or a list for a key"),
        ("text: *nowhere\n", "app.yaml:1:7: is no valid YAML: found undefined alias"),
        ('text: "\\ud800"', "app.yaml:1:10: is no valid YAML: found invalid Unicode character escape code"),
    ],
)  # fmt: skip
def test_what_yaml_can_not_be_made_of_is_refused_with_its_place(text, told):
    assert problem("app.yaml", text) == told


@pytest.mark.parametrize(
    ("written", "kind"),
    [
        ("!!timestamp yesterday", "timestamp"),
        ("1" + ":1" * 300 + ".0", "float"),
        ("!!bool maybe", "bool"),
        ("!!int ''", "int"),
        ("!!binary 'x'", "binary"),
        ("!!binary ü", "binary"),
    ],
)
def test_what_is_not_of_the_type_that_it_says_is_refused_with_its_place(written, kind):
    told = f"app.yaml:1:7: text: is no valid YAML: not a valid {kind}; quote it if it is text"
    assert problem("app.yaml", f"text: {written}") == told


# ---- JSON

TRAILING_COMMA = (
    f"app.json:1:{13 if sys.version_info >= (3, 13) else 14}: is no valid JSON: JSON has no comma behind the last item:"
    ' take it away, or give format="jsonc"'
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"text": "a",\n "text": "b"}', "app.json:2:2: text: has this key twice in one table"),
        ('{"anything": [{"a": 1, "\\u0061": 2}]}', "app.json:1:24: anything.0.a: has this key twice in one table"),
        ('{"number": NaN}', "app.json:1:12: is no valid JSON: JSON has no NaN"),
        ('{"number": Infinity}', "app.json:1:12: is no valid JSON: JSON has no Infinity"),
        ('{"anything": [1, -Infinity]}', "app.json:1:18: is no valid JSON: JSON has no -Infinity"),
        ('{"anything": "\\ud83d"}', "app.json:1:14: is no valid JSON: a \\u escape gives half a character only"),
        ('{"\\uDE00": 1}', "app.json:1:2: is no valid JSON: a \\u escape gives half a character only"),
        ('{"text": "a",}', TRAILING_COMMA),
        ("{'text': 'a'}", "app.json:1:2: is no valid JSON: Expecting property name enclosed in double quotes"),
    ],
)  # fmt: skip
def test_what_the_standard_library_lets_pass_is_refused_with_its_place(text, told):
    assert problem("app.json", text) == told


def test_both_halves_of_a_character_are_one():
    Path("app.json").write_text('{"text": "\\ud83d\\ude00 \\\\ud83d"}')
    assert ConfigLoader(Model, "app.json").load().config.text == "😀 \\ud83d"


@pytest.mark.parametrize(
    ("name", "text"), [("app.json", '{"text": "é"}'), ("app.toml", 'text = "é"'), ("app.yaml", "text: é")]
)
def test_a_byte_order_mark_is_accepted_in_every_format_and_others_are_named(name, text):
    Path(name).write_bytes(codecs.BOM_UTF8 + text.encode())
    assert ConfigLoader(Model, name).load().config.text == "é"
    for encoding in ("UTF-16-LE", "UTF-16-BE", "UTF-32-LE", "UTF-32-BE"):
        told = f"{name}: is {encoding[:6]}, as its byte order mark says: save it as UTF-8"
        assert problem(name, f"\ufeff{text}".encode(encoding)) == told
        assert problem(name, text.encode(encoding)).startswith(f"{name}:1:")


def test_a_broken_character_behind_a_byte_order_mark_has_its_own_place():
    told = problem("app.toml", codecs.BOM_UTF8 + "text = 'ééé".encode() + b"\xff'\n")
    assert told == "app.toml:1:12: is not UTF-8: save it as UTF-8"
    assert problem("app.toml", codecs.BOM_UTF8[:2]) == "app.toml:1:1: is not UTF-8: save it as UTF-8"


# ---- TOML


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a.b = 1\na = 2", "2:6: is no valid TOML: Cannot overwrite a value"),
        ("a = 1\na.b = 2", "2:8: is no valid TOML: Cannot overwrite a value"),
        ("a = {b = 1}\na.c = 2", "2:8: is no valid TOML: Cannot mutate immutable namespace (this key)"),
        ("a = {b = 1}\n[a.c]", "2:5: is no valid TOML: Cannot declare (this key) twice"),
        ("a = {b = {c = 1}, b.d = 2}", "1:26: is no valid TOML: Cannot mutate immutable namespace (this key)"),
        ("a = []\n[[a]]", "2:4: is no valid TOML: Cannot mutate immutable namespace (this key)"),
        ("a = [{b = 1}]\n[a.c]", "2:5: is no valid TOML: Cannot declare (this key) twice"),
        ("[a]\n[a]", "2:3: is no valid TOML: Cannot declare (this key) twice"),
        ("[a]\n[[a]]", "2:4: is no valid TOML: Cannot overwrite a value"),
        ("[[a]]\n[a]", "2:3: is no valid TOML: Cannot declare (this key) twice"),
        ("[a]\nb.c = 1\n[a.b]", "3:5: is no valid TOML: Cannot declare (this key) twice"),
        ("[a.'x y']\n[a.\"x y\"]", "2:9: is no valid TOML: Cannot declare (this key) twice"),
    ],
)
def test_tables_that_are_defined_in_two_ways_are_refused_with_their_place(text, told):
    assert problem("app.toml", text) == f"app.toml:{told}"


def test_tables_may_be_written_in_all_ways_side_by_side():
    class Open(BaseModel, extra="allow"):
        pass

    Path("app.toml").write_text(
        "a.b.c = 1\na.d = {e.f = 2, g = [{h = 3}]}\n[a.b2]\nx = 4\n"
        "[[k]]\nl.m = 5\n[[k.n]]\no = 6\n[k.p]\nq = 7\n[[k]]\n"
    )
    candidate = ConfigLoader(Open, "app.toml").load()
    assert candidate.config.model_extra == {
        "a": {"b": {"c": 1}, "d": {"e": {"f": 2}, "g": [{"h": 3}]}, "b2": {"x": 4}},
        "k": [{"l": {"m": 5}, "n": [{"o": 6}], "p": {"q": 7}}, {}],
    }
    places = {
        "a.b.c": "1:9", "a.d.e.f": "2:14", "a.d.g.0.h": "2:27", "a.b2.x": "4:5",
        "k.0.l.m": "6:7", "k.0.n.0.o": "8:5", "k.0.p.q": "10:5",
    }  # fmt: skip
    assert {key: candidate.origin_of(key) for key in places} == {key: f"app.toml:{at}" for key, at in places.items()}


# ---- keys that are no identifiers


KEYS = ["a-b", "a.b", "a b", "", "é-ü", "日本", "a\nb", 'a"b', "class", "__init__", "0", "😀"]


def written(keys: list[str], form: str) -> str:
    pairs = {key: f"value of {key}" for key in keys}
    if form == "toml":
        return "".join(
            f"{msgspec.json.encode(key).decode()} = {msgspec.json.encode(pairs[key]).decode()}\n" for key in keys
        )
    return msgspec.json.format(msgspec.json.encode(pairs), indent=1).decode()  # YAML reads it as well


@SCHEMAS
@pytest.mark.parametrize("form", ["toml", "json", "yaml"])
def test_keys_of_free_tables_may_be_anything(schema, form):
    name = f"app.{form}"
    text = written(KEYS, form)
    Path(name).write_text(f"[labels]\n{text}" if form == "toml" else f'{{"labels": {text}}}')
    candidate = ConfigLoader(schema, name).load()
    assert candidate.config.labels == {key: f"value of {key}" for key in KEYS}
    assert candidate.origin_of("labels.a-b").startswith(f"{name}:2:")


@SCHEMAS
@pytest.mark.parametrize("form", ["toml", "json", "yaml"])
def test_an_unknown_key_that_is_no_identifier_is_reported_so_that_it_can_be_found(schema, form):
    name = f"app.{form}"
    told = problems(name, written(KEYS, form), schema)
    first = 1 if form == "toml" else 2
    column = 1 if form == "toml" else 2
    shown = ["a-b", '"a.b"', '"a b"', '""', "é-ü", "日本", '"a\\nb"', '"a\\"b"', "class", "__init__", "0", "😀"]
    assert [line.partition(": unknown key")[0] for line in told] == [
        f"{name}:{first + index}:{column}: {key}" for index, key in enumerate(shown)
    ]


def test_numbers_and_dates_may_be_keys_where_the_schema_says_so():
    class Codes(BaseModel):
        codes: dict[int, str]
        days: dict[dt.date, int]

    Path("app.yaml").write_text("codes: {404: missing, 0x10: x}\ndays:\n  2024-01-02: 3\n")
    candidate = ConfigLoader(Codes, "app.yaml").load()
    assert candidate.config.codes == {404: "missing", 16: "x"}
    assert candidate.config.days == {dt.date(2024, 1, 2): 3}
    assert candidate.origin_of("codes.404") == "app.yaml:1:14"
    assert problem("app.yaml", "codes: {404: [1]}\ndays: {}", Codes).startswith("app.yaml:1:14: codes.404: ")


# ---- names that are no text


@pytest.mark.parametrize("schema", [Model, Data, Record])
def test_a_problem_with_a_name_that_is_no_utf_8_can_be_sent_and_printed(schema, monkeypatch):
    monkeypatch.setitem(os.environb, b"ODD_\xff", b"x")
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(schema, Environment("ODD_")).load()
    (told,) = caught.value.problems
    assert told.location == "environment variable ODD_\\udcff"
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(told), type=type(told)) == told


def test_a_value_that_is_no_utf_8_is_what_the_system_gave_and_a_problem_with_it_can_be_sent(monkeypatch):
    monkeypatch.setitem(os.environb, b"ODD_TEXT", b"/srv/\xff")
    assert os.fsencode(ConfigLoader(Model, Environment("ODD_")).load().config.text) == b"/srv/\xff"
    monkeypatch.setitem(os.environb, b"ODD_NUMBER", b"\xff")
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Model, Environment("ODD_")).load()
    (told,) = caught.value.problems
    assert (told.location, told.key) == ("environment variable ODD_NUMBER", "number")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(told), type=type(told)) == told
