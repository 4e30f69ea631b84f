"""gunicorn with the search service, as a child that is stopped whole.

Guarantees: after `stop()` nothing of it is left: not the master, not a worker, not the config owner (they are one
process group; what has not gone by itself within the deadline is killed and reported). Its log is kept line by line.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque

from confcast.examples.leindex.demo.stage import Stage

_START_SECONDS = 20.0
_STOP_SECONDS = 10.0


class Server:
    """One gunicorn on a free loopback port.

    Args:
        stage: The folder to index, and the configuration file.
        workers: How many worker processes.
        echo: Whether its log is shown as it comes.

    Attributes:
        first: The workers that it began with; after `start()`.
        log: Its last lines.
    """

    def __init__(self, stage: Stage, workers: int, *, echo: bool = False) -> None:
        self.port = _free_port()
        self.first: set[int] = set()
        self.log: deque[str] = deque(maxlen=500)
        self._workers = workers
        self._stage = stage
        self._echo = echo
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        """The gunicorn master."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it, and return when every worker has indexed the folder.

        Raises:
            RuntimeError: It ended, or took longer than 20 s; with the end of its log.
        """
        environment = os.environ | {
            "LEINDEX_CONFIG": str(self._stage.config),
            "LEINDEX_FOLDER": str(self._stage.texts),
            "LEINDEX_BIND": f"127.0.0.1:{self.port}",
            "LEINDEX_WORKERS": str(self._workers),
            "CONFCAST_RUNTIME_DIR": str(self._stage.runtime),
        }
        command = [sys.executable, "-m", "gunicorn", "--no-control-socket"]
        self._process = subprocess.Popen(  # noqa: S603  # our own interpreter, our own arguments
            [*command, "-c", "python:confcast.examples.leindex.gunicorn_conf"],
            env=environment,
            cwd=self._stage.texts.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # Ctrl-C is for the demonstration, which then stops the server
        )
        threading.Thread(target=self._read_log, name="server-log", daemon=True).start()
        self._wait_until_ready()

    def living(self) -> set[int]:
        """Those of the first workers that live."""
        return {pid for pid in self.first if _lives(pid)}

    def reload_signal(self) -> None:
        """`kill -HUP` of the master."""
        os.kill(self.pid, signal.SIGHUP)

    def post(self, path: str) -> dict[str, object]:
        """Ask one worker, whichever takes the connection; its answer, with the HTTP status as `status`.

        Raises:
            OSError: No answer.
        """
        return _ask(self.port, "POST", path)

    def wait(self) -> None:
        """Until it ends by itself."""
        assert self._process is not None
        self._process.wait()

    def stop(self) -> bool:
        """Stop everything. False when something had not gone by itself after 10 s and was killed."""
        if self._process is None:
            return True
        self._process.terminate()
        gone = _group_ends(self._process, _STOP_SECONDS)
        if not gone:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        return gone

    def last_log(self, count: int = 30) -> str:
        """The end of its log, as one text."""
        return "\n".join(list(self.log)[-count:])

    def _read_log(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.log.append(line.rstrip("\n"))
            if self._echo:
                print(line, end="", flush=True)

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _START_SECONDS
        while len(self.first) < self._workers:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"gunicorn did not start; its last lines:\n{self.last_log()}")
            try:
                answer = _ask(self.port, "GET", "/health")
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
                continue
            if answer["status"] == 200:
                self.first.add(int(str(answer["pid"])))


def _ask(port: int, method: str, path: str) -> dict[str, object]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        answer: dict[str, object] = json.loads(response.read())
        return answer | {"status": response.status}
    finally:
        connection.close()


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _group_ends(leader: subprocess.Popen[str], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        leader.poll()  # reaps the leader, which would else count as a member
        try:
            os.killpg(leader.pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False
