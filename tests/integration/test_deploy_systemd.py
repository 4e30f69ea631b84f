"""app.service, tried without systemd: its commands in the environment that systemd gives them, and its way to stop."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deployed import Service
from tests.support.embedding import hold
from tests.support.leaks import is_running
from tests.support.server import servers_of
from tests.support.waiting import DEADLINE, eventually


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with servers_of(Service, tmp_path / "site") as make:
        yield make()


def test_it_says_when_it_is_ready(service: Service, tmp_path: Path):
    """Type=notify, NotifyAccess=main: from the master, and from nobody else."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(DEADLINE)
        systemd.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        service.variables["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        service.start()
        said, credentials, _, _ = systemd.recvmsg(1000, socket.CMSG_SPACE(12))

    assert b"READY=1" in said
    assert int.from_bytes(credentials[0][2][:4], "little") == service.pid


def test_a_reload_has_a_verdict_and_a_stop_keeps_the_versions(service: Service):
    command = service.unit["ExecReload"][0].split()
    before = service.start().pids()
    version = service.ask("read")["version"]

    number = service.change()
    eventually(lambda: service.run(command)[0] == 0, "a verdict")
    assert {answer["number"] for answer in service.everyone().values()} == {number}

    service.change('greeting = 5\ngreetings = "?"\n')
    status, said = service.run(command)
    assert status == 1
    assert f"validation_failed: nothing was changed, version {version + 1} runs on" in said
    assert "app.toml:1:12: greeting: " in said
    assert "app.toml:2:" in said
    assert set(service.everyone()) == before

    service.change()
    service.signal(signal.SIGTERM)
    assert service.ended() == 0
    assert service.run(command)[0] == 3
    service.folder.joinpath("log").unlink()
    service.start()
    assert service.ask("read")["version"] == version + 2


@pytest.mark.slow
def test_a_term_for_the_whole_group_lets_a_slow_request_end_and_the_owner_leaves_last(service: Service, tmp_path: Path):
    """KillMode=control-group sends it to every process at once; mixed to the master, which sends it on."""
    old = service.start().number
    in_call, in_body, held = hold(service, tmp_path / "held")
    service.reload_by_hup()
    master, owner = service.pid, service.owner()

    for pid in service.processes():
        os.kill(pid, signal.SIGTERM)
    eventually(lambda: len(service.processes()) == 3, "the end of the worker that has nothing to do")
    in_call.let_go()
    in_body.await_load()
    assert is_running(master)
    assert is_running(owner)
    in_body.let_go()

    assert held() == [old, old, old]
    assert service.ended() == 0
    eventually(lambda: not service.processes(), "the end of the owner")
    service.assert_nothing_left()


def test_a_refused_configuration_ends_the_start_with_the_status_that_is_not_tried_again(service: Service):
    service.change("greeting = 5\n")
    service.launch()
    assert str(service.ended()) in service.unit["RestartPreventExitStatus"]
    assert "app.toml:1:12" in service.log()
