"""A worker whose master was killed ends by itself: no other process would stop it, and it holds the port.

A thread waits for the master's pidfd; where there is none (macOS, a filter of system calls), it asks for the parent's
pid twice a second. Rejected: the sentinel of multiprocessing's `parent_process()` (a forked sibling has inherited the
other end of that pipe, and holds it open), PR_SET_PDEATHSIG (Linux only, needs ctypes, and is sent when the forking
thread ends, not the process), and asking everywhere (two wakeups a second of each worker at rest).
"""

from __future__ import annotations

import logging
import os
import select
import signal
import threading

from confcast.log_fields import about

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
    _sleep_while_it_lives(master)
    while os.getppid() == master:
        pause.wait(_INTERVAL)
    _log.error("the master %d is dead: this worker ends, too", master, extra=about("master_dead", pid=master))
    os.kill(os.getpid(), signal.SIGTERM)
    pause.wait(_GRACE)
    os.kill(os.getpid(), signal.SIGKILL)


def _sleep_while_it_lives(master: int) -> None:
    """Return when the master is dead; at once where the system does not report that."""
    try:
        pidfd = os.pidfd_open(master)
    except (AttributeError, OSError) as error:
        _log.debug(
            "the end of the master is looked for twice a second: %s", error, extra=about("master_polled", error=error)
        )
        return
    try:
        if os.getppid() == master:  # else it was dead before, and the pid may be another process's
            poller = select.poll()
            poller.register(pidfd, select.POLLIN)
            poller.poll()
    finally:
        os.close(pidfd)
