"""A real server with one of the package's examples, as their docstrings start it.

The examples have no routes that say what their owner knows: it is asked from outside, as the command line does.
"""

from __future__ import annotations

import shutil
import signal
import sys
from pathlib import Path
from typing import Any, Self

from confcast.wire.listener import SOCKET
from confcast.worker.client.connection_per_call import AddressClient
from tests.support import server
from tests.support.waiting import eventually

SITE = Path(__file__).with_name("examples_site")


class Server(server.Server):
    """Two workers of one example.

    Args:
        folder: For its files, and its working directory.
        application: What it serves: module and name.
        conf: The module of gunicorn's conf file.
        arguments: More of the command line.
        environment: For its processes.
    """

    LISTENING = r"(?:Listening at:|running on) http://127\.0\.0\.1:(\d+)"

    def __init__(
        self,
        folder: Path,
        application: str,
        *,
        conf: str = "confcast.examples.frameworks.gunicorn_conf",
        arguments: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
    ) -> None:
        super().__init__(folder, environment=environment)
        shutil.copytree(SITE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        self._application = application
        self._conf = conf
        self._arguments = arguments

    def command(self, *arguments: str) -> list[str]:
        """What starts it."""
        ours = ["-b", "127.0.0.1:0", "-w", "2", "--no-control-socket", *self._arguments, *arguments]
        return [sys.executable, "-m", "gunicorn", "-c", f"python:{self._conf}", *ours, self._application]

    def wanted(self) -> int:
        """Two, on the command line."""
        return 2

    def find(self, log: str) -> Self:
        """Read in its log where it listens, and return when its workers are attached, and take requests.

        uvicorn's workers attach before they listen.
        """
        super().find(log)
        eventually(self._accepts, "a server that takes requests")
        return self

    def change(self, text: str = "") -> int:
        """Put the next number into the configuration's file, or this text; the number."""
        if text:
            return super().change(text)
        self.number += 1
        return super().change(f'greeting = "{self.number}"\n')

    def ask(self, path: str) -> Any:
        """One request; what the owner knows is asked of the owner."""
        if path == "workers":
            return [worker.pid for worker in self.client().workers() if worker.version]
        if path == "history":
            return [[event.origin, str(event.result), event.version] for event in self.client().get_event_history()]
        return super().ask(path)

    def client(self) -> AddressClient:
        """Its owner's."""
        (address,) = eventually(lambda: list(self.runtime.glob(f"*/{SOCKET}")), "a control socket")
        return AddressClient(str(address), "app")

    def reload_by_hup(self) -> int:
        """Change the file, HUP the master, and return when every worker has the new number; the number."""
        number = self.change()
        self.signal(signal.SIGHUP)
        eventually(lambda: {answer["number"] for answer in self.everyone().values()} == {number}, "the new version")
        return number


class Uvicorn(Server):
    """The same under confcast's launcher of uvicorn."""

    def command(self, *arguments: str) -> list[str]:
        """What starts it."""
        loader = ["--loader", "confcast.examples.frameworks.sources:loader", "--vote-timeout", "10"]
        ours = ["--port", "0", "--workers", "2", *self._arguments, *arguments]
        return [sys.executable, "-m", "confcast.servers.uvicorn", *loader, *ours, self._application]
