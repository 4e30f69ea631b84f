"""Messages that say what happened: of two documents, of keys that are no text, of empty sections, of exponents."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import msgspec
import pytest
from pydantic import BaseModel, SecretStr

from confcast import ConfigError, ConfigLoader, Secret
from confcast.config.sources.formats import yaml

pytestmark = pytest.mark.usefixtures("here")


class Section(BaseModel):
    n: int = 0


class Model(BaseModel):
    text: str = ""
    number: float = 0.0
    whole: int = 0
    secret: SecretStr = SecretStr("")
    section: Section = Section()
    labels: dict[str, str] = {}
    names: list[str] = []


class Open(BaseModel, extra="allow"):
    text: str = ""
    inner: dict[str, Section] = {}
    section: Section = Section()


class OpenSection(BaseModel):
    inner: Open = Open()
    days: dict[dt.date, int] = {}
    inners: list[Open] = []


@dataclasses.dataclass
class Data:
    text: str = ""
    number: float = 0.0
    whole: int = 0
    section: Section = dataclasses.field(default_factory=Section)
    labels: dict[str, str] = dataclasses.field(default_factory=dict)
    names: list[str] = dataclasses.field(default_factory=list)


class Part(msgspec.Struct, frozen=True):
    n: int = 0


class Record(msgspec.Struct):
    text: str = ""
    number: float = 0.0
    whole: int = 0
    section: Part = Part()
    labels: dict[str, str] = {}
    names: list[str] = []


SCHEMAS = pytest.mark.parametrize("schema", [Model, Data, Record])


def problems(text: str, schema: Any = Model) -> list[str]:
    Path("a.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(schema, "a.yaml").load()
    return [str(problem) for problem in caught.value.problems]


# ---- what PyYAML says in two halves


@pytest.mark.parametrize("pure", [False, True])
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "text: a\n---\ntext: b\n",
            "2:1: has a second document here (--- begins one): a configuration is one document",
        ),
        ("---\n---\ntext: b\n", "2:1: has a second document here (--- begins one): a configuration is one document"),
        (
            "text: &hunter2 a\nlabels:\n  a: &hunter2 b\n",
            "3:6: has an anchor here that there is already, in line 1, column 7: give each anchor its own name",
        ),
    ],
)
def test_yaml_that_has_two_of_what_may_be_one_is_refused_in_whole_sentences(text, told, pure, monkeypatch):
    if pure:
        monkeypatch.delattr("yaml.CSafeLoader")
    assert problems(text) == [f"a.yaml:{told}"]


# ---- keys that are no text

BOOLEAN = "(YAML reads yes, no, on and off as booleans)"
KEYS = [
    ("on", "true", f"true {BOOLEAN}"),
    ("No", "false", f"false {BOOLEAN}"),
    ("~", "null", "null (YAML reads ~ and an empty key as null)"),
    ("2024-01-02", "2024-01-02", "2024-01-02 (YAML reads it as a date)"),
    ("404", "404", "404"),
    ("1.5", "1.5", "1.5"),
]


@pytest.mark.parametrize("schema", [Model, Open, Data, Record])
@pytest.mark.parametrize(("key", "shown", "told"), KEYS)
def test_a_key_that_is_no_text_is_named_once_with_its_place_and_yaml_s_reading(schema, key, shown, told):
    assert problems(f"text: x\n{key}: x\n", schema) == [
        f"a.yaml:2:1: {shown}: the key is no text but {told}: put it in quotes"
    ]


@pytest.mark.parametrize(("key", "shown", "told"), KEYS)
def test_so_it_is_in_sections_and_lists_that_allow_any_key(key, shown, told):
    why = f"the key is no text but {told}: put it in quotes"
    assert problems(f"inner:\n  text: x\n  {key}: x\n", OpenSection) == [f"a.yaml:3:3: inner.{shown}: {why}"]
    assert problems(f"inners:\n- {{}}\n- {key}: 1\n", OpenSection) == [f"a.yaml:3:3: inners.1.{shown}: {why}"]


@SCHEMAS
@pytest.mark.parametrize(("key", "shown", "told"), KEYS)
def test_so_it_is_in_a_table_of_texts(schema, key, shown, told):
    (problem,) = problems(f"labels:\n  a: x\n  {key}: x\n", schema)
    assert problem == f"a.yaml:3:3: labels.{shown}: the key is no text but {told}: put it in quotes"


@pytest.mark.parametrize(("key", "told"), [(key, told) for key, _, told in KEYS])
def test_so_it_is_where_the_table_is_one_of_several_types(key, told):
    class Several(BaseModel):
        maybe: dict[str, int] | None = None
        many: list[dict[str, int]] = []

    (problem,) = problems(f"maybe: {{{key}: 1}}\n", Several)
    assert problem.endswith(f": the key is no text but {told}: put it in quotes")
    (problem,) = problems(f"many: [{{{key}: 1}}]\n", Several)
    assert problem.endswith(f": the key is no text but {told}: put it in quotes")


class Tokens(BaseModel):
    tokens: dict[SecretStr, int] = {}


class TokenRecord(msgspec.Struct):
    tokens: dict[Annotated[str, Secret], int] = {}


@pytest.mark.parametrize("schema", [Tokens, TokenRecord])
@pytest.mark.parametrize(("key", "told"), [(key, told) for key, _, told in KEYS])
def test_a_secret_key_that_is_no_text_is_not_shown_however_short_it_is(schema, key, told):
    masked = " ".join(["**********", *told.split(" ", 1)[1:]])
    assert problems(f"tokens: {{{key}: 1}}\n", schema) == [
        f"a.yaml:1:10: tokens.**********: the key is no text but {masked}: put it in quotes"
    ]


@SCHEMAS
def test_each_key_of_a_table_that_is_no_text_is_reported(schema):
    places = [told.split(":")[2] for told in problems("labels: {~: x, 2024-01-02: y, 1.5: z, a: b}\n", schema)]
    assert places == ["10", "16", "31"]


def test_what_is_wrong_below_a_key_that_is_no_text_has_its_own_place():
    told = problems("days:\n  2024-01-01: 1\n  2024-01-02: x\n", OpenSection)
    assert [each[: each.index(": Input")] for each in told] == ["a.yaml:3:15: days.2024-01-02"]


# ---- empty sections


COMMENTS = (
    "all its lines are comments, and YAML reads an empty section as null: write {} or [] for one, or leave it out)"
)
NOTHING = "nothing stands below it, and YAML reads an empty section as null: write {} or [] for one, or leave it out)"


@SCHEMAS
@pytest.mark.parametrize("key", ["section", "labels", "names"])
@pytest.mark.parametrize(
    ("below", "told"),
    [
        ("\n  # n: 1\n", COMMENTS),
        (" # see below\n\n  # n: 1\n  # m: 2\ntext: x\n", COMMENTS),
        ("\r\n  # n: 1\r\ntext: x\r\n", COMMENTS),
        ("\n", NOTHING),
        ("\n# text: x\n", NOTHING),
        ("\ntext: x\n  # far\n", NOTHING),
    ],
)
def test_an_empty_section_says_why_it_is_empty(schema, key, below, told):
    (problem,) = problems(f"number: 1.0\n{key}:{below}", schema)
    assert problem.startswith(f"a.yaml:2:{len(key) + 2}: {key}: ")
    assert problem.endswith(told)


def test_a_key_without_a_value_at_the_end_says_why_it_is_empty():
    assert problems("? section", Model)[0].endswith(NOTHING)


@SCHEMAS
def test_a_null_that_is_written_is_no_empty_section(schema):
    (problem,) = problems("section: ~\n", schema)
    assert problem.endswith("(got null)")


class CountedLines(list[str]):
    """The lines of a text; counts those that are handed out."""

    handed = 0

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        self.handed += len(found) if isinstance(index, slice) else 1
        return found

    def __reversed__(self) -> Iterator[str]:
        self.handed += len(self)
        return super().__reversed__()


@pytest.mark.parametrize("text", ["k{}:\n" * 50, "{{" + "k{}: ," * 50 + "}}" + "\n" * 50], ids=["lines", "one line"])
def test_each_line_is_looked_at_once_however_many_values_are_empty(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text = text.format(*range(50))
    lines = CountedLines(text.split("\n"))
    monkeypatch.setattr(yaml, "_BREAK", SimpleNamespace(split=lambda _: lines))
    assert len(yaml.notes(text)) == 50
    assert lines.handed <= len(lines)


# ---- numbers that YAML reads as text


EXPONENT = "YAML reads a number with an exponent as text unless it has a dot and a sign: "
AS_FLOAT, AS_INT = f"{EXPONENT}write it as 1.0e+3", f"{EXPONENT}write it without an exponent"
OCTAL = "YAML reads it as text: an octal number has a leading 0 and no letter"


@SCHEMAS
@pytest.mark.parametrize(
    ("written", "told", "followed"),
    [("1e3", AS_INT, "1000"), ("-15E2", AS_INT, "-1500"), ("1.e3", AS_INT, "1000"), ("0o17", OCTAL, "017")],
)
def test_a_number_that_yaml_reads_as_text_is_explained_where_a_whole_number_belongs(schema, written, told, followed):
    (problem,) = problems(f"whole: {written}\n", schema)
    assert problem.endswith(f"(got '{written}'; {told})")
    (problem,) = problems(f"whole: '{written}'\n", schema)
    assert problem.endswith(f"(got '{written}')")
    Path("a.yaml").write_text(f"whole: {followed}\n")
    ConfigLoader(schema, "a.yaml").load()


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (int, AS_INT),
        (int | None, AS_INT),
        (list[int], AS_INT),
        (float, AS_FLOAT),
        (float | None, AS_FLOAT),
        (int | float, AS_FLOAT),
    ],
)
def test_the_advice_for_exponents_is_what_each_kind_of_number_takes(kind, told):
    schema = msgspec.defstruct("Number", [("number", kind)])
    write = "number: [{}]\n" if kind == list[int] else "number: {}\n"
    (problem,) = problems(write.format("1e3"), schema)
    assert problem.endswith(f"; {told})")
    Path("a.yaml").write_text(write.format("1000" if told is AS_INT else "1.0e+3"))
    ConfigLoader(schema, "a.yaml").load()


def test_a_float_of_a_struct_is_explained_too_and_what_it_says_can_be_written():
    (problem,) = problems("number: 1e3\n", Record)
    assert problem.endswith(f"(got '1e3'; {AS_FLOAT})")
    Path("a.yaml").write_text("number: 1.0e+3\n")
    assert ConfigLoader(Record, "a.yaml").load().config.number == 1000.0


@pytest.mark.parametrize("schema", [Model, Data])
@pytest.mark.parametrize("written", ["1e400", "'1e400'", "-1e400", "' 1e400 '", f"'{'9' * 400}.'", f"'{'9' * 400}'"])
def test_a_text_that_would_become_an_infinite_number_is_refused(schema, written):
    told = "has a number that is too large for a float: it ends at 1.8e308"
    assert problems(f"text: '1e400'\nnumber: {written}\n", schema) == [f"a.yaml:2:9: number: {told}"]
    Path("a.yaml").write_text("text: 1e400\nnumber: 'inf'\n")
    assert ConfigLoader(schema, "a.yaml").load().config.number == float("inf")
