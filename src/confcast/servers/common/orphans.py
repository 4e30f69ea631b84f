"""A worker whose master was killed ends by itself: no other process would stop it, and it holds the port.

A thread reads the parent's pid twice a second. Rejected: the sentinel of multiprocessing's `parent_process()` (a forked
sibling has inherited the other end of that pipe, and holds it open), PR_SET_PDEATHSIG (it exists on Linux only, needs
ctypes, and is sent when the forking thread ends, not the process), a pidfd (Linux only; half a second is quick enough).
"""

from __future__ import annotations

import logging
import os
import signal
import threading

_log = logging.getLogger("confcast.servers")

_INTERVAL = 0.5
_GRACE = 30.0


def watch_master(master: int) -> None:
    """In a worker: send itself a TERM within a second after this master is no longer the parent of this process.

    A worker that is still alive half a minute later (a request that never ends) kills itself.
    """
    threading.Thread(target=_run, args=(master,), name="confcast-orphan", daemon=True).start()


def _run(master: int) -> None:
    pause = threading.Event()
    while os.getppid() == master:
        pause.wait(_INTERVAL)
    _log.error("the master %d is dead: this worker ends, too", master)
    os.kill(os.getpid(), signal.SIGTERM)
    pause.wait(_GRACE)
    os.kill(os.getpid(), signal.SIGKILL)
