"""Plain data as bytes and back."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from confcast import ConfigError, ConfigLoader, File, ProtocolError
from confcast.config.overrides import Call, Overrides
from confcast.config.plain_bytes import decode_data, encode_data
from tests.unit.config.codec.exactness import assert_exact

_zones = st.sampled_from([None, dt.UTC, dt.timezone(dt.timedelta(hours=-3, minutes=-30))])
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
    lambda inside: st.lists(inside) | st.dictionaries(st.text() | st.integers() | st.none() | st.dates(), inside),
    max_leaves=10,  # a leaf of each kind in each kind of branch: more of them took 10 s, all of it to draw them
)


@settings(deadline=None, derandomize=True, database=None, max_examples=100, suppress_health_check=list(HealthCheck))
@given(
    st.dictionaries(
        st.text(), _values | (st.datetimes(timezones=_zones) | st.times()).map(lambda time: time.replace(fold=0))
    )
)
def test_all_plain_data_comes_back_exactly(data: dict[str, Any]) -> None:
    assert_exact(decode_data(encode_data(data)), data)


def test_other_data_are_refused_by_type() -> None:
    with pytest.raises(TypeError, match=r"^a set is no plain data: text, "):
        encode_data({"a": [{1}]})


def test_an_unknown_extension_is_refused() -> None:
    with pytest.raises(ValueError, match="no such extension"):
        decode_data(msgspec.msgpack.encode({"a": msgspec.msgpack.Ext(99, b"")}))


class Settings(msgspec.Struct):
    day: dt.date
    number: int = 0


class Tagged(msgspec.Struct):
    tags: set[int]


def test_what_the_sources_gave_is_loaded_again_without_them(tmp_path: Any) -> None:
    file = tmp_path / "app.toml"
    file.write_text("day = 2026-01-02\nnumber = 5")
    loader = ConfigLoader(Settings, File(file))
    reading = loader._read()
    kept = loader._given(reading, loader._build(reading))
    file.unlink()
    again = loader._reading_of(kept, "version 3", Overrides().set({"number": "7"}, Settings, Call(0.0)))
    candidate = loader._build(again)
    assert candidate.config == Settings(dt.date(2026, 1, 2), 7)
    assert candidate.origin_of("day") == "version 3"
    assert candidate.origin_of("number").startswith("set at run time, ")
    with pytest.raises(ProtocolError, match=r"^what the sources gave can't be read: DecodeError$"):
        loader._reading_of(kept[:-1], "version 3")


def test_what_can_not_be_kept_is_refused() -> None:
    loader = ConfigLoader(Tagged, overrides={"tags": {1}})
    reading = loader._read()
    candidate = loader._build(reading)
    with pytest.raises(ConfigError, match="what the sources give can't be kept: a set is no plain data"):
        loader._given(reading, candidate)
