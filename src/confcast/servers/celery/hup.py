"""SIGHUP in a celery worker: it reloads, and neither kills nor restarts anything, at any moment.

celery gives the master a handler that stops it and starts it anew, some time after `worker_init`. So SIGHUP is blocked
in the master from `celeryd_after_setup` until its pool has started, and what comes is delivered then. It gives each
child the default action before `worker_process_init`, and afterwards one that ends it, but where SIGHUP is ignored. So
it is blocked in a child from before its fork (`worker_before_create_process`) until `worker_process_init`, and ignored
from there until its first task, which gives it a handler: programs would inherit that it is ignored.

Rejected: to have it blocked until the first task (the threads of observers begin before that and would stay so, and
with them every program that they start), and replacing celery's functions that install handlers.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

_hooked = False
_forking = False
_ignored_in_child = False


def hold(**_: Any) -> None:
    """Let SIGHUP wait, in this thread and in what it starts."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def release() -> None:
    """It need not wait any more; what has come is delivered now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


def take(act: Callable[[], None]) -> bool:
    """Have SIGHUP do this; whether it will: handlers can be set in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        return False
    signal.signal(signal.SIGHUP, lambda number, frame: act())
    return True


def hold_for_a_fork(**_: Any) -> None:
    """For `worker_before_create_process`: the child is forked with SIGHUP blocked; the parent goes on without."""
    global _forking, _hooked
    if not _hooked:
        os.register_at_fork(after_in_parent=_forked)
        _hooked = True
    _forking = signal.SIGHUP not in signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def ignore_until_a_task() -> None:
    """In a child, for `worker_process_init`: it was forked with SIGHUP blocked, and its threads begin without."""
    global _ignored_in_child
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    release()
    _ignored_in_child = True


def survive() -> None:
    """For `task_prerun`: in a child, do nothing on SIGHUP from its first task on."""
    global _ignored_in_child
    if _ignored_in_child and take(lambda: None):
        _ignored_in_child = False


def _forked() -> None:
    global _forking
    if _forking:
        _forking = False
        release()
