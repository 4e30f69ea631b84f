"""The families of `scripts/bench`: each can be run, and the package says which there are."""

from __future__ import annotations

from importlib import import_module

import pytest

import benchmarks
from benchmarks.__main__ import FAMILIES


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_measures_and_is_listed(family: str):
    module = import_module(f"benchmarks.{family}")
    assert callable(module.measure)
    assert f"`{family}/`" in benchmarks.__doc__ or f"`{family}.py`" in benchmarks.__doc__
