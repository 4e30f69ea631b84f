"""The listening sockets of an owner: both are accepted on, and neither is watched while no descriptor is left."""

from __future__ import annotations

import selectors
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast.owner.loop.listening import Listening
from confcast.wire.listener import listen


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, socket.socket]]:
    with tempfile.TemporaryDirectory(prefix="cc-") as folder:
        for name in ("control", "passed"):
            (Path(folder) / name).mkdir()
        made = [listen(Path(folder) / name / "control.sock") for name in ("control", "passed")]
        yield made[0], made[1]
        for each in made:
            each.close()


def test_it_accepts_on_both_and_watches_again_once_there_is_a_descriptor(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    accepted: list[socket.socket] = []
    enough, retries = True, []

    def accept(listening: socket.socket) -> bool:
        accepted.append(listening)
        return enough

    with selectors.DefaultSelector() as selector:
        listening = Listening(selector, *sockets, accept, lambda: retries.append(1))
        listening.watch()
        listening.watch()
        assert {key.fileobj for key in selector.get_map().values()} == {*sockets}

        enough = False
        listening.accept_all()
        assert accepted == [*sockets]
        assert len(retries) == 2
        assert not selector.get_map()
        listening.accept_all()
        assert accepted == [*sockets], "what is not watched is not accepted on"

        enough = True
        listening.watch()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(sockets[1].getsockname().replace("/.control", "/control"))
            for key, mask in selector.select(5.0):
                key.data(mask)
        assert accepted[2:] == [sockets[1]]
        listening.close()
        assert not selector.get_map()
        assert sockets[1].fileno() == -1


def test_the_control_socket_is_replaced_and_the_passed_one_stays(
    sockets: tuple[socket.socket, socket.socket],
) -> None:
    with selectors.DefaultSelector() as selector, socket.socket(socket.AF_UNIX) as fresh:
        listening = Listening(selector, *sockets, lambda each: True, lambda: None)
        listening.watch()
        listening.replace(fresh)
        assert sockets[0].fileno() == -1
        assert {key.fileobj for key in selector.get_map().values()} == {fresh, sockets[1]}
        listening.close()
