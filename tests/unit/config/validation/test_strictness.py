"""Unknown keys, and booleans for numbers: the rule of a type is made once, and is the same for every shape of data."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Generic, NamedTuple, TypedDict, TypeVar

import msgspec
import pytest
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from confcast.config.validation import strictness
from tests.support.calls import calls

T = TypeVar("T")


class Leaf(BaseModel):
    size: int = 1


class Open(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=False)
    leaf: Leaf = Leaf()
    renamed: int = Field(1, alias="other")


class Tree(BaseModel):
    leaf: Leaf = Leaf()
    trees: list[Tree] = []
    by_name: dict[str, Tree] = {}
    pair: tuple[Leaf, int] | None = None
    many: tuple[Leaf, ...] = ()
    either: Leaf | Open | None = None
    maybe: Leaf | None = None
    anything: Any = None
    counts: dict[str, int] = {}
    hidden: Annotated[list[Leaf], {"not": "hashable"}] = []
    early: Annotated[Leaf | None, BeforeValidator(lambda value: value)] = None


class Box(BaseModel, Generic[T]):
    inside: T


@dataclasses.dataclass
class Plain:
    number: int = 1
    flag: bool = False
    numbers: list[float] = dataclasses.field(default_factory=list)
    by_name: dict[str, int] = dataclasses.field(default_factory=dict)
    either: int | bool = 1
    below: Plain | None = None


class Point(NamedTuple):
    leaf: Leaf
    count: int


class Typed(TypedDict):
    leaf: Leaf


class Record(msgspec.Struct):
    leaf: Leaf | None = None
    point: Point | None = None
    typed: Typed | None = None


def told(annotation: Any, data: Any) -> list[tuple[Any, ...]]:
    return [
        (error.path, error.message.split(";")[0].split(":")[0], error.about)
        for error in strictness.check(annotation, data)
    ]


UNKNOWN = "unknown key"
BAD = {"size": 1, "sice": 2}


@pytest.mark.parametrize(
    ("annotation", "data", "paths"),
    [
        (Tree, {"leaf": BAD, "laef": 1}, [("leaf", "sice"), ("laef",)]),
        (Tree, {"trees": [{}, {"leaf": BAD}, {"x": 1}]}, [("trees", 1, "leaf", "sice"), ("trees", 2, "x")]),
        (Tree, {"by_name": {"a": {"trees": [{"x": 1}]}, "b": {}}}, [("by_name", "a", "trees", 0, "x")]),
        (
            Tree,
            {"pair": [BAD, {"x": 1}], "many": [BAD, BAD]},
            [("pair", 0, "sice"), ("many", 0, "sice"), ("many", 1, "sice")],
        ),
        (Tree, {"pair": [1, 2, BAD]}, []),
        (Tree, {"either": BAD, "anything": {"x": BAD}, "early": BAD, "leaf": [BAD]}, []),
        (Tree, {"maybe": BAD, "hidden": [BAD, 1, [BAD]]}, [("maybe", "sice"), ("hidden", 0, "sice")]),
        (Tree, {"counts": {"a": BAD}, "leaf": {"size": {"x": 1}}}, []),
        (Tree, [BAD], []),
        (Tree, {1: 1, None: 2, "leaf": {True: 1}}, [(1,), (None,), ("leaf", True)]),
        (dict[str, Leaf], {"a": BAD, True: {}}, [("a", "sice"), (True,)]),
        (dict[int, Leaf], {1: BAD, 2: {}}, [(1, "sice")]),
        (list[list[Leaf]], [[BAD], [{}], BAD], [(0, 0, "sice")]),
        (Box[Leaf], {"inside": BAD, "x": 1}, [("inside", "sice"), ("x",)]),
        (Box[list[Leaf]], {"inside": [BAD]}, [("inside", 0, "sice")]),
        (Record, {"leaf": BAD, "point": [BAD, BAD], "typed": {"leaf": BAD}, "x": 1}, None),
        (Record, {"point": {"leaf": BAD, "x": 1}}, [("point", "leaf", "sice"), ("point", "x")]),
        (Open, {"leaf": BAD, "anything": BAD, "other": 1}, [("leaf", "sice")]),
    ],
)
def test_unknown_keys_are_found_in_every_shape_of_data(annotation, data, paths):
    if paths is None:
        paths = [("leaf", "sice"), ("point", 0, "sice"), ("typed", "leaf", "sice"), ("x",)]
    found = strictness.check(annotation, data)
    assert [error.path for error in found] == paths
    assert {error.about for error in found} <= {"key"}
    assert [error.path for error in strictness.check(annotation, data)] == paths  # by the rule that is known now


def test_a_name_beside_its_alias_is_refused_where_other_keys_are_kept():
    assert [path for path, *_ in told(Open, {"renamed": 1, "own": 2})] == [("renamed",)]


def test_true_is_no_number_in_a_plain_dataclass_wherever_it_stands():
    data = {
        "number": True,
        "flag": True,
        "either": True,
        "numbers": [1, False],
        "by_name": {"a": True},
        "below": {"number": False, "x": 1},
    }
    wrong = "Input should be a number, not "
    assert told(Plain, data) == [
        (("number",), f"{wrong}true", "value"),
        (("numbers", 1), f"{wrong}false", "value"),
        (("by_name", "a"), f"{wrong}true", "value"),
        (("below", "number"), f"{wrong}false", "value"),
        (("below", "x"), UNKNOWN, "key"),
    ]
    assert told(Tree, {"leaf": {"size": True}, "counts": {"a": True}}) == []


def test_a_rule_is_made_once_for_a_type():
    """Each load walks over all data: what the annotations say is not asked again."""
    data = {"trees": [{"leaf": {"size": n}, "by_name": {"a": {}}} for n in range(100)]}
    assert strictness.check(Tree, data) == []
    assert calls(lambda: strictness.check(Tree, data), of_file="annotations.py") == 0


def test_a_class_that_ignores_aliases_has_its_fields_names_as_keys():
    class ByName(BaseModel, validate_by_alias=False, extra="forbid"):
        max_size: int = Field(1, alias="maxSize")

    assert ByName.model_validate({"max_size": 2}).max_size == 2
    assert [each.path for each in strictness.check(ByName, {"max_size": 2, "maxSize": 3})] == [("maxSize",)]
