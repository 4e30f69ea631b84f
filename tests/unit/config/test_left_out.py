"""Values that were set under another schema: a deploy that refuses them is loaded without them, and says so."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, SecretStr, model_validator

from confcast import ConfigError, ConfigLoader, UrlSecret, Who
from confcast.config.candidate import Candidate, Reading
from confcast.config.explain import explain
from confcast.config.overrides import Call, Overrides

CALL = Call(1_800_000_000.0, Who(1000, 4711, "confcast set …"), "a test")


class Pool(BaseModel):
    size: int = 5
    least: int = 1


class Before(BaseModel):
    mode: str = "fast"
    sizes: list[int] = []
    token: SecretStr = SecretStr("")
    pool: Pool = Pool()
    levels: dict[str, str] = {}


class Narrow(BaseModel):
    size: int = Field(5, le=10)
    least: int = 1

    @model_validator(mode="after")
    def _in_order(self) -> Narrow:
        if self.least > self.size:
            raise ValueError(f"least ({self.least}) must not be above size ({self.size})")
        return self


class After(BaseModel):
    mode: int = 7
    sizes: dict[str, int] = {}
    token: int = 0
    pool: Narrow = Narrow()
    levels: dict[str, int] = {}


def set_(values: dict[str, Any], schema: Any = Before, layer: Overrides | None = None) -> Overrides:
    return (layer or Overrides()).set(values, schema, CALL)


def read(loader: ConfigLoader[Any], layer: Overrides, inherited: Overrides | None = None) -> Reading:
    layer = layer.to_be_tried()
    return loader._read().with_overrides(layer, layer if inherited is None else inherited)


def loaded(layer: Overrides, **below: Any) -> tuple[Candidate[Any], Overrides]:
    loader = ConfigLoader(After, overrides=below)
    reading = read(loader, layer)
    return loader._build(reading), reading.overrides


@pytest.mark.parametrize(
    ("values", "key", "why"),
    [
        ({"mode": "slow"}, "mode", "Input should be a valid integer"),
        ({"sizes": "[1]"}, "sizes", "Input should be a valid dictionary"),
        ({"sizes": [1]}, "sizes", "Input should be a valid dictionary"),
        ({"pool.size": 50}, "pool.size", "Input should be less than or equal to 10"),
        ({"pool": {"size": "50"}}, "pool.size", "Input should be less than or equal to 10"),
        ({"levels": {"a.b": "info"}}, "levels.a.b", "Input should be a valid integer"),
        ({"pool.least": 9}, "pool.least", "least (9) must not be above size (5)"),
    ],
)
def test_what_the_new_schema_refuses_is_left_out_and_said(
    values: dict[str, Any], key: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    found, layer = loaded(set_(values))
    assert found.config == After()
    [listed] = layer.listed(After, {})
    assert (listed.applied, listed.needed, listed.value) == (False, False, None)
    assert listed.key.replace('"', "") == key
    assert why in listed.why
    [line] = caplog.messages
    assert line.startswith(f"an override is left out: {listed.key}, set by uid 1000 (confcast set), ")
    assert line.endswith("; `confcast unset` with this key removes it")
    assert explain(found, key.split(".")[0], layer).left_out == [line.partition("left out: ")[2]]


def test_the_others_count_and_the_mark_travels_and_is_kept_until_it_is_unset() -> None:
    found, layer = loaded(set_({"mode": "slow", "pool.least": 2}))
    assert (found.config.mode, found.config.pool.least) == (7, 2)
    layer = Overrides.decode(layer.encode())
    assert [each.applied for each in layer.listed(After, {})] == [False, True]
    assert loaded(layer)[1] == layer
    assert [each.path for each in layer.unset(["mode"], After).values] == [("pool", "least")]


def test_it_counts_again_when_the_schema_takes_it() -> None:
    layer = loaded(set_({"mode": "slow"}))[1]
    loader = ConfigLoader(Before)
    reading = read(loader, layer)
    assert loader._build(reading).config.mode == "slow"
    assert reading.overrides == set_({"mode": "slow"})


def test_no_value_stands_in_a_reason_not_even_of_a_field_that_was_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    _, layer = loaded(set_({"token": "hunter2", "pool.least": 4321}))
    said = [*caplog.messages, *(each.why for each in layer.listed(After, {})), *layer.left_out(After)]
    assert len(said) == 6
    assert not [each for each in said if "hunter2" in each or "4321" in each]


def test_nor_the_password_of_a_url_that_was_set() -> None:
    class Strict(BaseModel):
        broker: Annotated[str, UrlSecret] = ""

        @model_validator(mode="after")
        def _judge(self) -> Strict:
            if self.broker:
                raise ValueError(f"not with {self.broker.partition('@')[0]}")
            return self

    loader = ConfigLoader(Strict)
    reading = read(loader, set_({"broker": "redis://:hunter2@queue"}, Strict))
    loader._build(reading)
    [why] = reading.overrides.left_out(Strict)
    assert "not with redis://:**********" in why


def test_what_this_process_has_accepted_is_refused_as_a_source_is() -> None:
    """It fits no more because a source has changed; else an edit would end what was set, and be applied."""
    layer = set_({"pool.least": 5}, After)
    loader = ConfigLoader(After)
    loader._build(read(loader, layer))
    loader._overrides = {"pool": {"size": 3}}
    with pytest.raises(ConfigError, match=r"least \(5\) must not be above size \(3\)"):
        loader._build(read(loader, layer))


def test_what_the_present_call_sets_is_refused() -> None:
    before = set_({"pool.least": 2}, After)
    layer = set_({"pool.size": 50}, After, before)
    loader = ConfigLoader(After)
    with pytest.raises(ConfigError, match="less than or equal to 10"):
        loader._build(read(loader, layer, inherited=before))


def test_what_is_wrong_with_the_sources_is_refused_all_the_same(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(set_({"mode": "slow"}), levels={"a": "x"})
    assert [each.key for each in caught.value.problems] == ["levels.a"]
    assert caplog.messages == []
