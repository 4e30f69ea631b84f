"""After a signal a worker's thread opens log files anew, and, at a HUP, renews the certificate."""

from __future__ import annotations

import logging
import signal

import pytest

from confcast.servers.common import log_files
from confcast.servers.common.worker_refresh import Refresh
from tests.support.waiting import eventually

LOG = logging.getLogger("test.refresh")


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done, in its order."""
    steps: list[str] = []
    monkeypatch.setattr(log_files, "reopen", lambda: steps.append("log files") or [])
    return steps


@pytest.fixture
def refresh(done: list[str]) -> Refresh:
    made = Refresh(LOG, lambda: done.append("certificate"))
    made.start()
    return made


def test_a_hup_is_for_both_and_the_other_signal_for_log_files_only(refresh: Refresh, done: list[str]) -> None:
    """The master sends SIGRTMIN when it has found half a pair, and logged that."""
    refresh.on_signal(signal.SIGRTMIN)
    refresh.on_signal(signal.SIGHUP)

    eventually(lambda: len(done) == 3, "all of it")
    assert done == ["log files", "log files", "certificate"]


def test_a_log_file_that_can_not_be_opened_is_said_and_so_is_what_nobody_thought_of(
    refresh: Refresh, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_files, "reopen", lambda: ["a.log can't be opened"])
    refresh.on_signal(signal.SIGHUP)
    refresh.later(lambda: 1 // 0)
    eventually(lambda: len(caplog.messages) == 2, "both")

    assert caplog.messages == [
        "confcast: the log file a.log can't be opened",
        "confcast: what a signal asked for was not done",
    ]


def test_a_loop_that_has_no_thread_does_it_in_its_turns(done: list[str]) -> None:
    refresh = Refresh(LOG)
    refresh.on_signal(signal.SIGHUP)
    refresh.on_signal(signal.SIGHUP)
    assert done == []

    refresh.tick()
    refresh.tick()

    assert done == ["log files"] * 2
