"""The guide's page on threats: each claim names a test that there is, and each who could do harm has claims."""

from __future__ import annotations

import ast
import functools
import re

import pytest

from tests.shape.source import ROOT
from tests.shape.test_guide import GUIDE, rows

PAGE = (GUIDE / "threat_model.md").read_text(encoding="utf-8")
WITHOUT_CLAIMS = {"What is to be kept", "What is not defended"}
SECTIONS = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
CLAIMS = [row for title, text in SECTIONS.items() if title not in WITHOUT_CLAIMS for row in rows(text)]
_TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")


@functools.cache
def functions_of(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize("title", SECTIONS)
def test_a_section_has_claims_or_says_what_there_is_none_for(title: str) -> None:
    assert bool(rows(SECTIONS[title])) or title == "What is not defended"


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim[0][:60])
def test_a_claim_names_tests_that_there_are(claim: list[str]) -> None:
    text, named = claim
    found = _TEST.findall(named)
    assert text
    assert found
    assert re.sub(_TEST, "", named).strip(" ,") == ""  # nothing else stands there
    for file, test in found:
        assert test in functions_of(file), f"{file}::{test}"


def test_each_way_in_has_a_section() -> None:
    """Those whom the doors of confcast let in, and those whom they keep out."""
    assert len(SECTIONS) == 13
    assert SECTIONS.keys() > WITHOUT_CLAIMS
    assert len(CLAIMS) > 50
