"""What runs while a fleet is measured: an engine's server, config owners with workers, and how much CPU they take."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.document import CONTENTS, TOTALS
from benchmarks.server import SCHEMA, Worker, _stderr_to, workers
from tests.support.engines import SERVERS
from tests.support.engines.server import Server
from tests.support.fleet.publisher import Published, Publisher

if TYPE_CHECKING:
    from confcast import ConfigReloadManager

KEY = "bench"


@contextmanager
def engine(name: str) -> Iterator[Server]:
    """The server of an engine: the first of those that this machine has. Raises LookupError where there is none."""
    programs = SERVERS[name].programs() if name in SERVERS else []
    if not programs:
        raise LookupError(f"there is no server of {name}: its rows are left out")
    with SERVERS[name](programs[0]) as server:
        yield server


def engines_here(names: Iterable[str]) -> Iterator[tuple[str, Server]]:
    """Each of these engines, running while it is used; one that can't be had is named on standard error."""
    for name in names:
        with ExitStack() as stack:
            try:
                server = stack.enter_context(engine(name))
            except LookupError as error:
                print(error, file=sys.stderr)
                continue
            yield name, server


def used_ms(pids: Iterable[int]) -> float:
    """CPU that these processes have used so far, in milliseconds."""
    return sum(time.clock_gettime_ns(~pid << 3 | 2) for pid in pids) / 1e6  # clock_getcpuclockid(3) on Linux


class Site:
    """One host: a config owner, which this process has started, and its workers.

    Args:
        manager: Started.
        crew: Its workers, which report from now on when they have applied a version.
    """

    def __init__(self, manager: ConfigReloadManager[Any], crew: list[Worker]) -> None:
        self.manager, self._crew = manager, crew
        for worker in crew:
            worker.report(True)

    def last_applied(self) -> int:
        """When the last worker had applied the next version, by CLOCK_MONOTONIC in nanoseconds."""
        return max(worker.hear() for worker in self._crew)

    @property
    def pids(self) -> list[int]:
        """Its owner's, and its workers'."""
        return [self.manager.owner_pid, *(worker.pid for worker in self._crew if worker.pid is not None)]


@contextmanager
def site(folder: Path, name: str, source: Any, count: int, **options: Any) -> Iterator[Site]:
    """A host that loads this source, with so many workers."""
    from confcast import ConfigLoader, ConfigReloadManager

    loader: ConfigLoader[Any] = ConfigLoader(SCHEMA, source)
    state = folder / f"{name}-state"
    with ExitStack() as stack:
        manager = ConfigReloadManager(loader, name=name, state_dir=state, **options)
        stack.callback(manager.close)
        log = folder / f"{name}.log"
        try:
            with _stderr_to(log):
                manager.start()
            crew = stack.enter_context(workers(count, name)) if count else []
            yield Site(manager, crew)
        except BaseException:
            sys.stderr.write(log.read_text(encoding="utf-8")[-2000:])
            raise


class Documents:
    """Publishes the two contents of `benchmarks.document` in turn.

    Args:
        publisher: Of their key.
    """

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._next = 0

    def publish(self) -> Published:
        """The next one, to all hosts at once."""
        self._next = (self._next + 1) % len(TOTALS)
        return self._publisher.force(CONTENTS[self._next].encode())
