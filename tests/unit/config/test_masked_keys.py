"""What a source calls a secret is shown by nothing, whatever its type, and stays so with its version."""

from __future__ import annotations

import dataclasses
import enum
import signal
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AliasChoices,
    AliasPath,
    BaseModel,
    Field,
    RootModel,
    StringConstraints,
    create_model,
    field_validator,
    model_validator,
)

from confcast import ConfigError, ConfigLoader, Layer
from confcast.config.codec import Codec, codec_of, digest
from confcast.config.codec.masked_header import masked_of, with_masked, without_masked
from confcast.config.diff import differences, secrets_masked, shown_value, shown_values
from confcast.config.excerpts import excerpt
from confcast.config.explain import explain
from confcast.config.schema import masked_keys as module
from confcast.config.schema.masked_keys import MaskedKeys, mask_keys, masked_keys
from confcast.config.schema.masking import MASK
from confcast.config.shown_data import shown_data
from confcast.errors import ProtocolError
from tests.support.forking import holds_in_child

SENTINEL = "hunter2"


class Vault(msgspec.Struct, frozen=True):
    """A source whose values are secrets at these paths."""

    data: dict[str, Any]
    secrets: list[tuple[Any, ...]] = []
    name: str = "vault"

    def read(self) -> Layer:
        return Layer(self.name, self.data, secrets=self.secrets)


def leaves(codec: Codec[Any], config: Any) -> dict[str, Any]:
    return {key: value(True) for key, value in shown_values(codec, config)}


def schemas() -> list[Any]:
    """Classes of their own for each test: what is masked once stays masked."""

    class ModelPart(BaseModel):
        password: str = ""
        host: str = "h"

    class Model(BaseModel):
        part: ModelPart = ModelPart()
        number: int = 0
        items: list[str] = []
        table: dict[str, ModelPart] = {}

    @dataclasses.dataclass
    class DataPart:
        password: str = ""
        host: str = "h"

    @dataclasses.dataclass
    class Data:
        part: DataPart = dataclasses.field(default_factory=DataPart)
        number: int = 0
        items: list[str] = dataclasses.field(default_factory=list)
        table: dict[str, DataPart] = dataclasses.field(default_factory=dict)

    class StructPart(msgspec.Struct):
        password: str = ""
        host: str = "h"

    class Struct(msgspec.Struct):
        part: StructPart = msgspec.field(default_factory=StructPart)
        number: int = 0
        items: list[str] = []
        table: dict[str, StructPart] = {}

    globals().update({each.__name__: each for each in (ModelPart, DataPart, StructPart)})
    return [Model, Data, Struct]


DATA = {
    "part": {"password": SENTINEL, "host": "h"},
    "number": 424242,
    "items": ["shown", SENTINEL],
    "table": {"a": {"password": SENTINEL}, "b": {"password": "shown"}},
}
SECRETS: list[tuple[Any, ...]] = [("part", "password"), ("number",), ("items", 1), ("table", "a", "password")]


@pytest.mark.parametrize("kind", range(3), ids=["model", "dataclass", "struct"])
def test_it_is_masked_and_its_neighbours_are_shown(kind: int) -> None:
    schema = schemas()[kind]
    candidate = ConfigLoader(schema, Vault(DATA, SECRETS)).load()
    assert leaves(codec_of(schema), candidate.config) == {
        "part.password": MASK,
        "part.host": "h",
        "number": MASK,
        "items": ["shown", MASK],
        "table.a.password": MASK,
        "table.a.host": "h",
        "table.b.password": "shown",
        "table.b.host": "h",
    }
    assert secrets_masked(codec_of(schema), candidate.config)(f"{SENTINEL}, 424242, shown") == f"{MASK}, {MASK}, shown"


@pytest.mark.parametrize("kind", range(3), ids=["model", "dataclass", "struct"])
def test_a_change_from_it_or_to_it_shows_neither_value(kind: int) -> None:
    schema = schemas()[kind]
    before = ConfigLoader(schema, Vault({**DATA, "part": {"password": "plain-before"}})).load()
    after = ConfigLoader(schema, Vault({**DATA, "part": {"password": "plain-after"}}, SECRETS)).load()
    for old, new in ((before, after), (after, before)):
        (change,) = differences(codec_of(schema), old.config, new.config)
        assert (change.key, change.old, change.new) == ("part.password", MASK, MASK)


