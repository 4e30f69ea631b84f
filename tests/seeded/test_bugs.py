"""The suite finds bugs: each of `bugs.py`, put into a copy of the package, makes a test fail that is to find it.

The copy stands before the package on PYTHONPATH, for the tests' process and for all that it starts. That it is the
copy which is imported needs no proof of its own: a bug that is found was imported, and it is nowhere else. A control
runs the same tests on a copy without a bug, so that they fail for the bug and for nothing else.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.seeded.bugs import BUGS, BY_CHANCE, FIRST_VOTE, PROBATIONS, TRIALS, Bug
from tests.support.seeded import copied, with_the_bug

ROOT = Path(__file__).parents[2]
AT_LEAST = {"core": 7, "shell": 4, "worker": 4, "journal": 3, "watcher": 3, "codec": 3, "load": 3, "serve": 2}
A_TEST, A_RUN = 20, 300
"""Seconds for one test, and for all of a run: a bug may well make something wait for ever."""

OF_NEW_ROWS = [bug for bug in BUGS if {TRIALS, PROBATIONS, FIRST_VOTE} & {*bug.found_by}]
"""Those of trials, of probations and of who votes first, each of which has a trace by hand, too."""

each_bug = pytest.mark.parametrize("bug", BUGS, ids=lambda bug: f"{bug.area}: {bug.name}")


@each_bug
def test_a_bug_still_has_its_place_and_is_code(bug: Bug):
    compile(with_the_bug(bug), bug.file, "exec")


@each_bug
def test_what_is_to_find_it_exists(bug: Bug):
    assert bug.found_by
    for test in bug.found_by:
        file, _, name = test.partition("::")
        assert f"def {name}" in (ROOT / file).read_text(encoding="utf-8")


def test_there_are_bugs_everywhere():
    counts = Counter(bug.area for bug in BUGS)
    assert {area: count for area, count in counts.items() if count < AT_LEAST[area]} == {}
    assert counts.keys() == AT_LEAST.keys()
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 120


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return copied(tmp_path)


def run(tests: tuple[str, ...], home: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, *tests]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "CONFCAST_"))}
    return subprocess.run(
        command, cwd=ROOT, env=inherited | {"PYTHONPATH": str(home)}, timeout=A_RUN, capture_output=True, text=True
    )


@pytest.mark.slow
@pytest.mark.timeout(A_RUN + 60)
@each_bug
def test_the_suite_finds_it(bug: Bug, copy: Path):
    (copy / "confcast" / bug.file).write_text(with_the_bug(bug), encoding="utf-8")
    found = run(bug.found_by, copy, "-x", f"--timeout={A_TEST}")
    by_a_test = re.search(r"^FAILED |\+ Timeout \+", found.stdout + found.stderr, re.MULTILINE)
    assert found.returncode == 1, found.stdout[-4000:] + found.stderr[-2000:]
    assert by_a_test, "no test failed: " + found.stdout[-4000:]


@pytest.mark.slow
@pytest.mark.timeout(A_RUN + 60)
@pytest.mark.parametrize("bug", OF_NEW_ROWS, ids=lambda bug: bug.name)
def test_the_simulation_finds_it_alone(bug: Bug, copy: Path):
    """By its oracle, in the runs of the suite: what no run has reached would be no find."""
    (copy / "confcast" / bug.file).write_text(with_the_bug(bug), encoding="utf-8")
    found = run((BY_CHANCE,), copy, f"--timeout={A_RUN}")
    assert found.returncode == 1, found.stdout[-4000:] + found.stderr[-2000:]
    assert re.search(r"^E +in run_by_chance\(\d+\)", found.stdout, re.MULTILINE), found.stdout[-4000:]


@pytest.mark.slow
@pytest.mark.timeout(A_RUN + 60)
def test_without_a_bug_the_same_tests_pass(copy: Path):
    tests = tuple(dict.fromkeys(test for bug in BUGS for test in bug.found_by))
    control = run(tests, copy)
    assert control.returncode == 0, control.stdout[-4000:] + control.stderr[-2000:]
