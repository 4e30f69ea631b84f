"""One site under torture: a real server with a config owner, workers and application, `confcast admin` beside it, and a
fleet's engine and gateway, if its sources follow one.

It starts, stops, starts again what nobody else does, and says which processes there are. What is done to them is the
nemesis' affair.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from confcast import Client
from tests.support.admin import AdminServer
from tests.support.leaks import children_of, is_running
from tests.support.redis import redis_server
from tests.torture import servers
from tests.torture.celery_tasks import Broker, Tasks
from tests.torture.client import Asker, Http
from tests.torture.fleet import KEY, Fleet
from tests.torture.history import Recorder
from tests.torture.jobs import Connection, Jobs, Served
from tests.torture.options import Options
from tests.torture.plan import Terrain

ROLES = ("master", "owner", "worker", "booting", "admin", "gateway", "engine")
_STOPS_AT_A_DEATH = {"hypercorn"}
_CRASH_LOOPS = {"granian": 8.0, "granian-wsgi": 8.0}
"""Seconds between two deaths that a server does not take for a crash loop, which would end it: granian's are 5.5."""
_OTHERS = (b"resource_tracker", b"forkserver", b"semaphore_tracker", b"jobs.py")


class Site:
    """One site. `start` before anything else, `stop` at the end; both in the thread that the nemesis acts in.

    Args:
        server: Which one, by its name in `servers.SERVERS`.
        folder: For its files; the history is in `history` below it.
        recorder: Of the rig's process.
        options: What it is started with.

    Attributes:
        config: The file that is watched.
        respawns: Whether another worker takes the place of one that dies. hypercorn stops instead.
        deaths_apart: Seconds that two deaths of workers must be apart, or the server ends.
        survives: Whether the workers serve on without the master, until it is started again: `confcast serve`.
        hup: Whether a HUP to the master reloads.
    """

    def __init__(self, server: str, folder: Path, recorder: Recorder, options: Options) -> None:
        self.folder, self.options, self.recorder = folder / "site", options, recorder
        self.history = folder / "history"
        for each in (self.folder, self.history):
            each.mkdir(exist_ok=True)
        self.respawns, self.survives, self.hup = server not in _STOPS_AT_A_DEATH, server == "serve", True
        self.deaths_apart = _CRASH_LOOPS.get(server, 0.0)
        self.config, self.state = self.folder / "app.toml", self.folder / "state"
        self.admin: AdminServer | None = None
        self.fleet: Fleet | None = None
        self._stack = ExitStack()
        self._broker: Broker | None = None
        with ExitStack() as stack:
            self.server = servers.make(server, self.folder, options, self._environment(server, stack))
            self._stack = stack.pop_all()
        self.runtime = self.server.runtime

    def _environment(self, server: str, stack: ExitStack) -> dict[str, str]:
        """For the server's processes. What they need to run beside it is started."""
        found = {"HISTORY": str(self.history), "IMPORTS": str(self.options.imports)}
        if server == "celery":
            found["BROKER_PORT"] = str(port := stack.enter_context(redis_server()))
            self._broker = stack.enter_context(contextlib.closing(Broker(f"redis://127.0.0.1:{port}/0")))
        if self.options.fleet:
            self.fleet = stack.enter_context(contextlib.closing(Fleet(self.options.fleet)))
            found |= {"FLEET_GATEWAY": self.fleet.gateway.url, "FLEET_KEY": KEY}
        return found

    def start(self) -> None:
        """Return when all workers serve, and the admin server listens."""
        self._stack.enter_context(_variable("CONFCAST_RUNTIME_DIR", str(self.runtime)))  # where the owner is looked for
        self.server.start()
        if self.options.admin:
            self.admin = AdminServer(self.folder, *self.found_by).start()

    def asker(self) -> Asker:
        """One connection's way to ask."""
        if self._broker is not None:
            return Tasks(self._broker)
        return Connection(lambda: self.port) if isinstance(self.server, Jobs) else Http(lambda: self.port)

    # ---- what there is

    @functools.cached_property
    def client(self) -> Client:
        """The verbs, for whoever wants to call one. There is none before the server's process."""
        return Client(address=self.server.address) if isinstance(self.server, Served) else Client(pid=self.master)

    @property
    def found_by(self) -> tuple[str, str]:
        """The option by which a command finds the owner: a master may be another one by the next time."""
        served = isinstance(self.server, Served)
        return ("--address", str(self.server.address)) if served else ("--pid", str(self.master))

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
        roots = self.server.roots() if isinstance(self.server, Jobs) else self.server.masters()
        below = {pid for root in roots for pid in _children(root)} - {*roots}
        if self.server.masters():
            found["master"].append(self.master)
        for pid in sorted(below):
            if is_running(pid) and (role := self._role(pid)):
                found[role].append(pid)
        if self.admin is not None and self.admin.is_running:
            found["admin"].append(self.admin.pid)
        return {**found, **(self.fleet.processes() if self.fleet is not None else {})}

    def _role(self, pid: int) -> str:
        command = _command(pid)
        if b"confcast.owner" in command:
            return "owner"
        if (self.history / f"worker-{pid}.jsonl").exists():
            return "worker"
        return "" if not command or any(other in command for other in _OTHERS) else "booting"

    def admin_token(self, role: str = "write") -> str:
        """What it asks for."""
        assert self.admin is not None
        return self.admin.token(role)

    # ---- its life

    def start_again(self, role: str) -> None:
        """After somebody of this role was killed whom nobody else starts again."""
        if role == "admin":
            assert self.admin is not None
            self.admin.start_again()
        elif role == "master":
            assert isinstance(self.server, Served)
            self.server.start_again()
        else:
            assert self.fleet is not None
            self.fleet.start_again(role)

    def terrain(self) -> Terrain:
        """What a plan of this site depends on."""
        admin = ("admin",) if self.options.admin else ()
        fleet = ("gateway", "engine") if self.fleet is not None else ()
        worker = ("worker",) if self.respawns else ()
        kills = ("kills",) if self.respawns and not self.deaths_apart else ()
        return Terrain(
            workers=self.options.workers,
            roles=("owner", *worker, *admin, *fleet),
            hup=self.hup,
            master_survives=self.survives,
            doors=("client", "cli", *admin),
            root=os.geteuid() == 0,
            silence=self.options.vote_timeout,
            harms=(*kills, "sick", "fails"),
            fleet=self.fleet is not None,
            deaths_apart=self.deaths_apart,
            phases=tuple(filter(None, self.options.phases.split(","))),
        )

    def said(self) -> str:
        """What its processes have written, all but engine and gateway."""
        return self.server.log() + ("" if self.admin is None else self.admin.said)

    def stop(self) -> list[str]:
        """End it; what it has left, in words. What runs beside the server ends first, and is none of what it left."""
        with self._stack:
            if self.admin is not None:
                self.admin.close()
            if self.fleet is not None:
                self.fleet.close()
            try:
                self.server.end()
            except AssertionError as error:
                return [str(error)]
            return []


@contextlib.contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """Of this process's environment, in the block."""
    former = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if former is None:
            del os.environ[name]
        else:
            os.environ[name] = former


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
