"""The control socket: who can reach it, how it comes into place, and what it knows of a peer."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from confcast.errors import ConfcastError
from confcast.wire.listener import MAX_PATH, SOCKET, Peer, listen, peer_of
from tests.support.leaks import descriptors


def connect(path: Path) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    peer.connect(str(path))
    return peer


def test_it_is_for_its_user_alone_whatever_the_umask_and_nothing_else_is_left(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with listen(tmp_path / SOCKET):
            assert stat.S_IMODE((tmp_path / SOCKET).stat().st_mode) == 0o600
            assert [path.name for path in tmp_path.iterdir()] == [SOCKET]
    finally:
        assert os.umask(before) == 0  # the process's own stayed as it was


def test_it_never_blocks_and_takes_in_who_connects(tmp_path: Path) -> None:
    with listen(tmp_path / SOCKET) as listener:
        with pytest.raises(BlockingIOError):
            listener.accept()
        with connect(tmp_path / SOCKET):
            listener.accept()[0].close()


def test_a_new_one_takes_the_place_of_the_old_in_one_step(tmp_path: Path) -> None:
    with listen(tmp_path / SOCKET) as old, listen(tmp_path / SOCKET) as new, connect(tmp_path / SOCKET):
        with pytest.raises(BlockingIOError):
            old.accept()
        new.accept()[0].close()


def test_what_a_killed_owner_left_half_made_is_no_hindrance(tmp_path: Path) -> None:
    with listen(tmp_path / SOCKET):
        pass
    (tmp_path / SOCKET).rename(tmp_path / f".{SOCKET}")

    with listen(tmp_path / SOCKET), connect(tmp_path / SOCKET):
        assert [path.name for path in tmp_path.iterdir()] == [SOCKET]


def test_a_path_that_no_socket_can_have_is_refused_in_words(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * MAX_PATH)
    folder.mkdir()

    with pytest.raises(ConfcastError, match=f"the system allows {MAX_PATH}.*set CONFCAST_RUNTIME_DIR"):
        listen(folder / SOCKET)


def test_the_longest_path_that_is_allowed_works(tmp_path: Path) -> None:
    room = MAX_PATH - len(os.fsencode(tmp_path)) - len(f"/.{SOCKET}") - 1
    folder = tmp_path / ("x" * room)
    folder.mkdir()

    with listen(folder / SOCKET) as listening, connect(folder / SOCKET), listening.accept()[0] as accepted:
        assert peer_of(accepted).pid == os.getpid()


def test_a_folder_that_can_t_be_written_leaks_nothing(tmp_path: Path) -> None:
    before = descriptors()

    with pytest.raises(OSError, match="No such file"):
        listen(tmp_path / "missing" / SOCKET)

    assert descriptors() == before


def test_a_peer_is_who_the_kernel_says(tmp_path: Path) -> None:
    with listen(tmp_path / SOCKET) as listener, connect(tmp_path / SOCKET):
        connection, _ = listener.accept()
        with connection:
            assert peer_of(connection) == Peer(os.getpid(), os.geteuid())
