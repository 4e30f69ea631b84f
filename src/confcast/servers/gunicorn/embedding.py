"""gunicorn: HUP reloads the configuration in every worker, and replaces none of them.

In gunicorn's conf file:

    from confcast import ConfigLoader
    from confcast.servers import gunicorn

    gunicorn.install(globals(), ConfigLoader("pkg.settings:Settings", "app.toml"))

The owner starts in `on_starting`, before listeners and workers. HUP and `gunicornc reload` go through `handle_hup`,
where an instance attribute wins (master_signals.py: what else of gunicorn's own HUP is done there); the master's loop
restarts a dead owner. Each worker attaches in `post_fork`, before the application is loaded, so that its modules may
read the configuration at import (not with `--preload`, nor in `--check-config`: there is no worker then); and each
request is pinned around `worker.wsgi`, so that the application needs no line of ours. worker.py says what
differs by worker class, log.py where log lines go.

With `user` and `group` the owner stays the master's user, so that the sources may be readable by root only; workers of
the other user are let in, and their children are. Such a worker attaches while it still is the master's user.

New code. gunicorn's own full reload moves to SIGRTMIN; an upgrade (USR2) starts a new master beside the old one. Both
start a new owner first, under the new code, which goes on with versions and history; old workers are served by the old
owner, which loads no more, until they are gone. When the new one refuses the configuration, or the conf file fails,
everything stays as it was; so it does when the new master of an upgrade is ended again; if WINCH has taken the old
workers away, a HUP of the old master brings them back first, as with gunicorn alone. Until then code may be deployed
in place: a worker that is respawned with it meets the owner of the old code, says which fields differ, exits with
status 1 after a pause, and is tried again; the others serve. `max_requests` takes no worker
away while another one can't attach (max_requests.py). A server whose workers were all killed meanwhile serves again
after a full reload.

Hooks of the user's are composed with ours when they are final, in `on_starting`, wherever they stand in the file. Only
their `on_starting` has to stand above the line: one below would replace ours, and is refused in words, unless
`nworkers_changed` and `pre_fork`, by which that is noticed, are replaced there, too.

Rejected: a worker class (users have their own), a thread in the master (it forks), replacing workers on HUP, going on
with a full reload without its owner (old workers are told to leave at once: nobody would be left to serve), and a
full reload unasked when a worker meets other code (the deploy may be half done).
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any, NoReturn

from confcast import ConfcastError, ConfigError, ConfigLoader, ConfigReloadManager, NotCarried
from confcast.servers.common import internals
from confcast.servers.gunicorn import certificates, dirty_workers, log
from confcast.servers.gunicorn import worker as gunicorn_worker
from confcast.servers.gunicorn.conf_file import ConfFile
from confcast.servers.gunicorn.generations import NO_OWNER, CalledOff, Generations
from confcast.servers.gunicorn.hooks import both, parts
from confcast.servers.gunicorn.master_signals import BLOCKED, MasterSignals, full_reload, hearing
from confcast.servers.gunicorn.max_requests import Recycling

_FULL_RELOAD = getattr(signal, "SIGRTMIN", None)
_CONFIGURATION_REFUSED = 78
_COULD_NOT_START = 3
_GUNICORNS_OWN = {"enable_signal_handler": False, "supervise": "caller"}

_installed: dict[str, _Embedding] = {}
_started: set[str] = set()


def install(namespace: MutableMapping[str, Any], loader: ConfigLoader[Any], **options: Any) -> None:
    """Embed a config owner; the line in gunicorn's conf file that does it.

    Args:
        namespace: The conf file's `globals()`. A user's `on_starting` must be in it already.
        loader: What to load. Name the schema by its import path: a class that the conf file has imported stays in the
            master, and no full reload brings its new code.
        **options: As `ConfigReloadManager` takes them, but for `enable_signal_handler` and `supervise`: gunicorn's own
            signals and loop stand for these.

    Raises:
        TypeError: An option is unknown, or a hook of the user's can't be called.
        ConfcastError: This conf file has installed a configuration of the same name already.
    """
    _check(options)
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
    """One configuration in one gunicorn. The master's object; workers inherit it, and use what is said to be theirs."""

    def __init__(self, loader: ConfigLoader[Any], options: dict[str, Any], conf: ConfFile) -> None:
        self._loader = loader
        self._options = options
        self._owners = Generations(self._new_manager())
        self._conf = conf
        self._recycling: Recycling | None = None  # the first configuration's stands for all
        self._dirty: dirty_workers.DirtyArbiters | None = None
        self._master = 0  # as the dirty arbiter knows it
        self._imported = ""  # how the schema's module came into the master, where no full reload brings its new code
        self.name = self._owners.present.name
        self._note_an_import("in the conf file")

    def _note_an_import(self, how: str) -> None:
        if not self._imported and self._schema_module() in sys.modules:
            self._imported = how

    def _schema_module(self) -> str:
        return self._loader.schema_path.partition(":")[0]

    def _new_manager(self) -> ConfigReloadManager[Any]:
        return ConfigReloadManager(self._loader, **{**self._options, **_GUNICORNS_OWN})

    # ---- in the master

    def nworkers_changed(self, server: Any, new: int, old: int | None) -> None:
        """Called by gunicorn before `on_starting`: the moment to see whether ours is still there."""
        if old is None:
            self._check_that_it_starts(server)
        if old is not None and self.name not in _started:
            server.log.error(
                "confcast: configuration %r is new in the conf file; its owner starts with gunicorn only, by an "
                "upgrade (USR2) or a restart",
                self.name,
            )

    def pre_fork(self, server: Any, worker: Any) -> None:
        """Called when ours must have been called long ago: for conf files that replace `nworkers_changed`, too."""
        if self.name not in _started:
            self._check_that_it_starts(server)

    def _check_that_it_starts(self, server: Any) -> None:
        if self.on_starting not in parts(server.cfg.on_starting):
            _refuse(
                server,
                "confcast: this conf file sets on_starting below confcast.servers.gunicorn.install(…), which replaces "
                "ours silently; move the function above that line",
                _COULD_NOT_START,
            )

    def on_starting(self, server: Any) -> None:
        """Start the owner, and hook what gunicorn does later."""
        _check_gunicorn(server)
        self._note_an_import("by preload_app" if server.cfg.preload_app else "before on_starting had ended")
        # gunicorn does this a moment later; a HUP that comes while the owner starts would kill the master.
        for number in filter(None, (signal.SIGHUP, _FULL_RELOAD)):
            signal.signal(number, server.signal)
        log.listen(server)
        log.warn_of_a_mute_daemon(server)
        try:
            _fit(self._owners.present, server, server.cfg).start()
        except ConfigError as error:
            text = f"confcast: the configuration is refused, gunicorn does not start\n{error}"
            _refuse(server, text, _CONFIGURATION_REFUSED)
        except NotCarried as error:
            _refuse(server, f"confcast: the schema can't be carried to workers\n{error}", _CONFIGURATION_REFUSED)
        except NO_OWNER as error:
            _refuse(server, f"confcast: the config owner could not start: {error}", _COULD_NOT_START)
        _started.add(self.name)
        self._compose(server.cfg)
        self._hook(server)

    def _hook(self, server: Any) -> None:
        """Names are looked up on the arbiter, so an attribute of the object comes before the method."""
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
        """Say what each signal does."""
        self._note_an_import(dirty_workers.why_imported(server.cfg) or "by a hook")
        full = "takes a restart here (this system has no SIGRTMIN)"
        if _FULL_RELOAD is not None:
            full = f"is kill -RTMIN {server.pid}"
        server.log.info(
            "confcast: configuration %r is reloaded in every worker by kill -HUP %d; gunicorn's own full reload (new "
            "code, new workers) %s",
            self.name,
            server.pid,
            full,
        )

    def on_exit(self, server: Any) -> None:
        """The workers are gone."""
        server.confcast.dirty.close()
        self._owners.close()

    def pre_exec(self, server: Any) -> None:
        """In the process that becomes the new master of an upgrade: it is given what gunicorn had at its own start."""
        server.cfg.env_orig.update(self._owners.present.successor_environment())

    # ---- in the master, in a full reload

    def _next_generation(self, server: Any, setup: Callable[[Any], None], app: Any) -> None:
        """Between the conf file, which has been run again, and what gunicorn takes over from it."""
        dirty_workers.check(app.cfg)
        fresh = _installed[self.name]
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

    def _successor(self, server: Any, fresh: _Embedding, app: Any) -> ConfigReloadManager[Any] | None:
        """Started, under the new code; None where workers can't get new code. Raises CalledOff."""
        module = fresh._schema_module()
        if module in sys.modules:
            server.log.warning(
                "confcast: the master has imported %s (%s), so the new workers have its old code; the config owner "
                "stays as it is. New code of it takes an upgrade (USR2) or a restart",
                module,
                self._imported or "by a hook",
            )
            return None
        os.environ.update(app.cfg.env)  # as gunicorn does next: the owner's environment is a source, too
        return self._owners.begin(server, lambda: _fit(fresh._new_manager(), server, app.cfg))

    def _compose(self, cfg: Any) -> None:
        """Ours come first where they give the user's a configuration to read, and last where they take it away."""
        cfg.set("when_ready", both(self.when_ready, cfg.when_ready, 1))
        cfg.set("pre_fork", hearing(cfg.pre_fork))
        cfg.set("post_fork", both(self.post_fork, cfg.post_fork, 2))
        cfg.set("post_worker_init", both(self.post_worker_init, cfg.post_worker_init, 1))
        cfg.set("on_dirty_starting", both(self.on_dirty_starting, cfg.on_dirty_starting, 1))
        cfg.set("dirty_worker_init", both(self.dirty_worker_init, cfg.dirty_worker_init, 1))
        cfg.set("pre_exec", both(cfg.pre_exec, self.pre_exec, 1))
        cfg.set("on_exit", both(cfg.on_exit, self.on_exit, 1))

    # ---- in a worker

    def post_fork(self, server: Any, worker: Any) -> None:
        """Import the schema's module, and attach what it declares, before the application is loaded."""
        if self._recycling is not None:
            self._recycling.after_fork()
        gunicorn_worker.take_signals(worker, BLOCKED)
        gunicorn_worker.before_the_application(worker, lambda: self._attach_first(worker))

    def _attach_first(self, worker: Any) -> None:
        try:
            gunicorn_worker.import_schema(worker, self._loader)
            gunicorn_worker.attach(worker, self.name, worker.ppid)
        except SystemExit:
            if self._recycling is not None:
                self._recycling.could_not_attach(worker)
            raise

    def post_worker_init(self, worker: Any) -> None:
        """Attach what the application has declared, and pin each request."""
        mine = gunicorn_worker.attach(worker, self.name, worker.ppid)
        if self._recycling is not None:
            certificates.renew_at_hup(worker, full_reload(worker.ppid))
            self._recycling.attached(worker)
        if mine:
            gunicorn_worker.pin(worker, mine)
        else:
            gunicorn_worker.warn_of_no_replica(worker, self.name, _installed)

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
        gunicorn_worker.import_schema(worker, self._loader)
        gunicorn_worker.attach(worker, self.name, self._master)

    def dirty_worker_init(self, worker: Any) -> None:
        """Attach what the dirty applications have declared, and pin each call."""
        dirty_workers.pin(worker, gunicorn_worker.attach(worker, self.name, self._master))


