"""hypercorn's master with a config owner.

`hypercorn.run` has no hook, so two of the names that it looks up are stood in for while it runs: what it makes its
workers with, and what it waits for them with. The latter is called right after it has set its signal handlers, each
time; HUP is held back from the master outside of it, so that hypercorn's own handler, which would stop every worker,
is never there when one comes. Workers inherit that, and let HUP through when they have said what it does.

A full reload (SIGRTMIN) calls that handler, which stops all workers and waits for their end; when the wait is over
hypercorn makes new ones. reloading.py starts the next owner first.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from types import FrameType
from typing import Any

import hypercorn.__main__ as command
import hypercorn.run
from hypercorn.config import Config

from confcast import ConfcastError, declared
from confcast.servers.common import certificates, launching, signals
from confcast.servers.common.certificates import Certificate
from confcast.servers.common.launching import Embedded
from confcast.servers.common.owners import CalledOff
from confcast.servers.common.reloading import Reloading
from confcast.servers.hypercorn.worker import Serve

_log = logging.getLogger("confcast.servers")

_SLACK = 5.0


def serve(config: Config, embedded: Embedded) -> int:
    """`hypercorn.run.run` with a config owner. In the main thread.

    Args:
        config: hypercorn's.
        embedded: The configuration, not started yet.

    Returns:
        hypercorn's exit status; 1 where that is 0, and a worker's end has stopped it.

    Raises:
        ConfcastError: The configuration of hypercorn can't be served.
        SystemExit: As `launching.start` says.
    """
    check(config)
    keeps = "that of HTTP/3" if config.quic_bind else ""  # aioquic reads the files when a worker starts
    reloading = Reloading("hypercorn", embedded, _error_log(config), _certificate(config), keeps=keeps)
    context = _Context(embedded.worker)
    with signals.restored(), _reloads_held(), contextlib.closing(reloading.owners):
        launching.start("hypercorn", embedded.manager)
        reloading.say_what_signals_do()
        if config.use_reloader:  # then hypercorn imports the application here, too, right before its workers
            embedded.worker.attach_first()
        with _Waiting(context, reloading) as waiting, _stood_in_for(context, waiting, config):
            status = hypercorn.run.run(config)
        return context.join(config.graceful_timeout + config.shutdown_timeout + _SLACK) or status


def _error_log(config: Config) -> logging.Logger:
    """What hypercorn's workers log to; not as `config.log`, which would be sent to them without its files."""
    return config.logger_class(config).error_logger or _log


def _certificate(config: Config) -> Certificate | None:
    """Of TLS, where it is served. Its paths are made absolute: an application may change the working directory."""
    if config.certfile is None or config.keyfile is None:
        return None
    config.certfile, config.keyfile = certificates.absolute(config.certfile), certificates.absolute(config.keyfile)
    return Certificate(config.certfile, config.keyfile, config.keyfile_password)


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
    """What hypercorn makes its workers with.

    Attributes:
        worker: What attaches in those that are made from now on.
    """

    def __init__(self, worker: launching.Worker) -> None:
        super().__init__()
        self.worker = worker
        self._started: list[SpawnProcess] = []

    def Process(  # type: ignore[override]  # noqa: N802 - multiprocessing's name
        self, *, target: Callable[..., None], kwargs: Mapping[str, Any]
    ) -> SpawnProcess:
        process = SpawnProcess(target=Serve(self.worker, os.getpid(), target), kwargs=kwargs)
        self._started = [*(other for other in self._started if other.exitcode != 0), process]
        return process

    def pids(self) -> set[int]:
        """Of the workers that there are."""
        return {each.pid for each in self._started if each.pid is not None and each.exitcode is None}

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


class _Waiting:
    """What hypercorn's master does between two generations of workers: it waits for their end, and heeds signals."""

    def __init__(self, context: _Context, reloading: Reloading) -> None:
        self._context = context
        self._reloading = reloading
        self._wait: Callable[..., list[Any]] = vars(hypercorn.run)["wait"]
        self._replace_workers: Any = None  # hypercorn's own HUP handler

    def __enter__(self) -> _Waiting:
        self._wakeup_r, self._wakeup_w = os.pipe()
        for descriptor in (self._wakeup_r, self._wakeup_w):
            os.set_blocking(descriptor, False)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._wakeup_r)
        os.close(self._wakeup_w)

    def __call__(self, sentinels: Iterable[Any], timeout: float | None = None) -> list[Any]:
        """In the place of `multiprocessing.connection.wait`, right after hypercorn has set its handlers."""
        handler = signal.getsignal(signal.SIGHUP)
        if handler != self._install_handlers:  # with `--reload` it waits several times, and sets its handlers once
            self._replace_workers = handler
        for number in signals.RELOADS:
            signal.signal(number, self._install_handlers)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals.RELOADS)
        try:
            return self._until_one_ends(list(sentinels), timeout)
        finally:
            signal.pthread_sigmask(signal.SIG_BLOCK, signals.RELOADS)

    def _until_one_ends(self, sentinels: list[Any], timeout: float | None) -> list[Any]:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = self._wait([*sentinels, self._wakeup_r], left)
            ended = [each for each in ready if each != self._wakeup_r]
            if ended or not ready:
                return ended
            os.read(self._wakeup_r, 4096)
            self._reloading.tick(self._context.pids)
            if self._reloading.wants_full_reload() and self._reload_fully():
                return sentinels

    def _install_handlers(self, number: int, frame: FrameType | None) -> None:
        self._reloading.hup() if number == signal.SIGHUP else self._reloading.rtmin()
        with contextlib.suppress(BlockingIOError):  # it is full: the loop will wake up
            os.write(self._wakeup_w, b"\0")

    def _reload_fully(self) -> bool:
        before = self._context.pids()
        try:
            self._context.worker = self._reloading.begin() or self._context.worker
        except CalledOff:
            return False
        self._replace_workers()
        return self._reloading.end(before, self._context.pids())


@contextmanager
def _stood_in_for(context: _Context, waiting: _Waiting, config: Config) -> Iterator[None]:
    """Two of the names that `hypercorn.run` looks up are ours meanwhile."""
    names = vars(hypercorn.run)
    theirs = {name: names[name] for name in ("get_context", "wait")}

    def get_context(method: str) -> _Context:
        for replica in declared() if config.use_reloader else ():
            replica.close()
        return context

    names.update(get_context=get_context, wait=waiting)
    try:
        yield
    finally:
        names.update(theirs)


@contextmanager
def _reloads_held() -> Iterator[None]:
    """HUP and SIGRTMIN wait; at the end one that still does is dropped."""
    with signals.held(signals.RELOADS):
        try:
            yield
        finally:
            for number in signals.RELOADS:
                signal.signal(number, signals.nothing)
