"""LeIndex's own usage snippets, verbatim but for the import line, against the example's configuration."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import confcast.master.process_wide as process_wide
from confcast.examples.leindex.config import PACKAGED_DEFAULTS, GlobalConfigManager


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home folder without a configuration; whatever manager a test starts in it is closed."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(process_wide, "_manager", None)
    yield tmp_path
    if process_wide._manager is not None:
        process_wide._manager.close()


def test_the_snippets_run_as_leindex_prints_them(home: Path) -> None:
    file = home / ".leindex" / "mcp_config.yaml"
    file.parent.mkdir()
    shutil.copy(PACKAGED_DEFAULTS, file)
    called = threading.Event()
    seen = []

    def on_config_change(old_config, new_config):
        seen.append((old_config.memory.total_budget_mb, new_config.memory.total_budget_mb))
        called.set()

    from confcast import ReloadResult, initialize_reload_manager, reload_config

    config_mgr = GlobalConfigManager()
    reload_mgr = initialize_reload_manager(config_mgr)
    reload_mgr.subscribe(on_config_change)

    file.write_text(file.read_text().replace("total_budget_mb: 3072", "total_budget_mb: 4096"))
    result = reload_config()
    assert result == ReloadResult.SUCCESS

    stats = reload_mgr.get_stats()
    assert f"{stats['successful_reloads']}/{stats['total_reloads']}" == "1/1"

    lines = []
    for event in reload_mgr.get_event_history(limit=10):
        lines.append(f"{event.result.value} {event.duration_ms > 0}")
    assert lines == ["success True", "success True"]  # the reload, and the first load

    assert called.wait(10)
    assert seen == [(3072, 4096)]
