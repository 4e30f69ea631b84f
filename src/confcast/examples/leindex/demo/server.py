"""gunicorn with the search service, and the files of the demonstration.

Guarantees: every edit is an atomic rename, as an editor or a deployment would do it; the packaged defaults are copied,
never touched. After `stop()` no process of the server is left: not the master, not a worker, not the config owner (they
are one process group; a process that has not ended within 10 s is killed and reported).
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from confcast.examples.leindex.config import PACKAGED_DEFAULTS

T = TypeVar("T")

WORKERS = 4
WORDS = [f"word{number}" for number in range(30)]
KILLS = 13
"""The `performance.batch_size` with which a worker ends at its first request."""

_START_SECONDS = 20.0
_STOP_SECONDS = 10.0


class Server:
    """One gunicorn on a free loopback port, and its files in an empty folder, which the caller removes.

    Args:
        folder: Gets 200 texts of 150 words, the configuration, the runtime directory and the log.
        echo: Whether to write the log to standard output instead.

    Attributes:
        first: The workers that the server began with; set by `wait_until_ready()`.
    """

    def __init__(self, folder: Path, *, echo: bool = False) -> None:
        self.folder = folder
        self.config = folder / "mcp_config.yaml"
        self.first: set[int] = set()
        self._log = folder / "gunicorn.log"
        self._valid = PACKAGED_DEFAULTS.read_text(encoding="utf-8")
        self.edit()
        for name in ("run", "texts"):
            Path(folder, name).mkdir(mode=0o700)
        for number in range(200):
            text = " ".join(random.choices(WORDS, k=150))  # noqa: S311
            Path(folder, "texts", f"text-{number:03}.txt").write_text(text, encoding="utf-8")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        environment = os.environ | {
            "LEINDEX_CONFIG": str(self.config),
            "LEINDEX_FOLDER": str(folder / "texts"),
            "LEINDEX_BIND": f"127.0.0.1:{self.port}",
            "LEINDEX_WORKERS": str(WORKERS),
            "LEINDEX_DIES_WITH": str(KILLS),
            "CONFCAST_RUNTIME_DIR": str(folder / "run"),
        }
        conf = "python:confcast.examples.leindex.gunicorn_conf"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(  # noqa: S603  # our own interpreter, our own arguments
                [sys.executable, "-m", "gunicorn", "--no-control-socket", "-c", conf],
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=None if echo else log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the demonstration, which then stops the server
            )

    def edit(self, valid: bool = True, /, **values: int | str) -> None:
        """Give each key in the configuration file its value; if not `valid`, until the next edit only."""
        text = self._valid
        for key, value in values.items():
            text, count = re.subn(rf"(?m)^(\s*{key}: *)\S+", rf"\g<1>{value}", text)
            if count != 1:
                raise ValueError(f"{key} is in the configuration file {count} times")
        self._valid = text if valid else self._valid
        beside = self.config.with_suffix(".new")
        beside.write_text(text, encoding="utf-8")
        beside.replace(self.config)

    def address(self) -> Path:
        """The path of the owner's control socket; it exists while the server runs."""
        return next(self.folder.rglob("control.sock"))

    def wait_until_ready(self) -> None:
        """Wait until every worker has indexed the folder. Raises RuntimeError after 20 s, with the end of the log."""
        wait(self._is_ready, _START_SECONDS)
        if len(self.first) < WORKERS:
            raise RuntimeError(f"gunicorn did not start; its last lines:\n{self.last_log()}")

    def _is_ready(self) -> bool:
        """Ask one worker whether it is ready. True once all are, and if the server has ended."""
        with suppress(OSError, http.client.HTTPException):
            status, answer = self.ask("GET", "/health")
            self.first |= {answer["pid"]} if status == http.HTTPStatus.OK else set()
        return len(self.first) == WORKERS or self.process.poll() is not None

    def ask(self, method: str, path: str) -> tuple[int, dict[str, Any]]:
        """Send one request, to any worker. Returns the status and the answer. Raises OSError, HTTPException."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            return ask(connection, method, path)
        finally:
            connection.close()

    def last_log(self) -> str:
        """The last 30 lines of the log."""
        return "\n".join(self._log.read_text().splitlines()[-30:])

    def stop(self) -> bool:
        """Stop everything. Returns False if a process had not ended by itself after 10 s and was killed."""
        self.process.terminate()
        if wait(self._is_gone, _STOP_SECONDS):
            return True
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        return False

    def _is_gone(self) -> bool:
        self.process.poll()  # reaps the master, which would otherwise count as a member of its group
        return not lives(-self.process.pid)


def ask(connection: http.client.HTTPConnection, method: str, path: str, user: str = "") -> tuple[int, dict[str, Any]]:
    """Send one request over this connection, of this user if one is named. Returns the status and the answer."""
    connection.request(method, path, headers={"X-User": user} if user else {})
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def wait(condition: Callable[[], T], seconds: float) -> T:
    """Call the condition until it returns something true, or the time is over. Returns what it returned last."""
    deadline = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return value


def lives(pid: int) -> bool:
    """Whether the process exists; for a negative number, whether a process of that group does. Zombies count."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
