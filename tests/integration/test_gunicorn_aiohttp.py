"""gunicorn with aiohttp's worker class: it starts, follows a reload, and pins each request."""

from __future__ import annotations

import contextlib
import signal
from pathlib import Path

import pytest

from tests.support.embedding import hold
from tests.support.gunicorn import Make
from tests.support.gunicorn_tls import Tls
from tests.support.server import servers_of
from tests.support.waiting import eventually

ABOVE = "workers = 2\nworker_class = 'aiohttp.GunicornWebWorker'\n"
SERVES = "graceful_timeout = 10\nwsgi_app = 'aiohttp_app:{}'\n"


@pytest.fixture
def start(make: Make) -> Make:
    return lambda what, more="": make(above=ABOVE, below=SERVES.format(what) + more).start()


@pytest.mark.parametrize("what", ["app", pytest.param("make", marks=pytest.mark.slow)])
def test_its_requests_see_one_version_and_its_workers_stay(start: Make, what: str, tmp_path: Path):
    server = start(what)
    before = server.pids()
    call, body, numbers = hold(server, tmp_path)
    number = server.change()

    assert server.hup()[0] == "success"
    call.let_go()
    body.await_load()
    body.let_go()

    assert numbers() == [1, 1, 1]
    assert {answer["number"] for answer in server.everyone().values()} == {number}
    assert server.pids() == before
    assert "not pinned" not in server.log()
    assert server.crashes() == []


@pytest.mark.slow
def test_at_its_max_requests_a_worker_leaves_while_the_others_are_attached(start: Make):
    server = start("app", "max_requests = 10\n")

    eventually(lambda: server.ask("read") and "10 requests are served: leaving" in server.log(), "a worker that asks")
    eventually(lambda: server.log().count("Booting worker") > 2, "a worker in its place")

    assert server.crashes() == []


@pytest.mark.slow
def test_its_renewed_certificate_takes_a_full_reload_and_that_is_said(tmp_path: Path):
    with servers_of(Tls, tmp_path) as make:
        ready = (
            "certfile, keyfile = 'cert.pem', 'key.pem'\ndef post_worker_init(worker): print('USER ready', flush=True)\n"
        )
        server = make(above=ABOVE + ready, below=SERVES.format("app"))
        server.renew()
        server.start()
        eventually(lambda: server.certificates(), "a worker that serves")
        new = server.renew()

        server.signal(signal.SIGHUP)

        server.await_log(f"keeps its TLS certificate: a renewed one takes kill -RTMIN {server.pid}", 2)
        server.signal(signal.SIGRTMIN)
        server.await_log("USER ready", 4)

        def is_renewed() -> bool:
            with contextlib.suppress(OSError):  # the last of the old workers closes what it had accepted
                return server.certificates() == {new}
            return False

        eventually(is_renewed, "the renewed certificate")
