"""A master with a config owner and joblib's pool of processes: what their tasks see before and after a reload."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor
from settings import settings
from telling import say

from confcast import ConfigLoader, ConfigReloadManager

WORKERS = 2
PATIENCE = 20.0


def task(meeting: str) -> tuple[int, int]:
    """Attached by the first task of its process. Two tasks of a meeting wait for each other: each process has one."""
    settings.attach()
    Path(f"{meeting}.{os.getpid()}").touch()
    end = time.monotonic() + PATIENCE
    while len(list(Path().glob(f"{meeting}.*"))) < WORKERS:
        if time.monotonic() > end:
            raise TimeoutError("the other process does not come")
        threading.Event().wait(0.01)
    with settings.pin() as config:
        return os.getpid(), config.number


def main() -> None:
    """The pool is closed before the manager."""
    loader = ConfigLoader("settings:Settings", "app.toml")
    with ConfigReloadManager(loader, watch=False, vote_timeout=10.0) as manager, Parallel(n_jobs=WORKERS) as parallel:
        say(seen=parallel(delayed(task)("before") for _ in range(WORKERS)))
        Path("app.toml").write_text("number = 2\n")
        manager.reload()
        say(seen=parallel(delayed(task)("after") for _ in range(WORKERS)))
        get_reusable_executor().shutdown(wait=True)
    say(closed=True)


if __name__ == "__main__":
    main()
