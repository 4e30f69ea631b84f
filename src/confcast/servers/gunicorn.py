"""gunicorn: HUP reloads the configuration in every worker, and replaces none of them.

In gunicorn's conf file:

    from confcast import ConfigLoader
    from confcast.servers import gunicorn

    gunicorn.install(globals(), ConfigLoader("pkg.settings:Settings", "app.toml"))

The owner starts in `on_starting`, before listeners, signal handlers and workers. HUP and `gunicornc reload` go through
`handle_hup`, where an instance attribute wins; the master's loop restarts a dead owner. Each worker attaches in
`post_fork`, before the application is loaded, so that its modules may read the configuration at import; and each
request is pinned around `worker.wsgi`, so that the application needs no line of ours. gunicorn's own full reload moves
to SIGRTMIN: it starts a new owner first, under the new code, and the old one leaves with its last worker.

Hooks of the user's are composed with ours when they are final, in `on_starting`, wherever they stand in the file. Only
their `on_starting` has to stand above the line: one below would replace ours, and is refused in words.

Rejected: a worker class (users have their own), a thread in the master (it forks), and replacing workers on HUP.
"""

from __future__ import annotations

import pydoc
import signal
import sys
import time
from collections.abc import Callable, MutableMapping
from typing import Any, NoReturn

from confcast import ConfcastError, ConfigError, ConfigLoader, ConfigReloadManager, NotCarried, declared
from confcast.middleware import asgi, wsgi

Hook = Callable[..., Any]

_FULL_RELOAD = getattr(signal, "SIGRTMIN", None)
_CONFIGURATION_REFUSED = 78
_COULD_NOT_START = 3
_RESPAWN_PAUSE = 1.0

_installed: dict[str, _Embedding] = {}


def install(namespace: MutableMapping[str, Any], loader: ConfigLoader[Any], **options: Any) -> None:
    """Embed a config owner; the line in gunicorn's conf file that does it.

    Args:
        namespace: The conf file's `globals()`. A user's `on_starting` must be in it already.
        loader: What to load.
        **options: As `ConfigReloadManager` takes them, but for `enable_signal_handler` and `supervise`: gunicorn's own
            signals and loop stand for these.

    Raises:
        TypeError: An option is unknown.
    """
    embedding = _Embedding(loader, options)
    _installed[embedding.name] = embedding
    namespace["on_starting"] = _both(namespace.get("on_starting"), embedding.on_starting, 1)
    namespace["nworkers_changed"] = _both(namespace.get("nworkers_changed"), embedding.check_that_it_is_called, 3)


