"""A launcher's master reloads the configuration at HUP and replaces its workers at SIGRTMIN, whatever its server is.

HUP requests a reload of the owner at once. In the next turn of its loop the master does what else the server's own HUP
did for files: it opens its log files anew, looks at the TLS certificate, and passes the signal on to every worker
(worker_refresh.py). If the certificate is half renewed, the master logs that once, and sends SIGRTMIN to the workers
instead, at which they open log files only.

SIGRTMIN is the full reload: what the server's own HUP did, after the owner of a next generation has started under the
new code. If that owner can't start, or the certificate can't be served, nothing is replaced and the log says why. The
old owner serves the old workers until they are gone.

Handlers only set flags. Everything else runs in the master's main thread, in its loop.

Rejected: replacing workers before the next owner has loaded (no owner would be left to serve them), and looking at the
certificate in the workers only (each of them would log that it is half renewed).
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Collection
from types import FrameType

from confcast.log_fields import about
from confcast.servers.common import log_files, signals
from confcast.servers.common.certificates import Certificate, Unusable
from confcast.servers.common.launching import Embedded, Worker
from confcast.servers.common.owners import CalledOff, Manager, Owners


class Reloading:
    """The reloads of one launcher. What signals do in handlers and any thread; the rest in the master's loop.

    Args:
        server: The server's name, for the log.
        embedded: The configuration.
        log: The server's own logger, so that confcast's lines stand beside the server's.
        certificate: The server's TLS certificate; None if it serves no TLS.
        in_place: Whether workers can take a renewed certificate while they serve.
        keeps: Which part of the certificate they can't take, in words; empty if they can take all.
        forks: Whether workers inherit the modules that the master has imported.

    Attributes:
        owners: The owners by generation.
    """

    def __init__(
        self,
        server: str,
        embedded: Embedded,
        log: logging.Logger,
        certificate: Certificate | None = None,
        *,
        in_place: bool = True,
        keeps: str = "",
        forks: bool = False,
    ) -> None:
        self._server = server
        self._embedded = embedded
        self._log = log
        self._certificate = certificate
        self._in_place = in_place
        self._keeps = keeps
        self._forks = forks
        self._has_logged_renewal = False
        self._refresh = self._full_reload = False
        self._coming: Manager | None = None
        self.owners = Owners(embedded.manager)

    # ---- called by signal handlers

    def on_signal(self, number: int, frame: FrameType | None = None) -> None:
        """Request the reload that this signal means."""
        self.hup() if number == signal.SIGHUP else self.rtmin()

    def hup(self) -> None:
        """Request a reload now, and have the loop's next turn open log files anew and renew the certificate."""
        self.owners.request_reload()
        self._refresh = True

    def rtmin(self) -> None:
        """Have the loop's next turn reload fully."""
        self._full_reload = True

    def log_signals(self) -> None:
        """Log at the start what HUP and SIGRTMIN do."""
        files = "log files are opened anew"
        if self._certificate is not None and self._in_place:
            files += " and the TLS certificate is renewed" + (f", but not {self._keeps}" if self._keeps else "")
        self._log.info(
            "confcast: configuration %r is reloaded in every worker by kill -HUP %d (%s); %s's own full reload (new "
            "code, new workers) is %s",
            self._embedded.name,
            os.getpid(),
            files,
            self._server,
            signals.full_reload_of(os.getpid()),
            extra=about("server_ready", name=self._embedded.name, pid=os.getpid()),
        )

    # ---- called in the master's loop

    def tick(self, workers: Callable[[], Collection[int]]) -> None:
        """Look after the owners, and do what a HUP has requested; called in each turn. Cheap without a HUP.

        Args:
            workers: Returns the pids of all present workers.
        """
        self.owners.ensure(workers)
        if self._refresh:
            self._refresh = False
            self._open_anew(workers())

    def wants_full_reload(self) -> bool:
        """Return whether a SIGRTMIN came since the last call."""
        wanted, self._full_reload = self._full_reload, False
        return wanted

    def begin(self) -> Worker | None:
        """Start the next generation's owner, before any worker is replaced. Afterwards the caller must call `end`.

        Returns:
            What the new workers run first; None if the owner stays, because they will have the master's old code.

        Raises:
            CalledOff: The owner can't start, so no worker may be replaced. The reason was logged.
        """
        self._log.info(
            "confcast: full reload: the config owner of the new code starts first, then new workers",
            extra=about("full_reload"),
        )
        try:
            return self._next_generation()
        except CalledOff as why:
            self._log.error(
                "confcast: the full reload is called off, and every worker stays as it is\n%s",
                why,
                extra=about("full_reload_called_off", reason=why),
            )
            raise

    def end(self, before: Collection[int], now: Collection[int]) -> bool:
        """Make the next generation's owner the present one, once the server has replaced the workers that it could.

        Args:
            before: The pids of the workers before the full reload.
            now: The pids of the present workers.

        Returns:
            False if no new worker serves, so that the next generation's owner was closed; otherwise True.
        """
        successor, self._coming = self._coming, None
        kept = frozenset(before) & frozenset(now)
        if kept and kept.issuperset(now):
            if successor is not None:
                self.owners.call_off(successor)
            self._log.error(
                "confcast: the full reload is called off, for no new worker serves; the old ones go on",
                extra=about("full_reload_called_off", reason="no new worker serves"),
            )
            return False
        if kept:
            self._log.error(
                "confcast: the full reload has not replaced %d of %d workers: they keep the old code, and the "
                "configuration that they have, until %s",
                len(kept),
                len(before),
                signals.full_reload_of(os.getpid()),
                extra=about("full_reload_partial", kept=len(kept), workers=len(before)),
            )
        if successor is not None:
            self.owners.replace(successor, kept)
        if self._certificate is not None:
            self._certificate.take_over()
            self._has_logged_renewal = False
        self.owners.ensure(lambda: now)
        return True

    # ---- inside

    def _next_generation(self) -> Worker | None:
        if self._certificate is not None:
            try:
                self._certificate.check()
            except Unusable as error:
                raise CalledOff(f"the new workers could not serve TLS: {error}") from error
        module = self._embedded.worker.schema.partition(":")[0]
        if self._forks and module in sys.modules:
            self._log.warning(
                "confcast: the master has imported %s, and forks its workers, so that they have its old code; the "
                "config owner stays as it is. New code of it takes a restart",
                module,
                extra=about("old_code", module=module),
            )
            return None
        made: list[Worker] = []

        def make() -> Manager:
            manager, worker = self._embedded.next_generation()
            made.append(worker)
            return manager

        self._coming = self.owners.succeed(make)
        (worker,) = made
        return worker

    def _open_anew(self, workers: Collection[int]) -> None:
        for words in log_files.reopen():
            self._log.error("confcast: the log file %s", words, extra=about("log_file_not_reopened", reason=words))
        usable = self._look_at_certificate()
        number = signal.SIGHUP if usable or signals.FULL_RELOAD is None else signals.FULL_RELOAD
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):  # the worker has just died
                os.kill(pid, number)

    def _look_at_certificate(self) -> bool:
        """Look at the certificate. Returns whether workers may be asked to load its files as they are now."""
        if self._certificate is None:
            return True
        words = self._certificate.look()
        if words is not None:
            self._log.error(
                "confcast: the TLS certificate stays as it is: %s",
                words,
                extra=about("certificate_not_renewed", reason=words),
            )
        elif not self._in_place and self._certificate.renewed and not self._has_logged_renewal:
            self._has_logged_renewal = True
            self._log.warning(
                "confcast: the TLS certificate was renewed, and a worker of %s can't take it while it serves: new "
                "workers do, by %s",
                self._server,
                signals.full_reload_of(os.getpid()),
                extra=about("certificate_not_renewed"),
            )
        return self._certificate.usable
