"""hypercorn's master with a config owner.

`hypercorn.run` has no hook, so two of the names that it looks up are stood in for while it runs: what it makes its
workers with, and what it waits for them with. The latter is called right after it has set its signal handlers, each
time; HUP is held back from the master outside of it, so that hypercorn's own handler, which would stop every worker,
is never there when one comes. Workers inherit that, and let HUP through when they have said what it does.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

import hypercorn.__main__ as command
import hypercorn.run
from hypercorn.config import Config

from confcast import ConfcastError, ConfigReloadManager, declared
from confcast.servers import launching, signals
from confcast.servers.hypercorn_worker import Serve

_log = logging.getLogger("confcast.servers")

_SLACK = 5.0


def serve(config: Config, manager: ConfigReloadManager[Any], worker: launching.Worker) -> int:
    """`hypercorn.run.run` with a config owner. In the main thread.

    Args:
        config: hypercorn's.
        manager: Not started yet; without a signal handler of its own.
        worker: What attaches in a worker.

    Returns:
        hypercorn's exit status; 1 where that is 0, and a worker's end has stopped it.

    Raises:
        ConfcastError: The configuration of hypercorn can't be served.
        SystemExit: As `launching.start` says.
    """
    check(config)
    context = _Context(worker)
    with signals.given_back(), _hup_held():
        launching.start("hypercorn", manager)
        try:
            if config.use_reloader:  # then hypercorn imports the application here, too, right before its workers
                worker.attach_first()
            with _stood_in_for(context, manager, config):
                status = hypercorn.run.run(config)
            return context.join(config.graceful_timeout + config.shutdown_timeout + _SLACK) or status
        finally:
            manager.close()


def check(config: Config) -> None:
    """Raises ConfcastError when this can't be served."""
    if config.workers == 0:
        raise ConfcastError("with 0 workers hypercorn serves in its master, which can't be served: use --workers 1")


def configured(app: str, options: Mapping[str, Any]) -> Config:
    """A configuration of hypercorn's. Raises TypeError when it has no such attribute."""
    config = Config()
    config.application_path = app
    for option, value in options.items():
        if not hasattr(config, option):
            raise TypeError(f"hypercorn.Config has no {option!r}")
        setattr(config, option, value)
    return config


def command_line(arguments: Sequence[str], run: Callable[[Config], int] = hypercorn.run.run) -> int:
    """Hypercorn's own command line, which calls `run`; its exit status. Raises SystemExit."""
    names = vars(command)
    theirs = names["run"]
    names["run"] = run
    try:
        return command.main(list(arguments) or ["--"])  # given nothing it would take this program's arguments
    finally:
        names["run"] = theirs


class _Context(SpawnContext):
    """What hypercorn makes its workers with."""

    def __init__(self, worker: launching.Worker) -> None:
        super().__init__()
        self._worker = worker
        self._started: list[SpawnProcess] = []

    def Process(  # type: ignore[override]  # noqa: N802 - multiprocessing's name
        self, *, target: Callable[..., None], kwargs: Mapping[str, Any]
    ) -> SpawnProcess:
        process = SpawnProcess(target=Serve(self._worker, os.getpid(), target), kwargs=kwargs)
        self._started = [*(other for other in self._started if other.exitcode != 0), process]
        return process

    def join(self, timeout: float) -> int:
        """Wait for the end of every worker, and kill those that are late; 1 if one has failed, else 0."""
        deadline = time.monotonic() + timeout
        for process in self._started:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.exitcode is None:
                _log.error("worker %d did not end within %g s: killed", process.pid, timeout)
                process.kill()
                process.join()
        return int(any(process.exitcode not in (0, -signal.SIGTERM) for process in self._started))


@contextmanager
def _stood_in_for(context: _Context, manager: ConfigReloadManager[Any], config: Config) -> Iterator[None]:
    """Two of the names that `hypercorn.run` looks up are ours meanwhile."""
    names = vars(hypercorn.run)
    theirs = {name: names[name] for name in ("get_context", "wait")}

    def wait(sentinels: Iterable[Any], timeout: float | None = None) -> Any:
        signal.signal(signal.SIGHUP, lambda number, frame: manager.request_reload())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        try:
            return theirs["wait"](sentinels, timeout)
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})

    def get_context(method: str) -> _Context:
        for replica in declared() if config.use_reloader else ():
            replica.close()
        return context

    names.update(get_context=get_context, wait=wait)
    try:
        yield
    finally:
        names.update(theirs)


@contextmanager
def _hup_held() -> Iterator[None]:
    """HUP waits; at the end one that still does is dropped."""
    with signals.held({signal.SIGHUP}):
        try:
            yield
        finally:
            signal.signal(signal.SIGHUP, lambda number, frame: None)
