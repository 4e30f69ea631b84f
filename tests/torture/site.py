"""One site under torture: a real server with a config owner, workers and application, and `confcast admin` beside it.

It starts, stops, and says which processes there are. What is done to them is the nemesis' affair.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from confcast import Client
from tests.support.admin import AdminServer
from tests.support.leaks import children_of, is_running
from tests.support.waiting import DEADLINE, eventually
from tests.torture import servers
from tests.torture.history import Recorder
from tests.torture.options import Options
from tests.torture.plan import Terrain

ROLES = ("master", "owner", "worker", "booting", "admin", "gateway", "engine")


class Site:
    """One site. `start` before anything else, `stop` at the end.

    Args:
        server: Which one, by its name in `servers.SERVERS`.
        folder: For its files; the history is in `history` below it.
        recorder: Of the rig's process.
        options: What it is started with.

    Attributes:
        config: The file that is watched.
        client: The verbs, for whoever wants to call one.
    """

    def __init__(self, server: str, folder: Path, recorder: Recorder, options: Options) -> None:
        self.folder, self.options, self.recorder = folder / "site", options, recorder
        self.history = folder / "history"
        for each in (self.folder, self.history):
            each.mkdir(exist_ok=True)
        self.server = servers.make(server, self.folder, options, self.history)
        self.runtime = self.server.runtime
        self.config = self.folder / "app.toml"
        self.state = self.folder / "state"
        self.admin: AdminServer | None = None
        self._former = os.environ.get("CONFCAST_RUNTIME_DIR")

    def start(self) -> None:
        """Return when all workers serve, and the admin server listens."""
        os.environ["CONFCAST_RUNTIME_DIR"] = str(self.runtime)  # where verbs and commands look for the owner
        self.server.start()
        self.client = Client(pid=self.master)
        if self.options.admin:
            self.admin = AdminServer(self.folder, "--pid", str(self.master)).start()

    # ---- what there is

    @property
    def port(self) -> int:
        """Where requests go."""
        return self.server.port

    @property
    def master(self) -> int:
        """The server's."""
        return self.server.pid

    def owner(self) -> int | None:
        """The owner's pid, while there is one."""
        return next(iter(self.processes()["owner"]), None)

    def workers(self) -> list[int]:
        """The workers that serve, by pid, in ascending order."""
        return self.processes()["worker"]

    def processes(self) -> dict[str, list[int]]:
        """All that run, by role, in ascending order. `booting` is a worker that does not serve yet.

        An owner shows by its command line, a worker by its file in the history.
        """
        found: dict[str, list[int]] = {role: [] for role in ROLES}
        if is_running(self.master):
            found["master"].append(self.master)
        for pid in sorted(self._descendants()):
            if is_running(pid) and (role := self._role(pid)):
                found[role].append(pid)
        with contextlib.suppress(AssertionError):
            if self.admin is not None and is_running(self.admin.pid):
                found["admin"].append(self.admin.pid)
        return found

    def _descendants(self) -> set[int]:
        return set(_children(self.master))

    def _role(self, pid: int) -> str:
        command = _command(pid)
        if b"confcast.owner" in command:
            return "owner"
        if b"resource_tracker" in command or b"forkserver" in command or not command:
            return ""
        return "worker" if (self.history / f"worker-{pid}.jsonl").exists() else "booting"

    @property
    def admin_url(self) -> str:
        """Where the admin API is."""
        assert self.admin is not None
        return self.admin.url

    def admin_token(self, role: str = "write") -> str:
        """What it asks for."""
        assert self.admin is not None
        return self.admin.token(role)

    def restart_admin(self) -> None:
        """After it was killed; where it listened before."""
        assert self.admin is not None
        self.admin.close()
        self.admin.start()

    def terrain(self) -> Terrain:
        """What a plan of this site depends on."""
        admin = ("admin",) if self.options.admin else ()
        return Terrain(
            workers=self.options.workers,
            roles=("owner", "worker", *admin),
            doors=("client", "cli", *admin),
            root=os.geteuid() == 0,
            silence=self.options.vote_timeout,
        )

    def await_rest(self) -> None:
        """Return when every worker is there and attached, and the owner answers."""

        def rests() -> bool:
            processes = self.processes()
            workers, versions = processes["worker"], {}
            with contextlib.suppress(Exception):
                versions = {each.pid: each.version for each in self.client.workers() if each.version}
            whole = len(workers) >= self.options.workers and not processes["booting"] and len(processes["owner"]) == 1
            return whole and set(workers) <= set(versions) and len({versions[pid] for pid in workers}) == 1

        eventually(rests, "workers that all have one version", 3 * DEADLINE)

    # ---- its end

    def stop(self) -> list[str]:
        """End it; what it has left, in words."""
        try:
            if self.admin is not None:
                self.admin.close()
            return self._end()
        finally:
            if self._former is None:
                os.environ.pop("CONFCAST_RUNTIME_DIR", None)
            else:
                os.environ["CONFCAST_RUNTIME_DIR"] = self._former

    def _end(self) -> list[str]:
        try:
            self.server.end()
        except AssertionError as error:
            return [f"{error}; {', '.join(_words(pid) for pid in self.server.processes())}"]
        return []


def _children(pid: int) -> list[int]:
    """Those of a process, and theirs."""
    with contextlib.suppress(OSError):
        mine = children_of(pid)
        return [*mine, *(below for each in mine for below in _children(each))]
    return []


def _command(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _words(pid: int) -> str:
    return f"{pid}: {_command(pid).replace(bytes(1), b' ').decode(errors='replace')}"
