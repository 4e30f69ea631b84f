"""Looks from time to time whether sources that can't be watched have changed: those with a `poll()`.

Guaranteed: each such source has a thread of its own, so that one that hangs delays neither another one, nor the
watching of files, nor a load; it wakes up for its polls alone. What it finds is a hint: the watcher compares then, and
a load reads. Nothing that a `poll()` raises or returns ends the polling. Polls rest while another generation's owner
takes over, and none begins after `close`.

Rejected: one thread for all (a server that hangs would delay the others by its timeout), and polls in the watcher's
thread (it would be deaf meanwhile).
"""

from __future__ import annotations

import logging
import math
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from typing import Any

from confcast.config.source_set import without_its_secrets
from confcast.log_fields import about
from confcast.texts import Lines
from confcast.tracebacks import to_be_logged
from confcast.wire import programs

_log = logging.getLogger("confcast.watch")

_SHORTEST, _LONGEST = 0.05, 86400.0
_AFTER_A_FAILURE = 30.0
_CLOSE_WITHIN = 0.5


class Polling:
    """The polls of one owner. `start`, `pause` and `close` are for one thread.

    Args:
        sources: All sources; those without a `poll()` are none of its business.
        changed: Called, in the polls' threads, when a source may have changed.

    Attributes:
        failures: How often a `poll()` has raised.
    """

    def __init__(self, sources: Iterable[Any], changed: Callable[[], None]) -> None:
        self.failures = 0
        self._polled = [each for each in sources if callable(getattr(each, "poll", None))]
        self._changed = changed
        self._state = threading.Condition()
        self._paused = self._closed = False
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the threads; once only. Without such sources there are none."""
        for source in self._polled:
            thread = threading.Thread(target=self._run, args=(source,), name="confcast-poll", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                _log.error(
                    "%s is not polled, and only loads read it: %s",
                    type(source).__name__,
                    error,
                    extra=about("source_not_polled", source=type(source).__name__, error=error),
                )
            else:
                self._threads.append(thread)

    def pause(self, *, on: bool) -> None:
        """Begin no poll from now on; or, with `on=False`, go on."""
        with self._state:
            self._paused = on
            self._state.notify_all()

    def close(self) -> None:
        """Begin no further poll, and wait for those under way, half a second at the most. May be called again.

        Programs that run are killed, whoever runs them: this process ends.
        """
        with self._state:
            self._closed = True
            self._state.notify_all()
        programs.end_all()
        until = time.monotonic() + _CLOSE_WITHIN
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    # ---- the threads

    def _run(self, source: Any) -> None:
        seen, complaint = _fingerprint(source), ""
        while self._may_begin():
            try:
                before = _fingerprint(source)
                pause = _checked(source.poll())
                after, complaint = _fingerprint(source), ""
                if not seen == before == after:  # a question may have read what no load has
                    self._changed()
                seen = after
            except BaseException as error:  # of a user's source: sys.exit(), or a panic of a library in Rust
                self.failures += 1
                pause = _AFTER_A_FAILURE
                if complaint != (complaint := f"{type(error).__name__}: {error}"):
                    trace = Lines(_traceback_of(error, source))
                    _log.error(
                        "the poll of a %s failed, and is tried again\n%s",
                        type(source).__name__,
                        trace,
                        extra=about("poll_failed", source=type(source).__name__),
                    )
            self._rest(pause)

    def _may_begin(self) -> bool:
        """Wait for the end of a pause. Returns False at the end."""
        with self._state:
            self._state.wait_for(lambda: self._closed or not self._paused)
            return not self._closed

    def _rest(self, seconds: float) -> None:
        with self._state:
            self._state.wait_for(lambda: self._closed, seconds)


def _checked(pause: Any) -> float:
    """The seconds that a `poll()` has returned, within bounds. Raises TypeError for what is no number."""
    if type(pause) not in (int, float) or math.isnan(pause):
        raise TypeError(f"poll() gave {pause!r}: the seconds until the next call are expected")
    return min(max(float(pause), _SHORTEST), _LONGEST)


def _traceback_of(error: BaseException, source: Any) -> str:
    """The traceback as text: a logged exception would show the source's token, where it quotes one."""
    return without_its_secrets("".join(traceback.format_exception(to_be_logged(error))).rstrip(), source)


def _fingerprint(source: Any) -> object:
    """What a source says of its content without asking anybody; None where it does not say, so that polls say it."""
    cheap = getattr(source, "content_fingerprint", None)
    try:
        return object() if cheap is None else cheap()
    except Exception as error:  # the watcher asks for it, too, and counts this as content of its own
        return type(error)
