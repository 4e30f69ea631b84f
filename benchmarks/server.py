"""A server to measure: a manager in this process and workers in processes of their own, idle, attached.

Guarantees: nothing outlives the context, and nothing is waited for without a deadline. What the owner logs goes to a
file in the run's folder; it is shown only when something fails. Workers are spawned, not forked: each is a process as
an application server would have it, without what the benchmark holds.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from benchmarks.document import Document

if TYPE_CHECKING:
    from confcast import ConfigReloadManager

SCHEMA = "confcast.examples.leindex.schema:MCPConfig"
NAME = "bench"
PATIENCE = 20.0
"""Seconds that anything may take before the run is given up."""


class Worker:
    """One worker, seen from the benchmark. Usable after `ready()`.

    Args:
        name: The configuration's name.
        derives: Whether it derives something of a part that no document changes.
    """

    def __init__(self, name: str = NAME, *, derives: bool = False) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, its = context.Pipe()
        self._process = context.Process(target=work, args=(its, name, derives), daemon=True)
        self._process.start()
        its.close()
        self.pid = self._process.pid

    def hear(self) -> Any:
        """The next thing that the worker says. Raises TimeoutError."""
        if not self._pipe.poll(PATIENCE):
            raise TimeoutError(f"worker {self.pid} said nothing for {PATIENCE:g} s")
        return self._pipe.recv()

    def report(self, on: bool) -> None:
        """From now on the worker tells when it has applied a version, by CLOCK_MONOTONIC; or no longer."""
        self._pipe.send(on)
        self.hear()

    def close(self) -> None:
        """The end of the pipe is the worker's end; one that does not go is killed."""
        self._pipe.close()
        self._process.join(PATIENCE)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()


def work(pipe: Connection, name: str, derives: bool) -> None:
    """A worker's whole life: attach, say so, then wait to be told whether to report."""
    from confcast import Replica
    from confcast.examples.leindex.schema import MCPConfig

    settings = Replica(MCPConfig, name=name)
    if derives:
        settings.derive(lambda part: [part], lambda config: config.projects)
    settings.attach()
    pipe.send("ready")

    def tell(old: MCPConfig, new: MCPConfig) -> None:
        pipe.send(monotonic_ns())

    try:
        while True:
            if pipe.recv():
                settings.subscribe(tell)
            else:
                settings.unsubscribe(tell)
            pipe.send("done")
    except EOFError:
        settings.close()


@contextmanager
def manager(folder: Path, name: str = NAME, **options: Any) -> Iterator[tuple[ConfigReloadManager[Any], Document]]:
    """A started manager that loads a document in this folder."""
    from confcast import ConfigLoader, ConfigReloadManager

    document = Document(folder / "config.yaml")
    loader: ConfigLoader[Any] = ConfigLoader(SCHEMA, document.path)
    made = ConfigReloadManager(loader, name=name, watch=False, **options)
    log = folder / "owner.log"
    try:
        with _stderr_to(log):
            made.start()
        try:
            yield made, document
        finally:
            made.close()
    except BaseException:
        sys.stderr.write(log.read_text(encoding="utf-8")[-2000:])
        raise


@contextmanager
def workers(count: int, name: str = NAME, *, derives: bool = False) -> Iterator[list[Worker]]:
    """This many workers of the manager of this name, each with a version."""
    with ExitStack() as stack:
        started = []
        for _ in range(count):
            started.append(Worker(name, derives=derives))
            stack.callback(started[-1].close)
        for worker in started:
            worker.hear()
        yield started


@contextmanager
def served(count: int) -> Iterator[tuple[ConfigReloadManager[Any], Document, list[Worker]]]:
    """A started manager with a folder of its own, what it loads, and this many workers of it."""
    with (
        tempfile.TemporaryDirectory(prefix="confcast-bench-") as folder,
        manager(Path(folder)) as (server, document),
        workers(count) as crew,
    ):
        yield server, document, crew


@contextmanager
def _stderr_to(path: Path) -> Iterator[None]:
    """What is started inside writes its standard error there."""
    sys.stderr.flush()
    kept = os.dup(2)
    with path.open("wb") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
