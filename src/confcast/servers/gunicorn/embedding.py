"""gunicorn: HUP reloads the configuration in every worker, and replaces none of them.

In gunicorn's conf file:

    from confcast import ConfigLoader
    from confcast.servers import gunicorn

    gunicorn.install(globals(), ConfigLoader("pkg.settings:Settings", "app.toml"))

The owner starts in `on_starting`, before listeners and workers. gunicorn calls `handle_hup` for HUP and `gunicornc
reload`; an attribute of the arbiter object replaces that method (master_signals.py says what else a HUP does). The
master's loop restarts a dead owner. Each worker attaches in `post_fork`, before the application is loaded, so that its
modules may read the configuration at import (not with `--preload`, nor in `--check-config`: no worker exists then).
Each request is pinned around `worker.wsgi`, so that the application needs no line of confcast. worker.py says what
differs by worker class, log.py where log lines go.

With `user` and `group` the owner keeps the master's user, so that only root needs to read the sources; the owner admits
workers of the other user, and their children. Such a worker attaches while it still has the master's user.

New code: gunicorn's own full reload moves to SIGRTMIN; an upgrade (USR2) starts a new master beside the old one. Both
start a new owner first, under the new code, which continues versions and history; the old owner, which loads no more,
serves the old workers until they are gone. Everything stays as it was if the new owner refuses the configuration, if
the conf file fails, and if the new master of an upgrade is ended again; if WINCH has ended the old workers, a HUP of
the old master starts them first, as with gunicorn alone. Before a full reload code may be deployed in place: a worker
that is respawned with the new code can't attach to the owner of the old code, logs which fields differ, exits with
status 1 after a pause, and is respawned; the others serve. `max_requests` ends no worker while another one can't attach
(max_requests.py). If all workers were killed meanwhile, the server serves again after a full reload.

A user's hooks, wherever they stand in the file, are combined with ours in `on_starting`, when they are final. Only a
user's `on_starting` has to stand above the line: one below would replace ours. Our `nworkers_changed` and `pre_fork`
notice that, and refuse the start, unless the file replaces both of them, too.

Rejected: a worker class (users have their own classes), a thread in the master (it forks), replacing workers on HUP,
continuing a full reload without its owner (gunicorn ends old workers at once: none would be left to serve), and
starting a full reload when a worker meets other code (the deploy may be half done).
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any, Unpack

from confcast import ConfcastError, ConfigLoader
from confcast.log_fields import about
from confcast.master.embedded import EmbeddedManager
from confcast.servers.common import internals, launching, signals
from confcast.servers.common.owners import CalledOff
from confcast.servers.gunicorn import dirty_workers, log
from confcast.servers.gunicorn.conf_file import ConfFile
from confcast.servers.gunicorn.generations import Generations
from confcast.servers.gunicorn.hooks import both, parts
from confcast.servers.gunicorn.master_signals import MasterSignals, with_signals_unblocked
from confcast.servers.gunicorn.max_requests import Recycling
from confcast.servers.gunicorn.worker import (
    attach,
    before_the_application,
    import_schema,
    is_derived,
    pin,
    renew_at_hup,
    take_signals,
)

_installed: dict[str, _Embedding] = {}
_started: set[str] = set()


def install(
    namespace: MutableMapping[str, Any], loader: ConfigLoader[Any], **options: Unpack[launching.ServerOptions]
) -> None:
    """Embed a config owner in gunicorn, by one line in its conf file.

    Args:
        namespace: The conf file's `globals()`, which must already have a user's `on_starting`.
        loader: Loads the configuration. Name the schema by its import path: a class that the conf file has imported
            stays in the master, and no full reload brings its new code.
        **options: As `ConfigReloadManager` takes them, except `enable_signal_handler` and `supervise`: gunicorn's own
            signals and loop take their place. And `version_header`, the name of a header of each answer that says the
            version, such as `X-Config-Version`.

    Raises:
        TypeError: An option is unknown, or a user's hook can't be called.
        ValueError: An option can't have this value.
        ConfcastError: This conf file has installed a configuration of the same name already.
    """
    launching.check_install(options, "gunicorn's own signals and loop", launching.ServerOptions)
    embedding = _Embedding(loader, options, ConfFile(namespace.get("__file__")))
    for part in parts(namespace.get("on_starting")):
        other = getattr(part, "__self__", None)
        if isinstance(other, _Embedding) and other.name == embedding.name:
            raise ConfcastError(f"install() was called twice for {embedding.name!r}; give each configuration its name=")
    _installed[embedding.name] = embedding
    namespace["on_starting"] = both(namespace.get("on_starting"), embedding.on_starting, 1)
    namespace["nworkers_changed"] = both(namespace.get("nworkers_changed"), embedding.nworkers_changed, 3)
    namespace["pre_fork"] = both(namespace.get("pre_fork"), embedding.pre_fork, 2)


class _Embedding:
    """One configuration in one gunicorn. Made in the master; forked workers call the methods under "in a worker"."""

    def __init__(self, loader: ConfigLoader[Any], options: launching.ServerOptions, conf: ConfFile) -> None:
        self._loader = loader
        self._options, self._version_header = launching.split(options)
        self._owners = Generations(self._new_manager())
        self._conf = conf
        self._recycling: Recycling | None = None  # only the first configuration has one, for all of them
        self._dirty: dirty_workers.DirtyArbiters | None = None
        self._master = 0  # the master's pid, set in the dirty arbiter
        self._imported = ""  # why the master has imported the schema's module; no full reload then brings its new code
        self.name = self._owners.present.name
        self._note_an_import("in the conf file")

    def _note_an_import(self, how: str) -> None:
        if not self._imported and self._schema_module() in sys.modules:
            self._imported = how

    def _schema_module(self) -> str:
        return self._loader.schema_path.partition(":")[0]

    def _new_manager(self) -> EmbeddedManager[Any]:
        return EmbeddedManager(self._loader, **self._options, enable_signal_handler=False, supervise="caller")

    # ---- in the master

    def nworkers_changed(self, server: Any, new: int, old: int | None) -> None:
        """Check that our `on_starting` was not replaced: gunicorn calls this hook before `on_starting`."""
        if old is None:
            self._check_that_it_starts(server)
        if old is not None and self.name not in _started:
            server.log.error(
                "confcast: configuration %r is new in the conf file; its owner starts with gunicorn only, by an "
                "upgrade (USR2) or a restart",
                self.name,
                extra=about("configuration_new", name=self.name),
            )

    def pre_fork(self, server: Any, worker: Any) -> None:
        """Check that our `on_starting` was called, for conf files that replace `nworkers_changed`, too."""
        if self.name not in _started:
            self._check_that_it_starts(server)

    def _check_that_it_starts(self, server: Any) -> None:
        if self.on_starting not in parts(server.cfg.on_starting):
            launching.refuse(
                "confcast: this conf file sets on_starting below confcast.servers.gunicorn.install(…), which replaces "
                "ours silently; move the function above that line",
                launching.COULD_NOT_START,
                functools.partial(_report, server),
            )

    def on_starting(self, server: Any) -> None:
        """Start the owner, and install the hooks for what gunicorn does later."""
        _check_gunicorn(server)
        self._note_an_import("by preload_app" if server.cfg.preload_app else "before on_starting had ended")
        # gunicorn sets these handlers later; before that a HUP would kill the master.
        for number in signals.RELOADS:
            signal.signal(number, server.signal)
        log.forward(server)
        log.warn_of_a_daemon_without_a_log(server)
        manager = _configured(self._owners.present, server, server.cfg)
        launching.start("gunicorn", manager, functools.partial(_report, server))
        _started.add(self.name)
        self._compose(server.cfg)
        self._hook(server)

    def _hook(self, server: Any) -> None:
        """Replace methods of the arbiter: an attribute of the object precedes the method."""
        setup, manage = server.setup, server.manage_workers
        upgrade = server.handle_usr2
        if not hasattr(server, "handle_rtmin"):
            server.handle_rtmin = functools.partial(_reload_fully, server, server.handle_hup)
            server.app.reload = functools.partial(_run_conf_file, server.app.reload)
            self._recycling = Recycling(server)
            server.confcast = MasterSignals(server, self._conf, self._recycling)
        server.confcast.configurations.append(self._owners)
        self._dirty = server.confcast.dirty

        def manage_workers() -> None:
            self._owners.tick(server, server.confcast.dirty.pids())
            if self._recycling is not None:
                self._recycling.tick()
                server.confcast.dirty.tick()
            manage()

        server.handle_usr2 = lambda: self._owners.upgrade(server, upgrade)
        server.manage_workers = manage_workers
        server.setup = lambda app: self._next_generation(server, setup, app)

    def when_ready(self, server: Any) -> None:
        """Log what each signal does."""
        self._note_an_import(dirty_workers.why_imported(server.cfg) or "by a hook")
        server.log.info(
            "confcast: configuration %r is reloaded in every worker by kill -HUP %d; gunicorn's own full reload (new "
            "code, new workers) is %s",
            self.name,
            server.pid,
            signals.full_reload_of(server.pid),
            extra=about("server_ready", name=self.name, pid=server.pid),
        )

    def on_exit(self, server: Any) -> None:
        """Close the owners, when the workers are gone."""
        server.confcast.dirty.close()
        self._owners.close()

    def pre_exec(self, server: Any) -> None:
        """Give an upgrade's new master our variables, in addition to the environment of gunicorn's own start."""
        server.cfg.env_orig.update(self._owners.present.successor_environment())

    # ---- in the master, in a full reload

    def _next_generation(self, server: Any, setup: Callable[[Any], None], app: Any) -> None:
        """Start the next owner when gunicorn has run the conf file again, before gunicorn takes over the settings."""
        dirty_workers.check(app.cfg)
        fresh = _installed[self.name]
        self._version_header = fresh._version_header
        successor = self._successor(server, fresh, app)
        try:
            setup(app)
        except BaseException:
            if successor is not None:
                self._owners.call_off(successor)
            raise
        if successor is not None:
            self._owners.replace(successor, server.confcast.dirty.pids().union(server.WORKERS))
            self._loader, self._options = fresh._loader, fresh._options
        if self._recycling is not None:
            self._recycling.forget()
        server.confcast.was_reloaded()
        self._compose(server.cfg)

    def _successor(self, server: Any, fresh: _Embedding, app: Any) -> EmbeddedManager[Any] | None:
        """The manager of a started owner under the new code; None if workers get no new code. Raises CalledOff."""
        module = fresh._schema_module()
        if module in sys.modules:
            server.log.warning(
                "confcast: the master has imported %s (%s), so the new workers have its old code; the config owner "
                "stays as it is. New code of it takes an upgrade (USR2) or a restart",
                module,
                self._imported or "by a hook",
                extra=about("old_code", module=module),
            )
            return None
        os.environ.update(app.cfg.env)  # gunicorn does so next, and the owner's environment is a source
        return self._owners.begin(server, lambda: _configured(fresh._new_manager(), server, app.cfg))

    def _compose(self, cfg: Any) -> None:
        """Combine the hooks: ours come first if a user's may read the configuration, and last if its use ends there."""
        cfg.set("when_ready", both(self.when_ready, cfg.when_ready, 1))
        cfg.set("pre_fork", with_signals_unblocked(cfg.pre_fork))
        cfg.set("post_fork", both(self.post_fork, cfg.post_fork, 2))
        cfg.set("post_worker_init", both(self.post_worker_init, cfg.post_worker_init, 1))
        cfg.set("on_dirty_starting", both(self.on_dirty_starting, cfg.on_dirty_starting, 1))
        cfg.set("dirty_worker_init", both(self.dirty_worker_init, cfg.dirty_worker_init, 1))
        cfg.set("pre_exec", both(cfg.pre_exec, self.pre_exec, 1))
        cfg.set("on_exit", both(cfg.on_exit, self.on_exit, 1))

    # ---- in a worker

    def post_fork(self, server: Any, worker: Any) -> None:
        """Import the schema's module, and attach the replicas that it declares, before the application is loaded."""
        if self._recycling is not None:
            self._recycling.after_fork()
        take_signals(worker)
        before_the_application(worker, lambda: self._attach_first(worker))

    def _attach_first(self, worker: Any) -> None:
        try:
            import_schema(worker, self._loader)
            attach(worker, self.name, worker.ppid)
        except SystemExit:
            if self._recycling is not None:
                self._recycling.could_not_attach(worker)
            raise

    def post_worker_init(self, worker: Any) -> None:
        """Attach the replicas that the application has declared, and pin each request."""
        mine = attach(worker, self.name, worker.ppid)
        if self._recycling is not None:
            renew_at_hup(worker)
            self._recycling.attached(worker)
        if mine:
            pin(worker, mine, self._version_header)
        else:
            launching.warn_of_no_replica(worker.log, self.name, _installed)

    # ---- in the dirty arbiter, and in its workers

    def on_dirty_starting(self, arbiter: Any) -> None:
        """Have each dirty worker attach before it loads its applications."""
        if self._recycling is not None:
            self._recycling.after_fork()
            dirty_workers.take_signals(arbiter)
            dirty_workers.name_socket(arbiter)
            dirty_workers.keep_pid_file_of_another(arbiter)
            if self._dirty is not None and self._dirty.former_socket:
                dirty_workers.copy_stash(arbiter, self._dirty.former_socket)
        self._master = arbiter.ppid
        dirty_workers.attach_workers(arbiter, self._attach_dirty)

    def _attach_dirty(self, worker: Any) -> None:
        import_schema(worker, self._loader)
        attach(worker, self.name, self._master)

    def dirty_worker_init(self, worker: Any) -> None:
        """Attach the replicas that the dirty applications have declared, and pin each call."""
        dirty_workers.pin(worker, attach(worker, self.name, self._master))


