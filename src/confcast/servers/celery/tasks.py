"""A task sees one version from `task_prerun` to `task_postrun`: what both do, whatever happens between them.

celery sends both in the thread, or greenlet, that runs the task, around its body and its handlers (`on_failure`,
`after_return`), so a pin in a context variable is the task's. A retry is a run of its own, with the newest version; an
eager task inside another one has its version.

Every pin that is entered has to be closed, or its process would stay on that version: `pin()` inside an open one gives
the same. celery promises a `task_postrun`, but not that it reaches us: a soft time limit is an exception that may come
between any two lines of this file. So what is to be closed is written down before it is entered, and a task that comes
from the broker, inside which nothing else can run, first closes what an earlier one has left.

Rejected: a stack by thread (greenlets), keys by the task's id (a retried or nested one has the same), attributes on
celery's request (`retry()` copies it).
"""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, NamedTuple

from confcast import NotAttached, declared


class _Run(NamedTuple):
    request: Any
    pins: list[AbstractContextManager[Any]]


_open: ContextVar[tuple[_Run, ...]] = ContextVar("confcast.celery", default=())


def begin(*, task: Any, **_: Any) -> None:
    """For `task_prerun`: pin every replica that has a configuration here.

    One that has none (in a program that runs its tasks eagerly) is left alone: the task is told when it reads it.
    """
    if not task.request.is_eager:
        _close_from(0)
    run = _Run(task.request, [])
    _open.set((*_open.get(), run))
    for replica in declared():
        with contextlib.suppress(NotAttached):
            pin = replica.pin()
            run.pins.append(pin)
            pin.__enter__()


def end(*, task: Any, **_: Any) -> None:
    """For `task_postrun`: close this task's pins, and those of tasks inside it that were not told of their end."""
    request = task.request
    for place, run in enumerate(_open.get()):
        if run.request is request:
            _close_from(place)
            return


def _close_from(place: int) -> None:
    runs = _open.get()
    for run in reversed(runs[place:]):
        for pin in reversed(run.pins):
            with contextlib.suppress(RuntimeError):  # its end was begun already, and interrupted
                pin.__exit__(None, None, None)
    if runs:
        _open.set(runs[:place])
