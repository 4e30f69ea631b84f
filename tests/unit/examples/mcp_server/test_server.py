"""The MCP server in one process, with `override()` and the SDK's client: its tools, and who is notified."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from mcp import Client, MCPError, types

from confcast import Derived, Snapshot
from confcast.examples.leindex.search import SearchService
from confcast.examples.mcp_server.schema import ServerConfig, ToolName
from confcast.examples.mcp_server.server import new_server, pin
from confcast.examples.mcp_server.settings import settings
from confcast.examples.mcp_server.tools import Tools, shown

DEADLINE = 20.0


def configured(*enabled: str, **limits: int) -> ServerConfig:
    return ServerConfig.model_validate({"tools": {"enabled": enabled}, "limits": limits})


Of = Callable[[ServerConfig], Tools]


@pytest.fixture
def tools(tmp_path: Path) -> Of:
    for name in ("a", "b", "c"):
        Path(tmp_path, f"{name}.txt").write_text("the owner loads", encoding="utf-8")
    service = SearchService(tmp_path)
    config = ServerConfig()
    service.size_cache(None, config)
    service.size_index(None, config)
    return lambda config: Tools(service, shown(config))


def derived(tools: Of) -> Derived[Tools]:
    """As the application declares them."""
    return settings.derive(tools, lambda config: config)


def call(tools: Of, config: ServerConfig, name: str, **arguments: Any) -> types.CallToolResult:
    return tools(config).call(name, arguments, Snapshot(config, 7, b""))


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, DEADLINE))


def test_every_tool_that_can_be_enabled_is_there(tools: Of) -> None:
    assert [tool.name for tool in tools(ServerConfig()).list()] == list(get_args(ToolName))


def test_tools_are_shown_in_the_configured_order_and_no_others(tools: Of) -> None:
    assert [tool.name for tool in tools(configured("status", "search")).list()] == ["status", "search"]
    assert tools(configured()).list() == []


def test_the_limits_stand_in_the_schema_that_a_client_is_shown(tools: Of) -> None:
    (search,) = tools(configured("search", max_results=3, max_query_length=20)).list()
    properties = search.input_schema["properties"]
    assert (properties["limit"]["maximum"], properties["limit"]["default"]) == (3, 3)
    assert properties["query"]["maxLength"] == 20


@pytest.mark.parametrize("name", ["index", "nonsense"])
def test_a_tool_that_is_not_enabled_is_as_unknown_as_one_that_does_not_exist(tools: Of, name: str) -> None:
    with pytest.raises(MCPError, match=f"^Unknown tool: {name}$") as caught:
        call(tools, configured("search"), name)
    assert caught.value.code == types.INVALID_PARAMS


def test_an_answer_says_who_gave_it_with_which_version(tools: Of) -> None:
    result = call(tools, configured("search"), "search", query="owner", limit=2)
    answer = result.structured_content
    assert answer is not None
    assert (result.is_error, answer["version"]) == (False, 7)
    assert [hit["file"] for hit in answer["hits"]] == ["a.txt", "b.txt"]


def test_a_kept_answer_is_not_given_to_who_asks_for_more(tools: Of) -> None:
    few, more = (call(tools, configured("search"), "search", query="owner", limit=limit) for limit in (1, 3))
    assert [len(result.structured_content["hits"]) for result in (few, more)] == [1, 3]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"query": "long" * 6}, "query: String should have at most 20 characters"),
        ({"query": "owner", "limit": 4}, "limit: Input should be less than or equal to 3"),
        ({"query": "owner", "limt": 1}, "limt: Extra inputs are not permitted"),
        ({}, "query: Field required"),
    ],
)
def test_arguments_beyond_what_was_shown_are_the_tool_s_own_error(
    tools: Of, arguments: dict[str, Any], problem: str
) -> None:
    result = call(tools, configured("search", max_results=3, max_query_length=20), "search", **arguments)
    assert result.is_error
    assert result.content == [types.TextContent(type="text", text=f"search was not run; {problem}")]


def test_the_other_tools_answer(tools: Of, tmp_path: Path) -> None:
    Path(tmp_path, "d.txt").write_text("another", encoding="utf-8")
    indexed = call(tools, ServerConfig(), "index").structured_content
    status = call(tools, ServerConfig(), "status").structured_content
    assert (indexed["indexed"], status["index"]["documents"]) == (4, 4)


def test_a_client_is_notified_of_what_it_is_shown_and_of_nothing_else(tools: Of) -> None:
    first, second = configured("search"), configured("search", "status", max_results=4)
    faster = first.model_copy(update={"performance": first.performance.model_copy(update={"batch_size": 11})})

    async def scenario() -> None:
        with settings.override(first) as fake:
            async with Client(new_server(derived(tools))) as client, client.listen(tools_list_changed=True) as stream:
                told = asyncio.create_task(anext(stream))
                fake.push(faster)
                for _ in range(100):
                    await asyncio.sleep(0)
                assert not told.done()
                fake.push(second)
                await told
                assert (await client.list_tools()).tools == tools(second).list()

    run(scenario())


def test_a_server_that_has_ended_is_sent_nothing(tools: Of, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with Client(new_server(derived(tools))):
            pass

    with settings.override(configured("search")) as fake:
        run(scenario())
        fake.push(configured("search", "status"))  # on a loop that is closed: an error in the log if it were
    assert caplog.text == ""


@pytest.mark.parametrize(("method", "sees"), [("tools/call", 1), ("subscriptions/listen", 2)])
def test_a_message_sees_one_version_and_a_stream_that_lasts_holds_none(method: str, sees: int) -> None:
    async def scenario() -> None:
        with settings.override(configured(max_results=1)) as fake:

            async def handle(ctx: Any) -> dict[str, int]:
                assert settings.current.limits.max_results == 1
                fake.push(configured(max_results=2))
                return {"sees": settings.current.limits.max_results}

            assert await pin(SimpleNamespace(method=method), handle) == {"sees": sees}

    run(scenario())
