"""A long run, made short: everything that it has works together, and is looked at."""

from __future__ import annotations

import pytest

from benchmarks import long_run
from benchmarks.long_run.site import JUDGED, WORKERS
from tests.support.engines.redis import Redis


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.skipif(not Redis.programs(), reason="there is no server of Redis on this machine")
def test_a_run_does_all_that_it_says_and_looks_at_each_process():
    lines = list[str]()
    run = long_run.measure(160, 3, lambda found: lines.append(long_run.line(found)), looks=4)

    assert [look.reloads >= due for look, due in zip(run.looks, (0, 40, 80, 120, 160), strict=True)] == [True] * 5
    assert len(lines) == 5
    for look in run.looks:
        roles = [each.role for each in look.processes]
        assert {role: roles.count(role) for role in JUDGED} == {
            role: WORKERS if role == "worker" else 1 for role in JUDGED
        }
        assert all(each.memory > 1000 and each.threads > 0 and each.descriptors > 3 for each in look.processes)
    assert run.killed == 1
    assert run.answered >= 200
    assert run.torn == 0
    assert run.told >= 100  # by the webhook
    done = {outcome.split(":")[0] for outcome in run.results}
    assert done >= {"changed", "checked", "invalid", "set"}
    assert run.others == []
    assert [row.name for row in run.rows() if row.ok is False] == []
