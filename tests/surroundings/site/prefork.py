"""A master with a config owner and a forked worker: it changes the file, HUPs itself, and says what the worker has.

The new number is its argument, by default 2. EXECUTABLE is for tools in which `sys.executable` is no Python, and with
ALONE the owner is not to be instrumented.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from settings import settings
from telling import say

from confcast import ConfigLoader, ConfigReloadManager
from confcast.wire.options import ManagerOptions

PATIENCE = 20.0
EXECUTABLE = "OWNERS_PYTHON"
ALONE = "OWNER_ALONE"


def work(pipe: Connection) -> None:
    """Say what is there at the start, and after each swap, until the master has received enough."""
    settings.attach()
    settings.subscribe(lambda _, new: pipe.send([settings.version, new.number]))
    pipe.send([settings.version, settings.latest.number])
    pipe.recv()
    settings.close()


def received(manager: ConfigReloadManager[Any], pipe: Connection) -> Any:
    """What the worker says next."""
    if not pipe.poll(PATIENCE):
        sys.exit(f"the worker says nothing; the owner's last: {manager.get_event_history()[:1]}")
    return pipe.recv()


def reload_once(manager: ConfigReloadManager[Any], number: int) -> None:
    """One worker, one change, one HUP."""
    fork = multiprocessing.get_context("fork")
    mine, its = fork.Pipe()
    worker = fork.Process(target=work, args=(its,), daemon=True)
    worker.start()
    its.close()
    say(worker=received(manager, mine))
    Path("app.toml").write_text(f"number = {number}\n")
    os.kill(os.getpid(), signal.SIGHUP)
    say(worker=received(manager, mine))
    mine.send("enough")
    worker.join(PATIENCE)
    say(status=worker.exitcode)
    mine.close()


def main() -> None:
    """From start to close. A master that forks has no thread of confcast's: the supervisor is the caller."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    loader = ConfigLoader("settings:Settings", "app.toml")
    options = ManagerOptions(
        watch=False, supervise="caller", vote_timeout=10.0, instrument_owner=ALONE not in os.environ
    )
    if os.environ.get(EXECUTABLE):
        options["executable"] = os.environ[EXECUTABLE]
    with ConfigReloadManager(loader, **options) as manager:
        reload_once(manager, number)
    say(closed=True)


if __name__ == "__main__":
    main()
