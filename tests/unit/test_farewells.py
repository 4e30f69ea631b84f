"""How a process leaves: its Goodbye is heard by the owner that lives, or read by the next one."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast.wire import farewells, processes
from confcast.wire.messages import Goodbye, Hello, Refused
from confcast.worker.link import Link
from tests.support.links import Listener, Owner, control_socket, new_link
from tests.support.waiting import eventually


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with control_socket() as listening:
        yield listening


@pytest.fixture
def holder() -> Listener:
    return Listener()


@pytest.fixture
def link(listening: socket.socket, holder: Listener) -> Iterator[Link]:
    link = new_link(listening.getsockname(), holder)
    link.start()
    yield link
    link.close()


@pytest.fixture
def owner(listening: socket.socket, link: Link) -> Iterator[Owner]:
    owner = Owner(listening)
    assert isinstance(owner.hear(), Hello)
    yield owner
    owner.close()


def notes(listening: socket.socket) -> list[str]:
    return sorted(path.name for path in Path(listening.getsockname()).parent.glob(farewells.NOTES))


def test_a_goodbye_that_was_said_leaves_no_note(link: Link, owner: Owner, listening: socket.socket) -> None:
    eventually(lambda: link.connected, "the pipe")
    link.close()
    assert notes(listening) == []


def test_a_close_without_an_owner_leaves_a_note_and_attaching_again_takes_it_back(
    link: Link, owner: Owner, listening: socket.socket, holder: Listener
) -> None:
    listening.close()
    owner.close()
    eventually(lambda: not link.connected, "the end of the pipe")
    link.close()
    folder = Path(link.address).parent
    mine = (os.getpid(), processes.started(os.getpid()))
    assert [path.name for path in folder.glob(farewells.NOTES)] == [f"left-{mine[0]}-{mine[1]}"]

    again = new_link(link.address, holder)
    again.start()
    assert list(folder.glob(farewells.NOTES)) == []
    again.close()

    assert farewells.collect(folder) == {mine}
    assert farewells.collect(folder) == set()


def test_an_owner_that_began_to_listen_meanwhile_hears_the_goodbye_itself(
    listening: socket.socket, holder: Listener
) -> None:
    """It may have read the notes a moment before this one was left."""
    link = new_link(listening.getsockname(), holder)
    link.close()  # before it has ever knocked

    owner = Owner(listening)
    assert isinstance(owner.hear(), Hello)
    assert owner.hear() == Goodbye()
    assert owner.hear() is None
    owner.close()


def test_a_close_where_no_owner_ever_lived_leaves_nothing_there(tmp_path: Path, holder: Listener) -> None:
    for address in (tmp_path / "nobody", tmp_path / "file"):
        (tmp_path / "file").touch()
        link = new_link(str(address), holder)
        link.start()
        link.close()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_who_was_refused_for_good_is_on_no_roster_and_leaves_no_note(
    link: Link, owner: Owner, listening: socket.socket, holder: Listener
) -> None:
    owner.say(Refused("another schema", final=True))
    owner.close()
    eventually(lambda: holder.told, "the refusal")
    link.close()
    assert notes(listening) == []


def test_what_is_no_note_of_ours_is_nobody_s_farewell(tmp_path: Path) -> None:
    for name in ("left-", "left-x-1", "left-12-34", "left-12"):
        (tmp_path / name).touch()
    assert farewells.collect(tmp_path) == {(12, 34)}
    assert list(tmp_path.iterdir()) == []
