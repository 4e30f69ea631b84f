"""`Application`: an application with its configuration in real processes, for the time of a test's block.

A manager in a runtime directory of its own, with a real config owner, and worker processes that import the application
and attach: so its `derive`, `precommit`, health checks and observers run as they do under a server. Guaranteed: after
the block no process and no file is left, whatever the block has raised; the files that are deployed are never changed.

Rejected: `multiprocessing` (a spawned child runs the main program of the tests again, and a forked one has what the
tests have imported), and a server (its start takes seconds, and a test of a configuration needs no request).
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

from confcast.config.codec import codec_of
from confcast.config.dotted_keys import no_such_key
from confcast.config.loader import ConfigLoader
from confcast.config.schema.kinds import fields_of
from confcast.config.sources.layer import Source
from confcast.config.sources.variable_targets import parts_of
from confcast.errors import ConfcastError, ConfigError, Problem
from confcast.master.manager import ConfigReloadManager
from confcast.testing.channel import Begin
from confcast.testing.serving import found
from confcast.testing.source_files import SourceFiles
from confcast.testing.worker import ENDS_WITHIN, TestWorker, WorkerFailed
from confcast.wire.messages import ReloadEvent
from confcast.wire.options import ManagerOptions
from confcast.worker.replica import Replica

_RUNTIME_DIR = "CONFCAST_RUNTIME_DIR"


class Application:
    """Your application in worker processes, with a config owner of its own, from `with` to the block's end.

        with Application("shop:settings", "app.toml", workers=3) as app:
            event = app.change("app.toml", "size = 7")
            assert event.result is ReloadResult.SUCCESS
            assert app.values("size") == [7, 7, 7]

    For one thread. Files that are sources are copied first: `change` writes to the copy. Nothing is watched unless
    `watch=True` is given, so that a change in the test is the one that reloads.

    Args:
        settings: The replica that the application declares at a module's top, or its `MODULE:NAME`. The module is
            imported here and, as the application, in each worker.
        *sources: As of `ConfigLoader`; or one loader, as it is deployed, or its `MODULE:NAME`. Without any, `files`
            are the sources.
        files: By name, the text that a file has at first, in place of a copy; also of further files.
        workers: How many.
        imports: Modules that each worker imports besides: the application, if it is another module.
        on_loop: Whether workers run an event loop; None: if something is derived that is built on one.
        timeout: Seconds that a worker's start may take, or an answer.
        **options: Of the manager, as `ConfigReloadManager` takes them, without `name`.

    Raises:
        TypeError, ValueError: An argument has no such value.
    """

    def __init__(
        self,
        settings: str | Replica[Any],
        *sources: str | os.PathLike[str] | Source | ConfigLoader[Any],
        files: Mapping[str, str] | None = None,
        workers: int = 2,
        imports: str | Sequence[str] = (),
        on_loop: bool | None = None,
        timeout: float = 30.0,
        **options: Unpack[ManagerOptions],
    ) -> None:
        if "name" in options:
            raise TypeError("name= can't be given: the configuration has the name that the replica has")
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 0:
            raise ValueError(f"workers={workers!r}: a number of processes is expected, 0 or more")
        self._settings, self._path = _replica(settings)
        self._loader = _loader(self._settings, sources, files or {})
        self._texts = files or {}
        self._count = workers
        modules = [imports] if isinstance(imports, str) else list(imports)
        self._begin = Begin(self._path, modules, on_loop, timeout)
        self._timeout = timeout
        self._options = options
        self._stack = ExitStack()
        self._files: SourceFiles | None = None
        self._manager: ConfigReloadManager[Any] | None = None
        self._started: list[TestWorker] = []

    # ---- start and end

    def __enter__(self) -> Self:
        """Start the owner and the workers, and return when each has the first version.

        Raises:
            ConfigError: The first load is refused.
            WorkerFailed: A worker can't start: it can't import the application, or can't build what is derived.
            ConfcastError: A file is not there; or a manager of this name runs in this process already.
        """
        if self._manager is not None:
            raise ConfcastError("this application runs already, or has run: make another one")
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="cc-"))
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        self._files = SourceFiles(folder, self._texts)
        self._stack.callback(_put_back, _RUNTIME_DIR, os.environ.get(_RUNTIME_DIR))
        (folder / "run").mkdir(mode=0o700)
        os.environ[_RUNTIME_DIR] = str(folder / "run")
        plain: dict[str, Any] = {"watch": False, "enable_signal_handler": False, **self._options}
        loader = self._files.in_place_of(self._loader)
        self._manager = ConfigReloadManager(loader, name=self._settings.name, **plain)
        self._stack.enter_context(self._manager)
        self._stack.callback(self._end_workers)
        for _ in range(self._count):
            self._begin_worker()
        self._ask(lambda each: None, lambda each: each.started)

    @property
    def workers(self) -> list[TestWorker]:
        """The workers, in the order of their start, without those that the test has killed."""
        return [each for each in self._started if not each.killed]

    def start_worker(self) -> TestWorker:
        """Start one more worker, as a server does for one that has died. Raises WorkerFailed."""
        worker = self._begin_worker()
        try:
            worker.started(self._timeout)
        except WorkerFailed:
            worker.kill()
            raise
        return worker

    def _begin_worker(self) -> TestWorker:
        worker = TestWorker(len(self._started) + 1, self._begin)
        self._started.append(worker)
        return worker

    def _end_workers(self) -> None:
        for worker in self._started:
            worker.end()
        deadline = time.monotonic() + ENDS_WITHIN
        for worker in self._started:
            worker.close(deadline)

    # ---- changing

    @property
    def manager(self) -> ConfigReloadManager[Any]:
        """The manager, with every verb: `app.manager.set({"size": 3})`, `rollback()`, `status()`, `wait()`."""
        if self._manager is None:
            raise ConfcastError("this application does not run: with Application(…) as app: …")
        return self._manager

    def change(self, file: str | os.PathLike[str], text: str, **options: Any) -> ReloadEvent:
        """Give a file this text, reload, and return the outcome: `reload` says what is waited for.

        Raises:
            ConfcastError: It is no file of this application's configuration.
        """
        self._copies().write(file, text)
        return self.reload(**options)

    def reload(self, **options: Any) -> ReloadEvent:
        """Reload, and return the outcome, once the observers of all workers have returned.

        Args:
            **options: As of `ConfigReloadManager.reload`.
        """
        return self.manager.reload(**{"wait_observers": self._timeout, **options})

    def path(self, file: str | os.PathLike[str]) -> Path:
        """Where this application's copy of a file is. Raises ConfcastError."""
        return self._copies().path(file)

    # ---- what each worker sees

    def values(self, key: str | Callable[[Any], Any]) -> list[Any]:
        """The value that each worker sees, in the order of `workers`.

        Args:
            key: As messages write it, `database.size`; or a function of the configuration.

        Raises:
            ConfigError: The configuration has no such key.
            WorkerFailed: A worker is gone, or does not answer.
        """
        pick = key if callable(key) else lambda config: _value_at(config, key, self._settings.schema)
        return [pick(config) for config in self.configs()]

    def configs(self) -> list[Any]:
        """The configuration that each worker sees, as an object of the schema. Raises WorkerFailed."""
        codec = codec_of(self._settings.schema)
        return [codec.decode(payload) for _, payload in self._seen()]

    def versions(self) -> list[int]:
        """The version that each worker sees. Raises WorkerFailed."""
        return [version for version, _ in self._seen()]

    def call(self, function: str | Callable[..., Any], *arguments: Any, **keywords: Any) -> list[Any]:
        """Call a function in all workers at once, and return what each returns, in the order of `workers`.

        Arguments and results are plain data; a tuple comes as a list. With an event loop, coroutine functions are
        awaited.

        Args:
            function: A function at a module's top, or its `MODULE:NAME`: `app.call("shop:handler")`.
            *arguments: Its arguments.
            **keywords: Its arguments by name.

        Raises:
            WorkerFailed: It raised in a worker; or a worker is gone, or does not answer.
        """
        path = _path_of(function)
        return self._ask(lambda each: each.call(path, list(arguments), keywords), lambda each: each.returned)

    def _seen(self) -> list[tuple[int, bytes]]:
        return self._ask(lambda each: each.look(), lambda each: each.seen)

    def _ask(
        self, ask: Callable[[TestWorker], None], answer: Callable[[TestWorker], Callable[[float], Any]]
    ) -> list[Any]:
        """What each worker answers. All answers are taken before an error is raised: none is left for the next."""
        answers: list[Any] = []
        asked: list[TestWorker] = []
        failed: list[WorkerFailed] = []
        for worker in self.workers:
            with _noted(failed):
                ask(worker)
                asked.append(worker)
        deadline = time.monotonic() + self._timeout
        for worker in asked:
            with _noted(failed):
                answers.append(answer(worker)(deadline - time.monotonic()))
        if failed:
            raise _as_one(failed)
        return answers

    def _copies(self) -> SourceFiles:
        if self._files is None:
            raise ConfcastError("this application does not run: with Application(…) as app: …")
        return self._files


