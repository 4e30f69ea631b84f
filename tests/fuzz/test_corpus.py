"""Each input that is kept of a target, and each that has found something, within the bounds; without a fuzzer."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.fuzz import bounds
from tests.fuzz.choosing import MOST
from tests.support.programs import ROOT


@pytest.fixture(scope="module")
def outcomes() -> dict[str, dict[str, str]]:
    """What each target and each input that once found something find now."""
    command = [sys.executable, "-W", "error", "-m", "tests.fuzz.replay"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=290, check=False)
    assert done.returncode == 0, done.stderr
    found: Any = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", bounds.TARGETS)
@pytest.mark.timeout(300)
def test_the_inputs_that_are_kept_find_nothing(name: str, outcomes: dict[str, dict[str, str]]) -> None:
    assert outcomes["kept"][name] == ""


@pytest.mark.parametrize("name", bounds.TARGETS)
@pytest.mark.timeout(300)
def test_nor_does_what_is_near_them(name: str, outcomes: dict[str, dict[str, str]]) -> None:
    assert outcomes["near"][name] == ""


@pytest.mark.timeout(300)
def test_what_was_found_once_is_found_no_more(outcomes: dict[str, dict[str, str]]) -> None:
    assert outcomes["found"]
    assert {name: text for name, text in outcomes["found"].items() if text} == {}


def test_an_input_is_small_and_there_are_some_dozens_of_a_target_at_the_most() -> None:
    found = {path: path.stat().st_size for path in bounds.CORPUS.glob("*/*")}
    assert {path.parent.name for path in found} <= set(bounds.TARGETS)
    assert [path for path, size in found.items() if size > bounds.LONGEST] == []
    assert [name for name in bounds.TARGETS if len(list((bounds.CORPUS / name).glob("*"))) > MOST] == []
