"""Processes that each watch a file and parse it themselves: what people write who pick no library.

A thread loops over `watchfiles.watch(path)` with its defaults, parses with libyaml (the quicker of PyYAML's two),
validates with the same schema, and replaces one attribute. It refuses nothing and tells nobody: where the file is wrong
it would end.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.document import Document
from benchmarks.others.crew import Crew, serve, spawned
from benchmarks.others.edited import Edited, document_in
from benchmarks.server import PATIENCE

if TYPE_CHECKING:
    from confcast.examples.leindex.schema import MCPConfig

_UNTIL_WATCHED = 1.0


class Held:
    """Where a process has its own copy."""

    __slots__ = ("config",)

    def __init__(self, config: MCPConfig) -> None:
        self.config = config


@contextmanager
def watching(folder: Path) -> Iterator[Edited]:
    """Processes that watch a file below this folder, each by itself."""
    document = document_in(folder, "watching")
    with spawned(_watch, document.path) as crew:
        _await_watched(document, crew)
        yield Edited(document, crew)


def _await_watched(document: Document, crew: Crew) -> None:
    """Nobody notices an edit before the watch is set: edit until everybody does. Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            crew.last(document.turn(), _UNTIL_WATCHED)
            return
        except TimeoutError:
            if time.monotonic() > deadline:
                raise


def _watch(pipe: Connection, path: Path) -> None:
    from watchfiles import watch

    held = Held(_parsed(path))
    ended = threading.Event()

    def follow() -> None:
        for _ in watch(path, stop_event=ended):
            new = _parsed(path)
            if new != held.config:
                held.config = new
                pipe.send((new.memory.total_budget_mb, time.monotonic_ns()))

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        serve(pipe, "held.config.memory.total_budget_mb", held=held)
    finally:
        ended.set()
        thread.join()


def _parsed(path: Path) -> MCPConfig:
    import yaml

    from confcast.examples.leindex.schema import MCPConfig

    return MCPConfig.model_validate(yaml.load(path.read_bytes(), yaml.CSafeLoader))
