"""A real gunicorn is tortured for thirty seconds by a fixed seed: no guarantee is violated, and enough has happened.

`scripts/torture` does the same with every server, for longer, and by other seeds.
"""

from __future__ import annotations

import collections
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.leaks import children_of
from tests.torture.checker import check
from tests.torture.history import Act, Applied, Call, Calm, Outcome, Process, Record, Request, Written
from tests.torture.options import Options
from tests.torture.plan import Terrain, plan
from tests.torture.report import report
from tests.torture.rig import run

_SECONDS, _SEED = 30.0, 1157
_ACTS = {
    *("write", "break_file", "touch", "cut", "complete", "delete", "rename_away", "rename_back", "make_unreadable"),
    *("kill", "stop", "go_on", "hup", "start_again", "fill_disk", "free_disk", "tear_journal", "remove_files", "call"),
    *("probe_says_no", "probe_says_yes"),
}
"""What can be done to a gunicorn without a fleet; the seed is one whose plan has all of it."""


def test_the_plan_of_the_run_has_every_act():
    assert {step.act for step in plan(_SEED, _SECONDS, Terrain(root=True))} == _ACTS
    assert {step.act for step in plan(_SEED, _SECONDS, Terrain(root=False))} == _ACTS


@pytest.mark.timeout(240)
def test_thirty_seconds_of_torture_violate_nothing(tmp_path: Path):
    before = children_of(os.getpid())
    history = run("gunicorn", _SECONDS, _SEED, tmp_path, Options(rate=80.0))

    violations = check(history)
    assert not violations, report(history, violations, tmp_path, ["scripts/torture", "--seed", f"{_SEED}"])
    _assert_enough(history)
    assert children_of(os.getpid()) <= before


def _assert_enough(history: Sequence[Record]) -> None:
    """A run in which nothing happens violates nothing either."""
    count = collections.Counter(type(each) for each in history)
    assert count[Request] >= 500
    assert count[Calm] == 1
    seen = {look.version for each in history if isinstance(each, Request) for look in each.seen}
    assert len(seen) >= 10
    assert len({each.version for each in history if isinstance(each, Applied)}) >= 10
    assert sum(each.answered for each in history if isinstance(each, Call)) >= 20
    assert {each.door for each in history if isinstance(each, Call)} >= {"client", "cli", "admin"}
    assert len({each.result for each in history if isinstance(each, Outcome)}) >= 4
    assert {each.kind for each in history if isinstance(each, Written)} >= {"valid", "cut", "deleted", "unreadable"}
    acts = [each for each in history if isinstance(each, Act)]
    assert {each.name for each in acts} >= {
        "fill_disk",
        "free_disk",
        "tear_journal",
        "remove_files",
        "start_again",
        "hup",
    }
    assert {each.name for each in acts if each.ok} >= {"kill", "stop", "continue"}
    ended = {each.role for each in history if isinstance(each, Process) and each.what == "ended"}
    assert ended >= {"owner", "worker", "admin"}


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_seed_repeats_the_acts_of_a_run(tmp_path: Path):
    """Whom an act met, and whether it could be done, depends on the run; what was done, and in which order, doesn't."""
    first, second = (_acts(run("gunicorn", 12.0, 2, tmp_path / name, Options(rate=80.0))) for name in ("a", "b"))
    assert len(first) >= 10
    assert first == second


def _acts(history: Sequence[Record]) -> list[tuple[object, ...]]:
    acts = [each for each in history if isinstance(each, Act) and each.name != "start_again"]
    contents = [each for each in history if isinstance(each, Written)]
    of_processes = [
        (each.name, each.role, *each.arguments.values()) for each in sorted(acts, key=lambda each: each.began)
    ]
    of_files = [(each.kind, each.serial, each.how) for each in sorted(contents, key=lambda each: each.began)]
    return [*of_processes, *of_files]
