"""`confcast serve` as a systemd service of `Type=notify` or `notify-reload`: what it says, when, and in which order.

    process begins       STATUS; while a first load or a reload lasts, EXTEND_TIMEOUT_USEC every few seconds
    first version        READY=1, MAINPID, STATUS
    HUP                  RELOADING=1 with MONOTONIC_USEC; then READY=1 with the verdict as STATUS
    any other event      STATUS: an edit that is watched, a rollback, a window's end, a death of the owner
    each half of the watchdog's time    WATCHDOG=1
    process ends         STOPPING=1
    another takes over   MAINPID of that one, if it runs in the same service, and nothing more from here; else STATUS

Guarantees. READY=1 follows every RELOADING=1, also if the load is refused or hangs, the owner dies, or a thread can't
be started: until then `systemctl reload` would wait. It comes after a load that began after the last HUP, so that a
reload by systemd does not end with one of somebody else's. What becomes of a reload is in STATUS alone: the protocol
has no word for a refusal, so with `notify-reload` a refused file is a success (the unit with `ExecReload=confcast
reload` says the truth). All is sent by this process, and nothing that it starts has the variables.

What a watchdog proves: the main thread takes signals, and the owner answers, or is dead and being replaced, or has been
started too short a time ago to answer. So it ends a service whose owner was stopped or hangs, which nobody else would
notice; it does not look at workers, and says nothing of the configuration.

Nothing is polled while the owner answers: it writes a byte into a pipe at each event, its pidfd tells its death, and
only a watchdog has a clock. Rejected: to follow the history (a question each second, to an owner that sleeps), and
RELOADING for reloads that are no HUP (systemd has not asked for them, and would hold back its own until they are over).
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import threading
import time
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from confcast.errors import ConfcastError, NotAttached
from confcast.log_fields import about
from confcast.serve import notify, verdict
from confcast.serve.notify import Notifier
from confcast.serve.serving import PlugIn
from confcast.wire import processes
from confcast.wire.processes import Death
from confcast.worker.client.connection_per_call import AddressClient

if TYPE_CHECKING:
    from confcast.master.embedded import EmbeddedManager
    from confcast.serve.serving import Serving

_log = logging.getLogger("confcast.serve")

_EXTEND_EVERY, _EXTEND_BY = 5.0, 20.0
_STARTS_WITHIN = 30.0
"""Seconds for which an owner that was started again may import the schema's module, before it has to answer."""
_ASK_AGAIN = 5.0
"""Seconds between two questions to an owner that does not answer."""
_ENDS_WITHIN = 1.0
"""Seconds for the thread's end; nothing is told by it any more in any case."""
_SLACK = 5.0
"""Seconds after the deadline of a reload at which READY=1 is sent, though another one has begun meanwhile."""


def plug_in(environment: MutableMapping[str, str]) -> Systemd | None:
    """The plug-in for the service manager that the environment names; None if there is none."""
    notifier, watchdog = notify.take_notifier(environment), notify.take_watchdog(environment)
    return None if notifier is None else Systemd(notifier, watchdog)


