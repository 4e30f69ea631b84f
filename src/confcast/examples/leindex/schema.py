"""The configuration of the search service: every field, its default, its limits, and the rules between fields.

Guarantees: every instance keeps every rule. Numbers are strict (`true`, `"12"` and `12.0` are no int), unknown keys are
refused, objects are frozen. A rule between two fields is a validator of the later *field*, so that its problem has that
field's line and column, and is in the list beside all the others; defaults are validated too, because raising the total
alone can put a defaulted part out of its range. `default.yaml` says what each field is for.

Rejected: one `model_validator` for all rules between fields (it reports the whole section's position, one problem
at a time, and is skipped when any field is wrong), and coercing types (`parallel_workers: true` is then 1).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """The base of every part of the configuration: strict, frozen, without unknown keys."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", validate_default=True)


class MemoryConfig(Section):
    """How much memory the process may use; thresholds are percent of the total."""

    total_budget_mb: int = Field(default=3072, ge=512, le=65536)
    global_index_mb: int = Field(default=512, ge=128, le=8192)
    warning_threshold_percent: int = Field(default=80, ge=50, le=95)
    prompt_threshold_percent: int = Field(default=93, ge=60, le=99)
    emergency_threshold_percent: int = Field(default=98, ge=70, le=100)

    @field_validator("global_index_mb")
    @classmethod
    def _is_a_part_of_the_total(cls, index: int, info: ValidationInfo) -> int:
        """Check 10 to 50 %, both ends included; in integers, because the float 0.1 is not a tenth."""
        total = info.data.get("total_budget_mb")  # absent if the total itself was refused
        if total is None or total <= 10 * index <= 5 * total:
            return index
        share = f"{-(-total // 10)} to {total // 2}, which is 10 to 50 % of total_budget_mb ({total})"
        raise PydanticCustomError("index_share", "should be {share}", {"share": share})

    @field_validator("prompt_threshold_percent", "emergency_threshold_percent")
    @classmethod
    def _is_above_the_one_before(cls, percent: int, info: ValidationInfo) -> int:
        prompt = info.field_name == "prompt_threshold_percent"
        lower = "warning_threshold_percent" if prompt else "prompt_threshold_percent"
        bound = info.data.get(lower)
        if bound is None or percent > bound:
            return percent
        order = "should be greater than {lower} ({bound}), as warning < prompt < emergency"
        raise PydanticCustomError("threshold_order", order, {"lower": lower, "bound": bound})


class ProjectsConfig(Section):
    """The limits of a project that sets none of its own."""

    estimated_mb: int = Field(default=256, ge=32, le=4096)
    priority: Literal["high", "normal", "low"] = "normal"
    max_file_size: int = Field(default=5 * 1024 * 1024, ge=1024, le=2**30)


class PerformanceConfig(Section):
    """How the work is done."""

    cache_enabled: bool = True
    cache_ttl_seconds: int = Field(default=300, ge=30, le=3600)
    parallel_workers: int = Field(default=4, ge=1, le=32)
    batch_size: int = Field(default=50, ge=10, le=500)


def _quoted(version: Any) -> Any:
    """Refuse a number: `version: 2.0` is one in YAML, and "should be '2.0' (got 2.0)" would not help."""
    if isinstance(version, int | float) and not isinstance(version, bool):
        raise PydanticCustomError("version_is_text", 'should be text: write it in quotes, as "2.0"')
    return version


class MCPConfig(Section):
    """The whole configuration."""

    version: Annotated[Literal["1.0", "2.0"], BeforeValidator(_quoted)] = "2.0"
    memory: MemoryConfig = Field(default_factory=MemoryConfig)
    projects: ProjectsConfig = Field(default_factory=ProjectsConfig)
    performance: PerformanceConfig = Field(default_factory=PerformanceConfig)
