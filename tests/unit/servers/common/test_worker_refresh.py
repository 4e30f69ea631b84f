"""A worker's thread opens files anew after a signal; the thread that accepts connections loads the certificate."""

from __future__ import annotations

import logging
import signal
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from confcast.servers.common import log_files, worker_refresh
from confcast.servers.common.certificates import Certificate
from confcast.servers.common.worker_refresh import Refresh
from tests.support.certificates import Authority, handshake
from tests.support.waiting import eventually

LOG = logging.getLogger("test.refresh")


class Room:
    """A context that serves, and a loop that runs scheduled calls when the test says so."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.authority.certfile, self.authority.keyfile)
        self.given: list[Callable[[], Any]] = []
        self.refresh = Refresh(LOG)

    def serve(self) -> None:
        self.refresh.certificate(self.context, self.authority.certfile, self.authority.keyfile, None, self._soon)

    def _soon(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.given.append(lambda: function(*arguments))

    def turn(self) -> None:
        eventually(lambda: self.given, "what the loop is given").pop(0)()


@pytest.fixture
def room(tmp_path: Path) -> Room:
    made = Room(tmp_path)
    made.refresh.start()
    return made


@pytest.fixture(autouse=True)
def reopened(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    times: list[None] = []
    monkeypatch.setattr(log_files, "reopen", lambda: times.append(None) or [])
    return times


def test_a_hup_renews_the_certificate_in_the_thread_that_accepts(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    """A context that one thread loads while another accepts may serve half a renewal."""
    room.serve()
    room.authority.issue("second")

    with caplog.at_level(logging.INFO, LOG.name):
        room.refresh.on_signal(signal.SIGHUP)
        eventually(lambda: room.given, "what the loop is given")
        assert handshake(room.context) == "first"
        room.turn()

    assert handshake(room.context) == "second"
    assert caplog.messages == [f"confcast: new connections get the renewed TLS certificate {room.authority.certfile}"]


def test_a_hup_for_what_is_served_already_says_nothing(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    room.serve()

    with caplog.at_level(logging.DEBUG, LOG.name):
        room.refresh.on_signal(signal.SIGHUP)
        room.turn()

    assert caplog.messages == []


def test_a_hup_that_came_before_anything_is_served_is_not_lost(room: Room, reopened: list[None]) -> None:
    room.authority.issue("second")
    room.refresh.on_signal(signal.SIGHUP)
    eventually(lambda: reopened, "the log files")

    room.serve()

    assert handshake(room.context) == "second"


def test_the_other_signal_is_for_log_files_only(room: Room, reopened: list[None]) -> None:
    """The master sends SIGRTMIN when it has found half a pair, and logged that."""
    room.serve()
    room.authority.issue("second")

    room.refresh.on_signal(signal.SIGRTMIN)
    eventually(lambda: reopened, "the log files")
    room.refresh.on_signal(signal.SIGHUP)
    eventually(lambda: len(reopened) == 2, "the log files")

    room.turn()
    assert room.given == []


def test_half_a_pair_is_said_and_the_thread_goes_on(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    room.serve()
    certificate, key = room.authority.pair("second")
    room.authority.put(room.authority.certfile, certificate)

    room.refresh.on_signal(signal.SIGHUP)
    eventually(lambda: caplog.messages, "a word")
    room.authority.put(room.authority.keyfile, key)
    room.refresh.on_signal(signal.SIGHUP)
    room.turn()

    (message,) = caplog.messages
    assert message.startswith("confcast: the TLS certificate stays as it is: the key ")
    assert handshake(room.context) == "second"


def test_a_log_file_that_can_not_be_opened_is_said_and_so_is_what_nobody_thought_of(
    room: Room, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_files, "reopen", lambda: ["a.log can't be opened"])
    room.refresh.on_signal(signal.SIGHUP)
    room.refresh.later(lambda: 1 // 0)
    eventually(lambda: len(caplog.messages) == 2, "both")

    assert caplog.messages == [
        "confcast: the log file a.log can't be opened",
        "confcast: what a signal asked for was not done",
    ]


def test_a_loop_that_has_no_thread_does_it_in_its_turns(tmp_path: Path, reopened: list[None]) -> None:
    refresh = Refresh(LOG)
    refresh.on_signal(signal.SIGHUP)
    refresh.on_signal(signal.SIGHUP)
    assert reopened == []

    refresh.tick()
    refresh.tick()

    assert len(reopened) == 2


def test_where_no_loop_runs_it_says_so() -> None:
    with pytest.raises(RuntimeError, match="no running event loop"):
        worker_refresh.running_loop()


def test_a_kept_certificate_s_fault_is_said_once_and_in_one_way(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    refresh = Refresh(LOG, "a restart")
    refresh.keep_certificate(Certificate(room.authority.certfile, room.authority.keyfile))
    room.authority.issue("second", "RSA")
    for _ in range(3):
        refresh.on_signal(signal.SIGHUP)
        refresh.tick()
    (said,) = caplog.messages
    assert said.endswith("another kind of key takes a restart")

    room.authority.issue("third")
    for _ in range(2):
        refresh.on_signal(signal.SIGHUP)
        refresh.tick()

    assert caplog.messages[1:] == ["confcast: this worker keeps its TLS certificate: a renewed one takes a restart"]
