"""The example's loader: the packaged file, its place, and problems that name file, line, column and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from confcast import ConfigError, ConfigLoader
from confcast.examples.leindex.config import PACKAGED_DEFAULTS, GlobalConfigManager
from confcast.examples.leindex.schema import MCPConfig


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        GlobalConfigManager(path).load()
    return [str(problem).replace(f"{path.parent}/", "") for problem in caught.value.problems]


def spoilt(folder: Path, *replacements: tuple[str, str]) -> Path:
    text = PACKAGED_DEFAULTS.read_text(encoding="utf-8")
    for old, new in replacements:
        assert text.count(old) == 1
        text = text.replace(old, new)
    path = folder / "mcp_config.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_packaged_file_loads_and_says_where_a_value_comes_from() -> None:
    loader = GlobalConfigManager(PACKAGED_DEFAULTS)
    assert isinstance(loader, ConfigLoader)
    candidate = loader.load()
    assert candidate.config == MCPConfig()
    assert candidate.origin_of("memory.total_budget_mb").endswith("default.yaml:5:20")


def test_the_default_path_is_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    loader = GlobalConfigManager()
    Path(tmp_path, ".leindex").mkdir()
    Path(tmp_path, ".leindex", "mcp_config.yaml").write_text("performance:\n  batch_size: 77\n", encoding="utf-8")
    assert loader.load().config.performance.batch_size == 77


def test_a_missing_file_is_an_error_and_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigError, match=r"mcp_config\.yaml") as caught:
        GlobalConfigManager().load()
    assert caught.value.reason == "file_not_found"
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_an_error_and_stays_empty(tmp_path: Path) -> None:
    path = tmp_path / "mcp_config.yaml"
    path.write_text("", encoding="utf-8")
    assert len(problems(path)) == 1
    assert path.read_text(encoding="utf-8") == ""


def test_every_problem_is_named_at_once_with_its_place(tmp_path: Path) -> None:
    path = spoilt(
        tmp_path,
        ('version: "2.0"', "version: 2.0"),
        ("total_budget_mb: 3072", "total_budget_mb: 6000"),
        ("prompt_threshold_percent: 93", "prompt_threshold_percent: 80"),
        ("parallel_workers: 4", "parallel_workers: true"),
    )
    found = problems(path)
    assert found[0] == 'mcp_config.yaml:2:10: version: should be text: write it in quotes, as "2.0" (got 2.0)'
    assert found[1].startswith("mcp_config.yaml:6:20: memory.global_index_mb: should be 600 to 3000")
    assert found[2].startswith("mcp_config.yaml:8:29: memory.prompt_threshold_percent: should be greater than")
    assert found[3].startswith("mcp_config.yaml:19:21: performance.parallel_workers: ")
    assert len(found) == 4
