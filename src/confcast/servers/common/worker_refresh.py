"""What a worker opens anew when its master passes a HUP on: its log files, and its TLS certificate.

The server's own HUP replaced the worker, which had both from the files. Ours replaces no worker, so the worker does
it: a signal handler puts a note into a queue, a thread reads it. The thread opens log files and reads the certificate;
what it has read is loaded where connections are accepted, between two of them (certificates.py says why).

HUP asks for both, SIGRTMIN for the log files only: so the master passes on a renewal that it has found to be half done.
A HUP that comes while the worker boots is not lost: what serves later is asked for by `certificate()` once, at its end.

Rejected: `loop.add_signal_handler` (a WSGI worker has no loop, and a loop that is closed gives HUP back its default
action), and a thread that blocks the signals and waits for them (every program that the worker starts would inherit
that).
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
"""Has a function called, with its arguments, by the thread that accepts connections; from any thread."""


class Refresh:
    """One worker's. Made where signals are handled first; `start` begins its thread, or its loop calls `tick`.

    Args:
        log: Where it says what it could not do.
        full_reload: In words, what a certificate takes that can't be renewed here.
    """

    def __init__(self, log: logging.Logger, full_reload: str = "a full reload") -> None:
        self._log = log
        self._full_reload = full_reload
        self._notes: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._renew: Callable[[], object] | None = None

    def start(self) -> None:
        """Begin the thread. Once; after a fork, in the child. It holds back for good what is held back by then."""
        threading.Thread(target=self._run, name="confcast-refresh", daemon=True).start()

    def install_handlers(self, number: int, frame: FrameType | None = None) -> None:
        """Open anew what this signal means. A signal handler: it takes no lock."""
        self.later(self._everything if number == signal.SIGHUP else self._log_files)

    def later(self, act: Callable[[], object]) -> None:
        """Have the thread do this. May be called in a signal handler."""
        self._notes.put(act)

    def certificate(
        self,
        context: ssl.SSLContext,
        certfile: StrPath,
        keyfile: StrPath | None,
        password: str | None,
        soon: Soon | None = None,
    ) -> None:
        """From now on a HUP renews what this context serves. In the thread that accepts its connections.

        Args:
            context: Made from these files just now.
            certfile: The chain.
            keyfile: Its key.
            password: Of the key.
            soon: Calls a function in this thread; None: the loop does that runs in it.
        """
        in_loop = running_loop() if soon is None else soon
        paths = certificates.absolute(certfile), None if keyfile is None else certificates.absolute(keyfile)

        def renew() -> None:
            pair = certificates.read(*paths, password)
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody is accepted any more
                in_loop(self._load, context, pair, paths[0])

        self._renew = renew
        words = certificates.renew(context, *paths, password)  # what a HUP asked for that came before this
        if words is not None:
            self._say(words)

    def keep_certificate(self, files: Certificate | None) -> None:
        """From now on a HUP says that this worker can't renew what it serves.

        Args:
            files: Said once for each renewal of theirs; None: nobody can tell when there is one, so at each HUP.
        """

        def say() -> None:
            fault = None if files is None else files.look(self._full_reload)
            if fault is not None:
                self._say(fault)
            elif files is None or (files.usable and files.renewed):
                self._log.warning(
                    "confcast: this worker keeps its TLS certificate: a renewed one takes %s", self._full_reload
                )
                if files is not None:
                    files.take_over()

        self._renew = say

    def tick(self) -> None:
        """Do now what was asked for: for a loop that has no such thread, in turns."""
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
            self._say(error)

    def _log_files(self) -> None:
        for words in log_files.reopen():
            self._log.error("confcast: the log file %s", words)

    def _load(self, context: ssl.SSLContext, pair: Pair, certfile: str) -> None:
        try:
            if certificates.load(context, pair, self._full_reload):
                self._log.info("confcast: new connections get the renewed TLS certificate %s", certfile)
        except Unusable as error:
            self._say(error)

    def _say(self, why: object) -> None:
        self._log.error("confcast: the TLS certificate stays as it is: %s", why)


def running_loop() -> Soon:
    """The `Soon` of the loop that runs in this thread: asyncio's, or trio's. Raises RuntimeError where none runs."""
    try:
        return asyncio.get_running_loop().call_soon_threadsafe
    except RuntimeError:
        trio: Any = sys.modules.get("trio")
        if trio is None:
            raise
    token: Any = trio.lowlevel.current_trio_token()  # which raises RuntimeError as well
    return token.run_sync_soon  # type: ignore[no-any-return]
