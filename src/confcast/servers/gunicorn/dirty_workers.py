"""gunicorn's dirty workers attach as its other workers do, and a full reload replaces them.

The dirty arbiter is a separate process, which the master forks and which forks the dirty workers. gunicorn calls
`dirty_post_fork` in the arbiter, not in the worker. It calls `dirty_worker_init` after the applications are loaded and
their `init()`, which may read the configuration, has run. So `on_dirty_starting`, in the arbiter, has each worker
attach before it loads its applications; `dirty_worker_init` attaches the replicas that these have declared, and pins:
one call of a dirty application sees one version (each step of a generator that it returns sees the newest).

A dirty worker that can't attach exits with status 1 after a pause, and is respawned, like any other worker.

A HUP to the arbiter does nothing (gunicorn's own handler starts a worker and ends the newest, which is that same one).
A full reload starts a new dirty arbiter beside the old one, with the new settings, code and address, before it starts
new workers, which get the new arbiter's socket; the old arbiter serves the old workers, and is ended when these are
gone. The new arbiter starts with a copy of the old one's stash; what old workers put there afterwards ends with the old
one. USR1 is passed on to the dirty workers, which gunicorn does not do.

Rejected: attaching in `dirty_worker_init` only (an `init()` that reads the configuration would fail), ending the old
arbiter first (workers keep the path of the socket that they were given), and importing the applications elsewhere than
in the master, where gunicorn reads their `workers` (an entry with a number, "module:Class:2", is not imported there).
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from confcast import Replica
from confcast.log_fields import about
from confcast.middleware.replicas import pin_all
from confcast.servers.common import signals
from confcast.servers.common.owners import CalledOff
from confcast.servers.gunicorn import log
from confcast.servers.gunicorn.worker import RESET

_STASH_TIMEOUT = 5.0


def has(cfg: Any) -> bool:
    """Whether this server has dirty workers."""
    return bool(cfg.dirty_workers > 0 and cfg.dirty_apps)


def check(cfg: Any) -> None:
    """Check `dirty_apps` in a full reload, before anything is started: an entry that can't be read ends the master.

    Raises:
        CalledOff: The conf file's dirty_apps can't be used.
    """
    if not has(cfg):
        return
    from gunicorn.dirty.app import parse_dirty_app_spec  # type: ignore[import-untyped]

    for entry in cfg.dirty_apps:
        try:
            parse_dirty_app_spec(entry)
        except Exception as error:  # raised by gunicorn, or a TypeError: a user may write anything
            raise CalledOff(f"dirty_apps in the conf file can't be used: {entry!r}: {error}") from error


def why_imported(cfg: Any) -> str:
    """Which entries of `dirty_apps` make gunicorn import modules in the master, in words; empty if none does."""
    entries = [entry for entry in cfg.dirty_apps if entry.count(":") < 2] if has(cfg) else []
    if not entries:
        return ""
    return f"by gunicorn, for {', '.join(entries)} in dirty_apps; one with a number, as {entries[0]}:1, is not imported"


# ---- in the dirty arbiter


def attach_workers(arbiter: Any, attach: Callable[[Any], None]) -> None:
    """Have each worker attach before it loads its applications. Called in `on_dirty_starting`.

    Args:
        arbiter: gunicorn's dirty arbiter.
        attach: Called with each worker, in its process.
    """
    from gunicorn.dirty.worker import DirtyWorker  # type: ignore[import-untyped]

    load = DirtyWorker.load_apps

    def load_apps(worker: Any) -> None:
        attach(worker)
        load(worker)

    DirtyWorker.load_apps = load_apps  # replaced in this process and its children only


def name_socket(arbiter: Any) -> None:
    """Set this arbiter's socket for its workers, in `on_dirty_starting`; it has inherited the path of the first one."""
    from gunicorn.dirty import set_dirty_socket_path  # type: ignore[import-untyped]

    set_dirty_socket_path(arbiter.socket_path)


