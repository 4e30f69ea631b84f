"""hypercorn's master runs with a config owner: this file replaces how the master makes its workers and waits for them.

`hypercorn.run` has no hook, so three of the names that it looks up are replaced while it runs: `get_context`, by which
it makes its workers, `wait`, by which it waits for them, and `check_for_updates`, after which `--reload` replaces them
if code has changed. Each time hypercorn calls `wait` right after it has set its signal handlers. The master blocks HUP
outside of `wait`, so that a HUP never runs hypercorn's own handler, which would stop every worker. Workers inherit the
blocked HUP, and unblock it when they have set a handler.

A full reload (SIGRTMIN) calls hypercorn's own handler, which stops all workers and waits for their end; then hypercorn
makes new workers. reloading.py starts the next owner first, and processes.py bounds the wait.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
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
from confcast.servers.hypercorn.processes import Context

_log = logging.getLogger("confcast.servers")

_SLACK = 5.0
_STOPS = (signal.SIGTERM, signal.SIGINT)


def serve(config: Config, embedded: Embedded) -> int:
    """`hypercorn.run.run` with a config owner. For the main thread.

    Args:
        config: hypercorn's configuration.
        embedded: confcast's configuration, whose owner is not started yet.

    Returns:
        hypercorn's exit status; 1 instead of 0 if a failed worker has stopped it.

    Raises:
        ConfcastError: hypercorn's configuration has 0 workers.
        SystemExit: As `launching.start` raises it.
    """
    check(config)
    keeps = "that of HTTP/3" if config.quic_bind else ""  # aioquic reads the files when a worker starts
    reloading = Reloading("hypercorn", embedded, _error_log(config), _certificate(config), keeps=keeps)
    context = Context(embedded.worker)
    with signals.restored(), _reloads_blocked(), contextlib.closing(reloading.owners):
        launching.start("hypercorn", embedded.manager)
        reloading.log_signals()
        if config.use_reloader:  # hypercorn imports the application in the master, too, right before its workers
            embedded.worker.attach_first()
        timeout = config.graceful_timeout + config.shutdown_timeout + _SLACK
        with _Waiting(context, reloading, timeout) as waiting, _names_replaced(context, waiting, config):
            status = hypercorn.run.run(config)
        return context.join(timeout) or status


def _error_log(config: Config) -> logging.Logger:
    """The log of hypercorn's workers. Not `config.log`, which would be pickled to them without its files."""
    return config.logger_class(config).error_logger or _log


def _certificate(config: Config) -> Certificate | None:
    """The TLS certificate, if any. Its paths are made absolute: an application may change the working directory."""
    if config.certfile is None or config.keyfile is None:
        return None
    config.certfile, config.keyfile = certificates.absolute(config.certfile), certificates.absolute(config.keyfile)
    config.ca_certs = certificates.absolute(config.ca_certs) if config.ca_certs else None
    return Certificate(config.certfile, config.keyfile, config.keyfile_password, config.ca_certs)


def check(config: Config) -> None:
    """Check that there are workers to serve. Raises ConfcastError."""
    if config.workers == 0:
        raise ConfcastError("with 0 workers hypercorn serves in its master, which can't be served: use --workers 1")


def configured(app: str, options: Mapping[str, Any]) -> Config:
    """Make a configuration of hypercorn. Raises TypeError if it lacks an attribute."""
    config = Config()
    config.application_path = app
    for option, value in options.items():
        if not hasattr(config, option):
            raise TypeError(f"hypercorn.Config has no {option!r}")
        setattr(config, option, value)
    return config


def command_line(arguments: Sequence[str], run: Callable[[Config], int] = hypercorn.run.run) -> int:
    """Run hypercorn's own command line, which calls `run`. Returns its exit status. Raises SystemExit."""
    names = vars(command)
    theirs = names["run"]
    names["run"] = run
    try:
        return command.main(list(arguments) or ["--"])  # with no argument it would take this program's arguments
    finally:
        names["run"] = theirs


class _Waiting:
    """The master's wait for the end of its workers, during which it reloads at HUP and SIGRTMIN.

    Args:
        context: Has the workers.
        reloading: What the signals do.
        timeout: Seconds that workers may take to end when they are replaced.
    """

    def __init__(self, context: Context, reloading: Reloading, timeout: float) -> None:
        self._context = context
        self._reloading = reloading
        self._timeout = timeout
        self._wait: Callable[..., list[Any]] = vars(hypercorn.run)["wait"]
        self._replace_workers: Any = None  # hypercorn's own handler of HUP

    def __enter__(self) -> _Waiting:
        self._wakeup_r, self._wakeup_w = os.pipe()
        for descriptor in (self._wakeup_r, self._wakeup_w):
            os.set_blocking(descriptor, False)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._wakeup_r)
        os.close(self._wakeup_w)

    def __call__(self, sentinels: Iterable[Any], timeout: float | None = None) -> list[Any]:
        """Replace `multiprocessing.connection.wait`, which hypercorn calls right after it has set its handlers."""
        handler = signal.getsignal(signal.SIGHUP)
        if handler != self._on_signal:  # with `--reload` hypercorn waits several times, and sets its handlers once
            self._replace_workers = handler
        for number in signals.RELOADS:
            signal.signal(number, self._on_signal)
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

    def replaces(self) -> None:
        """Note that hypercorn replaces all workers itself, as `--reload` does when code has changed."""
        self._context.replace(self._timeout)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._reloading.on_signal(number)
        with contextlib.suppress(BlockingIOError):  # the pipe is full: the loop wakes up anyway
            os.write(self._wakeup_w, b"\0")

    def _reload_fully(self) -> bool:
        before = self._context.pids()
        try:
            self._context.worker = self._reloading.begin() or self._context.worker
        except CalledOff:
            return False
        self._context.replace(self._timeout)
        with _stops_held_back():
            self._replace_workers()
        return self._reloading.end(before, self._context.pids())


@contextmanager
def _stops_held_back() -> Iterator[None]:
    """Handle a TERM or an INT that comes within the block at its end.

    hypercorn's handler sets the event that stops workers, and a full reload sets and clears that event, whose lock no
    thread can take twice: a handler that ran meanwhile would wait for its own thread for ever. Blocking these signals
    is not enough, since another thread may get them.
    """
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in _STOPS}
    try:
        yield
    finally:
        for stop, handler in before.items():
            signal.signal(stop, handler)
        for number in dict.fromkeys(came):
            signal.raise_signal(number)


@contextmanager
def _names_replaced(context: Context, waiting: _Waiting, config: Config) -> Iterator[None]:
    """Replace three of the names that `hypercorn.run` looks up, for the time of the block."""
    names = vars(hypercorn.run)
    theirs = {name: names[name] for name in ("check_for_updates", "get_context", "wait")}

    def get_context(method: str) -> Context:
        for replica in declared() if config.use_reloader else ():
            replica.close()
        return context

    def check_for_updates(files: dict[Path, float]) -> bool:
        updated: bool = theirs["check_for_updates"](files)
        if updated:
            waiting.replaces()
        return updated

    names.update(check_for_updates=check_for_updates, get_context=get_context, wait=waiting)
    try:
        yield
    finally:
        names.update(theirs)


@contextmanager
def _reloads_blocked() -> Iterator[None]:
    """Block HUP and SIGRTMIN for the time of the block; drop one that is pending at its end."""
    with signals.blocked(signals.RELOADS):
        try:
            yield
        finally:
            for number in signals.RELOADS:
                signal.signal(number, signals.nothing)
