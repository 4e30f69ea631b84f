"""The MCP server's configuration: the packaged file, its place, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from confcast import ConfigError
from confcast.examples.leindex.config import PACKAGED_DEFAULTS as OF_THE_SERVICE
from confcast.examples.mcp_server.config import PACKAGED_DEFAULTS, loader
from confcast.examples.mcp_server.schema import ServerConfig


def problems(folder: Path, text: str) -> list[str]:
    path = folder / "server.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        loader(path).load()
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def test_the_packaged_file_has_the_defaults() -> None:
    assert loader(PACKAGED_DEFAULTS).load().config == ServerConfig()


def test_the_packaged_file_takes_over_what_the_search_service_has() -> None:
    shared = OF_THE_SERVICE.read_text(encoding="utf-8").partition("\nmemory:")[2]
    assert PACKAGED_DEFAULTS.read_text(encoding="utf-8").endswith(shared)


def test_the_environment_names_the_file_and_an_argument_comes_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named, given = tmp_path / "named.yaml", tmp_path / "given.yaml"
    named.write_text("limits: {max_results: 2}\n")
    given.write_text("limits: {max_results: 3}\n")
    monkeypatch.setenv("MCP_SERVER_CONFIG", str(named))
    assert loader().load().config.limits.max_results == 2
    assert loader(given).load().config.limits.max_results == 3


def test_a_missing_file_is_an_error_and_never_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("MCP_SERVER_CONFIG", raising=False)
    with pytest.raises(ConfigError, match=r"\.leindex/mcp_server\.yaml"):
        loader().load()


def test_a_tool_that_does_not_exist_is_named_with_its_place(tmp_path: Path) -> None:
    assert problems(tmp_path, "tools:\n  enabled: [search, serch]\n") == [
        "server.yaml:2:21: tools.enabled.1: Input should be 'search', 'status' or 'index' (got 'serch')"
    ]


def test_a_tool_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, "tools:\n  enabled: [search, status, search]\n")
    assert problem.startswith("server.yaml:2:12: tools.enabled: should name each tool once: search")


@pytest.mark.parametrize("text", ["max_results: 0", "max_results: 1001", "max_query_length: 0", "max_results: true"])
def test_a_limit_has_a_range_and_is_a_number(tmp_path: Path, text: str) -> None:
    assert len(problems(tmp_path, f"limits: {{{text}}}\n")) == 1


def test_no_tool_at_all_is_a_configuration(tmp_path: Path) -> None:
    path = tmp_path / "server.yaml"
    path.write_text("tools: {enabled: []}\n")
    assert loader(path).load().config.tools.enabled == ()
