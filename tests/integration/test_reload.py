"""G1, G3 and G8 with real workers: all or nothing, a barrier, and exactly what the owner validated."""

from __future__ import annotations

from pathlib import Path

from confcast import ConfigReloadManager, ReloadResult
from tests.integration.conftest import StartManager, StartWorker
from tests.support.settings import Settings, write


def test_a_reload_reaches_every_worker_before_it_returns(
    manager: ConfigReloadManager[Settings], start_worker: StartWorker, config: Path
) -> None:
    workers = [start_worker(manager) for _ in range(3)]
    write(config, 2)

    event = manager.reload()

    assert event.result is ReloadResult.SUCCESS
    assert [worker.ask("read") for worker in workers] == [(2, 2)] * 3
    assert sorted(event.applied) == sorted(worker.pid for worker in workers)