def keep_pid_file_of_another(arbiter: Any) -> None:
    """In `on_dirty_starting`: keep a pid file that names the next arbiter: at its end gunicorn deletes the file unread.

    Without the file, a next start would not find that arbiter if its master was killed.
    """
    clean_up = arbiter._cleanup_sync

    def clean_up_own() -> None:
        if arbiter.pidfile is not None and not _is_pid_file_of(arbiter.pid, arbiter.pidfile):
            arbiter.pidfile = None
        clean_up()

    arbiter._cleanup_sync = clean_up_own


def take_signals(arbiter: Any) -> None:
    """Ignore HUP, and reopen log files at USR1, in the arbiter and in its workers. Called in `on_dirty_starting`."""
    from gunicorn.dirty.worker import DirtyWorker

    log.keep_files_that_can_t_be_reopened(arbiter.log)  # the arbiter's workers inherit it
    arbiters, workers = arbiter.init_signals, DirtyWorker.init_signals

    def init_signals() -> None:
        with signals.blocked(RESET):
            arbiters()
            signal.signal(signal.SIGHUP, signals.nothing)
            signal.signal(signal.SIGUSR1, lambda number, frame: _reopen_logs(arbiter))

    def init_worker_signals(worker: Any) -> None:
        with signals.blocked(RESET):
            workers(worker)
            signal.signal(signal.SIGHUP, signals.nothing)

    arbiter.init_signals = init_signals
    DirtyWorker.init_signals = init_worker_signals


def _reopen_logs(arbiter: Any) -> None:
    arbiter.log.reopen_files()
    for pid in list(arbiter.workers):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGUSR1)


def copy_stash(arbiter: Any, socket: str) -> None:
    """Copy the stash of the dirty arbiter at this socket. Called in `on_dirty_starting`."""
    from gunicorn.dirty.stash import StashClient  # type: ignore[import-untyped]

    try:
        with StashClient(socket, timeout=_STASH_TIMEOUT) as former:
            for name in former.tables():
                arbiter.stash_tables[name] = dict(former.table(name).items())
    except Exception as error:  # the former arbiter is dead, or hangs; only the stash is lost
        words = "confcast: the stash of the former dirty arbiter is lost, or a part of it: %s: %s"
        arbiter.log.warning(words, type(error).__name__, error, extra=about("stash_lost", error=error))


# ---- in a dirty worker


def pin(dirty: Any, replicas: list[Replica[Any]]) -> None:
    """Have each call of this worker's applications see one version."""
    dirty.apps = {path: _Pinned(app, tuple(replicas)) for path, app in dirty.apps.items()}


class _Pinned:
    """A dirty application whose calls are pinned."""

    def __init__(self, app: Any, replicas: tuple[Replica[Any], ...]) -> None:
        self._app = app
        self._replicas = replicas

    def __call__(self, action: str, *args: Any, **options: Any) -> Any:
        with pin_all(self._replicas, action, _no_headers):
            return self._app(action, *args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app, name)


def _no_headers(action: str) -> dict[str, str]:
    """A call of a dirty application comes without the request's headers: it names no entity."""
    return {}


# ---- in the master


