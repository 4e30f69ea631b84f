"""The configuration of the MCP server: that of the search service, and which tools clients have, with what limits.

Guarantees: those of `leindex/schema.py`, whose sections are used here (numbers are strict, unknown keys are refused,
objects are frozen, every problem has a place); and each enabled tool exists, and is in the list once.

Rejected: a table for each tool (`tools.search.enabled`): one list shows what a client sees, and in which order.
"""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError

from confcast.examples.leindex.schema import MCPConfig, Section

ToolName = Literal["search", "status", "index"]


class ToolsConfig(Section):
    """The tools that clients may call.

    Attributes:
        enabled: The tools, in the order in which clients are shown them; every other name is refused as unknown.
    """

    enabled: tuple[ToolName, ...] = Field(default=get_args(ToolName), strict=False)  # YAML has lists, and no tuples

    @field_validator("enabled")
    @classmethod
    def _is_no_repetition(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise PydanticCustomError("repeated", "should name each tool once: {names}", {"names": ", ".join(repeated)})
        return names


class LimitsConfig(Section):
    """How much one call may ask for; clients see these limits in the schemas of the tools.

    Attributes:
        max_results: Matches in one answer.
        max_query_length: Characters in one query.
    """

    max_results: int = Field(default=10, ge=1, le=1000)
    max_query_length: int = Field(default=200, ge=1, le=10000)


class ServerConfig(MCPConfig):
    """The whole configuration.

    Attributes:
        tools: What clients may call.
        limits: How much one call may ask for.
    """

    tools: ToolsConfig = Field(default_factory=ToolsConfig)
    limits: LimitsConfig = Field(default_factory=LimitsConfig)
