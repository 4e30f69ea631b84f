"""The MCP server over standard input and output: the SDK's own client through reloads, and every byte of its output."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError, StdioServerParameters, types
from mcp.client.stdio import stdio_client

from confcast import OwnerUnavailable
from confcast.worker.client.connection_per_call import AddressClient as OwnerClient
from tests.support.leaks import is_running
from tests.support.mcp import EXAMPLE, MODERN, PATIENCE, STARTING, number_for, owner_of, run, text_of, until
from tests.support.waiting import DEADLINE, eventually

pytestmark = pytest.mark.timeout(PATIENCE)

ROUNDS = 20
CHANGED = "notifications/tools/list_changed"
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
NOISE = "import sys\nif 'confcast.owner' in sys.orig_argv:\n    print('said by the owner', flush=True)\n"


class Place:
    """A folder with what one server needs.

    Args:
        folder: For its files.
        runtime: For its owner.
    """

    def __init__(self, folder: Path, runtime: Path) -> None:
        self.log = folder / "log"
        self.config = folder / "app.toml"
        self.runtime = runtime
        (folder / "texts").mkdir()
        (folder / "texts" / "a.txt").write_text("the owner loads")
        self.command = [*EXAMPLE, "--stdio", "--config", str(self.config), "--folder", str(folder / "texts")]
        self.command += ["--vote-timeout", "60"]
        self.environment = {**os.environ, "CONFCAST_RUNTIME_DIR": str(runtime), "PYTHONDONTWRITEBYTECODE": "1"}

    def write(self, text: str) -> None:
        """Change the file, as an editor that is careful does."""
        fresh = self.config.with_name("fresh.toml")
        fresh.write_text(text)
        fresh.replace(self.config)

    def owner(self) -> OwnerClient:
        """Asks its owner, from outside."""
        return owner_of(self.runtime)

    def results(self) -> list[str]:
        """What became of the loads, newest first; nothing while no owner answers."""
        try:
            return [str(event.result) for event in self.owner().get_event_history()]
        except (OwnerUnavailable, FileNotFoundError):
            return []


@pytest.fixture
def place(tmp_path: Path, runtime_folder: Path) -> Place:
    place = Place(tmp_path, runtime_folder)
    place.write(text_of(1))
    return place


@asynccontextmanager
async def client_of(place: Place, mode: str, told: list[str]) -> AsyncIterator[Client]:
    """A client that has started it, and what it receives without having asked."""

    async def remember(message: Any) -> None:
        told.append(getattr(message, "method", type(message).__name__))

    parameters = StdioServerParameters(command=place.command[0], args=place.command[1:], env=place.environment)
    with place.log.open("w") as log:
        async with Client(stdio_client(parameters, errlog=log), mode=mode, message_handler=remember) as client:
            yield client


async def keep_calling(client: Client, calls: list[int]) -> None:
    while True:
        result = await client.call_tool("search", {"query": "owner"})
        assert not result.is_error, result
        calls.append(result.structured_content["version"])


@pytest.mark.slow
def test_a_client_that_listens_is_notified_of_twenty_reloads_while_it_calls(place: Place):
    async def scenario() -> None:
        calls: list[int] = []
        async with client_of(place, MODERN, []) as client, asyncio.TaskGroup() as tasks:
            calling = tasks.create_task(keep_calling(client, calls))
            async with client.listen(tools_list_changed=True) as stream:
                for number in range(2, ROUNDS + 2):
                    before = len(calls)
                    place.write(text_of(number))
                    async with asyncio.timeout(DEADLINE):
                        await anext(stream)
                    assert await number_for(client) == number
                    await until(lambda before=before: len(calls) > before, "more calls")
            calling.cancel()
        assert calls == sorted(calls)

    run(scenario())


@pytest.mark.slow
def test_a_client_of_the_older_protocol_is_notified_on_its_connection(place: Place):
    async def scenario() -> None:
        told: list[str] = []
        async with client_of(place, "legacy", told) as client:
            assert client.server_capabilities.tools == types.ToolsCapability(list_changed=True)
            assert await number_for(client) == 1
            for number in range(2, 6):
                place.write(text_of(number))
                await until(lambda number=number: len(told) >= number - 1, "told")
                assert await number_for(client) == number
            place.write(text_of(5).replace('"search", ', ""))
            await until(lambda: len(told) >= 5, "told")
            with pytest.raises(MCPError, match="Unknown tool: search"):
                await client.call_tool("search", {"query": "owner"})
        assert told == [CHANGED] * 5

    run(scenario())


class Spoken:
    """A process of it without a client, whose output is kept, byte for byte.

    Args:
        place: Its own.
    """

    def __init__(self, place: Place) -> None:
        self.lines: list[bytes] = []
        with place.log.open("wb") as log:
            pipe = subprocess.PIPE
            self.process = subprocess.Popen(place.command, stdin=pipe, stdout=pipe, stderr=log, env=place.environment)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def say(self, **message: Any) -> None:
        """Send it a message."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def await_text(self, text: bytes) -> None:
        """Return when it has said a line with this."""
        eventually(lambda: any(text in line for line in self.lines), f"{text!r} in its output", STARTING)

    def end(self) -> int:
        """Close its input, and wait for all that it says, and for its end; its exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._reader.join(DEADLINE)
        return self.process.wait(DEADLINE)

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines += iter(self.process.stdout.readline, b"")


@contextmanager
def spoken(place: Place) -> Iterator[Spoken]:
    """One, that is gone afterwards."""
    server = Spoken(place)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()
        for stream in (server.process.stdin, server.process.stdout):
            assert stream is not None
            stream.close()


def test_standard_output_has_the_protocol_and_nothing_else(place: Place, tmp_path: Path):
    """Through a reload, a file that is refused, the death of the owner, and an owner that prints."""
    (tmp_path / "sitecustomize.py").write_text(NOISE)
    place.environment["PYTHONPATH"] = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    with spoken(place) as server:
        server.say(id=1, method="initialize", params=HELLO)
        server.await_text(b'"id":1')
        server.say(method="notifications/initialized")
        server.say(id=2, method="ping")
        server.await_text(b'"id":2')

        place.write(text_of(2))
        server.await_text(b"list_changed")
        place.write("tools.enabled = 7\n")
        os.kill(server.process.pid, signal.SIGHUP)
        eventually(lambda: place.results()[:1] == ["validation_failed"], "a refusal")
        os.kill(place.owner().get_stats()["owner_pid"], signal.SIGKILL)
        place.write(text_of(3))
        eventually(lambda: b"".join(server.lines).count(b"list_changed") == 2, "a reload by a new owner")
        server.say(id=3, method="tools/list")
        server.await_text(b'"id":3')
        assert server.end() == 0

    messages = [json.loads(line) for line in server.lines]
    assert all(line.endswith(b"\n") for line in server.lines)
    assert {message["jsonrpc"] for message in messages} == {"2.0"}
    assert messages[-1]["result"]["tools"][0]["inputSchema"]["properties"]["limit"]["maximum"] == 3
    asked = [message.get("id", message.get("method")) for message in messages]
    assert asked == [1, 2, CHANGED, CHANGED, 3]
    log = place.log.read_text()
    assert log.count("said by the owner") == 2
    assert "tools.enabled" in log


def test_a_configuration_that_is_refused_ends_it_in_words_and_leaves_no_owner(place: Place):
    place.write("tools.enabled = ['search', 'search']\n")
    done = subprocess.run(
        place.command,
        env=place.environment,
        capture_output=True,
        timeout=STARTING,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert (done.returncode, done.stdout) == (78, b"")
    assert b"tools.enabled: should name each tool once: search" in done.stderr


def test_the_owner_ends_with_a_server_that_was_killed(place: Place):
    with spoken(place) as server:
        eventually(lambda: place.results() == ["success"], "a configuration", STARTING)
        owner = place.owner().get_stats()["owner_pid"]
        server.process.kill()
        eventually(lambda: not is_running(owner), "the end of the owner")
