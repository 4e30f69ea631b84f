"""A master with a pool, as a program of its own: `python -m tests.support.pools FILE KIND METHOD [TASKS_PER_CHILD]`.

KIND is `pool` or `executor`, METHOD how children are started. It does what the lines of its standard input say, each a
method below, and answers each by a line of JSON. It ends with its standard input: first the pool, then the manager.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from multiprocessing.pool import AsyncResult
from typing import Any

from confcast import ConfigLoader, ConfigReloadManager
from confcast.master.start import launch
from confcast.worker.client import verbs
from tests.support import pool_tasks
from tests.support.pool_tasks import settings
from tests.support.settings import SCHEMA
from tests.support.waiting import DEADLINE

SIZE = 2


class Pool:
    """`multiprocessing.Pool`."""

    def __init__(self, context: BaseContext, tasks_per_child: int | None) -> None:
        self._pool = context.Pool(SIZE, initializer=settings.attach, maxtasksperchild=tasks_per_child)

    def submit(self, task: Any, *arguments: Any) -> Any:
        return self._pool.apply_async(task, arguments)

    def result(self, submitted: AsyncResult[Any]) -> Any:
        return submitted.get(DEADLINE)

    def kill_one(self) -> str:
        """Its task never ends; whoever waits for it waits in vain."""
        self._pool.apply_async(pool_tasks.die)
        return "replaced"

    def end(self) -> None:
        self._pool.terminate()
        self._pool.join()


class Executor:
    """`ProcessPoolExecutor`."""

    def __init__(self, context: BaseContext, tasks_per_child: int | None) -> None:
        self._new = lambda: ProcessPoolExecutor(SIZE, mp_context=context, initializer=settings.attach)
        self._executor = self._new()

    def submit(self, task: Any, *arguments: Any) -> Any:
        return self._executor.submit(task, *arguments)

    def result(self, submitted: Any) -> Any:
        return submitted.result(DEADLINE)

    def kill_one(self) -> str:
        """It is broken by that; a new one takes its place."""
        try:
            self._executor.submit(pool_tasks.die).result(DEADLINE)
        except BrokenProcessPool:
            self.end()
            self._executor = self._new()
            return "broken"
        return "not broken"

    def end(self) -> None:
        self._executor.shutdown(wait=True)


class Master:
    """The commands; each is a method."""

    def __init__(self, manager: ConfigReloadManager[Any], pool: Pool | Executor) -> None:
        self._manager = manager
        self.pool = pool
        self._held: Any = None

    def everyone(self) -> dict[int, int]:
        """What each child reads, by its pid: one task each, at the same time."""
        with tempfile.TemporaryDirectory() as folder:
            tasks = [self.pool.submit(pool_tasks.meet, folder, SIZE) for _ in range(SIZE)]
            return dict(self.pool.result(task) for task in tasks)

    def one(self) -> tuple[int, int]:
        """What some child reads: its pid, and the number."""
        with tempfile.TemporaryDirectory() as folder:
            return self.pool.result(self.pool.submit(pool_tasks.meet, folder, 1))

    def hold(self, begun: str, gate: str) -> None:
        """Have a task begin that lasts until the gate is open."""
        self._held = self.pool.submit(pool_tasks.stay, begun, gate)

    def held(self) -> Any:
        return self.pool.result(self._held)

    def argument(self) -> bool:
        return self.pool.result(self.pool.submit(pool_tasks.is_the_one_here, settings))

    def kill_one(self) -> str:
        return self.pool.kill_one()

    def reload(self) -> list[Any]:
        event = self._manager.reload()
        return [str(event.result), event.version, event.applied]

    def roster(self) -> list[int]:
        return [worker.pid for worker in self._manager.workers() if worker.state == "current"]

    def version(self) -> int:
        return int(self._manager.get_stats()["version"])

    def settled(self) -> int:
        """The version that the newest event names: every child has answered it, while `version` is said before."""
        return self._manager.get_event_history(1)[0].version

    def newest(self) -> str:
        """Where the newest event came from."""
        return self._manager.get_event_history(1)[0].origin

    def owner(self) -> int:
        return self._manager.owner_pid

    def close_manager(self) -> None:
        self._manager.close()


def main(file: str, kind: str, method: str, tasks_per_child: str = "") -> None:
    """Until the end of standard input."""
    verbs._ANSWER_TIMEOUT = launch._EXIT_TIMEOUT = DEADLINE  # as in the tests' own process: the machine may be loaded
    context = multiprocessing.get_context(method)
    if method == "forkserver":  # one that has begun before there was an owner, as another library's use makes it
        context.Process(target=int).start()
    with ConfigReloadManager(ConfigLoader(SCHEMA, file), watch=False, vote_timeout=10.0) as manager:
        pools = {"pool": Pool, "executor": Executor}
        master = Master(manager, pools[kind](context, int(tasks_per_child) if tasks_per_child else None))
        print(json.dumps("ready"), flush=True)
        # Not sys.stdin: a child that the pool's thread forks meanwhile closes that, and waits for whoever reads it.
        with open(0, closefd=False) as commands:
            for line in commands:
                command, *arguments = json.loads(line)
                print(json.dumps(getattr(master, command)(*arguments)), flush=True)
        master.pool.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