def _configured(manager: EmbeddedManager[Any], server: Any, cfg: Any) -> EmbeddedManager[Any]:
    """Give the manager the log for its owner, and the user and group of the workers."""
    manager.send_output_to(lambda: log.descriptor_of(server), lambda: log.file_of(server, cfg))
    manager.workers_run_as(cfg.uid, cfg.gid)
    return manager


def _reload_fully(server: Any, reload: Callable[[], None]) -> None:
    """Do what gunicorn's own HUP does. If it is called off, undo what running the conf file has changed."""
    app, environment, folder = dict(vars(server.app)), dict(os.environ), Path.cwd()
    try:
        reload()
    except CalledOff as why:
        vars(server.app).update(app)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        server.log.error(
            "confcast: the full reload is called off, and every worker stays as it is\n%s",
            why,
            extra=about("full_reload_called_off", reason=why),
        )


def _run_conf_file(run: Callable[[], None]) -> None:
    """Call the full reload off if the conf file fails: gunicorn would exit, and its workers would go on alone."""
    try:
        run()
    except SystemExit as error:
        raise CalledOff("the conf file, or the command line, can't be used; standard error says why") from error


def _check_gunicorn(server: Any) -> None:
    with launching.refusing(functools.partial(_report, server)):
        internals.check("gunicorn")
        if dirty_workers.has(server.cfg):
            internals.check("gunicorn's dirty workers")
        if is_derived("uvicorn", server.worker_class):
            internals.check("gunicorn's UvicornWorker")


def _report(server: Any, text: str) -> None:
    """Say why gunicorn ends before anything was started; in its log, too, since a daemon has no standard error."""
    launching.report(text)
    with contextlib.suppress(AttributeError):  # this gunicorn may lack these very names
        if server.cfg.errorlog != "-":
            server.log.error(text, extra=about("not_started", reason=text))
    with contextlib.suppress(AttributeError):
        if server.pidfile is not None:
            server.pidfile.unlink()