@pytest.mark.parametrize("kind", range(3), ids=["model", "dataclass", "struct"])
def test_the_bytes_of_a_version_say_it_to_another_process(kind: int) -> None:
    payload = ConfigLoader(schemas()[kind], Vault(DATA, SECRETS)).load().payload
    other = schemas()[kind]  # as in another process: the same class, of which nothing is known yet
    codec = Codec(other)
    assert masked_keys(other) is None
    config = codec.decode(payload)
    assert SENTINEL not in str(leaves(codec, config))
    assert leaves(codec, config)["items"] == ["shown", MASK]
    assert sorted(masked_of(payload)) == [
        ("items", "1"), ("number",), ("part", "password"), ("table", "a", "password"),
    ]  # fmt: skip


def test_the_digest_and_the_bytes_of_the_values_are_those_without() -> None:
    schema = schemas()[0]
    plain = ConfigLoader(schema, Vault(DATA)).load()
    masked = ConfigLoader(schema, Vault(DATA, SECRETS)).load()
    assert without_masked(masked.payload) == plain.payload != masked.payload
    assert digest(masked.payload) == masked.digest == plain.digest
    assert with_masked(plain.payload, []) is plain.payload
    assert codec_of(schema).encode(codec_of(schema).decode(masked.payload)) == plain.payload


@pytest.mark.parametrize("damage", [slice(8, 13), slice(12, 20), slice(9, None)])
def test_damaged_bytes_are_refused_in_words(damage: slice) -> None:
    schema = schemas()[0]
    payload = bytearray(ConfigLoader(schema, Vault(DATA, SECRETS)).load().payload)
    payload[damage] = b"\xc1" * len(payload[damage])
    with pytest.raises(ProtocolError):
        codec_of(schema).decode(bytes(payload))


def test_a_patch_is_for_bytes_with_the_same_keys_before_them() -> None:
    class Long(BaseModel, frozen=True):
        password: str = ""
        text: str = "x" * 5000
        rest: tuple[str, ...] = ("a", "b")

    codec = codec_of(Long)
    old, new, open_ = (
        ConfigLoader(Long, Vault({"password": text}, secrets)).load()
        for text, secrets in ((SENTINEL, [("password",)]), ("other", [("password",)]), ("other", []))
    )
    found = codec.patch(old.config, old.payload, new.payload)
    assert found is not None
    assert found.config == new.config
    assert codec.patch(old.config, old.payload, open_.payload) is None


class TestProblems:
    """Of a load that is refused."""

    def refused(self, schema: Any, *sources: Any) -> str:
        with pytest.raises(ConfigError) as caught:
            ConfigLoader(schema, *sources).load()
        return str(caught.value)

    def test_no_problem_quotes_the_value(self) -> None:
        class Root(BaseModel):
            number: int
            plain: int

        said = self.refused(Root, Vault({"number": SENTINEL, "plain": "shown"}, [("number",)]))
        assert "number: Input should be a valid integer" in said
        assert SENTINEL not in said
        assert "(got 'shown')" in said

    def test_nor_does_what_a_validator_says(self) -> None:
        class Root(BaseModel):
            password: str

            @model_validator(mode="after")
            def _judge(self) -> Root:
                raise ValueError(f"not {self.password}")

        assert self.refused(Root, Vault({"password": SENTINEL}, [("password",)])).endswith(f"not {MASK}")

    def test_nor_where_a_source_above_has_another_spelling(self) -> None:
        class Root(BaseModel, populate_by_name=True):
            password: int = Field(alias="pass-word")

        low, high = Vault({"pass-word": "low-value"}, [("pass-word",)]), Vault({"password": SENTINEL})
        assert SENTINEL not in self.refused(Root, low, high)

    def test_a_table_that_is_a_secret_hides_its_keys(self) -> None:
        class Root(BaseModel):
            tokens: dict[str, int]

        said = self.refused(Root, Vault({"tokens": {SENTINEL: "x"}}, [("tokens",)]))
        assert SENTINEL not in said
        assert "tokens." in said

    def test_an_excerpt_masks_the_value(self) -> None:
        class Root(BaseModel):
            number: int

        assert excerpt("number = 'hunter2'", 1, "number", Root) == "number = 'hunter2'"
        mask_keys(Root, [("number",)])
        assert excerpt("number = 'hunter2'", 1, "number", Root) == f"number = {MASK}"


