"""What HUP and SIGRTMIN do in a launcher's master, whatever its server is.

HUP reloads the configuration at once, by the owner. What else the server's own HUP did for the files that it uses is
done in the next turn of the master's loop: the master opens its log files anew, looks at the TLS certificate, and
passes the signal on to every worker (worker_refresh.py). Where the certificate is half renewed the master says so,
once, and passes SIGRTMIN on, which means the log files only.

SIGRTMIN is the full reload: what the server's own HUP did, after the owner of a next generation has started under the
new code. Where that one can't start, or the certificate can't be served, nothing is replaced and the log says why. Old
workers are served by the old owner until they are gone.

Handlers only note what is wanted. Everything else runs in the master's main thread, in its loop.

Rejected: replacing workers before the next owner has loaded (nobody would be left to serve them), and looking at the
certificate in the workers alone (each of them would say that it is half renewed).
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Collection

from confcast.servers.common import log_files, signals
from confcast.servers.common.certificates import Certificate, Unusable
from confcast.servers.common.launching import Embedded, Worker
from confcast.servers.common.owners import CalledOff, Manager, Owners


class Reloading:
    """One launcher's. `hup` and `rtmin` in signal handlers and any thread; the rest in the master's loop.

    Args:
        server: Its name, for what is logged.
        embedded: The configuration.
        log: The server's own logger, so that the words stand where its words do.
        certificate: What the server serves TLS with; None: it does not.
        in_place: Whether its workers can take a renewed certificate.
        keeps: What of it they can't take, in words; empty: nothing.
        forks: Whether its workers inherit what the master has imported.

    Attributes:
        owners: By generation.
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
        self._said_renewed = False
        self._refresh = self._full_reload = False
        self._coming: Manager | None = None
        self.owners = Owners(embedded.manager)

    # ---- what signals do

    def hup(self) -> None:
        """Reload the configuration now, and open anew in the loop's next turn what workers have open."""
        self.owners.request_reload()
        self._refresh = True

    def rtmin(self) -> None:
        """Have the loop's next turn reload fully."""
        self._full_reload = True

    def say_what_signals_do(self) -> None:
        """At the start, in the log."""
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
        )

    # ---- in the master's loop

    def tick(self, workers: Callable[[], Collection[int]]) -> None:
        """In each turn. Cheap, unless a HUP came.

        Args:
            workers: Gives the pids of those that there are.
        """
        self.owners.ensure(workers)
        if self._refresh:
            self._refresh = False
            self._open_anew(workers())

    def wants_full_reload(self) -> bool:
        """Whether a SIGRTMIN came since this was asked last."""
        wanted, self._full_reload = self._full_reload, False
        return wanted

    def begin(self) -> Worker | None:
        """Start the next generation's owner, before any worker is replaced. `end` has to follow.

        Returns:
            What attaches in its workers; None where the owner stays, for they will have the master's old code.

        Raises:
            CalledOff: There is none: nothing may be replaced. The log has said why.
        """
        self._log.info("confcast: full reload: the config owner of the new code starts first, then new workers")
        try:
            return self._next_generation()
        except CalledOff as why:
            self._log.error("confcast: the full reload is called off, and every worker stays as it is\n%s", why)
            raise

    def end(self, before: Collection[int], now: Collection[int]) -> bool:
        """Workers were replaced, as far as could be.

        Args:
            before: The pids of the workers when it began.
            now: Of those that there are now.

        Returns:
            Whether the next generation's owner is the present one; False: no new worker serves, and it has left.
        """
        successor, self._coming = self._coming, None
        kept = frozenset(before) & frozenset(now)
        if kept and kept.issuperset(now):
            self._log.error("confcast: the full reload is called off, for no new worker serves; the old ones go on")
            if successor is not None:
                self.owners.call_off(successor)
            return False
        if kept:
            self._log.error(
                "confcast: the full reload has not replaced %d of %d workers: they keep the old code, and the "
                "configuration that they have, until %s",
                len(kept),
                len(before),
                signals.full_reload_of(os.getpid()),
            )
        if successor is not None:
            self.owners.replace(successor, kept)
        if self._certificate is not None:
            self._certificate.take_over()
            self._said_renewed = False
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
            self._log.error("confcast: the log file %s", words)
        usable = self._look_at_certificate()
        number = signal.SIGHUP if usable or signals.FULL_RELOAD is None else signals.FULL_RELOAD
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):  # it has just died
                os.kill(pid, number)

    def _look_at_certificate(self) -> bool:
        """Whether a worker can take what its files hold now."""
        if self._certificate is None:
            return True
        words = self._certificate.look(signals.full_reload_of(os.getpid()))
        if words is not None:
            self._log.error("confcast: the TLS certificate stays as it is: %s", words)
        elif not self._in_place and self._certificate.renewed and not self._said_renewed:
            self._said_renewed = True
            self._log.warning(
                "confcast: the TLS certificate was renewed, and a worker of %s can't take it while it serves: new "
                "workers do, by %s",
                self._server,
                signals.full_reload_of(os.getpid()),
            )
        return self._certificate.usable
