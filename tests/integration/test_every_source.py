"""A change of each source, while the server runs, is a version; what is missing changes nothing until it is back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast import ConfigLoader
from confcast.master.embedded import EmbeddedManager
from tests.support.source_cases import CASES
from tests.support.source_cases.case import SourceCase
from tests.support.sourced import Sourced
from tests.support.waiting import eventually, history_of

FOLLOWED = [case for case in CASES if case.is_watched or case.is_polled]


@pytest.fixture
def case(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SourceCase]:
    monkeypatch.chdir(tmp_path)
    made: SourceCase = request.param(tmp_path, monkeypatch)
    yield made
    made.close()


@pytest.mark.parametrize("case", FOLLOWED, indirect=True, ids=lambda case: case.name)
def test_it_is_followed_while_the_server_runs(case: SourceCase, nothing_is_left: None) -> None:
    case.put({"name": "first"})
    with EmbeddedManager(ConfigLoader(Sourced, case.source()), probation=0) as manager:
        case.put({"name": "second"})
        eventually(lambda: manager.current.name == "second", "the change is a version")

        case.take_away()
        if case.missing() is not None:
            eventually(lambda: history_of(manager)[0].problems, "what is missing is refused")
            assert manager.current.name == "second"
        case.put({"name": "third"})
        eventually(lambda: manager.current.name == "third", "what is back is a version")
