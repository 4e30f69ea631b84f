"""Runs the manager's probes while a version is provisional: beside the loop, each in a thread of its own.

Guaranteed: a probe runs only while a version is provisional, and its answer counts only for the version that was when
it began. An answer that says no is posted to the loop; no answer is logged at the first time in a row, and counted.
Without probes there is no thread. `probe_run.py` has one run of one probe.

Rejected: one thread for all probes (one that hangs would delay the others).
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable

from confcast.log_fields import about
from confcast.owner.core.effects import Probed
from confcast.owner.core.machine import Core, ProposalState
from confcast.wire.probes import AnyProbe

_log = logging.getLogger("confcast.owner")

_UNANSWERED = "probe without an answer"


def provisional_version(core: Core) -> int:
    """The version that a probe's no speaks against now; 0 if none is provisional, or not all have it yet."""
    if (trial := core.operator.trial) is not None:
        return trial.version
    comes = core.state is ProposalState.RECORDING or (core.state is ProposalState.COMMITTING and not core.is_settled)
    return core.committed.version if core.operator.window is not None and not comes else 0


class Probing:
    """The probes of one owner. `follow`, `aim` and `close` are for the loop's thread.

    Args:
        probes: What is asked.
        post: Called, in the probes' threads, with each no.

    Attributes:
        unanswered: How often a probe has given no answer.
    """

    def __init__(self, probes: tuple[AnyProbe, ...], post: Callable[[Probed], object]) -> None:
        self.unanswered: Counter[str] = Counter({_UNANSWERED: 0})  # no further key, since two threads read it
        self._probes, self._post = probes, post
        self._unstarted = list(probes)
        self._changed = threading.Condition()
        self._version = 0  # which is provisional; 0: none is
        self._closed = False

    def follow(self, core: Core) -> None:
        """Ask while what the core says is provisional; it may have changed."""
        if self._probes:
            self.aim(provisional_version(core))

    def aim(self, version: int) -> None:
        """From now on this version is provisional; 0: none is."""
        if version == self._version or not self._probes:
            return
        with self._changed:
            self._version = version
            self._changed.notify_all()
        if self._unstarted and version:
            self._start()

    def close(self) -> None:
        """Begin no further run. One that is under way ends at its deadline, or with the process."""
        with self._changed:
            self._closed, self._version = True, 0
            self._changed.notify_all()

    def _start(self) -> None:
        """Start the probes' threads. Those that can't be are started with the next provisional version."""
        try:
            while self._unstarted:
                args = (self._unstarted[-1],)
                threading.Thread(target=self._serve, args=args, name="confcast-probe", daemon=True).start()
                self._unstarted.pop()
        except RuntimeError as error:
            _log.warning(
                "%d probes are not asked for now, which is no evidence: %s",
                len(self._unstarted),
                error,
                extra=about("probes_not_asked", probes=len(self._unstarted), error=error),
            )
            with self._changed:
                self.unanswered[_UNANSWERED] += len(self._unstarted)

    def _serve(self, probe: AnyProbe) -> None:
        """Ask one probe, as long as the owner lives."""
        from confcast.owner.loop.probe_run import asked  # here: most owners have no probe

        silent = False
        while (version := self._next()) != 0:
            began = time.monotonic()
            answer = asked(probe, lambda: self._version != version)
            if answer.no and self._version == version:
                self._post(Probed(version, f"{probe.shown} {answer.no}"))
            elif answer.none and self._version == version:
                with self._changed:
                    self.unanswered[_UNANSWERED] += 1
                if not silent:
                    _log.warning(
                        "the probe %s gives no answer, which is no evidence: %s",
                        probe.shown,
                        answer.none,
                        extra=about("probe_without_answer", probe=probe.shown, error=answer.none),
                    )
            silent = bool(answer.none)
            self._rest(version, began + probe.every)

    def _next(self) -> int:
        """Wait for a provisional version; 0: closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._version or self._closed)
            return self._version

    def _rest(self, version: int, until: float) -> None:
        """Wait until then, or until another version is provisional."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != version, max(0.0, until - time.monotonic()))
