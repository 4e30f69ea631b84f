"""Numbers that Python has no room for: refused with their place and key, and never infinite unless that is written."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from confcast import ConfigError, ConfigLoader, Environment

pytestmark = pytest.mark.usefixtures("here")


class Model(BaseModel):
    x: Any = None
    number: float = 0.0
    whole: int = 0
    numbers: list[float] = []


@dataclasses.dataclass
class Data:
    x: Any = None
    number: float = 0.0
    whole: int = 0
    numbers: list[float] = dataclasses.field(default_factory=list)


class Record(msgspec.Struct):
    x: Any = None
    number: float = 0.0
    whole: int = 0
    numbers: list[float] = []


SCHEMAS = pytest.mark.parametrize("schema", [Model, Data, Record])
TOO_LARGE = "has a number that is too large for a float: it ends at 1.8e308"
TOO_MANY_DIGITS = "a number has too many digits: at most 4,300 are read; quote it if it is text"


def problem(name: str, content: str, schema: Any = Model) -> str:
    Path(name).write_text(content)
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(schema, name).load()
    (told,) = caught.value.problems
    return str(told)


@SCHEMAS
@pytest.mark.parametrize("number", ["1e400", "-1e400", "1.5E+999", "1" + "0" * 400 + ".0", "123e000307"])
def test_a_number_that_a_float_makes_infinite_is_refused_with_its_place_and_key(schema, number):
    assert problem("a.json", f'{{"x": {{"y": [1.5, {number}]}}}}', schema) == f"a.json:1:19: x.y.1: {TOO_LARGE}"
    assert problem("a.toml", f"[x]\ny = [1.5, {number}]\n", schema) == f"a.toml:2:11: x.y.1: {TOO_LARGE}"
    assert problem("a.toml", f"x = 1e3\nnumber = {number} # {number}\n", schema) == f"a.toml:2:10: number: {TOO_LARGE}"


@SCHEMAS
@pytest.mark.parametrize("number", ["1.0e+400", "-1.5e+999", "1" + "0" * 400 + ".0", "!!float 1e400"])
def test_so_it_is_in_yaml(schema, number):
    column = 13 + 8 * number.startswith("!!")
    told = problem("a.yaml", f"x:\n  y: [1.5, {number}]\n", schema)
    assert told in {f"a.yaml:2:{at}: x.y.1: {TOO_LARGE}" for at in (12, column)}


def test_behind_an_alias_it_is_where_its_anchor_is():
    assert problem("a.yaml", "x: {z: &n 1.0e+400}\nnumber: *n\n") == f"a.yaml:1:8: x.z: {TOO_LARGE}"


@SCHEMAS
def test_so_it_is_in_a_variable(schema, monkeypatch):
    monkeypatch.setenv("T_NUMBER", "1e400")
    monkeypatch.setenv("T_NUMBERS", "[1.5, 1e400]")
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(schema, Environment("T_")).load()
    number, numbers = sorted(map(str, caught.value.problems))
    assert number == f"environment variable T_NUMBER: number: {TOO_LARGE}"
    assert numbers.startswith("environment variable T_NUMBERS: numbers: ")
    assert numbers.endswith(f"{TOO_LARGE} (line 1, column 7)")


@SCHEMAS
@pytest.mark.parametrize(("name", "text"), [("a.toml", "number = -inf"), ("a.yaml", "number: -.inf")])
def test_what_is_written_as_infinite_is(schema, name, text):
    Path(name).write_text(text)
    assert ConfigLoader(schema, name).load().config.number == -math.inf


@pytest.mark.parametrize("number", ["1.7976931348623157e308", "-1e308", "1e-400", "0e999", "1" + "0" * 300 + ".5"])
def test_what_a_float_holds_is_read(number):
    for name, text in (("a.json", f'{{"number": {number}}}'), ("a.toml", f"number = {number}")):
        Path(name).write_text(text)
        assert ConfigLoader(Model, name).load().config.number == float(number)


@SCHEMAS
def test_an_int_of_any_size_is_exact_and_one_with_too_many_digits_is_refused_with_its_place_and_key(schema):
    for digits in (20, 400, 4300):
        for name, text in (("a.json", '{"x": %s}'), ("a.toml", "x = %s"), ("a.yaml", "x: %s")):
            Path(name).write_text(text % ("9" * digits))
            assert ConfigLoader(schema, name).load().config.x == 10**digits - 1
    many = "9" * 4301
    told = f"here: {TOO_MANY_DIGITS}"
    assert (
        problem("a.json", f'{{"x": [7, {{"y z": -{many}}}]}}', schema)
        == f'a.json:1:19: x.1."y z": is no valid JSON {told}'
    )
    assert problem("a.toml", f"[[x]]\n[[x]]\ny = {many}", schema) == f"a.toml:3:5: x.1.y: is no valid TOML {told}"
    kind = "is no valid YAML: not a valid int; quote it if it is text"
    assert problem("a.yaml", f"x:\n- 1\n- y: {many}", schema) == f"a.yaml:3:6: x.1.y: {kind}"


@SCHEMAS
def test_one_in_hex_octal_or_binary_may_have_any_number_of_digits(schema):
    """Python reads these in time that grows with their length alone."""
    for name, text in (("a.toml", "x = 0x{f:f<4200}"), ("a.yaml", "x: 0x{f:f<4200}")):
        Path(name).write_text(text.format(f="f"))
        assert ConfigLoader(schema, name).load().config.x == 16**4200 - 1
    Path("a.toml").write_text(f"x = [0b{'1' * 20_000}, {{y = 0o{'7' * 10_000}}}]\n")
    assert ConfigLoader(schema, "a.toml").load().config.x == [2**20_000 - 1, {"y": 8**10_000 - 1}]


@SCHEMAS
@pytest.mark.parametrize(("name", "text"), [("a.toml", "number = 0x{}"), ("a.yaml", "number: 0x{}")])
def test_a_problem_with_one_shows_its_hex(schema, name, text):
    told = problem(name, text.format("f" * 4200), schema)
    assert told.startswith(f"{name}:1:")
    assert told.partition(" (")[2].startswith(f"got 0x{'f' * 57}…")


@pytest.fixture
def fewer_digits() -> Iterator[None]:
    """Python reads and writes the fewest digits that it can be told to."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    yield
    sys.set_int_max_str_digits(before)