def _replica(settings: object) -> tuple[Replica[Any], str]:
    """The replica, and the name by which a worker imports it."""
    if isinstance(settings, Replica):
        module = settings._declared_in
        names = [name for name, value in vars(sys.modules.get(module, object)).items() if value is settings]
        if not names:
            raise ValueError("this replica is declared at no module's top: a worker could not import it")
        return settings, f"{module}:{names[0]}"
    if not isinstance(settings, str) or not all(settings.partition(":")[::2]):
        raise TypeError(f"settings={settings!r}: a Replica is expected, or its MODULE:NAME, such as 'shop:settings'")
    replica = found(settings)
    if not isinstance(replica, Replica):
        raise TypeError(f"{settings} is no Replica: {type(replica).__name__}")
    return replica, settings


def _loader(settings: Replica[Any], sources: tuple[Any, ...], files: Mapping[str, str]) -> ConfigLoader[Any]:
    if len(sources) == 1 and isinstance(sources[0], str) and ":" in sources[0]:
        sources = (ConfigLoader.find(sources[0]),)
    loaders = [each for each in sources if isinstance(each, ConfigLoader)]
    if not loaders:
        return ConfigLoader(settings.schema, *(sources or files))
    if len(sources) > 1:
        raise TypeError("a loader has its sources already: give it alone, or give sources")
    return loaders[0]


