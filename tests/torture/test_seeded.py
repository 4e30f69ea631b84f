"""The rig finds bugs: each of `seeded.py`, put into a copy of the package, makes the checker name a rule it breaks.

The copy stands before the package on PYTHONPATH, for the rig's process and for all that it starts. A control runs
the same plans on a copy without a bug, so that what is found is the bug.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.support.seeded import copied, with_the_bug
from tests.torture.checker import RULES, check
from tests.torture.history import Request, read
from tests.torture.seeded import BUGS, Bug

ROOT = Path(__file__).parents[2]
A_RUN = 240
"""Seconds for one run: its torture, its start and end, and what a bug makes wait in vain."""

each_bug = pytest.mark.parametrize("bug", BUGS, ids=lambda bug: f"{bug.area}: {bug.name}")


@each_bug
def test_a_bug_still_has_its_place_and_is_code(bug: Bug):
    compile(with_the_bug(bug), bug.file, "exec")
    assert bug.rules
    assert RULES.keys() >= {*bug.rules}


def test_there_are_two_bugs_in_each_area():
    areas = ("owner", "replica", "journal", "watcher", "trial", "undo")
    assert {area: count for area, count in Counter(bug.area for bug in BUGS).items() if count >= 2}.keys() == {*areas}
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 12


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return copied(tmp_path / "copy")


def broken_rules(home: Path, kept: Path, options: list[str]) -> set[str]:
    """The rules that a run of the rig breaks, with the package that lies there."""
    command = [sys.executable, "-m", "tests.torture.seeded", *options, "--keep", str(kept)]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "CONFCAST_"))}
    environment = inherited | {"PYTHONPATH": str(home)}
    ran = subprocess.run(command, cwd=ROOT, env=environment, timeout=A_RUN, capture_output=True, text=True)
    told = f"exit status {ran.returncode}: {ran.stdout[-2000:]}{ran.stderr[-2000:]}"
    (history,) = kept.glob("*/history")
    records = read(history)
    assert sum(isinstance(each, Request) for each in records) > 100, told
    return {violation.rule for violation in check(records)}


@pytest.mark.slow
@pytest.mark.timeout(A_RUN + 30)
@each_bug
def test_the_rig_finds_it(bug: Bug, copy: Path, tmp_path: Path):
    (copy / "confcast" / bug.file).write_text(with_the_bug(bug), encoding="utf-8")
    found = broken_rules(copy, tmp_path / "kept", bug.options)
    assert found & {*bug.rules}, (found, bug.options)


CONTROLS = [
    next(same) for _, same in itertools.groupby(sorted(BUGS, key=lambda bug: bug.phases), lambda bug: bug.phases)
]
"""One of each kind of plan."""


@pytest.mark.slow
@pytest.mark.timeout(A_RUN + 30)
@pytest.mark.parametrize("bug", CONTROLS, ids=lambda bug: bug.phases)
def test_without_a_bug_the_same_run_breaks_nothing(bug: Bug, copy: Path, tmp_path: Path):
    assert broken_rules(copy, tmp_path / "kept", bug.options) == set()