def test_an_explanation_masks_the_value_and_what_it_hides() -> None:
    class Root(BaseModel):
        password: str = "a-default"

    low, high = Vault({"password": "low-value"}, name="low"), Vault({"password": SENTINEL}, [("password",)])
    found = explain(ConfigLoader(Root, low, high).load(), "password")
    assert (found.value, found.origin, [each.value for each in found.shadowed]) == (MASK, "vault", [MASK])


def test_the_value_is_found_where_the_schema_has_it_under_another_name() -> None:
    class Inner(BaseModel):
        word: str = Field("", validation_alias=AliasChoices("pass-word", "password"))

    class Root(BaseModel):
        token: str = Field("", validation_alias=AliasPath("auth", "token"))
        inner: Inner = Inner()
        root: RootModel[dict[str, str]] = RootModel[dict[str, str]]({})
        either: Inner | int = 0
        numbered: dict[int, str] = {}

    data = {
        "auth": {"token": SENTINEL}, "inner": {"password": SENTINEL}, "root": {"a": SENTINEL},
        "either": {"pass-word": SENTINEL}, "numbered": {"1": SENTINEL},
    }  # fmt: skip
    secrets = [("auth", "token"), ("inner", "password"), ("root", "a"), ("either", "pass-word"), ("numbered", "1")]
    candidate = ConfigLoader(Root, Vault(data, secrets)).load()
    assert SENTINEL not in str(leaves(codec_of(Root), candidate.config))
    assert SENTINEL not in str(shown_value(codec_of(Root), candidate.config, ["numbered"]))
    assert SENTINEL not in repr(explain(candidate, "token"))


def test_a_set_with_one_is_masked_as_a_whole() -> None:
    class Root(BaseModel):
        names: set[str] = set()

    candidate = ConfigLoader(Root, Vault({"names": ["shown", SENTINEL]}, [("names", 1)])).load()
    assert leaves(codec_of(Root), candidate.config) == {"names": [MASK, MASK]}
    assert secrets_masked(codec_of(Root), candidate.config)(SENTINEL) == MASK


def test_what_is_set_above_it_is_listed_masked() -> None:
    class Root(BaseModel):
        password: str = ""

    mask_keys(Root, [("password",)])
    assert shown_data(Root, ("password",), SENTINEL) == MASK


def test_keys_that_come_and_go_are_bounded_and_stay_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST", 10)

    class Root(BaseModel):
        tables: dict[str, dict[str, str]] = {}
        plain: str = ""

    for number in range(30):
        mask_keys(Root, [("tables", str(number % 3), str(number))])
    found = masked_keys(Root)
    assert found is not None
    assert len(found.paths) <= 10
    for number in range(30):
        assert shown_data(Root, ("tables", str(number % 3), str(number)), SENTINEL) == MASK
    assert shown_data(Root, ("plain",), "shown") == "shown"


