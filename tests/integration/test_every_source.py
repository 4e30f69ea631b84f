"""A change of each source, while the server runs, is a version; what is missing changes nothing until it is back.

No secret that a source gives is in anything that a person or a program is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast import ConfigLoader
from confcast.master.embedded import EmbeddedManager
from tests.support.slow import slow
from tests.support.source_cases import CASES
from tests.support.source_cases.case import SourceCase
from tests.support.sourced import Sourced
from tests.support.waiting import eventually, history_of

SENTINEL, NUMBER = "hunter2", 7_391_846_205_173
LEAK = re.compile(rf"{SENTINEL}|{str(NUMBER)[:-3]}")
ALIKE = {"json", "ini", "ini_interpolated", "jsonc", "toml_table", "included", "escaped", "named in a file"}
"""What is a file that is watched, as `toml` is, and differs in how it is read alone."""
FOLLOWED = [slow(case) if case.name in ALIKE else case for case in CASES if case.is_watched or case.is_polled]


@pytest.fixture
def case(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SourceCase]:
    monkeypatch.chdir(tmp_path)
    made: SourceCase = request.param(tmp_path, monkeypatch)
    yield made
    made.close()


@pytest.mark.parametrize("case", FOLLOWED, indirect=True, ids=lambda case: case.name)
def test_it_is_followed_while_the_server_runs_and_tells_no_secret(
    case: SourceCase, nothing_is_left: None, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    case.put(values(1))
    with EmbeddedManager(ConfigLoader(Sourced, case.source()), probation=0) as manager:
        case.put(values(2))
        eventually(lambda: manager.current.key == f"{SENTINEL}-2", "the change is a version")

        case.take_away()
        if case.missing() is not None:
            eventually(lambda: history_of(manager)[0].problems, "what is missing is refused")
            assert manager.current.key == f"{SENTINEL}-2"
        case.put(values(3))
        eventually(lambda: manager.current.key == f"{SENTINEL}-3", "what is back is a version")

        before = len(history_of(manager))
        case.put({**values(4), "port": f"{SENTINEL}-4" if case.gives_secrets else "many"})
        eventually(lambda: len(history_of(manager)) > before, "what is wrong is refused")
        case.put(values(5))
        eventually(lambda: manager.current.key == f"{SENTINEL}-5", "what is right again is a version")
        said = [*map(str, told(manager)), caplog.text, *capfd.readouterr()]
    assert [each for each in said if LEAK.search(each)] == []
    assert "redis://:**********@queue/0" in str(said) or case.gives_secrets


def values(number: int) -> dict[str, str | int]:
    text = f"{SENTINEL}-{number}"
    url = f"redis://:{text}@queue/0"
    return {"name": "shown", "port": 80, "token": text, "key": text, "pin": NUMBER + number, "broker": url}


def told(manager: EmbeddedManager[Any]) -> Iterator[object]:
    """Everything that the owner tells."""
    yield from (manager.status(), manager.get_stats(), manager.get_event_history(), manager.versions())
    versions = [each.version for each in manager.versions()]
    yield from (manager.diff(version, "running") for version in versions)
    yield from (manager.explain(key) for key in ("name", "token", "key", "pin", "broker"))
    yield from (manager.check(), manager.set({"name": "above"}), manager.rollback(), manager.explain("name"))
