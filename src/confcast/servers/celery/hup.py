"""SIGHUP reloads in a celery worker, and neither kills nor restarts anything, at any moment.

Some time after `worker_init` celery sets a handler in the master that stops the worker and starts it anew. So the
master blocks SIGHUP from `celeryd_after_setup` until its pool has started; a pending SIGHUP is delivered then. In each
child celery sets SIGHUP to its default action before `worker_process_init`, and later to a handler that ends the child,
unless SIGHUP is ignored. So SIGHUP is blocked in a child from before its fork (`worker_before_create_process`) until
`worker_process_init`, and ignored from then on until its first task sets a handler: programs would inherit SIG_IGN.

Rejected: blocking SIGHUP until the first task (the threads of observers start before and would keep it blocked, as
would every program that they start), and replacing celery's functions that install handlers.
"""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Callable

_forking = False
_ignored_in_child = False


def block() -> None:
    """Block SIGHUP in this thread, and in threads and processes that it starts."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def unblock() -> None:
    """Unblock SIGHUP in this thread; a pending one is delivered now."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


def set_handler(act: Callable[[], None]) -> bool:
    """Have SIGHUP call this function. Returns False in another thread than the main one: it can't set handlers."""
    if threading.current_thread() is not threading.main_thread():
        return False
    signal.signal(signal.SIGHUP, lambda number, frame: act())
    return True


def block_for_a_fork() -> None:
    """For `worker_before_create_process`: block SIGHUP for the child; the parent unblocks it after the fork."""
    global _forking
    _hook_fork()
    _forking = signal.SIGHUP not in signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def ignore_until_a_task() -> None:
    """Called by `worker_process_init` in a child: ignore SIGHUP and unblock it, before the child's threads start."""
    global _ignored_in_child
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    unblock()
    _ignored_in_child = True


def set_handler_of_tasks() -> None:
    """Called by `task_prerun`: at a child's first task, set a handler of SIGHUP that does nothing."""
    global _ignored_in_child
    if _ignored_in_child and set_handler(lambda: None):
        _ignored_in_child = False


@functools.cache
def _hook_fork() -> None:
    os.register_at_fork(after_in_parent=_forked)


def _forked() -> None:
    global _forking
    if _forking:
        _forking = False
        unblock()