class _Embedding:
    """One configuration in one gunicorn. The master's object; workers inherit it, and use what is said to be theirs."""

    def __init__(self, loader: ConfigLoader[Any], options: dict[str, Any]) -> None:
        self._loader = loader
        self._options = options
        self.manager = self._new_manager()
        self.name = self.manager.name
        self._former: list[ConfigReloadManager[Any]] = []

    def _new_manager(self) -> ConfigReloadManager[Any]:
        return ConfigReloadManager(self._loader, enable_signal_handler=False, supervise="caller", **self._options)

    # ---- in the master

    def check_that_it_is_called(self, server: Any, new: int, old: int | None) -> None:
        """Called by gunicorn before `on_starting`: the moment to see whether ours is still there."""
        if old is None and not _contains(server.cfg.on_starting, self.on_starting):
            _refuse(
                server,
                "confcast: this conf file sets on_starting below confcast.servers.gunicorn.install(…), which replaces "
                "ours silently; move the function above that line",
                _COULD_NOT_START,
            )

    def on_starting(self, server: Any) -> None:
        """Start the owner, and hook what gunicorn does later."""
        try:
            self.manager.start()
        except ConfigError as error:
            _refuse(
                server,
                f"confcast: the configuration is refused, gunicorn does not start\n{error}",
                _CONFIGURATION_REFUSED,
            )
        except NotCarried as error:
            _refuse(server, f"confcast: the schema can't be carried to workers\n{error}", _CONFIGURATION_REFUSED)
        except (ConfcastError, ImportError, TypeError) as error:
            _refuse(server, f"confcast: the config owner could not start: {error}", _COULD_NOT_START)
        self._compose(server.cfg)
        self._hook(server)

    def _hook(self, server: Any) -> None:
        """Names are looked up on the arbiter, so an attribute of the object comes before the method."""
        setup, manage = server.setup, server.manage_workers
        reload_everything = server.handle_hup

        def set_up_again(app: Any) -> None:
            setup(app)
            self._next_generation(server)

        def manage_workers_and_owner() -> None:
            self.manager.ensure_owner()
            self._release_former()
            manage()

        server.setup = set_up_again
        server.manage_workers = manage_workers_and_owner
        server.handle_hup = lambda: self.manager.request_reload()
        if _FULL_RELOAD is not None and not hasattr(server, "handle_rtmin"):
            server.handle_rtmin = reload_everything

    def when_ready(self, server: Any) -> None:
        """Signals are set by now: take one more, and say what each does."""
        if _FULL_RELOAD is not None:
            signal.signal(_FULL_RELOAD, server.signal)
        server.log.info(
            "confcast: configuration %r is reloaded in every worker by kill -HUP %d; gunicorn's own full reload (new "
            "code, new workers) is kill -RTMIN %d",
            self.name,
            server.pid,
            server.pid,
        )

    def on_exit(self, server: Any) -> None:
        """The workers are gone."""
        for manager in (*self._former, self.manager):
            manager.close()

    def _next_generation(self, server: Any) -> None:
        """In a full reload the conf file has been run again: a new owner, under the new code, before new workers."""
        fresh = _installed[self.name]
        self._loader, self._options = fresh._loader, fresh._options
        manager = self._new_manager()
        if self._options.get("state_dir") is not None:
            # Two owners can't share a state folder: the old workers keep what they have until they are gone.
            self.manager.close()
        try:
            manager.start()
        except (ConfcastError, ImportError, TypeError) as error:
            server.log.error("confcast: the new config owner could not start; new workers ask the old one\n%s", error)
        else:
            if self.manager.is_mine():
                self._former.append(self.manager)
            self.manager = manager
        self._compose(server.cfg)

    def _release_former(self) -> None:
        """A former owner leaves with its last worker."""
        for manager in list(self._former):
            manager.ensure_owner()
            if _has_no_workers(manager):
                manager.close()
                self._former.remove(manager)

    def _compose(self, cfg: Any) -> None:
        """Ours come first where they give the user's a configuration to read, and last where they take it away."""
        cfg.set("when_ready", _both(self.when_ready, cfg.when_ready, 1))
        cfg.set("post_fork", _both(self.post_fork, cfg.post_fork, 2))
        cfg.set("post_worker_init", _both(self.post_worker_init, cfg.post_worker_init, 1))
        cfg.set("on_exit", _both(cfg.on_exit, self.on_exit, 1))

    # ---- in a worker

    def post_fork(self, server: Any, worker: Any) -> None:
        """Import the schema's module, and attach what it declares, before the application is loaded."""
        for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
            # Until gunicorn sets a worker's handlers the master's are inherited: they would queue a TERM that nobody
            # in here ever reads, and the server's stop would wait its whole graceful timeout for this worker.
            signal.signal(number, signal.SIG_DFL)
        worker.log.debug("confcast: attaching by the schema %s", self._loader.schema.__qualname__)
        self._attach(worker)

    def post_worker_init(self, worker: Any) -> None:
        """Attach what the application has declared, take SIGHUP again (gunicorn has reset it), pin each request."""
        mine = self._attach(worker)
        if not mine:
            worker.log.warning("confcast: no Replica named %r is declared in this worker", self.name)
        elif hasattr(worker, "asgi"):
            worker.asgi = asgi.Pin(worker.asgi, *mine)
        elif "uvicorn" in type(worker).__module__:  # its worker keeps an ASGI application under that name
            worker.wsgi = asgi.Pin(worker.wsgi, *mine)
        else:
            worker.wsgi = wsgi.Pin(worker.wsgi, *mine)

    def _attach(self, worker: Any) -> list[Any]:
        mine = [replica for replica in declared() if replica.name == self.name]
        try:
            for replica in mine:
                replica.attach()
        except ConfcastError as error:
            # Statuses 3 and 4 would stop the whole server; the pause keeps the respawning from spinning.
            worker.log.error("confcast: this worker can't attach and exits: %s", error)
            time.sleep(_RESPAWN_PAUSE)
            sys.exit(1)
        return mine


def _has_no_workers(manager: ConfigReloadManager[Any]) -> bool:
    try:
        return not manager.workers()
    except ConfcastError:
        return False


def _both(first: Hook | str | None, second: Hook, parameters: int) -> Hook:
    """Two hooks as one. gunicorn counts a hook's parameters, so each number has a function of its own."""
    if first is None:
        return second
    users = pydoc.locate(first) if isinstance(first, str) else first
    if not callable(users):
        raise TypeError(f"the hook {first!r} can't be called")

    def run(*arguments: Any) -> None:
        users(*arguments)
        second(*arguments)

    by_parameters: dict[int, Hook] = {1: lambda a: run(a), 2: lambda a, b: run(a, b), 3: lambda a, b, c: run(a, b, c)}
    both = by_parameters[parameters]
    _parts[both] = (*_parts.get(users, (users,)), *_parts.get(second, (second,)))
    return both


_parts: dict[Hook, tuple[Hook, ...]] = {}


def _contains(hook: Hook, ours: Hook) -> bool:
    return ours in _parts.get(hook, (hook,))


def _refuse(server: Any, text: str, status: int) -> NoReturn:
    print(text, file=sys.stderr, flush=True)
    pidfile = getattr(server, "pidfile", None)
    if pidfile is not None:
        pidfile.unlink()
    sys.exit(status)
