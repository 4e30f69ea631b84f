"""uvicorn by each interface: what is one request sees one version, and what comes after it the newest."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from tests.support.embedding import hold
from tests.support.gate import Gate
from tests.support.server import servers_of
from tests.support.uvicorn import Alone
from tests.support.waiting import DEADLINE

INTERFACES = {"asgi": ("asgi_app:app",), "wsgi": ("app:app", "--interface", "wsgi")}  # others: test_uvicorn_worker.py


@pytest.fixture(scope="module", params=INTERFACES)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alone]:
    application, *arguments = INTERFACES[request.param]
    with servers_of(Alone, tmp_path_factory.mktemp("site")) as make:
        yield make(application=application).start(*arguments)


def test_a_request_sees_one_version_to_the_last_byte_of_its_body(server: Alone, tmp_path: Path):
    old = server.change()
    server.hup()
    call, body, numbers = hold(server, tmp_path)
    server.change()
    assert server.hup()[0] == "success"
    call.let_go()
    body.await_load()
    server.change()
    assert server.hup()[0] == "success"
    body.let_go()

    assert numbers() == [old] * 3


def test_what_comes_after_a_request_sees_the_newest_in_the_same_thread_too(server: Alone, tmp_path: Path):
    """The threads of the last test are the ones that wait for work longest; so many requests meet each of them."""
    newest = server.change()
    server.hup()

    assert {server.ask("read")["number"] for _ in range(30)} == {newest}


def test_requests_side_by_side_each_see_their_own_version(server: Alone, tmp_path: Path):
    old = server.change()
    server.hup()
    held = [hold(server, tmp_path / "first")]
    newest = server.change()
    assert server.hup()[0] == "success"
    held += [hold(server, tmp_path / name) for name in ("second", "third")]

    assert server.ask("read")["number"] == newest
    for call, body, _ in held:
        for gate in (body, call):
            gate.open()
            gate.let_go()
    assert [numbers() for _, _, numbers in held] == [[old] * 3, [newest] * 3, [newest] * 3]


def websocket(server: Alone, path: str = "") -> AbstractContextManager[ClientConnection]:
    """A connection to it."""
    url = f"ws://127.0.0.1:{server.port}/{path}"
    return connect(url, proxy=None, open_timeout=DEADLINE, close_timeout=DEADLINE)


def answer(connection: ClientConnection) -> Any:
    """The numbers that were read for one message; in the connection's own task, and in one that it has started."""
    return json.loads(connection.recv(DEADLINE))["numbers"]


@pytest.mark.parametrize("server", ["asgi"], indirect=True)
def test_a_websockets_message_sees_one_version_and_the_next_one_the_newest(server: Alone, tmp_path: Path):
    (tmp_path / "call").mkdir()
    gate = Gate(tmp_path / "call" / "gate")
    gate.shut()
    old = server.change()
    server.hup()
    with websocket(server) as connection:
        connection.send(str(tmp_path))
        gate.await_load()
        newest = server.change()
        assert server.hup()[0] == "success"
        gate.let_go()
        held = answer(connection)
        connection.send("read")

        assert held == [old] * 4
        assert answer(connection) == [newest] * 2


@pytest.mark.parametrize("server", ["asgi"], indirect=True)
def test_a_websocket_can_be_pinned_as_a_whole_by_the_application(server: Alone):
    old = server.change()
    server.hup()
    with websocket(server, "connection") as connection:
        connection.send("read")
        assert answer(connection) == [old] * 2
        server.change()
        assert server.hup()[0] == "success"
        connection.send("read")

        assert answer(connection) == [old] * 2
