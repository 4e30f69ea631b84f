"""A worker opens its log files anew, and renews its TLS certificate, when its master passes a HUP on.

The server's own HUP replaced the worker, and the new one read the files. confcast's HUP replaces no worker, so the
worker reads them itself: a signal handler puts a note into a queue, a thread reads the queue (certificates.py says what
is renewed).

HUP means both, SIGRTMIN the log files only: the master sends SIGRTMIN when it has found the certificate's files half
renewed.

Rejected: `loop.add_signal_handler` (a WSGI worker has no loop, and a loop that is closed sets HUP to its default
action), and a thread that waits for the blocked signals (programs that the worker starts would inherit the mask).
"""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from confcast.log_fields import about
from confcast.servers.common import log_files


class Refresh:
    """The queue of one worker, read by the thread that `start` begins, or by `tick`.

    Args:
        log: Gets what could not be done.
        renew: Renews the certificate, and raises nothing.
    """

    def __init__(self, log: Any, renew: Callable[[], object] = lambda: None) -> None:
        self._log = log
        self._renew = renew
        self._notes: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()  # its put may interrupt a put

    def start(self) -> None:
        """Start the thread, once; after a fork, in the child. The thread inherits the blocked signals."""
        threading.Thread(target=self._run, name="confcast-refresh", daemon=True).start()

    def on_signal(self, number: int, frame: FrameType | None = None) -> None:
        """Have the thread open anew what this signal means. A signal handler: takes no lock."""
        self.later(self._log_files)
        if number == signal.SIGHUP:
            self.later(self._renew)

    def later(self, act: Callable[[], object]) -> None:
        """Have the thread call this function. May be called in any thread, and in a signal handler."""
        self._notes.put(act)

    def tick(self) -> None:
        """Do all that is queued, in this thread; for a worker whose loop does it instead of a thread."""
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
            self._log.exception("confcast: what a signal asked for was not done", extra=about("signal_failed"))

    def _log_files(self) -> None:
        for words in log_files.reopen():
            self._log.error("confcast: the log file %s", words, extra=about("log_file_not_reopened", reason=words))
