"""A task sees one version from `task_prerun` to `task_postrun`, whatever is committed between them.

celery sends both signals in the thread, or greenlet, that runs the task, around its body and its handlers
(`on_failure`, `after_return`), so a pin in a context variable belongs to the task. A retry is a run of its own, with
the newest version; an eager task inside another task has the version of the outer one.

A task that has raised is a failed one of its version; not one that is tried again, ignored or rejected.

Every pin that is entered has to be closed, or its process would stay on that version: `pin()` inside an open pin gives
the same version. celery promises a `task_postrun`, but our handler may be cut short: a soft time limit is an exception
that may be raised between any two lines of this file. So each pin is recorded before it is entered, and a task that
comes from the broker, which never runs inside another one, first closes the pins that an earlier task has left.

Rejected: a stack for each thread (greenlets share one), keys by the task's id (a retried or nested task has the same
id), attributes on celery's request (`retry()` copies it).
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, NamedTuple

from confcast import NotAttached, declared
from confcast.middleware.replicas import RequestPin


class _Run(NamedTuple):
    request: Any
    pins: list[RequestPin]


_open: ContextVar[tuple[_Run, ...]] = ContextVar("confcast.celery", default=())


def begin(*, task: Any, **_: Any) -> None:
    """Called by `task_prerun`: pin every replica that has a configuration in this process.

    A replica without one (in a program that runs tasks eagerly) is skipped: reading it raises NotAttached in the task.
    """
    if not task.request.is_eager:
        _close_from(0)
    run = _Run(task.request, [])
    _open.set((*_open.get(), run))
    for replica in declared():
        try:
            pin = replica._pin_for(task.request, _headers_of)
        except NotAttached:
            continue
        run.pins.append(pin)
        pin.__enter__()


def end(*, task: Any, state: str = "", **_: Any) -> None:
    """Called by `task_postrun`: close this task's pins, and those of tasks inside it that had no `task_postrun`."""
    request = task.request
    for place, run in enumerate(_open.get()):
        if run.request is request:
            for pin in run.pins:
                pin.failed = state == "FAILURE"
            _close_from(place)
            return


def _headers_of(request: Any) -> dict[str, str]:
    """Those that the task's caller has given it: `task.apply_async(headers={"x-user-id": "12"})`."""
    given = getattr(request, "headers", None) or {}
    return {str(name).lower(): str(value) for name, value in given.items()}


def _close_from(place: int) -> None:
    runs = _open.get()
    for run in reversed(runs[place:]):
        for pin in reversed(run.pins):
            pin.__exit__(None, None, None)  # an interrupted call may have closed it before
    if runs:
        _open.set(runs[:place])
