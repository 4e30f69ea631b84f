"""Hosts that are a config owner each, with real workers, managed by the process of the test."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel

from confcast import ConfigLoader, ConfigReloadManager, Replica
from tests.support.fleet.acts import act
from tests.support.waiting import LONG, eventually
from tests.support.workers import Worker, obey

WORKERS = 2


class HostSettings(BaseModel, frozen=True):
    """What `acts.payload` gives."""

    number: int
    shares: dict[str, float] = {}


class Serving:
    """A worker's commands. It refuses what its host refuses, and hangs in what its host hangs in."""

    def __init__(self, name: str, address: str) -> None:
        self._name = name
        self._ran: list[tuple[int, int]] = []
        self._replica: Replica[HostSettings] = Replica(HostSettings, name=name)
        self._replica.precommit(self._judge)
        self._replica.subscribe(lambda old, new: self._ran.append((time.monotonic_ns(), new.number)))
        self._replica.attach(address)
        self._ran.insert(0, (time.monotonic_ns(), self._replica.latest.number))

    def number(self) -> int:
        """Of the payload that it has."""
        return self._replica.latest.number

    def ran(self) -> list[tuple[int, int]]:
        """When it has had which numbers, from the first on, by CLOCK_MONOTONIC in nanoseconds."""
        return self._ran

    def close(self) -> None:
        self._replica.close()

    def _judge(self, old: HostSettings, new: HostSettings) -> None:
        what = act(new.number, new.shares, self._name)
        if what == "refuse":
            raise ValueError("this host refuses it")
        if what == "hang":
            threading.Event().wait(LONG)


def serve(pipe: Connection, name: str, address: str) -> None:
    """A worker's main program."""
    obey(pipe, lambda: Serving(name, address))


class Owners:
    """Hosts, from `with` to their end. Each has a label `test` with its name, which the payload's shares mean, too.

    Args:
        context: How workers are started.
        source: What they follow.
        names: One for each.
        folder: For their state.
        options: Of each manager.
    """

    def __init__(self, context: BaseContext, source: Any, names: list[str], folder: Path, **options: Any) -> None:
        self.names = names
        self._context, self._source, self._folder = context, source, folder
        self._options = {"probation": 0.2, "vote_timeout": 5.0, **options}
        self._managers: dict[str, ConfigReloadManager[HostSettings]] = {}
        self._workers: dict[str, list[Worker]] = {}
        self._stack = ExitStack()

    def numbers(self) -> dict[str, list[int]]:
        """The number that each worker of each host has."""
        return {name: [worker.ask("number") for worker in workers] for name, workers in self._workers.items()}

    def await_number(self, number: int, names: list[str] | None = None) -> None:
        """Wait until all workers of these hosts (None: of all) have it."""
        wanted = set(self.names if names is None else names)

        def have() -> bool:
            return all(
                worker.ask("number") == number for name in wanted for worker in self._workers[name]
            )  # fmt: skip

        eventually(have, f"number {number} in all workers of {len(wanted)} hosts")

    def ran(self) -> dict[str, list[tuple[int, int]]]:
        """When which workers of each host have had which numbers."""
        return {
            name: sorted(each for worker in workers for each in worker.ask("ran"))
            for name, workers in self._workers.items()
        }

    def __enter__(self) -> Self:
        with self._stack:
            for name in self.names:
                self._start(name)
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *about: object) -> None:
        self._stack.close()

    def _start(self, name: str) -> None:
        loader = ConfigLoader("tests.support.fleet.owners:HostSettings", self._source)
        state = self._folder / name
        manager = ConfigReloadManager(loader, name=name, state_dir=state, labels={"test": name}, **self._options)
        self._managers[name] = manager
        self._stack.callback(manager.close)
        manager.start()
        workers = self._workers[name] = []
        for _ in range(WORKERS):
            workers.append(Worker(self._context, target=serve, arguments=(name, manager.address)))
            self._stack.callback(workers[-1].end)
