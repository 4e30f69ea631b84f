"""The search service as tools: which tools there are, what each takes, and what it answers, all by one configuration.

Guarantees: a tool's input schema and the check of its arguments are the same class, made from the limits of the same
version, so that a call is checked against the schema that the client got. A tool that is not enabled is refused as the
protocol refuses an unknown name. Every answer says which process and which version gave it. This module knows no
transport, and reads no global. `Tools` are those of one version: the application derives them of the configuration.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any, NamedTuple

from mcp import MCPError, types
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from confcast import Snapshot
from confcast.examples.leindex.search import SearchService
from confcast.examples.mcp_server.schema import LimitsConfig, ServerConfig, ToolsConfig

Arguments = dict[str, Any]
Answer = dict[str, Any]

_USUAL_RESULTS = 10
_CLOSED = ConfigDict(extra="forbid", strict=True)


Part = tuple[ToolsConfig, LimitsConfig]


def shown(config: ServerConfig) -> Part:
    """The part of the configuration that clients are shown, and of which the tools are made."""
    return config.tools, config.limits


class _Tool(NamedTuple):
    listed: types.Tool
    takes: type[BaseModel]
    answer: Callable[[Arguments, ServerConfig], Answer]


class Tools:
    """The tools of one version over a service. Any thread may call them.

    Args:
        service: The service, whose observers the application subscribes.
        part: What clients are shown.
    """

    def __init__(self, service: SearchService, part: Part) -> None:
        self._service = service
        enabled, limits = part
        made: dict[str, tuple[str, Callable[[], type[BaseModel]], Callable[[Arguments, ServerConfig], Answer]]] = {
            "search": ("The files that match a query best.", lambda: _search_arguments(limits), self._search),
            "status": ("What the index and the cache of this process hold.", _no_arguments, self._status),
            "index": ("Look at the folder again, for new and changed files.", _no_arguments, self._index),
        }
        self._tools: dict[str, _Tool] = {}
        for name in enabled.enabled:
            description, arguments, answer = made[name]
            takes = arguments()
            listed = types.Tool(name=name, description=description, input_schema=takes.model_json_schema())
            self._tools[name] = _Tool(listed, takes, answer)

    def list(self) -> list[types.Tool]:
        """The tools, as a client sees them whose request has this version."""
        return [each.listed for each in self._tools.values()]

    def call(self, name: str, arguments: Arguments, snapshot: Snapshot[ServerConfig]) -> types.CallToolResult:
        """Run a tool with its own version, which is this one; this may take long.

        Raises:
            MCPError: There is no such tool in this version (the protocol's invalid params, -32602).
        """
        tool = self._tools.get(name)
        if tool is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {name}")
        try:
            checked = tool.takes.model_validate(arguments)
        except ValidationError as error:
            return _result(_problems(name, error), is_error=True)
        answer = {"pid": os.getpid(), "version": snapshot.version, **tool.answer(checked.model_dump(), snapshot.config)}
        return _result(json.dumps(answer, ensure_ascii=False), answer)

    def _search(self, arguments: Arguments, config: ServerConfig) -> Answer:
        hits, cached = self._service.search(arguments["query"], config, arguments["limit"])
        return {"hits": [{"file": hit.name, "score": round(hit.score, 4)} for hit in hits], "cached": cached}

    def _status(self, arguments: Arguments, config: ServerConfig) -> Answer:
        return self._service.status()

    def _index(self, arguments: Arguments, config: ServerConfig) -> Answer:
        return self._service.index.look()._asdict()


def _search_arguments(limits: LimitsConfig) -> type[BaseModel]:
    query = Field(min_length=1, max_length=limits.max_query_length, description="Words; the more of them the better.")
    limit = Field(min(_USUAL_RESULTS, limits.max_results), ge=1, le=limits.max_results, description="Matches at most.")
    return create_model("search", __config__=_CLOSED, query=(str, query), limit=(int, limit))


def _no_arguments() -> type[BaseModel]:
    return create_model("nothing", __config__=_CLOSED)


def _problems(name: str, error: ValidationError) -> str:
    """The text of an error in a tool, not in the protocol: the model that called the tool can correct the call."""
    problems = [f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors()]
    return f"{name} was not run; {'; '.join(problems)}"


def _result(text: str, answer: Answer | None = None, *, is_error: bool = False) -> types.CallToolResult:
    content: list[types.ContentBlock] = [types.TextContent(type="text", text=text)]
    return types.CallToolResult(content=content, structured_content=answer, is_error=is_error)
