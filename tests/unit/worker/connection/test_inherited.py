"""A link of a process that has inherited a version from `confcast exec`: on what it starts where no owner answers."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast.wire.files import snapshot_file
from confcast.wire.files.inherited_snapshot import Inherited
from confcast.wire.files.snapshot_file import Saved
from confcast.wire.messages import PROTOCOL, Applied, Hello, Install
from confcast.worker.connection.link import Link
from confcast.worker.connection.machine import Machine
from tests.support.links import Listener, Owner
from tests.support.waiting import DEADLINE, eventually


def inherited(version: int) -> Inherited:
    return Inherited(time.time(), Saved(PROTOCOL, b"schema", version, b"inherited", b"payload"))


@contextlib.contextmanager
def linked(address: str, listener: Listener, version: int) -> Iterator[Link]:
    """The caller waits as long as anybody would, so that no test passes by that alone."""
    machine = Machine(lambda payload: payload, lambda number, old, new: (), lambda: True)
    link = Link(address, "app", b"schema", machine, listener, lambda saved: saved.payload, DEADLINE, inherited(version))
    link.start()
    try:
        yield link
    finally:
        link.close()


def test_an_owner_that_says_nothing_is_left_a_hello_and_the_inherited_version_is_taken(
    listening: socket.socket, listener: Listener
) -> None:
    began = time.monotonic()
    with linked(listening.getsockname(), listener, 5):
        owner = Owner(listening)
        hello = owner.receive()
        assert isinstance(hello, Hello)
        assert hello.version == 0
        assert eventually(lambda: listener.told, "a version") == [("swapped", 5)]
        assert time.monotonic() - began < DEADLINE / 2
        owner.say(Install(6, b"six", b"payload"))
        assert owner.receive() == Applied(6)
        owner.close()


def test_an_owner_that_answers_comes_first(listening: socket.socket, listener: Listener) -> None:
    with linked(listening.getsockname(), listener, 5) as link:
        link._fallback._at = time.monotonic() + DEADLINE  # no machine is too slow for this owner
        owner = Owner(listening)
        assert isinstance(owner.receive(), Hello)
        owner.say(Install(6, b"six", b"payload"))
        assert owner.receive() == Applied(6)
        assert listener.told[0] == ("swapped", 6)
        owner.close()


@pytest.mark.parametrize(("on_disk", "taken"), [(4, 5), (6, 6)])
def test_of_the_inherited_version_and_the_snapshot_file_s_the_higher_one_is_taken(
    on_disk: int, taken: int, listening: socket.socket, listener: Listener
) -> None:
    snapshot_file.save(Path(listening.getsockname()).parent, b"schema", on_disk, b"digest", b"payload")
    with linked(listening.getsockname(), listener, 5):
        assert eventually(lambda: listener.told, "a version") == [("swapped", taken)]


def test_where_the_server_s_folder_is_gone_nothing_is_said_of_a_note(
    listener: Listener, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with linked(str(tmp_path / "gone" / "control.sock"), listener, 5):
        assert eventually(lambda: listener.told, "a version") == [("swapped", 5)]
    (told,) = caplog.messages
    assert told == "no config owner answers: starting on version 5, which `confcast exec` found 0 s ago"
