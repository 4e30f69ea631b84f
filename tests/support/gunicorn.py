"""A real gunicorn. Its port is the system's choice, read from its log."""

from __future__ import annotations

import re
import signal
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

from tests.support import server
from tests.support.leaks import is_running
from tests.support.server import kill_worker
from tests.support.waiting import eventually

__all__ = ["Make", "Server", "kill_worker"]

CONF = """\
import os
from confcast import ConfigLoader
from confcast.servers import gunicorn as confcast_gunicorn

bind = "127.0.0.1:0"
wsgi_app = "app:app"
graceful_timeout = 10
control_socket = {control!r}
control_socket_disable = {control!r} == ""
{above}
loader = ConfigLoader("settings:Settings", "app.toml")
confcast_gunicorn.install(globals(), loader, vote_timeout=10.0, {options})  # on a busy machine, too
{below}
"""


class Server(server.Server):
    """One gunicorn.

    Args:
        folder: For its files.
        above: Lines of the conf file above the line that installs confcast.
        below: And below it.
        options: More arguments of `install`, as text.
        control: The path of gunicorn's own control socket; empty for none.
        environment: For its processes.
    """

    LISTENING = r"Listening at: http://127\.0\.0\.1:(\d+)"

    def __init__(
        self,
        folder: Path,
        *,
        above: str = "",
        below: str = "",
        options: str = "watch=False",
        control: str = "",
        environment: dict[str, str] | None = None,
    ) -> None:
        super().__init__(folder, environment={"GUNICORN_CMD_ARGS": "", **(environment or {})})
        self._upgrades: list[int] = []
        self.conf(above=above, below=below, options=options, control=control)

    def command(self, *arguments: str) -> list[str]:
        """What starts it."""
        return [sys.executable, "-m", "gunicorn", "-c", "conf.py", *arguments]

    def conf(self, *, above: str = "", below: str = "", options: str = "watch=False", control: str = "") -> None:
        """Write the conf file."""
        above, below = textwrap.dedent(above), textwrap.dedent(below)
        text = CONF.format(above=above, below=below, options=options, control=control)
        (self.folder / "conf.py").write_text(text)

    def wanted(self) -> int:
        """By the conf file's `workers`."""
        found = re.findall(r"^workers = (\d+)", (self.folder / "conf.py").read_text(), re.MULTILINE)
        return int(found[-1]) if found else 1

    def upgrade(self) -> int:
        """Have gunicorn start a new master beside this one (USR2); its pid, once it listens and has an owner."""
        before = set(self._listeners())
        self.signal(signal.SIGUSR2)
        (pid,) = eventually(lambda: set(self._listeners()) - before, "a new master that listens")
        self._upgrades.append(pid)
        return pid

    def _listeners(self) -> list[int]:
        return [int(pid) for pid in re.findall(r"Listening at: \S+ \((\d+)\)", self.log())]

    def masters(self) -> list[int]:
        """Those of upgrades, too."""
        return super().masters() + [pid for pid in self._upgrades if is_running(pid)]


Make = Callable[..., Server]


def read(server: Server, name: str) -> str:
    """What is in a file of its folder; nothing while there is none."""
    path = server.folder / name
    return path.read_text() if path.exists() else ""


def start(server: Server, log: str = "errors") -> Server:
    """Start one whose error log is a file: it names its port there."""
    server.launch()
    eventually(lambda: "Listening at" in read(server, log), "a server that listens")
    return server.find(read(server, log))


def rotate(server: Server, *names: str) -> None:
    """Move these logs away, as a tool does that rotates them."""
    for name in names:
        (server.folder / name).rename(server.folder / f"{name}.1")


def open_logs(server: Server) -> dict[int, set[str]]:
    """Which of this server's logs each of its processes has open."""
    found: dict[int, set[str]] = {}
    for pid in server.processes():
        try:
            targets = [each.readlink() for each in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:  # a descriptor that was closed meanwhile
            return {}
        mine = [target.name for target in targets if target.parent == server.folder]
        found[pid] = {name for name in mine if name.startswith(("errors", "access"))}
    return found


def all_have_open(server: Server, *names: str) -> bool:
    """The owner writes into the error log only."""
    logs = open_logs(server)
    owner = server.owners()
    return bool(logs) and all(files == ({"errors"} if pid in owner else set(names)) for pid, files in logs.items())
