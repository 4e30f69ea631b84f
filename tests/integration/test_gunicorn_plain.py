"""gunicorn without confcast, for the table of what signals do: its HUP, and what a full reload (RTMIN) does with us."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.gunicorn import Make, Server, all_have_open, open_logs, read, rotate
from tests.support.gunicorn_tls import Tls
from tests.support.leaks import is_running
from tests.support.server import servers_of
from tests.support.waiting import eventually

pytestmark = pytest.mark.slow

APP = """
import json, os
NUMBER = int(open("app.toml").read().partition("=")[2])
CODE = 1

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"pid": os.getpid(), "number": NUMBER, "code": CODE}).encode()]
"""
CONF = """
bind = "127.0.0.1:0"
wsgi_app = "app:app"
control_socket_disable = True
workers = {workers}
accesslog = "access"
errorlog = "errors"
timeout = {timeout}
def on_reload(server): print("RELOADED", server.num_workers, server.cfg.timeout, flush=True)
"""


class Plain(Server):
    """One whose application reads the file when it is imported."""

    def set(self, *, workers: int = 2, timeout: int = 30, more: str = "") -> None:
        """Write the conf file."""
        (self.folder / "conf.py").write_text(CONF.format(workers=workers, timeout=timeout) + more)

    def await_workers(self) -> Plain:
        found = eventually(
            lambda: "Listening at" in read(self, "errors") and read(self, "errors"), "a server that listens"
        )
        self.port = int(found.rpartition("Listening at")[2].partition("127.0.0.1:")[2].split()[0])
        eventually(self._accepts, "a connection")
        return self

    def code(self, code: int) -> None:
        app = self.folder / "app.py"
        app.write_text(app.read_text().replace(f"CODE = {code - 1}", f"CODE = {code}"))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Plain]:
    with servers_of(Plain, tmp_path) as make:
        made: Plain = make()
        (made.folder / "app.py").write_text(APP)
        made.set()
        yield made.start()


def everyone(server: Plain, code: int) -> dict[int, Any]:
    """Once all that answer are of this code."""

    def all_new() -> Any:
        answers = server.everyone()
        return all(answer["code"] == code for answer in answers.values()) and answers

    return eventually(all_new, "answers of the new workers only")


def test_its_hup_replaces_all_workers_who_read_everything_anew(server: Plain):
    before = server.pids()
    number = server.change()
    server.code(2)
    rotate(server, "access", "errors")
    server.set(workers=3, timeout=31)

    server.signal(signal.SIGHUP)

    server.await_log("RELOADED 3 31")
    answers = everyone(server, 2)
    assert {answer["number"] for answer in answers.values()} == {number}
    assert len(answers) == 3
    eventually(lambda: not any(map(is_running, before)), "the end of all workers that there were")
    eventually(lambda: all_have_open(server, "access", "errors"), f"the new logs, not {open_logs(server)}")


def test_its_hup_with_a_bad_file_ends_it(server: Plain):
    server.change("number = x\n")

    server.signal(signal.SIGHUP)

    assert server.ended() in (1, 3)  # not always the same


def test_its_hup_with_a_bad_conf_file_ends_it(server: Plain):
    server.set(more="timeout = (\n")

    server.signal(signal.SIGHUP)

    assert server.ended() == 1


def test_its_usr1_opens_the_logs_anew(server: Plain):
    before = server.pids()
    rotate(server, "access", "errors")

    server.signal(signal.SIGUSR1)

    eventually(lambda: all_have_open(server, "access", "errors"), f"the new logs, not {open_logs(server)}")
    assert server.pids() == before


def test_its_usr2_starts_a_new_master_beside_it(server: Plain):
    number = server.change()

    server.signal(signal.SIGUSR2)

    eventually(lambda: read(server, "errors").count("Listening at") == 2, "a new master that listens")
    eventually(lambda: server.ask("")["number"] == number, "an answer of its workers")
    new = int(read(server, "errors").rpartition("Listening at")[2].partition("(")[2].partition(")")[0])
    server._upgrades.append(new)


def test_its_ttin_and_ttou_add_and_take_a_worker(server: Plain):
    before = server.pids()

    server.signal(signal.SIGTTIN)
    eventually(lambda: len(server.processes()) == 4, "a third worker")
    assert before < set(server.processes())
    server.signal(signal.SIGTTOU)

    eventually(lambda: len(server.processes()) == 3, "the end of one")


def test_its_hup_serves_a_renewed_certificate_by_new_workers(tmp_path: Path):
    with servers_of(Tls, tmp_path) as make:
        server: Tls = make()
        (server.folder / "app.py").write_text(APP)
        tls = "certfile, keyfile = 'cert.pem', 'key.pem'\nworker_class = 'gevent'\nerrorlog = '-'\n"
        ready = "def post_worker_init(worker): print('USER ready', flush=True)\n"
        (server.folder / "conf.py").write_text(CONF.format(workers=2, timeout=30) + tls + ready)
        old = server.renew()
        server.start()
        assert server.certificates() == {old}
        new = server.renew()
        assert server.certificates() == {old}

        server.signal(signal.SIGHUP)

        server.await_log("USER ready", 4)
        eventually(lambda: server.certificates() == {new}, "the renewed certificate")


def test_a_full_reload_with_us_does_what_its_hup_did(make: Make):
    def above(workers: int, timeout: int) -> str:
        logs = "accesslog, errorlog = 'access', 'errors'\n"
        reloaded = "def on_reload(server): print('RELOADED', server.num_workers, server.cfg.timeout, flush=True)\n"
        return f"workers = {workers}\ntimeout = {timeout}\n{logs}{reloaded}"

    server = make(above=above(2, 30))
    server.launch()
    eventually(lambda: "Listening at" in read(server, "errors"), "a server that listens")
    server.find(read(server, "errors"))
    before = {*server.pids(), server.owner()}
    number = server.change()
    server.add_a_field()
    rotate(server, "access", "errors")
    server.conf(above=above(3, 31))

    server.signal(signal.SIGRTMIN)

    server.await_log("RELOADED 3 31")
    eventually(lambda: not any(map(is_running, before)), "the end of all workers that there were, and of their owner")
    answers = server.everyone()
    assert {(answer["number"], answer["color"]) for answer in answers.values()} == {(number, "red")}
    assert len(answers) == 3
    eventually(lambda: all_have_open(server, "access", "errors"), f"the new logs, not {open_logs(server)}")


def test_a_full_reload_with_a_bad_conf_file_is_called_off(make: Make):
    server = make(above="workers = 2\n").start()
    before = server.pids()
    server.conf(above="workers = 2\ntimeout = (\n")

    server.signal(signal.SIGRTMIN)

    server.await_log("the full reload is called off, and every worker stays as it is\nthe conf file")
    number = server.change()
    assert server.hup()[0] == "success"
    assert {answer["number"] for answer in server.everyone().values()} == {number}
    assert server.pids() == before
    server.conf(above="workers = 2\n")
    server.signal(signal.SIGRTMIN)
    eventually(lambda: not any(map(is_running, before)), "the end of the old workers")


def test_a_full_reload_with_us_moves_to_another_error_log(make: Make):
    server = make(above="workers = 1\nerrorlog = 'errors'\n")
    server.launch()
    eventually(lambda: "Listening at" in read(server, "errors"), "a server that listens")
    old = {*server.find(read(server, "errors")).pids(), server.owner()}
    server.conf(above="workers = 1\nerrorlog = 'errors.next'\n")

    server.signal(signal.SIGRTMIN)

    eventually(lambda: not any(map(is_running, old)), "the end of the old worker, and of its owner")
    next_only = {frozenset({"errors.next"})}
    eventually(lambda: set(map(frozenset, open_logs(server).values())) == next_only, f"it, not {open_logs(server)}")
