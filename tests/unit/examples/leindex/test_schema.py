"""The example's schema: every rule at its bounds, and every rule between fields."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from confcast.examples import leindex
from confcast.examples.leindex.schema import MCPConfig

# key, lowest, highest; beside values that keep the rules between fields at both ends
BOUNDS: list[tuple[str, int, int, dict[str, int], dict[str, int]]] = [
    ("memory.total_budget_mb", 512, 65536, {"global_index_mb": 128}, {"global_index_mb": 8192}),
    ("memory.global_index_mb", 128, 8192, {"total_budget_mb": 1000}, {"total_budget_mb": 40000}),
    ("memory.warning_threshold_percent", 50, 95, {}, {"prompt_threshold_percent": 97}),
    (
        "memory.prompt_threshold_percent",
        60,
        99,
        {"warning_threshold_percent": 50},
        {"emergency_threshold_percent": 100},
    ),
    (
        "memory.emergency_threshold_percent",
        70,
        100,
        {"warning_threshold_percent": 50, "prompt_threshold_percent": 60},
        {},
    ),
    ("projects.estimated_mb", 32, 4096, {}, {}),
    ("projects.max_file_size", 1024, 2**30, {}, {}),
    ("performance.cache_ttl_seconds", 30, 3600, {}, {}),
    ("performance.parallel_workers", 1, 32, {}, {}),
    ("performance.batch_size", 10, 500, {}, {}),
]
KEYS = [row[0] for row in BOUNDS]
THRESHOLDS = ("warning", "prompt", "emergency")


def build(key: str, value: Any, beside: dict[str, int] | None = None) -> MCPConfig:
    section, name = key.split(".")
    return MCPConfig.model_validate({section: {**(beside or {}), name: value}})


def refused(data: dict[str, Any]) -> dict[str, str]:
    """The problems of a configuration that must be refused: key to message."""
    with pytest.raises(ValidationError) as caught:
        MCPConfig.model_validate(data)
    return {".".join(map(str, error["loc"])): error["msg"] for error in caught.value.errors()}


@pytest.mark.parametrize(("key", "low", "high", "beside_low", "beside_high"), BOUNDS, ids=KEYS)
def test_both_bounds_belong_to_the_range(
    key: str, low: int, high: int, beside_low: dict[str, int], beside_high: dict[str, int]
) -> None:
    section, name = key.split(".")
    assert getattr(getattr(build(key, low, beside_low), section), name) == low
    assert getattr(getattr(build(key, high, beside_high), section), name) == high


@pytest.mark.parametrize(("key", "low", "high", "beside_low", "beside_high"), BOUNDS, ids=KEYS)
def test_one_beyond_a_bound_is_refused_by_key(
    key: str, low: int, high: int, beside_low: dict[str, int], beside_high: dict[str, int]
) -> None:
    section, name = key.split(".")
    assert f"greater than or equal to {low}" in refused({section: {**beside_low, name: low - 1}})[key]
    assert f"less than or equal to {high}" in refused({section: {**beside_high, name: high + 1}})[key]


@pytest.mark.parametrize("value", [True, "64", 64.0, None])
@pytest.mark.parametrize("key", KEYS)
def test_only_an_integer_is_an_integer(key: str, value: object) -> None:
    section, name = key.split(".")
    assert "integer" in refused({section: {name: value}})[key]


@pytest.mark.parametrize("value", [1, 0, "true", "yes", None])
def test_only_a_bool_is_a_bool(value: object) -> None:
    assert "boolean" in refused({"performance": {"cache_enabled": value}})["performance.cache_enabled"]


def test_the_defaults_are_those_of_the_table() -> None:
    assert MCPConfig().model_dump() == {
        "version": "2.0",
        "memory": {
            "total_budget_mb": 3072,
            "global_index_mb": 512,
            "warning_threshold_percent": 80,
            "prompt_threshold_percent": 93,
            "emergency_threshold_percent": 98,
        },
        "projects": {"estimated_mb": 256, "priority": "normal", "max_file_size": 5242880},
        "performance": {
            "cache_enabled": True,
            "cache_ttl_seconds": 300,
            "parallel_workers": 4,
            "batch_size": 50,
        },
    }


def test_the_packaged_file_says_the_defaults() -> None:
    packaged = yaml.safe_load(files(leindex).joinpath("default.yaml").read_text())
    assert packaged == MCPConfig().model_dump()
    assert MCPConfig.model_validate(packaged) == MCPConfig()


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_both_versions_are_accepted(version: str) -> None:
    assert MCPConfig.model_validate({"version": version}).version == version


@pytest.mark.parametrize("version", ["3.0", "2", "", True, None])
def test_another_version_is_refused(version: object) -> None:
    assert "'1.0' or '2.0'" in refused({"version": version})["version"]


@pytest.mark.parametrize("version", [2.0, 1])
def test_a_version_without_quotes_is_refused_with_what_to_do(version: float) -> None:
    assert "write it in quotes" in refused({"version": version})["version"]


@pytest.mark.parametrize("priority", ["high", "normal", "low"])
def test_the_priorities_are_accepted(priority: str) -> None:
    assert MCPConfig.model_validate({"projects": {"priority": priority}}).projects.priority == priority


def test_another_priority_is_refused() -> None:
    assert "'high', 'normal' or 'low'" in refused({"projects": {"priority": "urgent"}})["projects.priority"]


@pytest.mark.parametrize(("total", "index"), [(2560, 256), (2560, 1280), (5121, 513), (5121, 2560), (2559, 256)])
def test_a_tenth_to_a_half_of_the_total_belongs_to_the_range(total: int, index: int) -> None:
    assert MCPConfig.model_validate({"memory": {"total_budget_mb": total, "global_index_mb": index}})


@pytest.mark.parametrize(("total", "index"), [(2560, 255), (2560, 1281), (5121, 512), (5121, 2561), (2561, 256)])
def test_less_than_a_tenth_and_more_than_a_half_is_refused_at_the_part(total: int, index: int) -> None:
    problems = refused({"memory": {"total_budget_mb": total, "global_index_mb": index}})
    assert list(problems) == ["memory.global_index_mb"]
    assert f"of total_budget_mb ({total})" in problems["memory.global_index_mb"]


def test_the_message_names_the_range_in_whole_megabytes() -> None:
    message = refused({"memory": {"total_budget_mb": 5121, "global_index_mb": 512}})["memory.global_index_mb"]
    assert message == "should be 513 to 2560, which is 10 to 50 % of total_budget_mb (5121)"


def test_a_total_that_a_defaulted_part_does_not_fit_is_refused() -> None:
    assert list(refused({"memory": {"total_budget_mb": 512}})) == ["memory.global_index_mb"]


@pytest.mark.parametrize(
    ("warning", "prompt", "emergency", "wrong"),
    [
        (80, 80, 98, ["prompt"]),
        (81, 80, 98, ["prompt"]),
        (80, 93, 93, ["emergency"]),
        (80, 93, 92, ["emergency"]),
    ],
)
def test_the_thresholds_rise_strictly(warning: int, prompt: int, emergency: int, wrong: list[str]) -> None:
    values = {"warning": warning, "prompt": prompt, "emergency": emergency}
    problems = refused({"memory": {f"{name}_threshold_percent": value for name, value in values.items()}})
    assert list(problems) == [f"memory.{name}_threshold_percent" for name in wrong]
    assert all("warning < prompt < emergency" in message for message in problems.values())


def test_thresholds_one_apart_are_accepted() -> None:
    memory = {f"{name}_threshold_percent": value for name, value in zip(THRESHOLDS, (92, 93, 94), strict=True)}
    assert MCPConfig.model_validate({"memory": memory})


def test_a_rule_between_fields_is_reported_beside_the_others() -> None:
    problems = refused(
        {
            "memory": {"total_budget_mb": 4096, "global_index_mb": 300, "warning_threshold_percent": 10},
            "performance": {"parallel_workers": True},
            "surplus": 1,
        }
    )
    assert set(problems) == {
        "memory.global_index_mb",
        "memory.warning_threshold_percent",
        "performance.parallel_workers",
        "surplus",
    }


@pytest.mark.parametrize("section", ["memory", "projects", "performance"])
def test_an_unknown_key_is_refused(section: str) -> None:
    assert list(refused({section: {"unheard_of": 1}})) == [f"{section}.unheard_of"]


@pytest.mark.parametrize("section", ["memory", "projects", "performance"])
def test_nothing_can_be_changed_in_place(section: str) -> None:
    config = MCPConfig()
    part = getattr(config, section)
    name = next(iter(type(part).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(part, name, getattr(part, name))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(config, section, part)
