"""Probes in a real owner: a no undoes what is provisional, and one that never answers undoes nothing."""

from __future__ import annotations

import sys
from pathlib import Path

from confcast import ReloadResult, probes
from tests.integration.test_operations import reads
from tests.integration.test_windows import undone
from tests.support.fixtures import StartManager, StartWorker
from tests.support.settings import write
from tests.support.waiting import eventually


def test_a_no_undoes_the_version_in_every_worker_and_a_probe_without_an_answer_does_not(
    start_manager: StartManager, start_worker: StartWorker, config: Path, tmp_path: Path
) -> None:
    sick = tmp_path / "sick"
    looks = f"import os, sys; sys.exit('the pool is empty' if os.path.exists({str(sick)!r}) else 0)"
    asked = [
        probes.Command([sys.executable, "-c", looks], every=5.0),
        probes.Command([sys.executable, "-c", "import time; time.sleep(600)"], every=0.1),
        probes.Command(["no-such-program"], every=0.1),
    ]
    manager = start_manager(probes=asked, probation=60.0)
    worker = start_worker(manager)
    write(config, 2)
    assert manager.reload()
    eventually(lambda: manager.get_stats()["failures"].get("probe without an answer", 0) > 2, "no answers")
    assert manager.status().provisional == "probation"
    sick.touch()
    write(config, 3)
    assert manager.reload()
    event = undone(manager)
    assert (event.result, event.version) == (ReloadResult.UNDONE, 4)
    why = f"a probe says no to version 3: {sys.executable} … exited with status 1: the pool is empty"
    assert event.evidence == [why]
    eventually(lambda: reads([worker]) == {(4, 1)}, "what was good before")