def _path_of(function: object) -> str:
    if isinstance(function, str) and all(function.partition(":")[::2]):
        return function
    module, name = getattr(function, "__module__", ""), getattr(function, "__qualname__", "<")
    if not callable(function) or "<" in name:
        raise TypeError(f"{function!r}: a function at a module's top is expected, or its MODULE:NAME")
    return f"{module}:{name}"


def _value_at(config: Any, key: str, schema: Any) -> Any:
    value = config
    try:
        for part in parts_of(key):
            value = _member(value, part)
    except (AttributeError, LookupError, TypeError, ValueError):
        raise ConfigError([Problem(key, no_such_key(key, schema))]) from None
    return value


def _member(value: Any, part: str) -> Any:
    if isinstance(value, Mapping):
        return value[part]
    if isinstance(value, list | tuple):
        return value[int(part)]
    fields = fields_of(type(value)) or ()
    return getattr(value, next((each.name for each in fields if each.key == part), part))


@contextmanager
def _noted(failed: list[WorkerFailed]) -> Iterator[None]:
    try:
        yield
    except WorkerFailed as error:
        failed.append(error)


def _as_one(failed: list[WorkerFailed]) -> WorkerFailed:
    """One error for those of several workers; what is the same in all stands there once."""
    workers: dict[str, list[str]] = {}
    for each in failed:
        workers.setdefault(each.what, []).append(each.worker)
    texts = [f"{', '.join(names)}{what}" for what, names in workers.items()]
    return WorkerFailed("", "\n".join(texts))


def _put_back(variable: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(variable, None)
    else:
        os.environ[variable] = value
