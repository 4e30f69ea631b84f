"""Ours: a manager in this process, its config owner, which watches the file, as it does by default, and workers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.document import Document
from benchmarks.others.crew import Crew, serve, spawned
from benchmarks.others.edited import UNTIL_FOLDED, Edited, changes_ms, document_in
from benchmarks.server import SCHEMA, _stderr_to

if TYPE_CHECKING:
    from confcast import ConfigReloadManager
    from confcast.examples.leindex.schema import MCPConfig

NAME = "bench-others"


class Ours(Edited):
    """One server.

    Args:
        manager: Started.
        document: What it loads.
        crew: Its workers.
    """

    def __init__(self, manager: ConfigReloadManager[Any], document: Document, crew: Crew) -> None:
        super().__init__(document, crew, [manager.owner_pid])
        self._manager = manager

    def call(self) -> float:
        """The median of writing the file, and `reload()`, until the last worker has it, in milliseconds."""
        return self._requested(self._manager.reload)

    def hup(self) -> float:
        """The same by HUP to this process, the master."""
        return self._requested(lambda: os.kill(os.getpid(), signal.SIGHUP))

    def _requested(self, request: Callable[[], object]) -> float:
        def change() -> int:
            total = self.document.turn()
            request()
            return total

        took = changes_ms(change, self.crew)
        time.sleep(UNTIL_FOLDED)
        return took


@contextmanager
def ours(folder: Path) -> Iterator[Ours]:
    """Running; its file is below this folder."""
    from confcast import ConfigLoader, ConfigReloadManager

    document = document_in(folder, "ours")
    loader: ConfigLoader[Any] = ConfigLoader(SCHEMA, document.path)
    with ExitStack() as stack:
        manager = ConfigReloadManager(loader, name=NAME)
        stack.callback(manager.close)
        with _stderr_to(folder / "owner.log"):
            manager.start()
        yield Ours(manager, document, stack.enter_context(spawned(_replica)))


def _replica(pipe: Connection) -> None:
    from confcast import Replica
    from confcast.examples.leindex.schema import MCPConfig

    settings = Replica(MCPConfig, name=NAME).attach()

    def tell(old: MCPConfig, new: MCPConfig) -> None:
        pipe.send((new.memory.total_budget_mb, time.monotonic_ns()))

    settings.subscribe(tell)
    serve(pipe, "settings.latest.memory.total_budget_mb", settings=settings)
    settings.close()
