"""gunicorn's master reloads all installed configurations at HUP, and opens log files anew at HUP and USR1.

HUP reloads every configuration and replaces no worker. Beside that it does what gunicorn's own HUP did, as far as that
replaces no worker: it opens log files anew, as USR1 does; has TLS certificates read again (worker.py); takes a changed
number of workers over (conf_file.py); calls `on_reload`. The log names what takes new workers, and the command
for a full reload. No failure ends the master: it is logged, and the rest is done.

USR1 has log files opened anew in the master, the workers and the owners. The master makes a rotated file anew, and may
be root; so it first gives the file to the workers' user, as gunicorn does in its own HUP (a worker that can't open its
log exits). It does so by the open file, and follows only links that nobody but root can have made. gunicorn does not
pass USR1 on to dirty workers; dirty_workers.py does.

The master blocks these signals until the worker that it forks (`spawn_worker`) has set its own handlers: the worker
would put them into a copy of the master's queue, which nothing reads.

Rejected: reading the certificates again on USR1 (rotating logs does not ask for that), and lowering the number of
workers at a full reload only (a smaller number in the file asks for fewer workers, as TTOU does).
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confcast.log_fields import about
from confcast.servers.common import signals
from confcast.servers.gunicorn import log
from confcast.servers.gunicorn.conf_file import ConfFile, is_said_elsewhere
from confcast.servers.gunicorn.dirty_workers import DirtyArbiters
from confcast.servers.gunicorn.generations import Generations
from confcast.servers.gunicorn.max_requests import Recycling
from confcast.servers.gunicorn.worker import BLOCKED


class MasterSignals:
    """The handlers of one server. Made in the master, before the first fork; used in its main loop.

    Args:
        server: gunicorn's arbiter.
        conf: The conf file, as gunicorn has run it.
        recycling: The `Recycling`, which may have raised the number of workers for a while.
    """

    def __init__(self, server: Any, conf: ConfFile, recycling: Recycling) -> None:
        self.conf = conf
        self.configurations: list[Generations] = []
        self._server = server
        self._recycling = recycling
        self._reopen = server.handle_usr1
        self._hup = vars(server).get("handle_hup")  # a user's handler, set in a user's on_starting
        self.dirty = DirtyArbiters(server)
        self._reloaded = False
        self._spawn = server.spawn_worker
        server.spawn_worker = self._spawn_worker
        server.handle_usr1 = self.handle_usr1
        server.handle_hup = self.handle_hup

    def was_reloaded(self) -> None:
        """Note that gunicorn has the new settings: in a full reload it opens its logs before it starts workers."""
        self.conf.was_run()
        self._reloaded = True

    def _spawn_worker(self) -> Any:
        if self._reloaded:
            self._reloaded = False
            self.dirty.renew()
            self._notify_owners_of_rotation()
        with signals.blocked(BLOCKED):
            return self._spawn()

    def handle_usr1(self) -> None:
        """Open rotated log files anew in the master, the workers and the owners."""
        self._try("the log files stay as they are", self._reopen_files)

    def _reopen_files(self) -> None:
        log.check_files()
        if self._server.cfg.uid != os.geteuid():
            self._server.log.reopen_files()
            _give_to_workers(self._server)
        self._reopen()
        self.dirty.send(signal.SIGUSR1)
        self._notify_owners_of_rotation()

    def _notify_owners_of_rotation(self) -> None:
        for owners in self.configurations:
            owners.log_was_rotated()

    def handle_hup(self) -> None:
        """Reload every configuration, and do all else that gunicorn's own HUP does, except replacing workers."""
        if self._hup is not None:
            self._hup()
        server = self._server
        if not server.num_workers:  # WINCH has ended them: start them, as gunicorn's HUP does to back out an upgrade
            server.num_workers = server.cfg.workers
        self.handle_usr1()
        for owners in self.configurations:
            owners.request_reload()
        if server.cfg.is_ssl:
            server.kill_workers(signal.SIGHUP)
        self._try(f"{self.conf.path} can't be read for what has changed", self._look_at_the_conf_file)
        self._try("on_reload failed", lambda: server.cfg.on_reload(server), trace=True)

    def _look_at_the_conf_file(self) -> None:
        changes = self.conf.look()
        if changes is None:
            return
        if changes.workers is not None:
            self._take_over(changes.workers)
        if changes.names:
            what = "confcast: %s has changed since gunicorn ran it (%s): what has changed there takes %s"
            names = ", ".join(changes.names)
            self._server.log.warning(
                what,
                self.conf.path,
                names,
                signals.full_reload_of(self._server.pid),
                extra=about("conf_file_changed", path=self.conf.path),
            )

    def _take_over(self, workers: int) -> None:
        server = self._server
        before = server.cfg.workers
        if is_said_elsewhere(server.cfg):
            why = (
                "confcast: there are %d workers, as the command line or GUNICORN_CMD_ARGS says; %d in %s has no effect"
            )
            server.log.warning(
                why,
                before,
                workers,
                self.conf.path,
                extra=about("number_of_workers_stays", path=self.conf.path, workers=before),
            )
        elif workers != before:
            server.cfg.set("workers", workers)
            server.num_workers = workers + self._recycling.extra
            what = "confcast: there are %d workers from now on, as %s says, and no longer %d"
            server.log.info(
                what,
                workers,
                self.conf.path,
                before,
                extra=about("number_of_workers", path=self.conf.path, workers=workers),
            )

    def _try(self, what: str, act: Callable[[], object], *, trace: bool = False) -> None:
        """Call a function, and log its failure: no HUP may end the server, whatever a user's hook or a disk does."""
        try:
            act()
        except Exception as error:
            self._server.log.error(
                "confcast: %s: %s: %s",
                what,
                type(error).__name__,
                error,
                exc_info=trace,
                extra=about("signal_failed", error=error),
            )


