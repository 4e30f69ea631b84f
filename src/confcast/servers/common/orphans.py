"""A worker whose master was killed ends by itself: nobody is left who could stop it, and it holds the port.

A thread asks who the parent is. Rejected: the sentinel of multiprocessing's `parent_process()` (a forked sibling has
inherited the other end of that pipe, and holds it open), PR_SET_PDEATHSIG (Linux only, needs ctypes, and comes when
the thread ends that forked, not the process), a pidfd (Linux only; this one needs to be quick for nobody).
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable

_log = logging.getLogger("confcast.servers")

_LOOK = 0.5
_GRACE = 30.0


def follow(master: int, leave: Callable[[], object]) -> None:
    """In a worker: have `leave` called when the master is no longer its parent, within a second.

    What is still there half a minute later (a request that never ends) is killed.

    Args:
        master: Its pid, as the master itself knew it.
        leave: What makes this worker stop; called in a thread.
    """
    threading.Thread(target=_run, args=(master, leave), name="confcast-orphan", daemon=True).start()


def _run(master: int, leave: Callable[[], object]) -> None:
    pause = threading.Event()
    while os.getppid() == master:
        pause.wait(_LOOK)
    _log.error("the master %d is dead: this worker ends, too", master)
    leave()
    pause.wait(_GRACE)
    os.kill(os.getpid(), signal.SIGKILL)
