"""celery: HUP reloads the configuration in every worker process, and restarts none of them.

In the module of the application:

    from celery import Celery
    from confcast.servers import celery as confcast_celery
    from pkg.settings import loader, settings

    app = Celery("tasks", broker="redis://localhost")
    confcast_celery.install(app, loader)

    @app.task
    def crawl(url): ...  # settings.current is one version from the task's start to its end

By celery's signals alone: a program that imports the tasks to call `.delay()` starts nothing. The owner starts in
`worker_init`, before there are children; a configuration that is refused ends the worker with status 78, every problem
in words. Each child attaches in `worker_process_init`, replaced ones too, before it is given a task. HUP to the master
reloads, whether it has a terminal or not (celery's own HUP stops the worker and starts it anew, and dies of a broken
file; a new worker is what a restart is for). celery's timer restarts a dead owner; while the broker can't be reached,
and in the pool `solo` while a task runs, that waits. The owner leaves after the children.

Pools: prefork; `threads` and `solo`, whose tasks run in the worker's own process, which attaches itself; `gevent`
likewise, where code that never yields holds up its worker's vote; not `eventlet`. Also with `--autoscale`,
`--max-tasks-per-child`, `--detach`, `celery multi`, and a beat (`-B`), which has no configuration.

Task modules are imported in the master, which has no configuration: it is read inside tasks, or in a
`worker_process_init` of the application's own that is connected after `install()`.

Rejected: a replica in the master (its thread would be there while children are forked), attaching at a child's first
task (it would serve before it can), and replacing celery's pool or `Task` class (applications have their own).
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn, Unpack

from confcast import ConfcastError, ConfigLoader, ConfigReloadManager, NotAttached, declared
from confcast.servers.celery import hup, log, tasks
from confcast.servers.common import internals, launching

_log = logging.getLogger("confcast.servers")

_OURS = ("enable_signal_handler", "supervise")
_SHARE = 0.75
"""How much of `worker_proc_alive_timeout`, 4 s, a child may take to attach: after all of it celery kills the child."""
_RESPAWN_PAUSE = 0.5

_installed: dict[str, _Embedding] = {}


def install(app: Any, loader: ConfigLoader[Any], **options: Unpack[launching.ManagerOptions]) -> None:
    """Embed a config owner in the workers of this application. Starts nothing.

    Args:
        app: The `Celery` application. Workers of another one that imports the same tasks have no owner of this.
        loader: What to load.
        **options: As `ConfigReloadManager` takes them, but for `enable_signal_handler` and `supervise`: celery's own
            signals and timer stand for these.

    Raises:
        TypeError: An option is unknown.
        ValueError: An option can't have this value.
        ConfcastError: celery is not installed, or lacks a name that is needed; or a configuration of the same name is
            installed already.
    """
    signals = launching.require("celery.signals", "celery")
    internals.check("celery")
    for option in _OURS:
        if option in options:
            raise TypeError(f"install() takes no {option}: celery's own signals and timer stand for it")
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
    common: dict[str, Callable[..., None]] = {  # once, however many configurations there are
        "celeryd_after_setup": _before_handlers_are_set,
        "worker_before_create_process": _before_a_fork,
        "task_prerun": _begin_task,
        "task_postrun": tasks.end,
    }
    for key, acts in ((f"confcast.{embedding.manager.name}", own), ("confcast", common)):
        for signal, act in acts.items():
            getattr(signals, signal).connect(act, weak=False, dispatch_uid=key)


class _Embedding:
    """One configuration in the workers of one application. The master's object; forked children inherit it."""

    def __init__(self, app: Any, loader: ConfigLoader[Any], options: launching.ManagerOptions) -> None:
        self._app = app
        self._loader = loader
        self.manager: ConfigReloadManager[Any] = ConfigReloadManager(
            loader, **options, enable_signal_handler=False, supervise="caller"
        )
        self._output = log.Output()
        self._master = 0

    # ---- in the master

    def worker_init(self, *, sender: Any, **_: Any) -> None:
        """Start the owner: nothing of the worker is there yet. Raises SystemExit when it can't be."""
        if sender.app != self._app:
            return
        try:
            internals.check("celery's worker")
        except ConfcastError as error:
            launching.refuse(f"confcast: {error}", launching.COULD_NOT_START)
        self._output.follow(sender)
        if "eventlet" in str(sender.pool_cls):
            text = "confcast: the pool eventlet is not supported: take gevent, threads or prefork"
            launching.refuse(text, launching.COULD_NOT_START, self._output.say)
        self._master = os.getpid()
        hup.hold()  # celery gives it a handler later only; a HUP that comes meanwhile is a reload
        self.manager.send_output_to(self._output.descriptor, self._output.path)
        launching.start("celery", self.manager, self._output.say)
        hup.take(_reload)
        hup.release()

    def worker_shutdown(self, **_: Any) -> None:
        """The children are gone."""
        self.manager.close()
        self._output.close()

    def tick(self, *, forks: bool) -> None:
        """The pool runs: say what a signal does, and attach where tasks run in this process."""
        name = self.manager.name
        names = {replica.name for replica in declared()}
        if name not in names:
            others = ", ".join(map(repr, sorted(names - _installed.keys())))
            hint = f"; declared here: {others}: pass one of these as name= to install()" if others else ""
            _log.warning("confcast: no Replica named %r is declared in this worker%s", name, hint)
        if not forks:
            self._attach_or_leave()
        _log.info("confcast: configuration %r is reloaded in every process by kill -HUP %d", name, os.getpid())

    # ---- where tasks run

    def worker_process_init(self, **_: Any) -> None:
        """In a child, or in the pool `solo` in the worker itself. Raises SystemExit when it can't be attached."""
        if not self._is_of_our_worker():
            return
        if not self.manager.is_mine():
            hup.ignore_until_a_task()
            self._leave_if_orphaned()
        self._attach_or_leave()

    def _is_of_our_worker(self) -> bool:
        """Its application is the current one in it, and in its children; those that are spawned have a copy of it."""
        current = launching.require("celery", "celery").current_app
        return bool(current == self._app or (current.main == self._app.main and not _forks()))

    def _leave_if_orphaned(self) -> None:
        """The system kills celery's children with it, once they have asked for that; this one may be too late."""
        if self._master and os.getppid() != self._master:
            sys.exit(1)

    def _attach_or_leave(self) -> None:
        try:
            timeout = _SHARE * self._app.conf.worker_proc_alive_timeout
            launching.Worker(self._loader.schema_path, self.manager.name).attach_first(timeout)
        except Exception as error:  # the user's module may raise anything, and celery would go on without us
            if self._has_an_owner() or not isinstance(error, NotAttached):
                self._leave(error)

    def _has_an_owner(self) -> bool:
        """Whether this worker, or the one that has forked this child, has started it."""
        try:
            return bool(self.manager.address)
        except NotAttached:
            return False

    def _leave(self, why: Exception) -> NoReturn:
        """A child is replaced; without a pause that would spin."""
        text = f"confcast: this process can't attach and exits: {type(why).__name__}: {why}"
        if self.manager.is_mine():
            launching.refuse(text, launching.COULD_NOT_START, self._output.say)
        _log.error("%s", text)
        time.sleep(_RESPAWN_PAUSE)
        sys.exit(1)


# ---- for all of them, in the master


def pool_has_started(*, forks: bool) -> bool:
    """For the step: what is done then, in a worker that has owners; whether it has. Raises SystemExit."""
    mine = _mine()
    if mine and not hup.take(_reload):
        _log.warning("confcast: SIGHUP will not reload: a handler can be set in the main thread only")
    hup.release()
    for embedding in mine:
        embedding.tick(forks=forks)
    return bool(mine)


def ensure_owners() -> None:
    """For the timer: restart those that are dead."""
    for embedding in _mine():
        embedding.manager.ensure_owner()


def _mine() -> list[_Embedding]:
    return [embedding for embedding in _installed.values() if embedding.manager.is_mine()]


def _reload() -> None:
    for embedding in _mine():
        embedding.manager.request_reload()


def _begin_task(**about: Any) -> None:
    hup.survive()
    tasks.begin(**about)


def _before_handlers_are_set(**_: Any) -> None:
    if _mine():
        hup.hold()


def _before_a_fork(**_: Any) -> None:
    if _mine() and _forks():
        hup.hold_for_a_fork()


def _forks() -> bool:
    return bool(launching.require("billiard", "celery").get_start_method() == "fork")