def with_signals_unblocked(pre_fork: Callable[[Any, Any], object]) -> Callable[[Any, Any], None]:
    """Wrap a hook that gunicorn calls in `spawn_worker`: programs that it starts must not inherit blocked signals."""

    def run(server: Any, worker: Any) -> None:
        before = signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED)
        try:
            pre_fork(server, worker)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    return run


def _give_to_workers(server: Any) -> None:
    """Give new log files to the workers' user, since workers open them, too."""
    if server.cfg.uid == os.geteuid():
        return
    for logger in (server.log.error_log, server.log.access_log):
        for handler in logger.handlers:
            if isinstance(handler, logging.FileHandler) and handler.stream is not None:
                with contextlib.suppress(OSError, ValueError):  # for example, a closed file; gunicorn ignores it, too
                    _give(handler.baseFilename, handler.stream.fileno(), server)


def _give(path: str, descriptor: int, server: Any) -> None:
    """Give away only a file that root made: in another user's folder that user may put a link to any file."""
    file = _followed(Path(path))
    there, opened = file.lstat(), os.fstat(descriptor)
    plain = stat.S_ISREG(there.st_mode) and os.path.samestat(there, opened)
    if plain and opened.st_nlink == 1 and opened.st_uid == os.geteuid():
        os.fchown(descriptor, server.cfg.uid, server.cfg.gid)
    elif stat.S_ISLNK(there.st_mode) and opened.st_uid != server.cfg.uid:
        words = (
            "confcast: %s is a link in a folder that others than root may write, or that has a link in its own path: "
            "what it leads to is not given to the workers' user, who may not be able to open it. Let the conf file "
            "name the file itself"
        )
        server.log.warning(words, file, extra=about("log_file_not_given", path=file))


def _followed(file: Path) -> Path:
    """The path after all links that nobody but root can have made; it may lead into another user's folder."""
    file.stat()  # raises OSError if links lead in a circle
    while file.is_symlink() and _is_guarded(file.parent):
        file = Path(os.path.normpath(file.parent / file.readlink()))
    return file


def _is_guarded(folder: Path) -> bool:
    """Whether only root and the master's own user can change what is in the folder, or where its path leads."""
    return folder.resolve() == folder and all(_is_own(each.stat()) for each in (folder, *folder.parents))


def _is_own(folder: os.stat_result) -> bool:
    others_may_write = folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return folder.st_uid in (0, os.geteuid()) and not others_may_write
