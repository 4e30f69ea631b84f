"""A launcher's master does what HUP and SIGRTMIN ask for in the right order, and logs what it can't do."""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from confcast import ConfcastError
from confcast.servers.common import log_files, reloading, signals
from confcast.servers.common.certificates import Certificate
from confcast.servers.common.launching import Worker
from confcast.servers.common.owners import CalledOff
from confcast.servers.common.reloading import Reloading
from tests.support.certificates import Authority

LOG = logging.getLogger("test.reloading")


class Manager:
    """The part of a manager that is used here."""

    def __init__(self, calls: list[str], label: str) -> None:
        self._calls = calls
        self._label = label

    def _call(self, name: str) -> Manager:
        self._calls.append(f"{self._label} {name}")
        return self

    def __getattr__(self, name: str) -> Any:
        return lambda *_: self._call(name)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls of managers, the reopened log files, and the signals that are sent."""
    made: list[str] = []
    monkeypatch.setattr(log_files, "reopen", lambda: made.append("reopen") or [])

    def sent(pid: int, number: int) -> None:
        made.append(f"{signal.Signals(number).name} {pid}")

    monkeypatch.setattr(reloading.os, "kill", sent)
    return made


def of(calls: list[str], certificate: Certificate | None = None, **options: Any) -> Reloading:
    def next_generation() -> Any:
        return Manager(calls, "new"), Worker("new:Settings", "app")

    worker = Worker("old:Settings", "app")
    embedded: Any = SimpleNamespace(
        manager=Manager(calls, "old"), worker=worker, name="app", next_generation=next_generation
    )
    return Reloading("server", embedded, LOG, certificate, **options)


def test_a_hup_triggers_at_once_and_the_rest_is_for_the_loop(calls: list[str]) -> None:
    reloads = of(calls)
    reloads.tick(lambda: {11, 12})
    assert calls == ["old ensure_owner"]
    calls.clear()

    reloads.hup()
    assert calls == ["old request_reload"]
    reloads.tick(lambda: [11, 12])
    reloads.tick(lambda: [11, 12])

    ensure = "old ensure_owner"
    assert calls[1:] == [ensure, "reopen", "SIGHUP 11", "SIGHUP 12", ensure]
    assert not reloads.wants_full_reload()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "(log files are opened anew and the TLS certificate is renewed)"),
        ({"in_place": False}, "(log files are opened anew)"),
        ({"keeps": "that of HTTP/3"}, "and the TLS certificate is renewed, but not that of HTTP/3)"),
    ],
)
def test_the_start_says_what_is_renewed(
    options: dict[str, Any], words: str, calls: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path)
    reloads = of(calls, Certificate(authority.certfile, authority.keyfile), **options)

    with caplog.at_level(logging.INFO, LOG.name):
        reloads.log_signals()

    assert words in caplog.text
    assert f"server's own full reload (new code, new workers) is kill -RTMIN {os.getpid()}" in caplog.text


def test_where_there_is_no_sigrtmin_a_restart_is_named(
    calls: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(signals, "FULL_RELOAD", None)

    with caplog.at_level(logging.INFO, LOG.name):
        of(calls).log_signals()

    assert "own full reload (new code, new workers) is a restart of it (this system has no SIGRTMIN)" in caplog.text


def test_a_worker_that_has_just_died_keeps_nobody_from_receiving(
    calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[int] = []

    def kill(pid: int, number: int) -> None:
        if pid == 11:
            raise ProcessLookupError
        received.append(pid)

    monkeypatch.setattr(reloading.os, "kill", kill)
    reloads = of(calls)
    reloads.hup()

    reloads.tick(lambda: [11, 12])

    assert received == [12]


def test_half_a_pair_is_logged_once_and_workers_are_sent_the_signal_for_log_files_only(
    calls: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path)
    reloads = of(calls, Certificate(authority.certfile, authority.keyfile))
    certificate, key = authority.pair("second")
    authority.put(authority.certfile, certificate)
    for _ in range(2):
        reloads.hup()
        reloads.tick(lambda: [11])

    assert [call for call in calls if call.startswith("SIG")] == ["SIGRTMIN 11"] * 2
    (message,) = caplog.messages
    assert message.startswith("confcast: the TLS certificate stays as it is: ")

    authority.put(authority.keyfile, key)
    reloads.hup()
    reloads.tick(lambda: [11])
    assert calls[-1] == "SIGHUP 11"


def test_a_server_that_can_not_take_a_certificate_says_so_when_it_was_renewed(
    calls: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path)
    reloads = of(calls, Certificate(authority.certfile, authority.keyfile), in_place=False)
    for renewed in (False, True, True):
        if renewed:
            authority.issue("second")
        reloads.hup()
        reloads.tick(lambda: [11])

    (message,) = caplog.messages
    assert message.endswith(f"new workers do, by kill -RTMIN {os.getpid()}")


def test_the_next_owner_starts_before_a_worker_is_replaced_and_the_old_one_leaves_with_its_last(
    calls: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    reloads = of(calls)
    reloads.rtmin()
    assert calls == []
    assert reloads.wants_full_reload()
    assert not reloads.wants_full_reload()

    assert reloads.begin() == Worker("new:Settings", "app")
    assert calls == ["old pause", "new succeed", "new start"]
    reloads.hup()
    calls.clear()

    assert reloads.end({11, 12}, {12, 21})
    assert "has not replaced 1 of 2 workers" in caplog.text
    assert calls == ["new ensure_owner", "old ensure_owner"]
    calls.clear()
    reloads.owners.ensure(lambda: {21, 22})
    assert calls == ["new ensure_owner", "old close"]


def test_new_workers_that_do_not_serve_call_it_off(calls: list[str], caplog: pytest.LogCaptureFixture) -> None:
    reloads = of(calls)
    reloads.begin()
    calls.clear()

    assert not reloads.end({11, 12}, {11, 12})

    assert calls == ["new close", "old unpause"]
    assert "no new worker serves; the old ones go on" in caplog.text


def test_one_new_worker_beside_all_that_there_were_is_served(
    calls: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A worker that was just being respawned when the full reload began."""
    reloads = of(calls)
    reloads.begin()
    calls.clear()

    assert reloads.end({20}, {30, 20})

    assert calls == ["new ensure_owner", "old ensure_owner"]
    assert "has not replaced 1 of 1 workers" in caplog.text


def test_a_certificate_that_can_not_be_served_calls_it_off_before_anything(
    calls: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    authority = Authority(tmp_path)
    reloads = of(calls, Certificate(authority.certfile, authority.keyfile))
    authority.keyfile.unlink()

    with pytest.raises(CalledOff):
        reloads.begin()

    assert calls == []
    assert "is called off, and every worker stays as it is" in caplog.text


def test_a_loader_that_is_not_there_any_more_calls_it_off(
    calls: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reloads = of(calls)

    def gone() -> Any:
        raise ConfcastError("sources has no 'loader'")

    monkeypatch.setattr(reloads._embedded, "next_generation", gone)

    with pytest.raises(CalledOff):
        reloads.begin()

    assert calls == ["old pause", "old unpause"]
    assert "sources has no 'loader'" in caplog.text


def test_workers_that_inherit_the_master_s_old_code_keep_its_owner(
    calls: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    reloads = of(calls, forks=True)
    monkeypatch.setitem(sys.modules, "old", None)

    assert reloads.begin() is None
    assert reloads.end({11}, {21})

    assert calls == ["old ensure_owner"]
    assert "the master has imported old, and forks its workers" in caplog.text
