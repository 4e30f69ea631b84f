"""A worker opens its log files anew, and renews its TLS certificate, when its master passes a HUP on.

The server's own HUP replaced the worker, and the new one read the files. confcast's HUP replaces no worker, so the
worker reads them itself: a signal handler puts a note into a queue, a thread reads the queue. The thread opens log
files and reads the certificate; the thread that accepts connections loads the certificate, between two connections
(certificates.py says why).

HUP means both, SIGRTMIN the log files only: the master sends SIGRTMIN when it has found the certificate's files half
renewed. A HUP that comes while the worker boots is not lost: `certificate()` reads the files once more.

Rejected: `loop.add_signal_handler` (a WSGI worker has no loop, and a loop that is closed sets HUP to its default
action), and a thread that waits for the blocked signals (programs that the worker starts would inherit the mask).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import signal
import ssl
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from confcast.servers.common import certificates, log_files
from confcast.servers.common.certificates import Certificate, Pair, StrPath, Unusable

Soon = Callable[..., object]
"""Schedules a call of a function with arguments in the thread that accepts connections. In any thread."""


class Refresh:
    """The queue of one worker, read by the thread that `start` begins, or by `tick`.

    Args:
        log: Gets what could not be done.
        full_reload: What an operator has to do where a certificate can't be renewed here, in words.
    """

    def __init__(self, log: logging.Logger, full_reload: str = "a full reload") -> None:
        self._log = log
        self._full_reload = full_reload
        self._notes: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._renew: Callable[[], object] | None = None

    def start(self) -> None:
        """Start the thread. Once; after a fork, in the child. Signals that are blocked now stay blocked in it."""
        threading.Thread(target=self._run, name="confcast-refresh", daemon=True).start()

    def on_signal(self, number: int, frame: FrameType | None = None) -> None:
        """Have the thread open anew what this signal means. A signal handler: takes no lock."""
        self.later(self._everything if number == signal.SIGHUP else self._log_files)

    def later(self, act: Callable[[], object]) -> None:
        """Have the thread call this function. In any thread, and in a signal handler."""
        self._notes.put(act)

    def certificate(
        self,
        context: ssl.SSLContext,
        certfile: StrPath,
        keyfile: StrPath | None,
        password: str | None,
        soon: Soon | None = None,
    ) -> None:
        """From now on a HUP renews the certificate in this context. In the thread that accepts its connections.

        Args:
            context: Made from these files just now.
            certfile: The chain, PEM.
            keyfile: The key, PEM; None: the chain's file has it.
            password: The key's password; None: the key is not encrypted.
            soon: Schedules a call in this thread; None: the loop that runs in this thread does.
        """
        in_loop = running_loop() if soon is None else soon
        paths = certificates.absolute(certfile), None if keyfile is None else certificates.absolute(keyfile)

        def renew() -> None:
            pair = certificates.read(*paths, password)
            with contextlib.suppress(RuntimeError):  # the loop has ended: no connection is accepted any more
                in_loop(self._load, context, pair, paths[0])

        self._renew = renew
        words = certificates.renew(context, *paths, password)  # for a HUP that came before this
        if words is not None:
            self._log_unchanged(words)

    def keep_certificate(self, files: Certificate | None) -> None:
        """From now on a HUP logs that this worker can't renew its certificate.

        Args:
            files: The certificate's files: logged once for each renewal. None: the files are unknown, so at each HUP.
        """

        def report() -> None:
            fault = None if files is None else files.look(self._full_reload)
            if fault is not None:
                self._log_unchanged(fault)
            elif files is None or (files.usable and files.renewed):
                self._log.warning(
                    "confcast: this worker keeps its TLS certificate: a renewed one takes %s", self._full_reload
                )
                if files is not None:
                    files.take_over()

        self._renew = report

    def tick(self) -> None:
        """Do all that is queued, in this thread: for a worker whose loop does it instead of a thread."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._do(self._notes.get_nowait())

    def _run(self) -> None:
        while True:
            self._do(self._notes.get())

    def _do(self, act: Callable[[], object]) -> None:
        try:
            act()
        except Exception:
            self._log.exception("confcast: what a signal asked for was not done")

    def _everything(self) -> None:
        self._log_files()
        try:
            if self._renew is not None:
                self._renew()
        except Unusable as error:
            self._log_unchanged(error)

    def _log_files(self) -> None:
        for words in log_files.reopen():
            self._log.error("confcast: the log file %s", words)

    def _load(self, context: ssl.SSLContext, pair: Pair, certfile: str) -> None:
        try:
            if certificates.load(context, pair, self._full_reload):
                self._log.info("confcast: new connections get the renewed TLS certificate %s", certfile)
        except Unusable as error:
            self._log_unchanged(error)

    def _log_unchanged(self, why: object) -> None:
        self._log.error("confcast: the TLS certificate stays as it is: %s", why)


def running_loop() -> Soon:
    """The `Soon` of the loop that runs in this thread, asyncio's or trio's. Raises RuntimeError where none runs."""
    try:
        return asyncio.get_running_loop().call_soon_threadsafe
    except RuntimeError:
        trio: Any = sys.modules.get("trio")
        if trio is None:
            raise
    token: Any = trio.lowlevel.current_trio_token()  # which raises RuntimeError as well
    return token.run_sync_soon  # type: ignore[no-any-return]