def _fit(manager: ConfigReloadManager[Any], server: Any, cfg: Any) -> ConfigReloadManager[Any]:
    """Tell it where its owner logs, and whom workers will run as."""
    manager.send_output_to(lambda: log.descriptor_of(server), lambda: log.file_of(server, cfg))
    manager.workers_run_as(cfg.uid, cfg.gid)
    return manager


def _reload_fully(server: Any, reload: Callable[[], None]) -> None:
    """What gunicorn does on a HUP by itself; called off, it is put back to where it was before the conf file ran."""
    app, environment, folder = dict(vars(server.app)), dict(os.environ), Path.cwd()
    try:
        reload()
    except CalledOff as why:
        vars(server.app).update(app)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        server.log.error("confcast: the full reload is called off, and every worker stays as it is\n%s", why)


def _run_conf_file(run: Callable[[], None]) -> None:
    """In a full reload. gunicorn would end, and leave its workers alone, when the conf file fails."""
    try:
        run()
    except SystemExit as error:
        raise CalledOff("the conf file, or the command line, can't be used; standard error says why") from error


def _check(options: dict[str, Any]) -> None:
    import difflib
    import inspect

    known = inspect.signature(ConfigReloadManager).parameters.keys() - {"loader"}
    for option in options:
        if option in _GUNICORNS_OWN:
            raise TypeError(f"install() takes no {option}: gunicorn's own signals and loop stand for it")
        if option not in known:
            meant = difflib.get_close_matches(option, known, 1)
            hint = (
                f"did you mean {meant[0]}?" if meant else f"there are {', '.join(sorted(known - set(_GUNICORNS_OWN)))}"
            )
            raise TypeError(f"install() takes no option {option!r}: {hint}")


def _check_gunicorn(server: Any) -> None:
    try:
        internals.check("gunicorn")
        if dirty_workers.has(server.cfg):
            internals.check("gunicorn's dirty workers")
        if gunicorn_worker.is_derived("uvicorn", server.worker_class):
            internals.check("gunicorn's UvicornWorker")
    except ConfcastError as error:
        _refuse(server, f"confcast: {error}", _COULD_NOT_START)


def _refuse(server: Any, text: str, status: int) -> NoReturn:
    """End before anything was started. A daemon's standard error leads nowhere: gunicorn's log gets it, too."""
    print(text, file=sys.stderr, flush=True)
    with contextlib.suppress(AttributeError):  # it may be one of these names that gunicorn lacks
        if server.cfg.errorlog != "-":
            server.log.error(text)
    with contextlib.suppress(AttributeError):
        if server.pidfile is not None:
            server.pidfile.unlink()
    sys.exit(status)
