"""`confcast serve` and systemd's notify protocol: a real socket, and a model of systemd's states that can hang."""

from __future__ import annotations

import ctypes
import os
import re
import signal
from collections.abc import Callable, Iterator
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import pytest

from confcast import Client
from tests.support.gate import Gate
from tests.support.leaks import children_of, is_running
from tests.support.served import Served, Serves, serves
from tests.support.settings import write
from tests.support.systemd import NotifySocket
from tests.support.waiting import eventually


@pytest.fixture
def serve(forkserver: BaseContext, tmp_path: Path, runtime_folder: Path, nothing_is_left: None) -> Iterator[Serves]:
    write(tmp_path / "app.toml", 1)
    with serves(forkserver, tmp_path, runtime_folder / "c.sock") as made:
        yield made


@pytest.fixture
def systemd(tmp_path: Path, runtime_folder: Path) -> Iterator[NotifySocket]:
    systemd = NotifySocket(tmp_path / "notify")
    yield systemd
    systemd.close()


Start = Callable[..., Served]


@pytest.fixture
def start(serve: Serves, systemd: NotifySocket) -> Start:
    """Starts one as a service; it has begun, and need not serve."""

    def begin(*arguments: str, **variables: str) -> Served:
        served = serve.start(*arguments, environment={"NOTIFY_SOCKET": str(systemd.path), **variables})
        systemd.of(served.pid)
        return served

    return begin


def put(serve: Serves, number: int, **others: Any) -> None:
    write(serve.folder / "app.toml", number, **others)


