"""What a comparison without a schema hides: words that were made by chance, each looked at once."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from confcast.cli.fleet.plain_diff import _without_chance, plain_differences
from confcast.config.schema.masking import MASK

BY_ITS_PATTERN = re.compile(r"(?=\S*\d)(?=\S*[A-Za-z])[A-Za-z0-9+/_=.~-]{16,}")
"""What is masked, in one pattern, which takes the square of a word's length."""


@given(st.lists(st.sampled_from(["a", "7", "٣", "é", " ", "\n", "/", "@", "abcdefgh", "01234567"]), max_size=30))
def test_what_was_made_by_chance_is_masked(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert _without_chance(text) == BY_ITS_PATTERN.sub(MASK, text)


@pytest.mark.parametrize("text", ["a" * 200_000, "1" * 200_000, "é" * 200_000, "a@" * 100_000])
def test_a_long_word_takes_no_long_time(text: str) -> None:
    began = time.process_time()
    assert len(plain_differences({"x": ""}, {"x": text})) == 1
    assert time.process_time() - began < 1.0


def test_numbers_that_python_does_not_write_in_decimal_differ_and_are_masked_as_what_was_made_by_chance() -> None:
    large = 16**4000
    old, new = {"a": [large], "b": large, large: {}}, {"a": [large + 1], "b": large, large: {"c": 1, large: 1}}
    found = {each.key: each.new for each in plain_differences(old, new)}
    assert found == {"a": [MASK], f"{MASK}….c": 1, f"{MASK}….{MASK}…": 1}
