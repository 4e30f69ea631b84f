"""celery: HUP reloads the configuration in every worker process, and restarts none of them.

In the module of the application:

    from celery import Celery
    from confcast.servers import celery as confcast_celery
    from pkg.settings import loader, settings

    app = Celery("tasks", broker="redis://localhost")
    confcast_celery.install(app, loader)

    @app.task
    def crawl(url): ...  # settings.current is one version from the task's start to its end

The embedding uses celery's signals only: a program that imports the tasks to call `.delay()` starts nothing. The owner
starts in `worker_init`, before there are children; a configuration that is refused ends the worker with status 78, and
a text of every problem. Each child, including one that replaces another, attaches in `worker_process_init`, before it
gets a task. HUP to the master reloads, with a terminal or without (celery's own HUP stops the worker and starts it
anew, which fails with a broken file; for a new worker restart celery). celery's timer restarts a dead owner, but not
while the broker can't be reached, nor in the pool `solo` while a task runs. The owner exits after the children.

Pools: prefork; `threads` and `solo`, whose tasks run in the worker's own process, which attaches itself; `gevent`
likewise, where code that never yields delays its worker's vote; not `eventlet`. `--autoscale`, `--max-tasks-per-child`,
`--detach`, `celery multi`, and a beat (`-B`), which has no configuration, work, too.

The master imports the task modules, and has no configuration: tasks read it, or a `worker_process_init` of the
application's own that is connected after `install()`.

Rejected: a replica in the master (its thread would run while children are forked), attaching at a child's first task (a
child that can't attach would have got one), and replacing celery's pool or `Task` class (applications have their own).
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn, Unpack

from confcast import ConfcastError, ConfigLoader, NotAttached
from confcast.log_fields import about
from confcast.master.embedded import EmbeddedManager
from confcast.servers.celery import hup, log, tasks
from confcast.servers.common import internals, launching
from confcast.wire.options import EmbeddedOptions

_log = logging.getLogger("confcast.servers")

_SHARE = 0.75
"""The share of `worker_proc_alive_timeout` (4 s) that attaching may take: at its end celery kills the child."""
_RESPAWN_PAUSE = 0.5

_installed: dict[str, _Embedding] = {}


def install(app: Any, loader: ConfigLoader[Any], **options: Unpack[EmbeddedOptions]) -> None:
    """Embed a config owner in the workers of this application. Starts nothing.

    Args:
        app: The `Celery` application. Workers of another application that imports the same tasks start no owner.
        loader: Loads the configuration.
        **options: As `ConfigReloadManager` takes them, except `enable_signal_handler` and `supervise`: celery's own
            signals and timer take their place.

    Raises:
        TypeError: An option is unknown.
        ValueError: An option can't have this value.
        ConfcastError: celery is not installed, or lacks a name that confcast needs; or a configuration of the same
            name is installed already.
    """
    signals = launching.require("celery.signals", "celery")
    internals.check("celery")
    launching.check_install(options, "celery's own signals and timer")
    embedding = _Embedding(app, loader, options)
    name = embedding.manager.name
    if name in _installed:
        raise ConfcastError(f"install() was called twice for {name!r}; give each configuration its name=")
    _installed[name] = embedding
    _connect(signals, embedding)
    app.steps["worker"].add("confcast.servers.celery.step:ConfigOwner")


def _connect(signals: Any, embedding: _Embedding) -> None:
    own: dict[str, Callable[..., None]] = {
        "worker_init": embedding.worker_init,
        "worker_process_init": embedding.worker_process_init,
        "worker_shutdown": embedding.worker_shutdown,
    }
    common: dict[str, Callable[..., None]] = {  # connected once for all configurations
        "celeryd_after_setup": _before_handlers_are_set,
        "worker_before_create_process": _before_a_fork,
        "task_prerun": _begin_task,
        "task_postrun": tasks.end,
    }
    for key, acts in ((f"confcast.{embedding.manager.name}", own), ("confcast", common)):
        for signal, act in acts.items():
            getattr(signals, signal).connect(act, weak=False, dispatch_uid=key)


class _Embedding:
    """One configuration in the workers of one application. The master makes this; forked children have a copy."""

    def __init__(self, app: Any, loader: ConfigLoader[Any], options: EmbeddedOptions) -> None:
        self._app = app
        self._loader = loader
        self.manager: EmbeddedManager[Any] = EmbeddedManager(
            loader, **options, enable_signal_handler=False, supervise="caller"
        )
        self._output = log.Output()
        self._master = 0

    # ---- in the master

    def worker_init(self, *, sender: Any, **_: Any) -> None:
        """Start the owner, before the worker starts anything. Raises SystemExit if the owner can't start."""
        if sender.app != self._app:
            return
        with launching.refusing():
            internals.check("celery's worker")
        self._output.follow(sender)
        if "eventlet" in str(sender.pool_cls):
            text = "confcast: the pool eventlet is not supported: take gevent, threads or prefork"
            launching.refuse(text, launching.COULD_NOT_START, self._output.report)
        self._master = os.getpid()
        hup.block()  # a HUP that comes before our handler is set becomes a reload
        self.manager.send_output_to(self._output.descriptor, self._output.path)
        launching.start("celery", self.manager, self._output.report)
        hup.set_handler(_reload)
        hup.unblock()

    def worker_shutdown(self, **_: Any) -> None:
        """Close the owner, when the children are gone."""
        self.manager.close()
        self._output.close()

    def tick(self, *, forks: bool) -> None:
        """Once the pool runs, log what HUP does; and attach, if tasks run in this process."""
        name = self.manager.name
        launching.warn_of_no_replica(_log, name, _installed)
        if not forks:
            self._attach_or_leave()
        _log.info(
            "confcast: configuration %r is reloaded in every process by kill -HUP %d",
            name,
            os.getpid(),
            extra=about("server_ready", name=name, pid=os.getpid()),
        )

    # ---- in the process that runs tasks

    def worker_process_init(self, **_: Any) -> None:
        """Attach in a child, or, in the pool `solo`, in the worker itself. Raises SystemExit if that fails."""
        if not self._is_of_our_worker():
            return
        if not self.manager.is_mine():
            hup.ignore_until_a_task()
            self._leave_if_orphaned()
        self._attach_or_leave()

    def _is_of_our_worker(self) -> bool:
        """Whether this process belongs to a worker of our application, of which a spawned child has a copy."""
        current = launching.require("celery", "celery").current_app
        return bool(current == self._app or (current.main == self._app.main and not _forks()))

    def _leave_if_orphaned(self) -> None:
        """Exit if the master is dead: the system kills only those children that had requested it."""
        if self._master and os.getppid() != self._master:
            sys.exit(1)

    def _attach_or_leave(self) -> None:
        try:
            timeout = _SHARE * self._app.conf.worker_proc_alive_timeout
            launching.Worker(self._loader.schema_path, self.manager.name).attach_first(timeout)
        except Exception as error:  # a user's module may raise anything, and celery would ignore it
            if self._has_an_owner() or not isinstance(error, NotAttached):
                self._leave(error)

    def _has_an_owner(self) -> bool:
        """Whether this worker, or the worker that forked this child, has started an owner."""
        try:
            return bool(self.manager.address)
        except NotAttached:
            return False

    def _leave(self, why: Exception) -> NoReturn:
        """Exit; in a child after a pause, since celery replaces a child at once."""
        text = f"confcast: this process can't attach and exits: {type(why).__name__}: {why}"
        if self.manager.is_mine():
            launching.refuse(text, launching.COULD_NOT_START, self._output.report)
        _log.error("%s", text, extra=about("worker_not_attached", reason=text))
        time.sleep(_RESPAWN_PAUSE)
        sys.exit(1)


