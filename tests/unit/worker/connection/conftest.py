"""A control socket, and a link to the owner that the test plays on it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from confcast.wire.messages import Hello
from confcast.worker.connection.link import Link
from tests.support.links import Listener, Owner, control_socket, new_link


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with control_socket() as listening:
        yield listening


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def link(listening: socket.socket, listener: Listener) -> Iterator[Link]:
    link = new_link(listening.getsockname(), listener)
    link.start()
    yield link
    link.close()


@pytest.fixture
def owner(listening: socket.socket, link: Link) -> Iterator[Owner]:
    owner = Owner(listening)
    assert isinstance(owner.receive(), Hello)
    yield owner
    owner.close()
