"""What a process tells the next owner where none lives: that it has left, or that it serves all the same."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from confcast.wire import processes
from confcast.wire.files import goodbye_files, snapshot_file
from confcast.wire.messages import Applied, Goodbye, Hello, Install, Refused
from confcast.worker.connection.link import Link
from confcast.worker.connection.machine import Held, Machine
from tests.support.links import Listener, Owner, new_link
from tests.support.waiting import eventually


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / goodbye_files.FOLDER).iterdir())


def folder_of(listening: socket.socket) -> Path:
    return Path(listening.getsockname()).parent


def mine() -> goodbye_files.Writer:
    return os.getpid(), processes.started(os.getpid())


def test_a_goodbye_that_was_said_leaves_no_note(link: Link, owner: Owner, listening: socket.socket) -> None:
    eventually(lambda: link.connected, "the pipe")
    link.close()
    assert names(folder_of(listening)) == []


def test_a_close_without_an_owner_leaves_a_note_and_attaching_again_takes_it_back(
    link: Link, owner: Owner, listening: socket.socket, listener: Listener
) -> None:
    listening.close()
    owner.close()
    eventually(lambda: not link.connected, "the end of the pipe")
    link.close()
    folder = Path(link.address).parent
    assert names(folder) == [f"left-{mine()[0]}-{mine()[1]}"]

    again = new_link(link.address, listener)
    again.start()
    assert names(folder) == []
    again.close()

    assert goodbye_files.read(folder, "left") == {mine()}
    assert goodbye_files.read(folder, "here") == set()
    goodbye_files.clear(folder, "left")
    assert names(folder) == []


def test_an_owner_that_began_to_listen_meanwhile_hears_the_goodbye_itself(
    listening: socket.socket, listener: Listener
) -> None:
    """It may have read the notes a moment before this one was left."""
    link = new_link(listening.getsockname(), listener)
    link.close()  # before it has ever connected

    owner = Owner(listening)
    assert isinstance(owner.receive(), Hello)
    assert owner.receive() == Goodbye()
    assert owner.receive() is None
    owner.close()


def test_a_close_where_no_owner_ever_lived_leaves_nothing_there(tmp_path: Path, listener: Listener) -> None:
    for address in (tmp_path / "nobody", tmp_path / "file"):
        (tmp_path / "file").touch()
        link = new_link(str(address), listener)
        link.start()
        link.close()
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_who_was_refused_for_good_is_on_no_roster_and_leaves_no_note(
    link: Link, owner: Owner, listening: socket.socket, listener: Listener
) -> None:
    owner.say(Refused("another schema", final=True))
    owner.close()
    eventually(lambda: listener.told, "the refusal")
    link.close()
    assert names(folder_of(listening)) == []


# ---- who serves without an owner


@contextmanager
def serving(listening: socket.socket, listener: Listener, held: int = 0) -> Iterator[Link]:
    """A link that does not wait for an owner, with a snapshot file of version 5, or holding a version already."""
    snapshot_file.save(folder_of(listening), b"schema", 5, b"digest", b"payload")
    machine = Machine(lambda payload: payload, lambda number, old, new: (), lambda: True)
    if held:
        machine.adopt(Held(held, b"held", b"held"))
    address = listening.getsockname()
    link = Link(address, "app", b"schema", machine, listener, lambda saved: saved.payload, patience=0.05)
    link.start()
    try:
        yield link
    finally:
        link.close()


def test_it_leaves_a_note_and_an_owner_s_answer_takes_it_away(listening: socket.socket, listener: Listener) -> None:
    with serving(listening, listener):
        owner = Owner(listening)
        owner.receive()
        eventually(lambda: listener.told == [("swapped", 5)], "the file")
        assert names(folder_of(listening)) == [f"here-{mine()[0]}-{mine()[1]}"]
        owner.say(Install(6, b"six", b"payload"))
        assert owner.receive() == Applied(6)
        eventually(lambda: names(folder_of(listening)) == [], "the end of the note")
        owner.close()


def test_the_note_stands_before_it_serves(
    listening: socket.socket, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    load = snapshot_file.load
    monkeypatch.setattr(snapshot_file, "load", lambda folder: (seen.append(names(folder)), load(folder))[1])
    with serving(listening, listener):
        eventually(lambda: listener.told, "the file")
    assert seen[0] == [f"here-{mine()[0]}-{mine()[1]}"]


def test_where_the_hello_lies_at_a_dead_owner_it_is_said_anew_before_the_file_is_read(
    listening: socket.socket, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without: the next owner reads the notes, this one writes its own, and starts on the old file, unknown."""
    load, written = snapshot_file.load, goodbye_files.write
    heard: list[object] = []

    def write(runtime: Path, kind: goodbye_files.Kind) -> None:
        written(runtime, kind)
        if kind == "here":
            first.close()  # the owner dies just now; another one listens already

    def read(folder: Path) -> snapshot_file.Saved | None:
        listening.settimeout(0)
        try:
            heard.append(listening.accept()[0])
        except BlockingIOError:
            heard.append(None)
        return load(folder)

    monkeypatch.setattr(goodbye_files, "write", write)
    monkeypatch.setattr(snapshot_file, "load", read)
    with serving(listening, listener):
        first = Owner(listening)
        first.receive()
        eventually(lambda: listener.told, "the file")
    assert heard[0] is not None, "no owner that listens then has its Hello"
    for connection in heard:
        if isinstance(connection, socket.socket):
            connection.close()


def test_a_process_that_holds_a_version_does_the_same(listening: socket.socket, listener: Listener) -> None:
    with serving(listening, listener, held=3):
        owner = Owner(listening)
        owner.receive()
        eventually(lambda: listener.told == ["caught up"], "going on")
        assert names(folder_of(listening)) == [f"here-{mine()[0]}-{mine()[1]}"]
        owner.close()


def test_its_close_takes_the_note_away(listening: socket.socket, listener: Listener) -> None:
    with serving(listening, listener) as link:
        owner = Owner(listening)
        owner.receive()
        eventually(lambda: listener.told, "the file")
        link.close()
        assert names(folder_of(listening)) == []
        owner.close()


def test_a_note_that_can_not_be_written_is_said_and_stops_nothing(
    listening: socket.socket, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    goodbye_files.remove_folder(folder_of(listening))
    with serving(listening, listener):
        eventually(lambda: listener.told == [("swapped", 5)], "the file")
    assert "the next config owner may not know of this process" in caplog.text
