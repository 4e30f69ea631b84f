"""A worker whose master was killed ends by itself: no process is left to stop the worker, which holds the port.

A thread asks for the parent's pid twice a second. Rejected: the sentinel of multiprocessing's `parent_process()` (a
forked sibling has inherited the other end of that pipe, and holds it open), PR_SET_PDEATHSIG (Linux only, needs ctypes,
and is sent when the forking thread ends, not the process), a pidfd (Linux only; half a second is quick enough).
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable

_log = logging.getLogger("confcast.servers")

_INTERVAL = 0.5
_GRACE = 30.0


def watch_master(master: int, leave: Callable[[], object]) -> None:
    """In a worker: call `leave` within a second after the master is no longer the parent of this process.

    A worker that is still alive half a minute later (a request that never ends) kills itself.

    Args:
        master: The master's pid, as the master itself knew it.
        leave: Makes this worker stop; called in a thread.
    """
    threading.Thread(target=_run, args=(master, leave), name="confcast-orphan", daemon=True).start()


def _run(master: int, leave: Callable[[], object]) -> None:
    pause = threading.Event()
    while os.getppid() == master:
        pause.wait(_INTERVAL)
    _log.error("the master %d is dead: this worker ends, too", master)
    leave()
    pause.wait(_GRACE)
    os.kill(os.getpid(), signal.SIGKILL)
