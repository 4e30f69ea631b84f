"""What clients of the MCP server see while versions change: nothing too early, nothing mixed, nothing of a bad file.

One server of three workers for all tests; those that end a process of it come last.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import MCPError, types
from mcp.client.subscriptions import SubscriptionLost

from confcast import OwnerUnavailable
from tests.support.gate import Gate, shut_gate
from tests.support.mcp import PATIENCE, Server, client_of, crowd_of, number_for, run, text_of
from tests.support.server import servers_of
from tests.support.waiting import DEADLINE, eventually

pytestmark = pytest.mark.timeout(PATIENCE)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with servers_of(Server, tmp_path_factory.mktemp("site")) as make:
        yield make(wrapped=True).start()


async def hup(server: Server) -> tuple[str, int]:
    return await asyncio.to_thread(server.hup)


async def refusal(call: Any) -> tuple[int, str]:
    with pytest.raises(MCPError) as caught:
        await call
    return caught.value.code, caught.value.message


def test_nobody_is_told_before_the_last_worker_has_the_new_list(server: Server):
    async def scenario() -> None:
        async with crowd_of(server) as crowd, crowd.listening():
            for round_, slow in enumerate(crowd.ears, 1):
                before, number = server.number, server.change()
                with shut_gate(server.folder / f"held-{slow}") as gate:
                    server.signal(signal.SIGHUP)
                    await asyncio.to_thread(gate.await_load)  # it has voted, and will not apply what is committed
                    for quick in crowd.askers.keys() - {slow}:
                        await until_shows(crowd, quick, number)
                    for _ in range(5):  # what was sent at the commit would have come before these answers
                        assert set(await crowd.ask_all()) <= {before, number}
                    assert await crowd.ask(slow) == before
                    assert crowd.told() == [round_ - 1] * 3
                await crowd.have_received(round_)
                assert crowd.shown() == {number}

    run(scenario())


async def until_shows(crowd: Any, pid: int, number: int) -> None:
    async with asyncio.timeout(20):
        while await crowd.ask(pid) != number:
            pass


def test_a_call_that_takes_long_ends_on_the_version_that_it_began_with(server: Server, tmp_path: Path):
    async def scenario(gate: Gate, number: int) -> None:
        async with crowd_of(server) as crowd, crowd.listening(), client_of(server.url) as client:
            version = server.ask("history")[0][2]
            call = asyncio.create_task(client.call_tool("search", {"query": str(gate.path), "limit": number}))
            await asyncio.to_thread(gate.await_load)

            server.change(text_of(number).replace('"search", ', ""))
            assert (await hup(server))[0] == "success"
            await crowd.have_received(1)
            refused = await refusal(client.call_tool("search", {"query": "owner"}))
            assert not call.done()
            gate.open()
            gate.let_go()

            result = await call
            assert (result.is_error, result.structured_content["version"]) == (False, version)
            assert refused == (types.INVALID_PARAMS, "Unknown tool: search")

    try:
        with shut_gate(tmp_path / "gate") as gate:
            run(scenario(gate, server.number))
    finally:
        server.change()
        assert server.hup()[0] == "success"


def test_a_bad_file_and_a_change_of_what_nobody_is_shown_notify_nobody(server: Server):
    async def scenario() -> None:
        async with crowd_of(server) as crowd, crowd.listening():
            number = server.number
            server.change(text_of(number).replace('"search"', '"serch"'))
            assert (await hup(server))[0] == "validation_failed"
            assert set(await crowd.ask_all()) == {number}
            server.change(text_of(number, "performance.batch_size = 11\n"))
            assert (await hup(server))[0] == "success"
            assert set(await crowd.ask_all()) == {number}
            assert crowd.told() == [0] * 3

            number = server.change()
            assert (await hup(server))[0] == "success"
            await crowd.have_received(1)
            assert crowd.told() == [1] * 3
            assert crowd.shown() == {number}

    run(scenario())
    assert "tools.enabled.0: Input should be 'search', 'status' or 'index'" in server.log()


def test_a_limit_that_a_client_was_shown_is_the_one_that_its_call_is_held_to(server: Server):
    async def scenario() -> None:
        async with client_of(server.url) as client:
            server.change()
            assert (await hup(server))[0] == "success"
            limit = await number_for(client)
            fits = await client.call_tool("search", {"query": "owner", "limit": limit})
            exceeds = await client.call_tool("search", {"query": "owner", "limit": limit + 1})
        assert (limit, fits.is_error, exceeds.is_error) == (server.number, False, True)
        assert f"less than or equal to {limit}" in exceeds.content[0].text

    run(scenario())


def test_a_client_of_the_older_protocol_is_served_and_promised_nothing(server: Server):
    async def scenario() -> None:
        async with client_of(server.url, "legacy") as client:
            assert client.server_capabilities.tools == types.ToolsCapability(list_changed=False)
            for _ in range(3):
                number = server.change()
                assert (await hup(server))[0] == "success"
                assert [await number_for(client) for _ in range(4)] == [number] * 4
                assert not (await client.call_tool("search", {"query": "owner"})).is_error

    run(scenario())


def test_calls_go_on_when_a_worker_was_killed_and_who_listened_to_it_listens_again(server: Server):
    async def scenario() -> None:
        async with crowd_of(server) as crowd, client_of(server.url) as client:
            victim, ear = next(iter(crowd.ears.items()))
            await asyncio.to_thread(server.replace, victim)
            with pytest.raises(SubscriptionLost):
                await ear.listen()
            assert {await number_for(each) for each in [client, *crowd.askers.values()]} == {server.number}
        async with crowd_of(server) as crowd, crowd.listening():
            assert victim not in crowd.ears
            number = server.change()
            assert (await hup(server))[0] == "success"
            await crowd.have_received(1)
            assert crowd.shown() == {number}

    run(scenario())


def test_clients_are_notified_of_a_change_after_the_owner_was_killed(server: Server):
    async def scenario() -> None:
        async with crowd_of(server) as crowd, crowd.listening():
            owner = server.owner()
            os.kill(owner, signal.SIGKILL)
            assert set(await crowd.ask_all()) == {server.number}
            await asyncio.to_thread(eventually, lambda: server.owners() not in ([], [owner]), "a new owner")
            await asyncio.to_thread(eventually, lambda: attached(server) == 3, "all workers attached")
            number = server.change()
            await hup(server)
            await crowd.have_received(1)
            assert crowd.shown() == {number}

    run(scenario())


def test_a_stop_ends_the_streams_of_those_who_listen_and_waits_for_none(server: Server):
    async def scenario() -> None:
        async with crowd_of(server) as crowd:
            server.signal(signal.SIGTERM)
            async with asyncio.timeout(DEADLINE):
                await asyncio.gather(*(ear.listen() for ear in crowd.ears.values()))  # SubscriptionLost otherwise

    run(scenario())
    assert server.ended() == 0
    assert "timeout graceful shutdown exceeded" not in server.log()


def attached(server: Server) -> int:
    """How many workers the owner knows; none while it does not answer."""
    try:
        return len(server.ask("workers"))
    except (OwnerUnavailable, FileNotFoundError):
        return 0