def test_a_service_tells_that_it_serves_reloads_and_ends(start: Start, serve: Serves, systemd: NotifySocket) -> None:
    served = start()
    assert systemd.await_state("running").startswith("serving version 1; start at ")

    put(serve, 2)
    assert systemd.reload().startswith("serving version 2; signal at ")
    assert systemd.unit.status.endswith(": success")
    assert systemd.reload().endswith(": unchanged")
    (serve.folder / "app.toml").write_text("number = 5\n")
    refused = systemd.reload()
    assert refused.startswith("serving version 2; signal at ")
    assert f": refused (validation_failed): {serve.folder}/app.toml: twin: Field required" in refused
    (serve.folder / "app.toml").unlink()
    assert ": refused (file_not_found): " in systemd.reload()

    owner = Client(address=str(serve.address)).get_stats()["owner_pid"]
    named = [f"{name}=".encode() for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")]
    for pid in children_of(served.pid):
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        assert not [each for each in environment if each.startswith(tuple(named))], pid
    assert owner in children_of(served.pid)

    assert served.end() == 0
    systemd.await_state("stop")
    systemd.drain()
    assert systemd.said[-1].kind() == "STOPPING"
    assert {each.pid for each in systemd.said} == {served.pid}
    others = ("STATUS", "EXTEND_TIMEOUT_USEC")  # a start that takes long asks for more time
    kinds = [each.kind() for each in systemd.said if each.kind() not in others]
    assert kinds == ["READY", *4 * ["RELOADING", "READY"], "STOPPING"]


def test_a_hup_and_a_term_that_another_thread_takes_are_answered(
    start: Start, serve: Serves, systemd: NotifySocket
) -> None:
    """The kernel may give a signal to any thread that takes it, or at a moment at which it ends no wait."""
    served = start()
    systemd.await_state("running")

    def takes(task: Path, number: int) -> bool:
        try:
            (mask,) = re.findall(r"SigBlk:\s(\w+)", (task / "status").read_text())
        except OSError:  # it has ended: a reload has a thread of its own
            return False
        return not int(mask, 16) >> number - 1 & 1

    def to_another_thread(pid: int, number: int) -> None:
        """To the oldest of them, which lives to the end."""
        _, *others = sorted(Path(f"/proc/{pid}/task").iterdir(), key=lambda task: int(task.name))
        other = next(task for task in others if takes(task, number))
        assert ctypes.CDLL(None).tgkill(pid, int(other.name), number) == 0

    put(serve, 2)
    systemd.unit.reload(to_another_thread)
    assert systemd.await_state("running").startswith("serving version 2; signal at ")
    to_another_thread(served.pid, signal.SIGTERM)
    assert served.status() == 0


def test_a_first_load_that_is_refused_is_told_and_never_ready(
    start: Start, serve: Serves, systemd: NotifySocket
) -> None:
    (serve.folder / "app.toml").write_text("number = 5\n")
    served = start()
    status = systemd.await_state("stop")
    assert served.status() == 1
    assert status.startswith("the configuration is refused, nothing is served: ")
    assert f"{serve.folder}/app.toml: twin: Field required" in status
    assert "READY" not in [each.kind() for each in systemd.said]


def test_a_reload_ends_although_the_loader_hangs(
    start: Start, serve: Serves, systemd: NotifySocket, gate: Gate
) -> None:
    start("--load-timeout", "2.5")
    systemd.await_state("running")
    gate.shut()
    put(serve, 2, gate=str(gate.path))
    status = systemd.reload()
    assert status.startswith("serving version 1; signal at ")
    assert ": refused (io_error): load took longer than 2.5 s (load_timeout): " in status


def test_a_reload_ends_although_its_owner_is_killed(
    start: Start, serve: Serves, systemd: NotifySocket, gate: Gate
) -> None:
    start()
    systemd.await_state("running")
    owner = Client(address=str(serve.address)).get_stats()["owner_pid"]
    gate.shut()
    put(serve, 2, gate=str(gate.path))
    systemd.unit.reload()
    systemd.await_state("reload-notify")
    gate.await_load()
    os.kill(owner, signal.SIGKILL)
    eventually(lambda: not is_running(owner), "the owner's end")
    gate.open()
    gate.let_go()
    systemd.await_state("running")
    systemd.await_status("serving version ")

    put(serve, 3)
    systemd.reload()
    assert re.fullmatch(
        r"serving version \d; signal at [^;]*: (success|unchanged)",  # the next owner's own load may have brought it
        systemd.unit.status,
    )


def test_a_hup_that_comes_during_a_reload_is_ready_after_a_load_of_its_own(
    start: Start, serve: Serves, systemd: NotifySocket, gate: Gate
) -> None:
    served = start()
    systemd.await_state("running")
    gate.shut()
    put(serve, 2, gate=str(gate.path))
    os.kill(served.pid, signal.SIGHUP)  # somebody's, and not systemd's
    systemd.await_kind("RELOADING")
    gate.await_load()
    put(serve, 3)
    gate.open()
    systemd.unit.reload()
    systemd.await_state("reload-notify")
    gate.let_go()
    status = systemd.await_state("running")
    assert "serving version 3; signal at " in status, "READY of the former load would have said version 2"


def test_what_changes_without_a_reload_is_in_the_status(start: Start, serve: Serves, systemd: NotifySocket) -> None:
    start()
    systemd.await_state("running")
    client = Client(address=str(serve.address))
    client.set({"name": "two"}, ttl=0.05)
    systemd.await_status("serving version 3; expiry at ")
    client.rollback(1, reason="a bad night")
    systemd.await_status("; held since ")
    client.resume()
    systemd.await_status("; resume at ")
    assert "held" not in systemd.unit.status

    owner = client.get_stats()["owner_pid"]
    os.kill(owner, signal.SIGKILL)
    assert systemd.await_status("is started again").startswith("the config owner is down")
    systemd.await_status("serving version ")
    kinds = [each.kind() for each in systemd.said]
    assert set(kinds[kinds.index("READY") + 1 :]) == {"STATUS"}


def test_the_watchdog_is_told_while_the_owner_answers_or_is_replaced(
    start: Start, serve: Serves, systemd: NotifySocket
) -> None:
    start(WATCHDOG_USEC="200000")
    systemd.await_kind("WATCHDOG")
    owner = Client(address=str(serve.address)).get_stats()["owner_pid"]
    os.kill(owner, signal.SIGKILL)
    systemd.await_status("the config owner is down")
    systemd.await_kind("WATCHDOG")
    systemd.await_status("serving version ")
    systemd.await_kind("WATCHDOG")


def test_the_watchdog_of_another_process_is_not_told(start: Start, systemd: NotifySocket) -> None:
    served = start(WATCHDOG_USEC="1000", WATCHDOG_PID="1")
    systemd.await_state("running")
    assert served.end() == 0
    systemd.await_state("stop")
    assert "WATCHDOG" not in [each.kind() for each in systemd.said]


def test_the_process_that_takes_over_becomes_the_main_one(start: Start, serve: Serves, systemd: NotifySocket) -> None:
    """Both run in one control group, as processes of one service do."""
    former = start()
    systemd.await_state("running")
    put(serve, 2)
    successor = serve.start("--take-over", environment={"NOTIFY_SOCKET": str(systemd.path)})
    while systemd.unit.main_pid == former.pid:
        systemd.receive()
    assert systemd.unit.main_pid == successor.pid
    assert systemd.unit.status.startswith(f"process {successor.pid} has taken over; ")
    assert systemd.await_kind("READY").pid == successor.pid
    assert systemd.unit.status.startswith("serving version 2; ")
    assert former.status() == 0

    put(serve, 3)
    assert systemd.reload().startswith("serving version 3; ")
    assert "STOPPING" not in [each.kind() for each in systemd.said], "it would end the service, and both processes"
    assert successor.end() == 0
    assert systemd.await_state("stop") == "ending"


def test_a_take_over_that_is_refused_changes_nothing(start: Start, serve: Serves, systemd: NotifySocket) -> None:
    former = start()
    systemd.await_state("running")
    (serve.folder / "app.toml").write_text("number = 5\n")
    successor = serve.start("--take-over", environment={"NOTIFY_SOCKET": str(systemd.path)})
    assert successor.status() == 1
    put(serve, 2)
    assert systemd.reload().startswith("serving version 2; ")
    assert systemd.unit.main_pid == former.pid
