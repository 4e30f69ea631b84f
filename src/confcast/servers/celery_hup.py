"""SIGHUP in a celery worker: it reloads, and neither kills nor restarts anything, at any moment.

celery gives the master a handler that stops it and starts it anew, some time after `worker_init`; it gives each child
the default action before `worker_process_init`, and one that ends it afterwards. So SIGHUP is blocked meanwhile,
and what comes is delivered at the end: in the master from `celeryd_after_setup` until its pool has started,
in a child from before its fork (`worker_before_create_process`) until its first task.

Rejected: SIG_IGN (every program that a task starts would inherit it, and a HUP that came meanwhile would be lost), and
replacing celery's functions that install handlers.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

_hooked = False
_forking = False
_held_in_child = False


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


def hold_until_a_task() -> None:
    """In a child, for `worker_process_init`; the threads that it starts from here on leave SIGHUP to the main one."""
    global _held_in_child
    hold()
    _held_in_child = True


def survive() -> None:
    """For `task_prerun`: in a child, do nothing on SIGHUP from its first task on."""
    global _held_in_child
    if _held_in_child and take(lambda: None):
        _held_in_child = False
        release()


def _forked() -> None:
    global _forking
    if _forking:
        _forking = False
        release()
