"""The guide's table "What confcast runs in" says what the tests here have tried, and nothing else."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import confcast

HERE = Path(__file__).parent
GUIDE = Path(confcast.__file__).parent / "guide" / "surroundings.md"
FAILS = "fails: "


class Row(NamedTuple):
    """One tool."""

    tool: str
    tried: str
    works: str
    advice: str
    test: str


def rows() -> list[Row]:
    lines = re.findall(r"^\| (.*) \|$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    table = [line for line in lines if line.rstrip().endswith("`") and "`test_" in line]  # another one has figures
    return [Row(*map(str.strip, line.split("|"))) for line in table]


def slow_tests() -> dict[str, Callable[..., Any]]:
    """Those that `tool` has marked, by name."""
    modules = [importlib.import_module(f"tests.surroundings.{path.stem}") for path in HERE.glob("test_*.py")]
    return {name: each for module in modules for name, each in vars(module).items() if hasattr(each, "requirements")}


def is_expected_to_fail(test: Any) -> bool:
    return any(mark.name == "xfail" for mark in test.pytestmark)


def test_each_test_has_its_row_and_each_row_its_test():
    named = [row.test.strip("`") for row in rows()]
    assert sorted(named) == sorted(slow_tests())


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.test)
def test_a_row_has_the_versions_that_its_test_installs(row: Row):
    assert [each for each in slow_tests()[row.test.strip("`")].tried if each not in row.tried] == []


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.test)
def test_a_row_says_since_when_it_works_or_how_it_fails(row: Row):
    assert row.works.startswith(FAILS) == is_expected_to_fail(slow_tests()[row.test.strip("`")])
    assert row.works.startswith(FAILS) or re.fullmatch(r"\d+\.\d+\.\d+", row.works)


def test_the_readme_leads_to_it():
    readme = (HERE.parents[1] / "README.md").read_text(encoding="utf-8")
    assert "`surroundings.md`" in readme
