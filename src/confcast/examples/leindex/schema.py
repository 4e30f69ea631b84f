"""The configuration of the search service: every field, its default, its limits, and the rules between fields.

Guarantees: a configuration that exists keeps every rule. Numbers are strict (`true`, `"12"` and `12.0` are no int),
unknown keys are refused, objects are frozen. A rule between two fields is a validator of the later *field*, so that
its problem has that field's line and column, and stands in the list beside all the others; defaults are validated
too, because raising the total alone can put a defaulted part out of its range.

Rejected: one `model_validator` for all rules between fields (it reports the whole section's position, one problem
at a time, and is skipped when any field is wrong), and coercing types (`parallel_workers: true` is then 1).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

INDEX_PERCENT_MIN = 10
INDEX_PERCENT_MAX = 50


class Section(BaseModel):
    """What every part of the configuration has in common: strict, frozen, closed."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", validate_default=True)


class MemoryConfig(Section):
    """What the process may keep in memory.

    Attributes:
        total_budget_mb: What the whole process may take, in MiB.
        global_index_mb: What the index may take of it, in MiB: 10 to 50 % of the total.
        warning_threshold_percent: Of the total; above it a warning is logged.
        prompt_threshold_percent: Of the total; above it the operator is asked to act.
        emergency_threshold_percent: Of the total; above it the cache is emptied.
    """

    total_budget_mb: int = Field(default=3072, ge=512, le=65536)
    global_index_mb: int = Field(default=512, ge=128, le=8192)
    warning_threshold_percent: int = Field(default=80, ge=50, le=95)
    prompt_threshold_percent: int = Field(default=93, ge=60, le=99)
    emergency_threshold_percent: int = Field(default=98, ge=70, le=100)

    @field_validator("global_index_mb")
    @classmethod
    def _is_a_part_of_the_total(cls, index: int, info: ValidationInfo) -> int:
        """Both ends belong to the range; in integers, because 0.1 is no tenth."""
        total = info.data.get("total_budget_mb")  # absent when it was refused itself
        if total is None or INDEX_PERCENT_MIN * total <= 100 * index <= INDEX_PERCENT_MAX * total:
            return index
        raise PydanticCustomError(
            "index_share",
            "should be {least} to {most}, which is {low} to {high} % of total_budget_mb ({total})",
            {
                "least": -(-total * INDEX_PERCENT_MIN // 100),
                "most": total * INDEX_PERCENT_MAX // 100,
                "low": INDEX_PERCENT_MIN,
                "high": INDEX_PERCENT_MAX,
                "total": total,
            },
        )

    @field_validator("prompt_threshold_percent")
    @classmethod
    def _prompt_is_above_warning(cls, percent: int, info: ValidationInfo) -> int:
        return _above(percent, "warning_threshold_percent", info)

    @field_validator("emergency_threshold_percent")
    @classmethod
    def _emergency_is_above_prompt(cls, percent: int, info: ValidationInfo) -> int:
        return _above(percent, "prompt_threshold_percent", info)


def _above(percent: int, lower: str, info: ValidationInfo) -> int:
    bound = info.data.get(lower)
    if bound is None or percent > bound:
        return percent
    raise PydanticCustomError(
        "threshold_order",
        "should be greater than {lower} ({bound}), as warning < prompt < emergency",
        {"lower": lower, "bound": bound},
    )


class ProjectsConfig(Section):
    """What holds for a project unless it says otherwise.

    Attributes:
        estimated_mb: What one project is expected to take, in MiB.
        priority: Which projects stay when memory runs short.
        max_file_size: In bytes; larger files are not indexed.
    """

    estimated_mb: int = Field(default=256, ge=32, le=4096)
    priority: Literal["high", "normal", "low"] = "normal"
    max_file_size: int = Field(default=5 * 1024 * 1024, ge=1024, le=2**30)


class PerformanceConfig(Section):
    """How the work is done.

    Attributes:
        cache_enabled: Whether answers are kept.
        cache_ttl_seconds: How long an answer may be given again.
        parallel_workers: Threads that read files for the index.
        batch_size: Files handed to one of them at a time.
    """

    cache_enabled: bool = True
    cache_ttl_seconds: int = Field(default=300, ge=30, le=3600)
    parallel_workers: int = Field(default=4, ge=1, le=32)
    batch_size: int = Field(default=50, ge=10, le=500)


def _quoted(version: Any) -> Any:
    """`version: 2.0` is a number in YAML; "should be '1.0' or '2.0' (got 2.0)" would help nobody."""
    if isinstance(version, int | float) and not isinstance(version, bool):
        raise PydanticCustomError("version_is_text", 'should be text: write it in quotes, as "2.0"')
    return version


class MCPConfig(Section):
    """The whole configuration.

    Attributes:
        version: Of the file's format.
        memory: What the process may keep in memory.
        projects: What holds for a project unless it says otherwise.
        performance: How the work is done.
    """

    version: Annotated[Literal["1.0", "2.0"], BeforeValidator(_quoted)] = "2.0"
    memory: MemoryConfig = Field(default_factory=MemoryConfig)
    projects: ProjectsConfig = Field(default_factory=ProjectsConfig)
    performance: PerformanceConfig = Field(default_factory=PerformanceConfig)
