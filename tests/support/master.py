"""A master as a program of its own: `python -m tests.support.master FILE METHOD [attached]`.

It starts a manager, then does what the lines of its standard input say: `start` a worker by the method, `ask` one
something, `reload`, `owner`, `address`. Each is answered by one line of JSON. Its owner does not watch: a test's own
trigger is the one. With `attached` it holds an attached replica of its own, which forked workers inherit. It ends with
its standard input.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
from typing import Any

from confcast import ConfigLoader, ConfigReloadManager, Replica
from tests.support.settings import SCHEMA, Settings
from tests.support.workers import Worker


class Master:
    """The commands; each is a method."""

    def __init__(self, manager: ConfigReloadManager[Settings], method: str) -> None:
        self._manager = manager
        self._context = multiprocessing.get_context(method)
        self.workers: list[Worker] = []

    def start(self, attach: bool) -> int:
        """A worker that finds its owner by the environment, or waits for a command; returns its pid."""
        self.workers.append(Worker(self._context, "" if attach else None))
        return self.workers[-1].pid

    def ask(self, index: int, command: str, *arguments: Any) -> Any:
        return self.workers[index].ask(command, *arguments)

    def reload(self) -> str:
        return str(self._manager.reload_config())

    def address(self) -> str:
        return self._manager.address

    def owner(self) -> int:
        return self._manager.owner_pid


def main(file: str, method: str, *flags: str) -> None:
    """Until the end of standard input."""
    loader: ConfigLoader[Settings] = ConfigLoader(SCHEMA, file)
    with ConfigReloadManager(loader, watch=False, supervise="caller", vote_timeout=10.0) as manager:
        settings = Replica(Settings, name="app")
        if "attached" in flags:
            settings.attach()
        master = Master(manager, method)
        print(json.dumps("ready"), flush=True)
        for line in sys.stdin:
            command, *arguments = json.loads(line)
            print(json.dumps(getattr(master, command)(*arguments)), flush=True)
        for worker in master.workers:
            worker.end()
        settings.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
