"""gunicorn: HUP reloads the configuration in every worker, and replaces none of them.

In gunicorn's conf file:

    from confcast import ConfigLoader
    from confcast.servers import gunicorn

    gunicorn.install(globals(), ConfigLoader("pkg.settings:Settings", "app.toml"))

The owner starts in `on_starting`, before listeners and workers. HUP and `gunicornc reload` go through `handle_hup`,
where an instance attribute wins; the master's loop restarts a dead owner. Each worker attaches in `post_fork`, before
the application is loaded, so that its modules may read the configuration at import (not with `--preload`, nor in
`--check-config`: there is no worker then); and each request is pinned around `worker.wsgi`, so that the application
needs no line of ours.

gunicorn's own full reload moves to SIGRTMIN. It starts a new owner first, under the new code; when that one refuses
the configuration, the reload is called off and everything stays as it was. The old owner leaves with its last worker.

Hooks of the user's are composed with ours when they are final, in `on_starting`, wherever they stand in the file. Only
their `on_starting` has to stand above the line: one below would replace ours, and is refused in words.

Rejected: a worker class (users have their own), a thread in the master (it forks), replacing workers on HUP, and going
on with a full reload without its owner (old workers are told to leave at once: nobody would be left to serve).
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from confcast import ConfcastError, ConfigError, ConfigLoader, ConfigReloadManager, NotCarried
from confcast.servers import gunicorn_worker
from confcast.servers.gunicorn_hooks import both, parts

_FULL_RELOAD = getattr(signal, "SIGRTMIN", None)
_CONFIGURATION_REFUSED = 78
_COULD_NOT_START = 3
_GUNICORNS_OWN = {"enable_signal_handler": False, "supervise": "caller"}
_NO_OWNER = (ConfcastError, ImportError, OSError, TypeError)

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
    embedding = _Embedding(loader, options)
    for part in parts(namespace.get("on_starting")):
        other = getattr(part, "__self__", None)
        if isinstance(other, _Embedding) and other.name == embedding.name:
            raise ConfcastError(f"install() was called twice for {embedding.name!r}; give each configuration its name=")
    _installed[embedding.name] = embedding
    namespace["on_starting"] = both(namespace.get("on_starting"), embedding.on_starting, 1)
    namespace["nworkers_changed"] = both(namespace.get("nworkers_changed"), embedding.check_that_it_is_called, 3)


class _CalledOff(Exception):
    """A full reload can't begin."""


class _Former(NamedTuple):
    """An owner that was replaced, and the pids of the workers that it serves to their end."""

    manager: ConfigReloadManager[Any]
    workers: frozenset[int]


