"""uvicorn: what HUP and SIGRTMIN do, with workers and without."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.support.certificates import Authority
from tests.support.reloads import Reloads, Secure
from tests.support.server import servers_of
from tests.support.uvicorn import Alone, Server
from tests.support.waiting import eventually

LOGS = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(process)d %(message)s"}},
    "handlers": {
        "requests": {"class": "logging.FileHandler", "filename": "requests.log", "formatter": "plain"},
        "rest": {"class": "logging.StreamHandler"},
    },
    "loggers": {
        "uvicorn.access": {"handlers": ["requests"], "level": "INFO"},
        "uvicorn.error": {"handlers": ["rest"], "level": "INFO"},
    },
}


class TestUvicornReloads(Reloads):
    kind = Server
    password = "open sesame"
    arguments = (
        *("--ssl-certfile", "cert.pem", "--ssl-keyfile", "key.pem", "--ssl-keyfile-password", password),
        *("--log-config", "logs.json"),
    )

    @classmethod
    def prepare(cls, folder: Path) -> None:
        (folder / "logs.json").write_text(json.dumps(LOGS))

    def deploy(self, folder: Path) -> None:
        logs = folder / "logs.json"
        logs.write_text(logs.read_text().replace("%(process)d", "%(process)d edited"))

    def test_a_full_reload_brings_new_code_to_new_workers_by_a_new_owner(self, secure: Secure):
        super().test_a_full_reload_brings_new_code_to_new_workers_by_a_new_owner(secure)
        assert " edited " in secure.log.read_text()

    def test_new_code_that_does_not_start_leaves_the_old_workers_to_the_old_owner(self, secure: Secure):
        server = secure.server
        before, owner = server.pids(), server.owner()
        application = (server.folder / "asgi_app.py").read_text()
        (server.folder / "asgi_app.py").write_text("1 / 0\n")
        server.signal(signal.SIGRTMIN)

        server.await_log("no new worker serves; the old ones go on")
        (server.folder / "asgi_app.py").write_text(application)
        server.change()
        assert server.hup()[0] == "success"
        assert (server.pids(), server.owner()) == (before, owner)


@pytest.mark.slow
@pytest.mark.timeout(100)
@pytest.mark.parametrize(("limit", "log"), [(3, "no new worker serves; the old ones go on"), (60, None)])
def test_a_full_reload_needs_a_limit_of_the_health_check_that_is_longer_than_a_start(
    limit: int, log: str | None, tmp_path: Path
):
    with servers_of(Server, tmp_path) as make:
        server = make(arguments=("--timeout-worker-healthcheck", str(limit))).start()
        before = server.pids()
        application = server.folder / "asgi_app.py"
        application.write_text(application.read_text() + "\nimport time\n\ntime.sleep(4)\n")
        server.signal(signal.SIGRTMIN)

        if log is not None:
            server.await_log(log)
            assert server.pids() == before
        else:
            eventually(lambda: (pids := server.pids()) and not pids & before, "new workers only", 60)
        server.change()
        assert server.hup()[0] == "success"


@pytest.mark.slow
def test_a_full_reload_keeps_the_number_of_workers_that_signals_have_made(tmp_path: Path):
    with servers_of(Server, tmp_path) as make:
        server = make().start()
        server.signal(signal.SIGTTIN)
        server.workers = 3
        before = eventually(lambda: len(pids := set(server.ask("workers"))) == 3 and pids, "a third worker")

        server.signal(signal.SIGRTMIN)
        pids = eventually(lambda: not (pids := server.pids()) & before and pids, "new workers only", 60)

        assert len(pids) == 3
        assert server.hup()[0] == "unchanged"
        assert server.pids() == pids


def test_one_process_renews_what_it_serves_and_says_that_new_code_takes_a_restart(tmp_path: Path):
    with servers_of(Alone, tmp_path) as make:
        server = make(arguments=("--ssl-certfile", "cert.pem", "--ssl-keyfile", "key.pem"))
        secure = Secure(server, Authority(tmp_path))
        server.start()
        assert "log files are opened anew and the TLS certificate is renewed" in server.log()
        secure.authority.issue("renewed")

        server.signal(signal.SIGHUP)
        secure.all_serve("renewed")
        server.signal(signal.SIGRTMIN)

        server.await_log("SIGRTMIN does nothing here: this server is one process, and new code takes a restart of it")
        assert server.pids() == {server.pid}
