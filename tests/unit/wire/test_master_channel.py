"""The channel between master and owner, over a real socket pair."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator

import pytest

from confcast.errors import ProtocolError
from confcast.wire.framing import frame
from confcast.wire.master_channel import Leave, MasterChannel, Ready


@pytest.fixture
def ends() -> Iterator[tuple[MasterChannel, MasterChannel]]:
    """Both ends."""
    mine, its = map(MasterChannel, socket.socketpair())
    yield mine, its
    mine.close()
    its.close()


def test_what_is_sent_is_received(ends: tuple[MasterChannel, MasterChannel]) -> None:
    mine, its = ends
    its.send(Ready(7))

    assert mine.receive() == Ready(7)


def test_a_message_that_came_with_the_one_before_is_still_there_for_a_selector(
    ends: tuple[MasterChannel, MasterChannel],
) -> None:
    """An owner receives its startup configuration before it has a loop; a Leave may have come with it by then."""
    mine, its = ends
    mine.send(Ready(1))
    mine.send(Leave())

    assert its.receive() == Ready(1)
    assert select.select([its.connection], [], [], 0)[0]
    assert its.receive() == Leave()


def test_the_end_is_received_as_none(ends: tuple[MasterChannel, MasterChannel]) -> None:
    mine, its = ends
    mine.close()

    assert its.receive() is None


@pytest.mark.parametrize("body", [b"\xc1", b"\x81\xa4type\xa5Leav\xff"], ids=["no msgpack", "no UTF-8"])
def test_what_is_no_message_is_a_protocol_error(ends: tuple[MasterChannel, MasterChannel], body: bytes) -> None:
    mine, its = ends
    mine.connection.sendall(frame(body))

    with pytest.raises(ProtocolError):
        its.receive()