class _Embedding:
    """One configuration in one gunicorn. The master's object; workers inherit it, and use what is said to be theirs."""

    def __init__(self, loader: ConfigLoader[Any], options: dict[str, Any]) -> None:
        self._loader = loader
        self._options = options
        self._manager = self._new_manager()
        self.name = self._manager.name
        self._former: list[_Former] = []

    def _new_manager(self, **others: Any) -> ConfigReloadManager[Any]:
        return ConfigReloadManager(self._loader, **{**self._options, **_GUNICORNS_OWN, **others})

    # ---- in the master

    def check_that_it_is_called(self, server: Any, new: int, old: int | None) -> None:
        """Called by gunicorn before `on_starting`: the moment to see whether ours is still there."""
        if old is None and self.on_starting not in parts(server.cfg.on_starting):
            _refuse(
                server,
                "confcast: this conf file sets on_starting below confcast.servers.gunicorn.install(…), which replaces "
                "ours silently; move the function above that line",
                _COULD_NOT_START,
            )
        if old is not None and self.name not in _started:
            server.log.error(
                "confcast: configuration %r is new in the conf file; its owner starts with gunicorn only, by an "
                "upgrade (USR2) or a restart",
                self.name,
            )

    def on_starting(self, server: Any) -> None:
        """Start the owner, and hook what gunicorn does later."""
        # gunicorn does this a moment later; a HUP that comes while the owner starts would kill the master.
        for number in filter(None, (signal.SIGHUP, _FULL_RELOAD)):
            signal.signal(number, server.signal)
        try:
            self._manager.start()
        except ConfigError as error:
            text = f"confcast: the configuration is refused, gunicorn does not start\n{error}"
            _refuse(server, text, _CONFIGURATION_REFUSED)
        except NotCarried as error:
            _refuse(server, f"confcast: the schema can't be carried to workers\n{error}", _CONFIGURATION_REFUSED)
        except _NO_OWNER as error:
            _refuse(server, f"confcast: the config owner could not start: {error}", _COULD_NOT_START)
        _started.add(self.name)
        self._compose(server.cfg)
        self._hook(server)

    def _hook(self, server: Any) -> None:
        """Names are looked up on the arbiter, so an attribute of the object comes before the method."""
        setup, manage = server.setup, server.manage_workers
        others = vars(server).get("handle_hup")  # of another configuration in the same server
        if not hasattr(server, "handle_rtmin"):
            server.handle_rtmin = functools.partial(_reload_fully, server, server.handle_hup)

        def handle_hup() -> None:
            if others is not None:
                others()
            self._manager.request_reload()

        def manage_workers() -> None:
            self._manager.ensure_owner()
            self._release_former(server)
            manage()

        server.handle_hup = handle_hup
        server.manage_workers = manage_workers
        server.setup = lambda app: self._next_generation(server, setup, app)

    def when_ready(self, server: Any) -> None:
        """Say what each signal does."""
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
        for manager in (*(former.manager for former in self._former), self._manager):
            manager.close()

    # ---- in the master, in a full reload

    def _next_generation(self, server: Any, setup: Callable[[Any], None], app: Any) -> None:
        """Between the conf file, which has been run again, and what gunicorn takes over from it."""
        fresh = _installed[self.name]
        successor = self._successor(server, fresh, app)
        try:
            setup(app)
        except BaseException:
            if successor is not None:
                successor.close()
            raise
        if successor is not None:
            if self._manager.is_mine():
                self._former.append(_Former(self._manager, frozenset(server.WORKERS)))
            self._manager, self._loader, self._options = successor, fresh._loader, fresh._options
        self._compose(server.cfg)

    def _successor(self, server: Any, fresh: _Embedding, app: Any) -> ConfigReloadManager[Any] | None:
        """Started, under the new code; None where workers can't get new code. Raises _CalledOff."""
        module = fresh._loader.schema_path.partition(":")[0]
        if module in sys.modules:
            server.log.warning(
                "confcast: the master has imported %s (by preload_app, or in the conf file), so the new workers have "
                "its old code; the config owner stays as it is. New code of it takes an upgrade (USR2) or a restart",
                module,
            )
            return None
        os.environ.update(app.cfg.env)  # as gunicorn does next: the owner's environment is a source, too
        try:
            self._free_the_state_folder(fresh)
            return fresh._new_manager().start()
        except _NO_OWNER as error:
            raise _CalledOff(str(error)) from error

    def _free_the_state_folder(self, fresh: _Embedding) -> None:
        """Two owners can't share one. Whether the next could start is tried beside it, before the old one leaves."""
        folder = fresh._options.get("state_dir")
        if folder is not None and folder == self._options.get("state_dir"):
            fresh._new_manager(state_dir=None).start().close()
            self._manager.close()

    def _release_former(self, server: Any) -> None:
        """A former owner leaves with its last worker."""
        for former in list(self._former):
            if former.workers.isdisjoint(server.WORKERS):
                former.manager.close()
                self._former.remove(former)
            else:
                former.manager.ensure_owner()

    def _compose(self, cfg: Any) -> None:
        """Ours come first where they give the user's a configuration to read, and last where they take it away."""
        cfg.set("when_ready", both(self.when_ready, cfg.when_ready, 1))
        cfg.set("post_fork", both(self.post_fork, cfg.post_fork, 2))
        cfg.set("post_worker_init", both(self.post_worker_init, cfg.post_worker_init, 1))
        cfg.set("on_exit", both(cfg.on_exit, self.on_exit, 1))

    # ---- in a worker

    def post_fork(self, server: Any, worker: Any) -> None:
        """Import the schema's module, and attach what it declares, before the application is loaded."""
        gunicorn_worker.take_signals(worker)
        gunicorn_worker.import_schema(worker, self._loader)
        gunicorn_worker.attach(worker, self.name)

    def post_worker_init(self, worker: Any) -> None:
        """Attach what the application has declared, and pin each request."""
        mine = gunicorn_worker.attach(worker, self.name)
        if mine:
            gunicorn_worker.pin(worker, mine)
        else:
            worker.log.warning("confcast: no Replica named %r is declared in this worker", self.name)


def _reload_fully(server: Any, reload: Callable[[], None]) -> None:
    """What gunicorn does on a HUP by itself; called off, it is put back to where it was before the conf file ran."""
    app, environment, folder = dict(vars(server.app)), dict(os.environ), Path.cwd()
    try:
        reload()
    except _CalledOff as why:
        vars(server.app).update(app)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(folder)
        server.log.error("confcast: the full reload is called off, and every worker stays as it is\n%s", why)


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


def _refuse(server: Any, text: str, status: int) -> NoReturn:
    """End before anything was started. A daemon's standard error leads nowhere: gunicorn's log gets it, too."""
    print(text, file=sys.stderr, flush=True)
    if server.cfg.errorlog != "-":
        server.log.error(text)
    pidfile = getattr(server, "pidfile", None)
    if pidfile is not None:
        pidfile.unlink()
    sys.exit(status)
