"""What is sent to systemd, and to whom: messages as bytes, addresses, and sockets that take nothing."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast.serve import notify
from confcast.serve.notify import Notifier, take_notifier, take_watchdog


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


def test_a_message_is_lines_of_names_and_values() -> None:
    assert notify.ready("serving version 1", 42) == b"READY=1\nMAINPID=42\nSTATUS=serving version 1"
    assert notify.reloading(7, "reloading") == b"RELOADING=1\nMONOTONIC_USEC=7\nSTATUS=reloading"
    assert notify.status("here") == b"STATUS=here"
    assert notify.stopping("ending") == b"STOPPING=1\nSTATUS=ending"
    assert notify.extend(20.0) == b"EXTEND_TIMEOUT_USEC=20000000"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nREADY=1", "a; READY=1"),
        ("\n  a: refused:\n\n  b\n", "a: refused:; b"),
        ("a\0b\x1b[2J", "a\\x00b\\x1b[2J"),
        ("caf\udce9", "caf\\udce9"),
        ("zwölf\u2028Zeilen", "zwölf; Zeilen"),
    ],
)
def test_a_text_makes_no_line_of_its_own_and_is_utf_8(text: str, shown: str) -> None:
    assert notify.status(text).decode() == f"STATUS={shown}"


def test_a_long_text_is_cut_between_two_characters() -> None:
    body = notify.status("é" * 5000).removeprefix(b"STATUS=")
    assert len(body) in (1023, 1024)
    assert body.decode() == "é" * (len(body) // 2 - 1) + "..."


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_each_message_is_one_datagram(kind: str, tmp_path: Path) -> None:
    name = str(tmp_path / "notify") if kind == "path" else f"@confcast-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name if kind == "path" else f"\0{name[1:]}")
        environment = {"NOTIFY_SOCKET": name, "OTHER": "stays"}
        notifier = take_notifier(environment)
        assert notifier is not None
        assert environment == {"OTHER": "stays"}
        assert notifier.send(notify.ready("here", 1))
        assert notifier.send(notify.WATCHDOG)
        assert [listening.recv(4096) for _ in range(2)] == [notify.ready("here", 1), b"WATCHDOG=1"]


@pytest.mark.parametrize("address", ["vsock:2:1234", "notify", "@", "/" + "x" * 200])
def test_an_address_that_is_none_is_told_and_ends_nothing(address: str, caplog: pytest.LogCaptureFixture) -> None:
    environment = {"NOTIFY_SOCKET": address}
    assert take_notifier(environment) is None
    assert environment == {}
    assert f"systemd can't be told what this service does: NOTIFY_SOCKET={address} is " in caplog.text


def test_without_the_variable_there_is_nobody_to_tell() -> None:
    assert take_notifier({}) is None


def test_a_socket_that_is_gone_is_told_once_until_it_is_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    notifier = Notifier(str(tmp_path / "notify"))
    assert [notifier.send(notify.WATCHDOG) for _ in range(2)] == [False, False]
    assert len(caplog.records) == 1
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        assert notifier.send(notify.WATCHDOG)
    assert not notifier.send(notify.WATCHDOG)
    assert [each.levelno for each in caplog.records] == 2 * [logging.WARNING]


def test_a_socket_that_nobody_reads_is_waited_for_no_longer_than_the_limit(
    systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "SEND_WITHIN", 0.05)
    notifier = Notifier(systemd.getsockname())
    sent = 0
    while notifier.send(notify.status("x" * 1000)):
        sent += 1
        assert sent < 10_000
    assert sent > 0
    systemd.recv(4096)
    assert notifier.send(notify.WATCHDOG)


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "0"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({"WATCHDOG_USEC": "-5"}, 0.0),
        ({"WATCHDOG_PID": str(os.getpid())}, 0.0),
    ],
)
def test_the_watchdog_s_time_is_that_of_this_process(variables: dict[str, str], seconds: float) -> None:
    assert take_watchdog(variables) == seconds
    assert variables == {}
