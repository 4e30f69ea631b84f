"""gunicorn: how it starts, does not start, and ends; nothing is left of it in any case."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.embedding import Refusals
from tests.support.gunicorn import Make
from tests.support.slow import slow


class TestGunicornStarts(Refusals):
    """Or does not."""


def test_it_is_refused_in_gunicorns_log_file_too_and_leaves_no_pid_file(make: Make):
    server = make(above="errorlog = 'errors'\npidfile = 'pid'")
    server.change("number = 'x'\n")
    server.launch()

    assert server.ended() == 78
    assert "app.toml:1:10: number" in (server.folder / "errors").read_text()
    assert not (server.folder / "pid").exists()


def test_a_schema_that_can_not_be_carried_ends_with_its_field_and_status_78(make: Make):
    server = make()
    (server.folder / "settings.py").write_text(
        "import msgspec\nfrom collections.abc import Callable\nclass Settings(msgspec.Struct):\n    call: Callable\n"
    )
    server.launch()

    assert server.ended() == 78
    assert "call" in server.log()
    assert server.crashes() == []


def test_an_owner_is_not_left_when_the_port_is_taken(make: Make):
    """gunicorn ends without its on_exit then."""
    impatient = "import types, gunicorn.sock\ngunicorn.sock.time = types.SimpleNamespace(sleep=lambda seconds: None)"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = make(above=impatient)
        server.launch("-b", f"127.0.0.1:{taken.getsockname()[1]}")

        assert server.ended() == 1
        assert "confcast app: start: success" in server.log()
        assert "Connection in use" in server.log()
        server.assert_nothing_left()


def test_a_hup_while_the_owner_starts_waits_for_the_server(make: Make, tmp_path: Path):
    server = make()
    gate = tmp_path / "import"
    os.mkfifo(gate)
    schema = (server.folder / "settings.py").read_text()
    (server.folder / "settings.py").write_text(f"{schema}\nopen({str(gate)!r}).close()\n")
    server.launch()
    held = os.open(gate, os.O_WRONLY)  # the owner has come to it: it is importing the schema
    server.signal(signal.SIGHUP)
    gate.unlink()
    gate.touch()
    os.close(held)

    log = server.await_log("Handling signal: hup")

    assert log.index("confcast app: start: success") < log.index("Handling signal: hup")
    server.await_log("confcast app: signal: unchanged")


def test_term_ends_a_worker_that_still_boots(make: Make):
    """gunicorn's own handlers come later; until then a worker has the master's, which would only queue it."""
    server = make(below="graceful_timeout = 60\ndef post_fork(server, worker): open('gate').read()")
    os.mkfifo(server.folder / "gate")
    server.launch()
    held = os.open(server.folder / "gate", os.O_WRONLY)  # the worker is in its hook

    server.signal(signal.SIGTERM)

    assert server.ended() == 0
    os.close(held)


def test_a_hup_for_the_whole_group_spares_a_worker_that_still_boots(make: Make):
    """gunicorn gives SIGHUP its default action before it loads the application."""
    server = make()
    application = (server.folder / "app.py").read_text()
    (server.folder / "app.py").write_text(application.replace("AT_IMPORT =", "open('gate').read()\nAT_IMPORT =", 1))
    os.mkfifo(server.folder / "gate")
    server.launch()
    held = os.open(server.folder / "gate", os.O_WRONLY)  # the application is being imported

    os.killpg(server.pid, signal.SIGHUP)
    server.await_log("Handling signal: hup")
    os.close(held)

    server.await_workers()
    assert server.log().count("Booting worker") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, slow(signal.SIGINT)])
@pytest.mark.parametrize("kill", [os.kill, slow(os.killpg)])  # to the master; to all, as a terminal or systemd does
def test_a_stop_ends_all(make: Make, kill: Callable[[int, int], None], number: int):
    server = make(above="workers = 2\npidfile = 'pid'").start()
    kill(server.pid, number)

    assert server.ended() == 0
    server.assert_nothing_left()
    assert not (server.folder / "pid").exists()
    assert server.crashes() == []


def test_the_death_of_the_master_ends_all(make: Make):
    server = make(above="workers = 2\ntimeout = 2").start()  # a worker looks for its master twice in that time
    server.signal(signal.SIGKILL)
    server.ended()

    server.assert_nothing_left()
