"""A server and a process beside it, both as workers that a test commands (`tests/support/workers.py`).

Neither is started by the other: both come from the fork server, quickly.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from confcast import ConfigLoader, Replica
from confcast.master.embedded import EmbeddedManager
from confcast.wire.files import owner_dirs
from tests.support.settings import SCHEMA, Settings, write
from tests.support.waiting import DEADLINE, eventually
from tests.support.workers import Worker, obey


class Server:
    """Commands for a server that replaces its owner by a next generation."""

    def __init__(self, file: str, folder: str, schema: str = SCHEMA, workers: str = "") -> None:
        os.chdir(folder)
        sys.path.insert(0, folder)
        self._file, self._schema, self._workers = file, schema, int(workers or -1)
        self._managers = [self._manager().start()]

    def next_generation(self) -> str:
        """As a full reload does: the present owner pauses, and the next one is started. Its address."""
        former = self._managers[-1]
        former.pause()
        self._managers.append(self._manager().succeed(former).start())
        return self.address()

    def leave(self) -> None:
        """The last worker of the generation before has gone."""
        self._managers.pop(0).close()

    def address(self) -> str:
        return self._managers[-1].address

    def owner(self) -> int:
        return self._managers[-1].owner_pid

    def workers(self) -> list[int]:
        return [worker.pid for worker in self._managers[-1].workers()]

    def write(self, number: int) -> str:
        """Put this number into the file, and load it."""
        write(Path(self._file), number)
        return str(self._managers[-1].reload_config())

    def close(self) -> None:
        for manager in self._managers:
            manager.close()

    def _manager(self) -> EmbeddedManager[Settings]:
        loader: ConfigLoader[Settings] = ConfigLoader(self._schema, self._file)
        manager = EmbeddedManager(
            loader, watch=False, supervise="caller", vote_timeout=10.0, enable_signal_handler=False
        )
        if self._workers >= 0:
            manager.workers_run_as(self._workers, self._workers)
        return manager


class Beside:
    """Commands for a process beside a server. It keeps what confcast logs from WARNING on."""

    def __init__(self) -> None:
        self._replica: Replica[Any] | None = None
        self._logged: list[str] = []
        handler = logging.Handler(logging.WARNING)
        handler.emit = lambda record: self._logged.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger("confcast").addHandler(handler)

    def attach(self, address: str, timeout: float = 20.0, schema: str = SCHEMA) -> int:
        """The version."""
        module, _, name = schema.partition(":")
        replica = Replica(getattr(importlib.import_module(module), name), name="app")
        replica.attach(address, timeout)
        self._replica = replica
        return replica.version

    def become(self, user: int) -> None:
        """This user and group. What is imported later must be by then: Python may lie in a folder of root's."""
        for module in ("confcast.worker.connection.attachment", "tempfile"):
            importlib.import_module(module)
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)

    def go_to(self, folder: str) -> None:
        os.chdir(folder)
        sys.path.insert(0, folder)

    def close(self) -> None:
        if self._replica is not None:
            self._replica.close()

    def read(self) -> tuple[int, int, bool]:
        """Version, number, connected."""
        snapshot = self._attached.snapshot
        return snapshot.version, snapshot.config.number, self._attached.connected

    def await_number(self, number: int) -> int:
        """The version that has it."""
        eventually(lambda: self._attached.latest.number == number, f"number {number} beside the server: {self._logged}")
        return self._attached.version

    def await_connected(self, wanted: bool) -> None:
        eventually(lambda: self._attached.connected is wanted, f"connected: {wanted} beside the server: {self._logged}")

    def await_log(self, text: str, times: int = 1) -> list[str]:
        """What was logged, once this is in it so often."""
        eventually(
            lambda: sum(text in line for line in self._logged) >= times, f"{text!r} in {self._logged}", DEADLINE / 2
        )
        return self._logged

    def reload(self) -> str:
        return str(self._attached.reload_config())

    @property
    def _attached(self) -> Replica[Any]:
        assert self._replica is not None
        return self._replica


def start(context: BaseContext, commands: type[Server | Beside], *arguments: str, runtime: str = "") -> Worker:
    """A process that takes these commands, with this run-time folder, or that of this test."""
    runtime = runtime or os.environ["CONFCAST_RUNTIME_DIR"]
    return Worker(context, target=_serve, arguments=(commands, arguments, runtime))


def _serve(pipe: Connection, commands: type[Server | Beside], arguments: tuple[str, ...], runtime: str) -> None:
    os.environ["CONFCAST_RUNTIME_DIR"] = runtime
    owner_dirs.candidates = lambda: iter([Path(runtime)])  # owners of other programs here are not looked for
    started: list[Server | Beside] = []

    def begin() -> Server | Beside:
        started.append(commands(*arguments))
        return started[0]

    try:
        obey(pipe, begin)
    finally:
        for each in started:
            each.close()
