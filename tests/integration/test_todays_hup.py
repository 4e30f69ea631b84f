"""What HUP and TERM do in the servers themselves, without confcast: the column "today" of `guide/signals.md`.

A table that says what ours takes away, or leaves, has to be right about theirs. When one of these fails, a release of
the server does something else now.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_granian_reloads import LOGS as GRANIAN_LOGS
from tests.integration.test_uvicorn_reloads import LOGS as UVICORN_LOGS
from tests.support.certificates import Authority, served, trusting
from tests.support.leaks import is_running
from tests.support.waiting import DEADLINE, eventually

pytestmark = pytest.mark.slow

APPLICATION = """
import json, os
NUMBER = json.load(open("number.json"))

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps([os.getpid(), NUMBER, "old code"]).encode()})
"""
SECURE = ("cert.pem", "key.pem")
COMMANDS = {
    "uvicorn": (
        *("uvicorn", "app:app", "--port", "PORT", "--log-config", "logs.json"),
        *("--ssl-certfile", SECURE[0], "--ssl-keyfile", SECURE[1]),
    ),
    "granian": (
        *("granian", "app:app", "--interface", "asgi", "--port", "PORT", "--access-log", "--log-config", "logs.json"),
        *("--ssl-certificate", SECURE[0], "--ssl-keyfile", SECURE[1]),
    ),
    "hypercorn": (
        *("hypercorn", "app:app", "--bind", "127.0.0.1:PORT", "--access-logfile", "requests.log"),
        *("--certfile", SECURE[0], "--keyfile", SECURE[1]),
    ),
}
LOGS: dict[str, Any] = {"uvicorn": UVICORN_LOGS, "granian": GRANIAN_LOGS, "hypercorn": {}}


class Plain:
    """A server in a folder of its own, with two workers, TLS and a log file."""

    def __init__(self, kind: str, folder: Path, workers: int = 2) -> None:
        self.kind, self.folder, self.workers = kind, folder, workers
        self.authority = Authority(folder)
        (folder / "app.py").write_text(APPLICATION)
        (folder / "number.json").write_text("1")
        (folder / "logs.json").write_text(json.dumps(LOGS[kind]))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [each.replace("PORT", str(self.port)) for each in COMMANDS[kind]]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command, "--workers", str(workers)],
                cwd=folder,
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.workers_are_new(set())

    def ask(self) -> list[Any]:
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=DEADLINE, context=trusting())
        try:
            connection.request("GET", "/")
            return json.loads(connection.getresponse().read())  # type: ignore[no-any-return]
        finally:
            connection.close()

    def workers_are_new(self, before: set[int]) -> list[list[Any]]:
        """Wait until as many workers answer as there should be, and none of these; an answer of each."""

        def answered() -> list[list[Any]]:
            try:
                answers = {answer[0]: answer for answer in (self.ask() for _ in range(24))}
            except OSError:
                return []
            return list(answers.values()) if len(answers) == self.workers and not before & set(answers) else []

        return eventually(answered, f"answers of new workers; its log: {(self.folder / 'log').read_text()}", 40)

    def end(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # workers may have outlived it
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(params=sorted(COMMANDS))
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Plain]:
    made = Plain(request.param, tmp_path)
    yield made
    made.end()


def test_a_hup_replaces_every_worker_with_new_code_configuration_certificate_and_log_file(server: Plain):
    """And leaves their number; a TERM ends it with status 0, and its workers."""
    before = {answer[0] for answer in server.workers_are_new(set())}
    (server.folder / "number.json").write_text("2")
    (server.folder / "app.py").write_text(APPLICATION.replace("old code", "new code"))
    server.authority.issue("renewed", "RSA")  # another kind of key than the first
    logs = server.folder / "logs.json"
    logs.write_text(logs.read_text().replace("%(process)d", "%(process)d edited"))
    moved = server.folder / "requests.log.1"
    (server.folder / "requests.log").rename(moved)

    server.process.send_signal(signal.SIGHUP)
    answers = server.workers_are_new(before)

    assert {tuple(answer[1:]) for answer in answers} == {(2, "new code")}
    assert {served(server.port) for _ in range(8)} == {"renewed"}
    eventually((server.folder / "requests.log").exists, "the next log file")
    size = moved.stat().st_size
    server.ask()
    assert moved.stat().st_size == size
    assert (" edited " in (server.folder / "requests.log").read_text()) == (server.kind == "uvicorn")
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(DEADLINE) == 0
    eventually(lambda: not any(is_running(answer[0]) for answer in answers), "the end of the workers")


def test_a_bad_configuration_file_ends_all_but_uvicorn(server: Plain):
    before = {answer[0] for answer in server.workers_are_new(set())}
    (server.folder / "number.json").write_text("no number")
    server.process.send_signal(signal.SIGHUP)

    if server.kind == "uvicorn":
        eventually(lambda: "aborting the restart" in (server.folder / "log").read_text(), "the old workers, kept")
        assert {answer[0] for answer in server.workers_are_new(set())} == before
    else:
        # hypercorn gives the status of the last worker to end, or 0 if that has not ended yet
        assert server.process.wait(2 * DEADLINE) in ((1,) if server.kind == "granian" else (0, 1, -signal.SIGTERM))


def test_a_hup_ends_a_uvicorn_of_one_process(tmp_path: Path):
    server = Plain("uvicorn", tmp_path, workers=1)
    try:
        server.process.send_signal(signal.SIGHUP)
        assert server.process.wait(DEADLINE) == -signal.SIGHUP
    finally:
        server.end()


@pytest.mark.parametrize("kind", sorted(COMMANDS))
def test_a_sigrtmin_ends_a_server_today(kind: str, tmp_path: Path):
    """So that nobody has a use for it that ours would take away."""
    server = Plain(kind, tmp_path)
    try:
        server.process.send_signal(signal.SIGRTMIN)
        assert server.process.wait(DEADLINE) == -signal.SIGRTMIN
    finally:
        server.end()