PARTS = st.sampled_from(["a", "b", "c"])
TREES: st.SearchStrategy[Any] = st.recursive(
    st.text(min_size=0, max_size=3),
    lambda inner: st.dictionaries(PARTS, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=12,
)


def paths_in(data: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(data, str):
        return [at]
    parts = data.items() if isinstance(data, dict) else enumerate(data)
    return [path for part, item in parts for path in paths_in(item, (*at, part))]


def planted(data: Any, secrets: set[tuple[Any, ...]], at: tuple[Any, ...] = ()) -> Any:
    if isinstance(data, str):
        return SENTINEL if at in secrets else f"open-{'-'.join(map(str, at))}"
    if isinstance(data, dict):
        return {part: planted(item, secrets, (*at, part)) for part, item in data.items()}
    return [planted(item, secrets, (*at, index)) for index, item in enumerate(data)]


@given(tree=st.dictionaries(PARTS, TREES, min_size=1, max_size=3), data=st.data())
def test_of_any_data_the_secrets_are_masked_and_nothing_else(tree: dict[str, Any], data: st.DataObject) -> None:
    class Root(BaseModel):
        values: dict[str, Any]

    known = paths_in(tree)
    secrets = set(data.draw(st.lists(st.sampled_from(known), unique=True))) if known else set()
    vault = Vault({"values": planted(tree, secrets)}, [("values", *path) for path in secrets])
    candidate = ConfigLoader(Root, vault).load()
    said = str(leaves(codec_of(Root), candidate.config)) + str(shown_data(Root, (), vault.data))
    assert SENTINEL not in said
    for path in set(known) - secrets:
        shown = shown_value(codec_of(Root), candidate.config, ["values", *path])
        assert shown == f"open-{'-'.join(map(str, path))}"
    for path in secrets:
        assert shown_value(codec_of(Root), candidate.config, ["values", *path]) == MASK


def test_a_key_below_another_one_says_nothing_more() -> None:
    assert MaskedKeys([("a",), ("a", "b")]).paths == {("a",)}


def test_a_child_that_is_forked_while_a_key_is_noted_notes_its_own() -> None:
    class Root(BaseModel):
        password: str = ""

    def notes() -> bool:
        signal.alarm(20)  # a lock that nobody releases would be waited for without an end
        mask_keys(Root, [("password",)])
        return masked_keys(Root) is not None

    with module._change:  # as another thread of the parent does
        assert holds_in_child(notes)


def test_many_threads_note_keys_at_once_and_none_is_lost() -> None:
    class Root(BaseModel):
        table: dict[str, str] = {}

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: mask_keys(Root, [("table", str(number))]), range(200)))
    found = masked_keys(Root)
    assert found is not None
    assert len(found.paths) == 200


class Provider(enum.Enum):
    """Keys of a table, which files have by their values."""

    MAIN = "main"


@pytest.mark.parametrize(
    ("keys", "written"),
    [
        (Provider, "main"),
        (bool, "true"),
        (int, "01"),
        (float, "1e3"),
        (uuid.UUID, "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"),
        (Annotated[str, StringConstraints(to_lower=True)], "MAIN"),
    ],
)
def test_a_table_whose_keys_are_not_as_they_were_written_is_masked_as_a_whole(keys: Any, written: str) -> None:
    model = create_model("Keyed", table=(dict[keys, str], {}), other=(str, "o"))
    codec = codec_of(model)
    old, new = (
        ConfigLoader(model, Vault({"table": {written: text}, "other": text[-1]}, [("table", written)])).load().config
        for text in ("hunter2-a", "hunter2-b")
    )
    shown = [differences(codec, old, new), leaves(codec, old), secrets_masked(codec, old)("hunter2-a")]
    assert SENTINEL not in str(shown)
    assert leaves(codec, old) == {"table": MASK, "other": "a"}


def test_so_is_a_list_that_a_validator_has_cut_and_a_value_that_it_has_made_of_a_table() -> None:
    class Changing(BaseModel):
        items: list[str] = []
        text: str = ""

        @field_validator("items")
        @classmethod
        def last(cls, items: list[str]) -> list[str]:
            return items[-1:]

        @field_validator("text", mode="before")
        @classmethod
        def joined(cls, table: Any) -> str:
            return "-".join(table.values())

    data = {"items": ["a", "hunter2"], "text": {"user": "me", "password": "hunter2"}}
    config = ConfigLoader(Changing, Vault(data, [("items", 1), ("text", "password")])).load().config
    assert config == Changing.model_construct(items=["hunter2"], text="me-hunter2")
    assert leaves(codec_of(Changing), config) == {"items": [MASK], "text": MASK}
