"""A real gunicorn is tortured for thirty seconds by a fixed seed: no guarantee is violated, and enough has happened.

`scripts/torture` does the same with every server, for longer, and by other seeds.
"""

from __future__ import annotations

import collections
from pathlib import Path

import pytest

from tests.torture.checker import check
from tests.torture.history import Act, Applied, Call, Calm, Outcome, Process, Record, Request, Written
from tests.torture.options import Options
from tests.torture.report import report
from tests.torture.rig import run

_SECONDS, _SEED = 30.0, 1


@pytest.mark.timeout(240)
def test_thirty_seconds_of_torture_violate_nothing(tmp_path: Path):
    history = run("gunicorn", _SECONDS, _SEED, tmp_path, Options(rate=80.0))

    violations = check(history)
    assert not violations, report(history, violations, tmp_path, ["scripts/torture", "--seed", f"{_SEED}"])
    _assert_enough(history)


def _assert_enough(history: list[Record]) -> None:
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
    assert {each.kind for each in history if isinstance(each, Written)} >= {"valid", "cut"}
    assert {each.veto for each in history if isinstance(each, Written)} >= {"", "all"}
    done = {each.name for each in history if isinstance(each, Act) and each.ok}
    assert done >= {"kill", "stop", "continue", "fill_disk", "tear_journal"}
    ended = {each.role for each in history if isinstance(each, Process) and each.what == "ended"}
    assert ended >= {"owner", "worker"}
