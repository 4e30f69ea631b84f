"""A hundred reloads leave nothing behind: no descriptor, no thread, and no memory to speak of.

The long run, with figures, is a benchmark (`python -m benchmarks --only soak`); this one finds what leaks at every
reload, or at every tenth.
"""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.soak import size
from tests.support.fixtures import Manager, StartManager, StartWorker
from tests.support.settings import write
from tests.support.waiting import eventually

WARM_UP = 30
RELOADS = 100
HISTORY = 20
MEMORY_KIB = 1536
"""A process that still grows into its work (malloc's arenas, SQLite's pages) takes some hundred; what is kept at each
reload is found when it is 16 KiB. The benchmark's run is longer, and its bound is a sixtieth of that."""


def test_many_reloads_leave_no_descriptor_no_thread_and_no_memory_behind(
    start_manager: StartManager, start_worker: StartWorker, config: Path
) -> None:
    manager = start_manager(history_limit=HISTORY)
    workers = [start_worker(manager) for _ in range(4)]
    for worker in workers:
        worker.ask("observe")  # with its thread
    pids = {"master": os.getpid(), "owner": manager.owner_pid} | {f"worker {each.pid}": each.pid for each in workers}
    manager.get_stats()  # over the connection that it keeps
    descriptors = {who: size(pid).descriptors for who, pid in pids.items()}
    reload_often(manager, config, WARM_UP, 2)
    before = {who: size(pid) for who, pid in pids.items()}

    reload_often(manager, config, RELOADS, 2 + WARM_UP)

    def gained() -> dict[str, tuple[int, int]]:
        """The owner notices a client's end a moment after its answer."""
        now = {who: size(pid) for who, pid in pids.items()}
        more = {who: (now[who].descriptors - descriptors[who], now[who].threads - before[who].threads) for who in pids}
        return {who: each for who, each in more.items() if each != (0, 0)}

    try:
        eventually(lambda: not gained(), "as many descriptors and threads as before")
    except AssertionError:
        raise AssertionError(f"more descriptors and threads than before: {gained()}") from None
    grown = {who: size(pid).private_kib - before[who].private_kib for who, pid in pids.items()}
    assert max(grown.values()) < MEMORY_KIB, grown


def reload_often(manager: Manager, config: Path, times: int, number: int) -> None:
    """Each reload brings another number, into every worker."""
    for each in range(number, number + times):
        write(config, each)
        event = manager.reload()
        assert event.result == "success", event
        assert len(event.applied) == 4