class DirtyArbiters:
    """Keeps each former dirty arbiter of a server until the workers that call it are gone; for the main thread.

    Args:
        server: gunicorn's arbiter.
    """

    def __init__(self, server: Any) -> None:
        self.former_socket = ""  # the former arbiter's socket, while a new one is forked
        self._server = server
        self._former: dict[int, frozenset[int]] = {}
        self._spawn_first = server.spawn_dirty_arbiter

    def pids(self) -> frozenset[int]:
        """The pids of all dirty arbiters, including the present one."""
        return frozenset(filter(None, (*self._former, self._server.dirty_arbiter_pid)))

    def renew(self) -> None:
        """Start a new dirty arbiter in a full reload, before the workers, which keep the path of its socket."""
        server = self._server
        server.spawn_dirty_arbiter = self._spawn  # gunicorn calls it in each turn while there is no arbiter
        pid, arbiter = server.dirty_arbiter_pid, server.dirty_arbiter
        if pid:
            self._former[pid] = frozenset(server.WORKERS)
            _disown(server.dirty_pidfile, server.dirty_arbiter_pid)
            self.former_socket = server.dirty_arbiter.socket_path
            server.dirty_arbiter_pid, server.dirty_arbiter = 0, None
        if has(server.cfg):
            server.spawn_dirty_arbiter()
            if pid and not server.dirty_arbiter_pid:  # the new workers call the old arbiter
                server.dirty_arbiter_pid, server.dirty_arbiter = pid, arbiter
                del self._former[pid]
        self.former_socket = ""

    def _spawn(self) -> None:
        """Spawn an arbiter. Log a failure, including a module's sys.exit(), which would otherwise end the master."""
        server = self._server
        try:
            with _known(server):
                self._spawn_first()
        except (Exception, SystemExit) as error:
            if os.getpid() != server.pid:  # this is the arbiter, which ends
                raise
            words = "confcast: no new dirty arbiter could be started: %s: %s"
            server.log.error(words, type(error).__name__, error, extra=about("dirty_arbiter_not_started", error=error))
            _forget_unborn(server)

    def send(self, number: signal.Signals) -> None:
        """Send the former arbiters a signal that gunicorn sends to the present one."""
        for pid in self._living():
            _kill(pid, number)

    def tick(self) -> None:
        """End the former arbiters whose workers are gone. Called in each turn of the loop."""
        for pid in self._living():
            workers = self._former[pid]
            if workers.isdisjoint(self._server.WORKERS):
                self._end(pid)

    def _living(self) -> list[int]:
        """The pids of former arbiters that gunicorn has not reaped; a reaped pid may be another process's by now.

        A child that is not reaped keeps its pid, and only gunicorn reaps children of this process.
        """
        for pid in list(self._former):
            if pid in self._server.WORKERS or not _is_child(pid):
                del self._former[pid]
        return list(self._former)

    def close(self) -> None:
        """End the former arbiters, when the workers are gone."""
        for pid in self._living():
            self._end(pid)

    def _end(self, pid: int) -> None:
        """Send TERM, at which the arbiter lets its workers finish; again at each turn until gunicorn has reaped it."""
        _kill(pid, signal.SIGTERM)


@contextlib.contextmanager
def _known(server: Any) -> Iterator[None]:
    """Make a new dirty arbiter the server's at once: gunicorn imports its applications before that, which may fail.

    gunicorn tries again in each turn, and each arbiter that it makes has a folder.
    """
    from gunicorn.dirty.arbiter import DirtyArbiter  # type: ignore[import-untyped]

    parse = DirtyArbiter._parse_app_specs

    def parse_app_specs(arbiter: Any) -> None:
        server.dirty_arbiter = arbiter
        parse(arbiter)

    DirtyArbiter._parse_app_specs = parse_app_specs
    try:
        yield
    finally:
        DirtyArbiter._parse_app_specs = parse


def _forget_unborn(server: Any) -> None:
    """Delete the folder, which is empty, of an arbiter that was made but not forked."""
    arbiter = server.dirty_arbiter
    if arbiter is not None and not server.dirty_arbiter_pid:
        server.dirty_arbiter = None
        with contextlib.suppress(OSError):
            Path(arbiter.tmpdir).rmdir()


def _kill(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):  # gunicorn 25 reaps in a signal handler, at any time
        os.kill(pid, number)


def _is_child(pid: int) -> bool:
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _disown(path: str, pid: int) -> None:
    """Delete the pid file of a dirty arbiter: gunicorn would take the arbiter for an orphan, and kill it."""
    if _is_pid_file_of(pid, path):
        with contextlib.suppress(OSError):
            Path(path).unlink()


def _is_pid_file_of(pid: int, path: str) -> bool:
    """Whether this is a file of ours with this pid: all users may write to the folder (/tmp)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        what = os.fstat(descriptor)
        return stat.S_ISREG(what.st_mode) and what.st_uid == os.geteuid() and int(os.read(descriptor, 32)) == pid
    except (OSError, ValueError):
        return False
    finally:
        os.close(descriptor)