@SCHEMAS
@pytest.mark.usefixtures("fewer_digits")
def test_how_many_digits_are_too_many_is_for_the_application_to_say(schema, monkeypatch):
    told = TOO_MANY_DIGITS.replace("4,300", "640")
    assert problem("a.json", f'{{"x": {"9" * 641}}}', schema) == f"a.json:1:7: x: is no valid JSON here: {told}"
    assert problem("a.toml", f"x = {'9' * 641}", schema) == f"a.toml:1:5: x: is no valid TOML here: {told}"
    assert problem("a.yaml", f"x: {'9' * 641}", schema).startswith("a.yaml:1:4: x: is no valid YAML: not a valid int")
    assert "(got 0x" in problem("a.yaml", f"number: 1{':1' * 400}", schema)
    monkeypatch.setenv("T_WHOLE", "9" * 700)
    loader = ConfigLoader(schema, Environment("T_"))
    if schema is Record:
        with pytest.raises(ConfigError, match="environment variable T_WHOLE: whole: "):
            loader.load()
    else:
        assert loader.load().config.whole == 10**700 - 1  # pydantic reads the text by itself


@SCHEMAS
def test_an_int_beyond_a_float_is_refused_where_a_float_belongs(schema):
    assert problem("a.json", f'{{"number": {"9" * 400}}}', schema).startswith("a.json:1:12: number: ")


@pytest.mark.parametrize("behind", ["\0", "x", "_", ".", "e", "-01-01", ":", " {", "\n["])
def test_what_stands_behind_such_a_number_may_be_anything(behind):
    for number in ("1e400", "9" * 5000):
        assert problem("a.json", f'{{"x": {number}{behind}').startswith("a.json:1:7: ")
        assert problem("a.toml", f"x = {number}{behind}").startswith("a.toml:1:")
        assert problem("a.yaml", f"x: !!float {number}{behind}").startswith("a.yaml:")


def test_digits_in_texts_keys_and_comments_are_no_numbers():
    digits = "9" * 5000
    Path("a.json").write_text(f'{{"x": {{"1e400": "{digits}", "y": "1e400"}}}}')
    assert ConfigLoader(Model, "a.json").load().config.x == {"1e400": digits, "y": "1e400"}
    Path("b.toml").write_text(f"x = {{'{digits}' = '1e400', {digits}0 = 0x{'f' * 5000}}} # {digits}\n")
    assert ConfigLoader(Model, "b.toml").load().config.x == {digits: "1e400", f"{digits}0": 16**5000 - 1}
