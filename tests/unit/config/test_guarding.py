"""Guards by themselves: what trips each kind, on every kind of schema; their keys, and their way to the owner."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr
from pydantic.dataclasses import dataclass as pydantic_dataclass

from confcast import ConfigError, ConfigLoader, Secret
from confcast.guards import Guard, changes, empties, shrinks, touches


class Database(BaseModel, frozen=True):
    url: str = "sqlite://"
    password: SecretStr = SecretStr("hunter2")


class Model(BaseModel, frozen=True):
    limits: dict[str, int] = {}
    hosts: list[str] = []
    database: Database | None = Database()
    by_alias: dict[str, int] = Field({}, alias="byAlias")


class StructDatabase(msgspec.Struct, frozen=True):
    url: str = "sqlite://"
    password: Annotated[str, Secret] = "hunter2"


class Struct(msgspec.Struct, frozen=True, rename="camel"):
    limits: dict[str, int] = {}
    hosts: list[str] = []
    database: StructDatabase | None = StructDatabase()
    by_alias: dict[str, int] = {}


@dataclasses.dataclass(frozen=True)
class Data:
    limits: dict[str, int] = dataclasses.field(default_factory=dict)
    hosts: list[str] = dataclasses.field(default_factory=list)
    database: StructDatabase | None = dataclasses.field(default_factory=StructDatabase)


@pydantic_dataclass(frozen=True)
class PydanticData:
    limits: dict[str, int] = dataclasses.field(default_factory=dict)
    hosts: list[str] = dataclasses.field(default_factory=list)
    database: Database | None = Database()


EVERY = pytest.mark.parametrize("schema", [Model, Struct, Data, PydanticData])


def many(count: int) -> dict[str, int]:
    return {f"n{number}": number for number in range(count)}


@EVERY
def test_a_loss_of_half_the_entries_trips_and_less_does_not(schema: Any) -> None:
    guard = shrinks("limits", by=0.5)
    assert guard.trips(schema(limits=many(20)), schema(limits=many(10))) == "20 entries before, 10 after"
    assert guard.trips(schema(limits=many(20)), schema(limits=many(11))) is None
    assert guard.trips(schema(limits=many(20)), schema()) == "20 entries before, 0 after"
    assert shrinks("hosts").trips(schema(hosts=list(many(12))), schema(hosts=["n0"])) == "12 entries before, 1 after"


@EVERY
def test_below_above_entries_shares_do_not_count(schema: Any) -> None:
    assert shrinks("limits", above=10).trips(schema(limits=many(9)), schema()) is None
    assert shrinks("limits", above=10).trips(schema(limits=many(10)), schema()) is not None
    assert shrinks("limits", above=0).trips(schema(limits=many(1)), schema()) == "1 entry before, 0 after"
    assert shrinks("limits", above=0).trips(schema(), schema()) is None
    few = changes(more_than=0.0, above=10)
    assert few.trips(schema(hosts=["a", "b"]), schema(hosts=["c", "d"])) is None


@EVERY
def test_what_becomes_empty_trips_however_little_it_was(schema: Any) -> None:
    assert empties("limits").trips(schema(limits=many(1)), schema()) == "1 entry before, none after"
    assert empties("limits").trips(schema(limits=many(2)), schema(limits=many(1))) is None
    assert empties("database").trips(schema(), schema(database=None)) == "2 entries before, none after"
    assert empties("database.url").trips(schema(), schema(database=None)) == "1 entry before, none after"


@EVERY
def test_a_touch_names_no_value_and_counts_rotated_secrets(schema: Any) -> None:
    kind = type(schema().database)
    secret = SecretStr if kind is Database else str
    rotated = schema(database=kind(password=secret("hunter3")))
    assert touches("database").trips(schema(), rotated) == "has changed"
    assert touches("database.password").trips(schema(), rotated) == "has changed"
    assert touches("database.url").trips(schema(), rotated) is None
    assert touches("limits").trips(schema(), rotated) is None
    assert touches("database").trips(schema(), schema(database=None)) == "has changed"
    assert touches("database").trips(schema(database=None), schema()) is None, "what is only added does not touch"


@EVERY
def test_a_large_change_at_once_trips(schema: Any) -> None:
    old = schema(limits=many(18))  # and the two of the database
    new = schema(limits={key: -1 if value < 7 else value for key, value in many(18).items()})
    assert changes(more_than=0.3).trips(old, new) == "7 of 20 entries are changed or gone"
    assert changes(more_than=0.35).trips(old, new) is None
    assert changes(more_than=0.3).trips(old, schema(limits=many(18), hosts=["a"] * 50)) is None


def test_items_of_a_list_count_one_by_one_and_their_order_does_not() -> None:
    hosts = list(many(20))
    assert changes(more_than=0.0).trips(Model(hosts=hosts), Model(hosts=hosts[::-1])) is None
    gone = changes(more_than=0.0).trips(Model(hosts=hosts), Model(hosts=[*hosts[1:], "other"]))
    assert gone == "1 of 22 entries are changed or gone"


def test_keys_are_those_that_messages_print() -> None:
    old = Model(byAlias=many(10), limits=many(10) | {"app.payments": 1})
    for key in ("byAlias", "by_alias"):
        assert empties(key).trips(old, Model()) == "10 entries before, none after"
    for key in ('limits."app.payments"', "limits.app.payments"):
        assert touches(key).trips(old, Model(limits=many(10))) == "has changed"
    assert empties("byAlias").trips(Struct(by_alias=many(2)), Struct()) is not None


class Flat(msgspec.Struct):
    """What hypothesis makes: one entry for each part."""

    table: dict[str, int] = {}
    listed: list[int] = []
    some: int | None = None


FLAT = st.builds(
    Flat,
    table=st.dictionaries(st.text(max_size=3), st.integers(0, 3), max_size=8),
    listed=st.lists(st.integers(0, 3), max_size=8),
    some=st.none() | st.integers(0, 3),
)
STRICT = [
    *(shrinks(key, by=0.01, above=0) for key in ("table", "listed")),
    *(empties(key) for key in ("table", "listed", "some")),
    *(touches(key) for key in ("table", "listed", "some")),
    changes(more_than=0.0, above=0),
]


@settings(max_examples=200, deadline=None)
@given(FLAT, st.dictionaries(st.text(max_size=3), st.integers(0, 3)), st.lists(st.integers(0, 3)))
def test_what_only_grows_trips_no_guard(old: Flat, more: dict[str, int], items: list[int]) -> None:
    new = Flat(more | old.table, [*items, *old.listed], 1 if old.some is None else old.some)
    assert [guard.name for guard in STRICT if guard.trips(old, new)] == []


@settings(max_examples=200, deadline=None)
@given(FLAT, FLAT)
def test_a_strict_guard_trips_exactly_where_something_is_lost(old: Flat, new: Flat) -> None:
    lost = {
        "table": any(new.table.get(key) != value for key, value in old.table.items()),
        "listed": any(old.listed.count(item) > new.listed.count(item) for item in old.listed),
        "some": old.some is not None and new.some != old.some,
    }
    for key, is_lost in lost.items():
        assert bool(touches(key).trips(old, new)) is is_lost
    assert bool(changes(more_than=0.0, above=0).trips(old, new)) is any(lost.values())
    assert bool(empties("table").trips(old, new)) is (bool(old.table) and not new.table)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: shrinks("limits", by=0), "by=0: a share"),
        (lambda: shrinks("limits", by=1.5), "by=1.5: a share"),
        (lambda: shrinks("limits", above=-1), "above=-1: a number"),
        (lambda: changes(more_than=1), "more_than=1: a share"),
        (lambda: changes(more_than=0.3, above=True), "above=True: a number"),
        (lambda: ConfigLoader(Model, guards=[empties("limits"), empties("limits")]), "two guards are called"),
        (lambda: ConfigLoader(Model, guards=[empties("limits", name=" ")]), "has no name"),
    ],
)
def test_what_makes_no_guard_is_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


def test_what_is_no_guard_is_refused() -> None:
    with pytest.raises(TypeError, match="is no guard"):
        ConfigLoader(Model, guards=["shrinks:limits"])  # type: ignore[list-item]
    with pytest.raises(TypeError, match=r"Guard has no trips\(old, new\)"):
        Guard(name="a").trips(Model(), Model())


def test_a_key_that_the_schema_has_not_is_named_at_the_first_load() -> None:
    loader = ConfigLoader(Model, guards=[shrinks("limit"), touches("database.url"), empties("hosts[0]")])
    with pytest.raises(ConfigError) as found:
        loader.load()
    first, second = found.value.problems
    assert str(first) == "limit: the guard shrinks:limit: the schema has no such key; did you mean limits?"
    assert second.key == "hosts[0]"


class Within(Guard, frozen=True):
    """A guard of a user's own."""

    most: int = 5

    def trips(self, old: Any, new: Any) -> str | None:
        return f"more than {self.most}" if len(new.limits) > self.most else None


def test_guards_travel_to_the_owner_as_data() -> None:
    guards = (shrinks("limits", by=0.3, above=4, name="half"), changes(more_than=0.2), Within(name="within", most=2))
    spec = ConfigLoader(Model, guards=guards)._to_spec()
    there = ConfigLoader._from_spec(msgspec.msgpack.decode(msgspec.msgpack.encode(spec), type=type(spec)))
    assert there._guards == guards
    assert there._guards[2].trips(Model(), Model(limits=many(3))) == "more than 2"
    assert there._with_contents({})._guards == guards


def test_a_guard_that_another_process_can_not_import_is_refused() -> None:
    class Local(Guard, frozen=True):
        pass

    with pytest.raises(TypeError, match="local to a function"):
        ConfigLoader(Model, guards=[Local(name="a")])._to_spec()
