"""Tables whose keys are secrets, or that are secrets as a whole; and unions, extras and validators above secrets.

Each stands where the value itself does not show it: in records, under validators, among the members of a union.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Generic, NamedTuple, TypeVar

import msgspec
import pydantic
import pytest
from pydantic import BaseModel, BeforeValidator, SecretStr, field_validator
from typing_extensions import TypedDict

from confcast import ConfigError, ConfigLoader, Environment, File, Secret
from confcast.config.codec import Codec
from confcast.config.diff import differences, secrets_masked
from confcast.config.schema.masking import MASK
from confcast.config.schema.secrets import hides_own_keys

Token = Annotated[str, Secret]
V = TypeVar("V")


class Record(TypedDict):
    keys: dict[Token, int]


class RecordOf(TypedDict, Generic[V]):
    keys: dict[V, int]


class Row(NamedTuple):
    keys: dict[Token, int]


class Plugins(BaseModel, extra="allow"):
    __pydantic_extra__: dict[str, dict[Token, int]]


CARRIED: list[tuple[Any, Callable[[str], Any]]] = [
    (Record, lambda key: {"keys": {key: 1}}),
    (dict[str, Record], lambda key: {"a": {"keys": {key: 1}}}),
    (list[Record | None], lambda key: [None, {"keys": {key: 1}}]),
    (RecordOf[Token], lambda key: {"keys": {key: 1}}),
    (tuple[Record, int], lambda key: ({"keys": {key: 1}}, 1)),
    (Row, lambda key: Row({key: 1})),
    (Plugins, lambda key: Plugins.model_validate({"a": {key: 1}})),
    (Annotated[dict[str, int], Secret], lambda key: {key: 1}),
    (list[Annotated[dict[str, int], Secret]], lambda key: [{key: 1}]),
    (pydantic.Secret[dict[str, int]], lambda key: pydantic.Secret({key: 1})),
]


@pytest.mark.parametrize(("annotation", "make"), CARRIED, ids=lambda each: None if callable(each) else str(each))
def test_a_key_that_is_a_secret_is_in_no_change_and_in_no_text(annotation: Any, make: Callable[[str], Any]) -> None:
    root: Any = dataclasses.make_dataclass("Root", [("field", annotation)])
    codec: Codec[Any] = Codec(root)
    old, new = root(make("hunter2")), root(make("hunter3"))
    changes = differences(codec, old, new)
    assert changes
    assert "hunter" not in repr(changes)
    assert secrets_masked(codec, old, new)("hunter2, hunter3") == f"{MASK}, {MASK}"


def test_keys_beside_secret_values_are_shown() -> None:
    root: Any = dataclasses.make_dataclass("Root", [("field", dict[str, dict[str, Token]])])
    (change,) = differences(Codec(root), root({"a": {"b": "hunter2"}}), root({"a": {"b": "hunter3"}}))
    assert (change.key, change.old) == ("field.a.b", MASK)


class One(BaseModel):
    keys: dict[SecretStr, int] = {}


class Other(BaseModel):
    other: int
    keys: dict[Token, int] = {}


AS_IT_IS = BeforeValidator(lambda value: value)

REFUSED: list[tuple[Any, Any]] = [
    (One | Other, {"keys": {"hunter2": "x"}}),
    (Row, [{"hunter2": "x"}]),
    (Annotated[dict[SecretStr, int], AS_IT_IS], {"hunter2": "x"}),
    (Annotated[dict[SecretStr, dict[str, int]], AS_IT_IS] | None, {"hunter2": {"a": "x"}}),
    (pydantic.Secret[dict[str, int]], {"hunter2": "x"}),
    (pydantic.Secret[dict[str, dict[str, int]]], {"a": {"hunter2": "x"}}),
    (Annotated[dict[str, int], Secret], {"hunter2": "x"}),
    (Annotated[dict[str, dict[str, int]], Secret], {"a": {"hunter2": "x"}}),
    (Annotated[list[dict[str, int]], Secret], [{"hunter2": "x"}]),
    (list[Annotated[dict[str, int], Secret]], [{"hunter2": "x"}]),
]


@pytest.mark.parametrize(("annotation", "value"), REFUSED)
@pytest.mark.parametrize("kind", ["model", "struct"])
def test_a_key_that_is_a_secret_is_in_no_problem(kind: str, annotation: Any, value: Any) -> None:
    if kind == "model":
        schema: Any = pydantic.create_model("Root", field=(annotation, ...))
    else:
        schema = msgspec.defstruct("Root", [("field", annotation)])
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(schema, overrides={"field": value}).load()
    assert "hunter2" not in str(caught.value)


def test_nor_where_a_validator_of_the_field_comes_first() -> None:
    class Root(BaseModel):
        field: dict[SecretStr, int]

        @field_validator("field", mode="before")
        @classmethod
        def _as_it_is(cls, value: Any) -> Any:
            return value

    with pytest.raises(ConfigError, match="Input should be a valid integer") as caught:
        ConfigLoader(Root, overrides={"field": {"hunter2": "x"}}).load()
    assert "hunter2" not in str(caught.value)


def test_what_is_no_secret_is_shown_in_a_union_and_below_a_mark() -> None:
    class Section(BaseModel):
        limits: dict[str, int]
        token: Token = ""

    class Root(BaseModel):
        either: Section | Other
        marked: list[dict[str, dict[str, Annotated[int, Secret]]]] = []

    overrides = {"either": {"limits": {"cpu": "x"}}, "marked": [{"a": {"b": "hunter2"}}]}
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Root, overrides=overrides).load()
    assert "either.limits.cpu: Input should be a valid integer" in str(caught.value)
    assert "(got 'x')" in str(caught.value)
    assert "marked.0.a.b: " in str(caught.value)
    assert "hunter2" not in str(caught.value)


class Named(BaseModel):
    name: Token


class Numbered(BaseModel):
    name: int
    number: int


class Credentials(BaseModel, extra="allow"):
    __pydantic_extra__: dict[str, SecretStr]


class Marked(BaseModel, extra="allow"):
    __pydantic_extra__: dict[str, Token]


@pytest.mark.parametrize("annotation", [Credentials, Marked, Annotated[Named, AS_IT_IS] | Numbered])
def test_a_wrong_value_is_not_quoted_among_extras_and_where_a_union_hides_its_type(annotation: Any) -> None:
    with pytest.raises(ConfigError, match=r"field\.name: Input should be a valid string") as caught:
        ConfigLoader(
            pydantic.create_model("Root", field=(annotation, ...)), overrides={"field": {"name": 424242}}
        ).load()
    assert "424242" not in str(caught.value)


class Tokens(BaseModel):
    tokens: dict[SecretStr, float] = {}


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.json", '{"tokens": {"hunter2": 1e400}}', f"1:24: tokens.{MASK}: has a number that is too large"),
        ("a.toml", "tokens.hunter2 = 1e400", f"1:18: tokens.{MASK}: has a number that is too large"),
        ("a.yaml", "tokens: {hunter2: 1.0e+400}", f"1:19: tokens.{MASK}: has a number that is too large"),
        ("a.yaml", "tokens: {hunter2: 2020-13-45}", f"1:19: tokens.{MASK}: is no valid YAML: not a valid timestamp"),
        ("a.json", '{"tokens": {"hunter2": 1, "hunter2": 2}}', f"1:27: tokens.{MASK}: has this key twice"),
        ("a.yaml", "tokens: {hunter2: 1, hunter2: 2}", f"1:22: tokens.{MASK}: has this key twice"),
        ("a.toml", "[tokens.hunter2]\n[tokens.hunter2]", "2:16: is no valid TOML: Cannot declare (this key) twice"),
        ("a.toml", '[tokens."hunter2\'"]\n[tokens."hunter2\'"]', "2:19: is no valid TOML: Cannot declare (this key)"),
        ("a.toml", "tokens = {hunter2 = 1, hunter2 = 2}", "1:35: is no valid TOML: Duplicate"),
        ("a.toml", "tokens = {x = {}, x.hunter2 = 2, x.hunter2.y = 1}", "1:32: is no valid TOML: Cannot mutate"),
    ],
)  # fmt: skip
def test_a_key_that_is_a_secret_is_not_in_what_the_parser_of_a_file_says(
    tmp_path: Path, name: str, text: str, told: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Tokens, tmp_path / name).load()
    assert str(caught.value).startswith(f"{tmp_path / name}:{told}")
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigError) as caught:  # without a schema nobody knows that it is a secret
        File(tmp_path / name).read()
    assert "hunter2" not in str(caught.value)


class Marks(BaseModel):
    tokens: dict[Token, float] = {}
    tables: dict[Token, dict[str, int] | int] = {}


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"TOKENS__HUNTER2": "1e400"}, f"tokens.{MASK}: has a number that is too large"),
        ({"TOKENS__HUNTER2": "1", "TOKENS__hunter2": "1"}, f"tokens.{MASK}: is set twice: "),
        ({"TABLES__HUNTER2": "1", "TABLES__HUNTER2__A": "1"}, f"tables.{MASK}.{MASK}: is a key of a table, but "),
    ],
)
def test_a_key_that_is_a_secret_is_in_the_name_of_its_variable_only(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], told: str
) -> None:
    for name, text in variables.items():
        monkeypatch.setenv(f"APP_{name}", text)
    with pytest.raises(ConfigError) as caught:
        ConfigLoader(Marks, Environment("APP_")).load()
    without_names = re.sub("environment variable \\w+", "VARIABLE", str(caught.value))
    assert without_names.startswith(f"VARIABLE: {told}")
    assert "hunter2" not in without_names


@pytest.mark.parametrize(
    ("annotation", "hides"),
    [
        (dict[Token, int] | None, True),
        (Annotated[dict[str, int], Secret], True),
        (list[dict[Token, int]], False),
        (dict[str, dict[Token, int]], False),
        (dict[str, Token], False),
        (Annotated[str, Secret], False),
        (pydantic.Secret, True),
        (pydantic.Secret[int], False),
    ],
    ids=str,
)
def test_which_tables_hide_their_own_keys(annotation: Any, hides: bool) -> None:
    assert hides_own_keys(annotation) is hides