# ---- for all configurations, in the master


def pool_has_started(*, forks: bool) -> bool:
    """Called by the step: take over HUP and attach, in a worker with owners. Returns whether. Raises SystemExit."""
    mine = _mine()
    if mine and not hup.set_handler(_reload):
        _log.warning(
            "confcast: SIGHUP will not reload: a handler can be set in the main thread only",
            extra=about("no_signal_handler"),
        )
    hup.unblock()
    for embedding in mine:
        embedding.tick(forks=forks)
    return bool(mine)


def ensure_owners() -> None:
    """Called by the timer: restart dead owners."""
    for embedding in _mine():
        embedding.manager.ensure_owner()


def _mine() -> list[_Embedding]:
    return [embedding for embedding in _installed.values() if embedding.manager.is_mine()]


def _reload() -> None:
    for embedding in _mine():
        embedding.manager.request_reload()


def _begin_task(**about: Any) -> None:
    hup.set_handler_of_tasks()
    tasks.begin(**about)


def _before_handlers_are_set(**_: Any) -> None:
    if _mine():
        hup.block()


def _before_a_fork(**_: Any) -> None:
    if _mine() and _forks():
        hup.block_for_a_fork()


def _forks() -> bool:
    return bool(launching.require("billiard", "celery").get_start_method() == "fork")
