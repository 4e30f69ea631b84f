"""Numbers that Python has no room for: refused with their place and key, and never infinite unless that is written."""

from __future__ import annotations

import dataclasses
import math
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
    numbers: list[float] = []


@dataclasses.dataclass
class Data:
    x: Any = None
    number: float = 0.0
    numbers: list[float] = dataclasses.field(default_factory=list)


class Record(msgspec.Struct):
    x: Any = None
    number: float = 0.0
    numbers: list[float] = []


SCHEMAS = pytest.mark.parametrize("schema", [Model, Data, Record])
TOO_LARGE = "has a number that is too large for a float: it ends at 1.8e308"


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
    told = "here: a number has too many digits"
    assert (
        problem("a.json", f'{{"x": [7, {{"y z": -{many}}}]}}', schema)
        == f'a.json:1:19: x.1."y z": is no valid JSON {told}'
    )
    assert problem("a.toml", f"[[x]]\n[[x]]\ny = {many}", schema) == f"a.toml:3:5: x.1.y: is no valid TOML {told}"
    kind = "is no valid YAML: not a valid int; quote it if it is text"
    assert problem("a.yaml", f"x:\n- 1\n- y: {many}", schema) == f"a.yaml:3:6: x.1.y: {kind}"


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
