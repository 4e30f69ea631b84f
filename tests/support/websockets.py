"""The tests of WebSockets that every server shares which speaks ASGI, as a class that its test class derives from too.

    class TestUvicorn(Embedding, WebSockets):
        kind = Server

It needs a fixture `server`, one of the application in `asgi_app.py`, and leaves that as it found it.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path

from websockets.sync.client import ClientConnection, connect

from tests.support.gate import Gate
from tests.support.server import Server
from tests.support.waiting import DEADLINE


def websocket(server: Server, path: str = "") -> AbstractContextManager[ClientConnection]:
    """A connection to one of its workers."""
    url = f"ws://127.0.0.1:{server.port}/{path}"
    return connect(url, proxy=None, open_timeout=DEADLINE, close_timeout=DEADLINE)


def answer(connection: ClientConnection) -> list[int]:
    """The numbers that were read for one message; in the connection's own task, and in one that it has started."""
    numbers: list[int] = json.loads(connection.recv(DEADLINE))["numbers"]
    return numbers


class WebSockets:
    """Which version a message sees."""

    def test_a_websockets_message_sees_one_version_and_the_next_one_the_newest(self, server: Server, tmp_path: Path):
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

    def test_a_websocket_can_be_pinned_as_a_whole_by_the_application(self, server: Server):
        old = server.change()
        server.hup()
        with websocket(server, "connection") as connection:
            connection.send("read")
            assert answer(connection) == [old] * 2
            server.change()
            assert server.hup()[0] == "success"
            connection.send("read")

            assert answer(connection) == [old] * 2
