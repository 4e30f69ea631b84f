"""A `precommit` function's refusal: as much as an event has room for, and no more work than that."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import BaseModel

from confcast import Secret
from confcast.config import diff
from confcast.errors import ConfigError, Problem
from confcast.worker.connection.mask_text import masker
from confcast.worker.precommit import refusals


class Settings(BaseModel, frozen=True):
    names: dict[str, str] = {}
    key: Annotated[str, Secret] = "the-secret"


def judge(old: object, new: object) -> None:
    raise NotImplementedError


def test_of_many_problems_the_first_hundred_are_masked_and_reported():
    asked: list[str] = []

    def masked(text: str) -> str:
        asked.append(text)
        return text

    said = refusals(judge, ConfigError([Problem(f"names.n{n}", "is unknown") for n in range(5000)]), masked)
    assert said[0] == Problem("names.n0", "judge: is unknown")
    assert (len(said), said[-1]) == (101, Problem("", "and 4,900 more"))
    assert len(asked) == 200


def test_what_a_source_gave_as_texts_is_reported_too():
    assert refusals(judge, ConfigError(["no room"])) == [Problem("", "judge: no room")]  # type: ignore[list-item]
    assert refusals(judge, ValueError()) == [Problem("", "judge: ValueError")]


def test_the_secrets_are_looked_for_once_for_all_texts_of_a_refusal(monkeypatch: pytest.MonkeyPatch):
    walks = []
    walk = diff.secrets_masked
    monkeypatch.setattr(diff, "secrets_masked", lambda *given: walks.append(1) or walk(*given))
    error = ConfigError([Problem(f"names.n{n}", "the-secret") for n in range(10)])
    said = refusals(judge, error, masker(Settings, "ConfigError", Settings(), Settings(key="another")))
    assert {problem.message for problem in said} == {"judge: **********"}
    assert len(walks) == 1