class Systemd(PlugIn):
    """Tells systemd what a `confcast serve` does.

    Args:
        notifier: Where it is told.
        watchdog: Seconds within which WATCHDOG=1 must come; 0.0: never.
    """

    def __init__(self, notifier: Notifier, watchdog: float = 0.0) -> None:
        self._notifier = notifier
        self._beat_every = watchdog / 2
        self._bell_r, self._bell_w = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._thread = threading.Thread(target=self._run, name="confcast-systemd", daemon=True)
        self._serving: Serving | None = None
        self._serves = self._has_ended = False
        self._serves_on = True  # until another process has taken over
        self._told = ""
        self._watched: Death | None = None
        self._owner = _OwnerSeen()
        self._sending = threading.Lock()  # held while RELOADING and READY are sent, which belong together
        self._asked = 0  # reloads that were asked for
        self._since: float | None = None  # when RELOADING was sent to which no READY was sent yet

    # ---- called by the main thread

    def starts(self, serving: Serving) -> None:
        """Tell that it starts. Without a thread nothing more is told until it serves."""
        self._serving = serving
        self._tell("loading the first configuration")
        try:
            self._thread.start()
        except RuntimeError as error:
            fields = about("systemd_not_told", error=error)
            _log.warning("systemd is not told of changes: a thread can't be started: %s", error, extra=fields)

    def prepares(self, serving: Serving) -> None:
        """Have owners ring at each event."""
        self._manager.ring(self._bell_w)

    def serves(self, serving: Serving) -> None:
        """Tell that it serves, and what."""
        text = self._standing() or "serving"
        with self._sending:  # the thread tells what runs only once READY has said so
            self._serves, self._told = True, text
            self._notifier.send(notify.ready(text, os.getpid()))
        self._ring()

    def reload(self, serving: Serving) -> bool:
        """Tell that a reload begins, and have a thread wait for its end."""
        with self._sending:
            if self._has_ended:
                return False
            self._asked += 1
            self._notifier.send(notify.reloading(time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000, "reloading"))
            if serving.successor:
                self._ready_again(self._told)
                return False
            if self._since is not None:
                return True
            self._since = time.monotonic()
            self._ring()  # the other thread asks for more time while it lasts
            try:
                threading.Thread(target=self._reload, name="confcast-reload", daemon=True).start()
            except RuntimeError as error:
                self._ready_again(f"what becomes of the reload is not known: a thread can't be started: {error}")
                return False
        return True

    def superseded(self, serving: Serving) -> None:
        """Tell which process is the main one from now on; or, if that is another service's, what this one still does.

        STOPPING comes only when this process ends: systemd would kill it some seconds later, and its last workers'
        owner with it.
        """
        text = f"process {serving.successor} has taken over; this one ends when no worker needs it"
        if processes.control_groups(serving.successor) == processes.control_groups(os.getpid()):
            self._end(notify.main_pid(serving.successor, text))
            return
        with self._sending:
            self._serves_on = False
            self._tell(text)

    def ends(self, serving: Serving) -> None:
        """Tell that it ends, or why nothing was served; nothing is told after that."""
        over = f"process {serving.successor} has taken over" if serving.successor else "ending"
        self._end(notify.stopping(str(serving.refusal.get("error") or over)))

    def _end(self, last: bytes) -> None:
        with self._sending:
            if not self._has_ended:
                self._notifier.send(last)
            self._has_ended = True
        self._ring()
        if self._thread.is_alive():
            self._thread.join(_ENDS_WITHIN)  # it may be asking an owner that hangs, or wait for the main thread

    def close(self) -> None:
        """Close the pipe, once no owner and no reload is left that could ring. The process's end does it, too."""
        os.close(self._bell_r)
        os.close(self._bell_w)

    # ---- a reload, in a thread of its own

    def _reload(self) -> None:
        """Reload until no HUP has come since the last load began; then tell that all is ready again."""
        while True:
            asked = self._asked
            text = self._reload_once()
            with self._sending:
                if asked == self._asked or self._is_overdue():
                    self._ready_again(text)
                    self._ring()  # what another event said meanwhile is told anew
                    break

    def _reload_once(self) -> str:
        """What became of a load that has begun now."""
        try:
            return verdict.of_event(self._manager.reload_by_signal())
        except ConfcastError as error:
            return f"what became of the reload is unknown: {error}"
        except Exception:
            _log.exception("a reload has failed in confcast", extra=about("reload_fault"))
            return verdict.UNKNOWN

    def _is_overdue(self) -> bool:
        began = self._since
        return began is not None and time.monotonic() > began + self._manager.answers_within + _SLACK

    def _ready_again(self, text: str) -> None:
        """Send READY. Must be called with `_sending` held."""
        self._since = None
        if not self._has_ended:
            self._told = text
            self._notifier.send(notify.ready(text, os.getpid()))

    # ---- the thread

    def _run(self) -> None:
        with contextlib.suppress(NotAttached):  # the manager was closed while its owner was asked: all is told
            self._tell_until_the_end()
        if self._watched is not None:
            self._watched.close()

    def _tell_until_the_end(self) -> None:
        beat = extend = time.monotonic()  # when each of them was sent last
        while not self._has_ended:
            due = self._extends_at(extend)
            rings = self._await_ring(self._next(beat, due))
            if self._has_ended:
                break
            if self._serves and self._since is None and (rings or self._is_down()):
                self._tell_what_runs()
            now = time.monotonic()
            if due is not None and now >= due and self._extends_at(extend) == due:
                extend = now
                self._notifier.send(notify.extend(_EXTEND_BY))
            if self._serves and self._beat_every and now >= beat + self._beat_every:
                beat = now
                self._beat(self._beat_every)

    def _next(self, beat: float, extends_at: float | None) -> float | None:
        """Seconds until there is something to do without a ring; None: never."""
        times = [] if extends_at is None else [extends_at]
        times += [beat + self._beat_every] if self._serves and self._beat_every else []
        times += [time.monotonic() + _ASK_AGAIN] if self._is_down() else []
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _extends_at(self, last: float) -> float | None:
        """When more time is to be asked for, while systemd waits for the end of a start or of a reload; else None."""
        since = self._since
        if since is None and self._serves:
            return None
        return max(last, since or last) + _EXTEND_EVERY

    def _is_down(self) -> bool:
        return self._told in (verdict.DOWN, verdict.SILENT)

    def _await_ring(self, timeout: float | None) -> bool:
        """Wait for an event, or the owner's death; return whether one came."""
        poller = select.poll()
        poller.register(self._bell_r, select.POLLIN)
        if self._watched is not None:
            poller.register(self._watched.fileno(), select.POLLIN)
        found = {fd for fd, _ in poller.poll(None if timeout is None else int(timeout * 1000) + 1)}
        if self._watched is not None and self._watched.fileno() in found:
            self._watched.close()
            self._watched = None
        with contextlib.suppress(BlockingIOError):
            os.read(self._bell_r, 4096)
        return bool(found)

    def _tell_what_runs(self) -> None:
        watched, self._watched = self._watched, None
        if watched is not None:
            watched.close()
        text = self._standing()
        if text:
            with contextlib.suppress(OSError):  # it has died since; the next owner's first event rings
                self._watched = Death(self._manager.owner_pid)
        with self._sending:
            if self._serves_on and not self._has_ended and self._since is None:  # a reload's READY has its own text
                self._tell(text or (verdict.SILENT if self._manager.owner_lives() else verdict.DOWN))

    def _standing(self) -> str:
        """What runs, in words; empty if the owner does not answer. A dead one is not waited for."""
        owner = AddressClient(self._manager.address, self._manager.name)
        try:
            status, newest = owner.status(), next(iter(owner.get_event_history(1)), None)
            self._owner.has_answered(self._manager.owner_pid)
        except ConfcastError:
            return ""
        return verdict.of_status(status, newest)

    def _beat(self, within: float) -> None:
        """Send WATCHDOG if the main thread takes what it is given, and the owner is well."""
        serving = self._serving
        assert serving is not None
        taken = threading.Event()
        serving.post(taken.set)
        end = time.monotonic() + within
        if self._owner.is_well(self._manager, within) and taken.wait(max(0.0, end - time.monotonic())):
            with self._sending:
                if not self._has_ended:
                    self._notifier.send(notify.WATCHDOG)

    def _tell(self, text: str) -> None:
        if text != self._told:
            self._told = text
            self._notifier.send(notify.status(text))

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it rings already
            os.write(self._bell_w, b"\0")

    @property
    def _manager(self) -> EmbeddedManager[Any]:
        serving = self._serving
        assert serving is not None
        assert serving.manager is not None
        return serving.manager


class _OwnerSeen:
    """Which owner was asked last, and whether it has ever answered."""

    def __init__(self) -> None:
        self._pid = 0
        self._since = 0.0
        self._answered = 0

    def has_answered(self, pid: int) -> None:
        """Note that this owner is past its start. Any thread."""
        self._answered = pid

    def is_well(self, manager: EmbeddedManager[Any], within: float) -> bool:
        """Whether the owner answers within these seconds, or is dead, so that it is replaced, or was just started."""
        pid = manager.owner_pid
        if pid != self._pid:
            self._pid, self._since = pid, time.monotonic()
        if manager.owner_answers(within):
            self.has_answered(pid)
            return True
        if not manager.owner_lives():
            return True
        return self._answered != pid and time.monotonic() < self._since + _STARTS_WITHIN
