"""Starting the owner, hearing of its death, starting the next one.

Its death is a pidfd; whoever reaps it (a prefork master reaps what it does not know) changes nothing. The old owner is
dead by its pidfd before a new one starts; how long after, `Backoff` says, and how its process is made,
execute.py's. Restarts are counted.

Rejected: `waitpid` and `poll()` (ECHILD reads as a clean exit).

How long after an owner's death the next one starts.

An owner that served for a while is replaced at once. Those that die young are replaced ever more slowly, from 0.1 to
30 seconds, in two rows of their own: those that never came to serve (the code can't be imported: a deploy is under
way), and those that served and died soon after. Who comes to serve ends the first row, since what kept the others
from it is over; only who serves for a while ends the second, or a loop of starts and deaths would never slow down.

Rejected: the time since the start (a slow import that fails would count as a long life, and a healthy owner would
pay for the ones before it that could not start), and one row for both.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import signal
import socket
import sys
import threading
import time
import weakref
from collections.abc import Callable

import msgspec

from confcast.errors import ConfcastError, ConfigError, NotCarried, OwnerUnavailable, ProtocolError
from confcast.master.start import exit_status
from confcast.master.start.boot_output import BootOutput, Output, standard_error
from confcast.master.start.execute import execute
from confcast.master.start.interpreter import Command
from confcast.wire.master_channel import Leave, MasterChannel, Pause, Paused, Ready, StartupConfig
from confcast.wire.processes import Death

_log = logging.getLogger("confcast.master")

_PATIENCE = 30.0
_LEAVING = 5.0
_SLACK = 5.0
"""Seconds, beyond its deadlines, until an owner must have come to rest."""


_launchers: weakref.WeakSet[Launcher] = weakref.WeakSet()


class Launcher:
    """The one owner of a manager, through all its restarts. `ensure` and `close` may be called from any thread.

    Args:
        startup: For the first owner; later ones get the same, and the number of restarts.
        command: How its process is started.
        output: Where what owners print and log goes.
        log: The path of the log file that it is; empty where it is none.

    Attributes:
        restarts: How many owners were started after the first.
        lost: How many owners have died that had served: whoever was asking one of them was not answered.
    """

    def __init__(
        self, startup: StartupConfig, command: Command, output: Output = standard_error, log: Callable[[], str] = str
    ) -> None:
        self.restarts = self.lost = 0
        self._output = output
        self._log = log
        self._boot_output: BootOutput | None = None
        self._startup = startup
        self._name = startup.options.name
        self._command = command
        self._patience = startup.options.load_timeout + _PATIENCE
        self._lock = threading.Lock()
        self._closed = False
        self._channel: MasterChannel | None = None
        self._death: Death | None = None
        self._retired: Death | None = None
        self._serving_since: float | None = None
        self._backoff = Backoff()
        self._not_before = 0.0
        self._pauses = 0
        if not _launchers:
            _hook_fork()
        _launchers.add(self)

    @property
    def pid(self) -> int:
        """The owner's process; 0 while there is none."""
        death = self._death
        return death.pid if death is not None else 0

    def start(self) -> int:
        """Start the first owner, and wait until it serves; its version.

        Raises:
            ConfigError: The first configuration is refused.
            NotCarried: The schema has fields that can't be carried.
            ConfcastError: The owner could not start.
        """
        try:
            self._spawn()
            ready = self._boot()
            self._warn_of_a_refusal()
            return ready
        except BaseException:
            self.close()
            raise
        finally:
            self._close_boot_output()

    def trigger(self) -> bool:
        """Send the owner a HUP; whether it could be. A dead owner's next one loads.

        Returns at once and raises nothing: for signal handlers.
        """
        death = self._death
        try:
            if death is not None:
                death.signal(signal.SIGHUP)
        except OSError:  # this process has changed its user, or another thread closes it just now
            return False
        return True

    def log_was_rotated(self) -> None:
        """Send the owner a USR1. Returns at once. A dead owner's next one begins in the log that is open by then."""
        death = self._death
        if death is not None:
            death.signal(signal.SIGUSR1)

    def ensure(self) -> None:
        """Start a new owner if this one is dead and its pause is over. Cheap: one poll of a pidfd while it lives."""
        death = self._death
        if death is None or self._closed or not death.wait(0):
            return
        with self._lock:
            if self._death is death and not self._closed:
                self._replace(death)

    def pause(self) -> None:
        """Return when the owner has nothing under way, and it and its successors load no more until `resume()`.

        Raises:
            OwnerUnavailable: It lives, and does not answer; then all is as before.
        """
        with self._lock:
            self._startup = msgspec.structs.replace(self._startup, paused=True)
            self._pauses += 1
            try:
                self._hear_paused()
            except TimeoutError:
                self._go_on()
                raise OwnerUnavailable(
                    f"the config owner {self.pid} of {self._name!r} is not idle in time; its log says why"
                ) from None
            except (OSError, ProtocolError) as error:  # it is dead, or about to be; the next one is told at its start
                _log.warning("the config owner of %r was lost: %s", self._name, error)

    def resume(self) -> None:
        """The owner loads again; if it watches, also what it has missed."""
        with self._lock:
            self._go_on()

    def next_look(self) -> float:
        """Seconds until `ensure` could have something to do, once the owner is dead."""
        return max(0.0, self._not_before - time.monotonic())

    def death(self) -> Death | None:
        """For whoever waits for the owner's end."""
        return self._death

    def close(self) -> None:
        """Have the owner leave, and wait for its end; kill it when it does not. May be called again."""
        with self._lock:
            self._closed = True
            death, channel = self._death, self._channel
            self._death = self._channel = None
        if channel is not None:
            with contextlib.suppress(OSError):
                channel.send(Leave())
        if death is not None:
            if not death.wait(_LEAVING):
                _log.error("the config owner %d did not leave within %g s: killed", death.pid, _LEAVING)
                try:
                    death.signal(signal.SIGKILL)
                except OSError as error:
                    _log.error("the config owner %d could not be killed: %s", death.pid, error)
                death.wait(_LEAVING)
            _reap(death)
            death.close()
        if self._retired is not None:
            self._retired.close()
        if channel is not None:
            channel.close()

    def forget(self) -> None:
        """In a forked child: the owner is the parent's. Close what was inherited, and say nothing on it."""
        self._closed = True
        death, channel = self._death, self._channel
        self._death = self._channel = None
        for gone in (death, self._retired):
            if gone is not None:
                gone.close()
        if channel is not None:
            channel.close()
        if self._boot_output is not None:
            self._boot_output.forget()

    # ---- inside

    def _hear_paused(self) -> None:
        """Raises TimeoutError when it does not say so in time, OSError and ProtocolError when it can't."""
        channel = self._channel
        if channel is None:
            return
        channel.connection.settimeout(self._startup.options.answers_within + _SLACK)
        answer = Paused(self._pauses)
        channel.send(Pause(self._pauses, on=True))
        while (said := channel.receive()) != answer:
            if isinstance(said, Ready) and said.version:
                self._serving_since = said.at
            elif said is None:
                return

    def _go_on(self) -> None:
        self._startup = msgspec.structs.replace(self._startup, paused=False)
        if self._channel is not None:
            with contextlib.suppress(OSError):  # a dead one's successor has its orders
                self._channel.send(Pause(self._pauses, on=False))

    def _spawn(self) -> None:
        """Raises OSError: no process can be made."""
        self._close_boot_output()
        output = BootOutput(self._output, first=self.restarts == 0)
        try:
            mine, its = socket.socketpair()
        except BaseException:  # no descriptor is left, say
            output.close()
            raise
        try:
            pid = execute(its.fileno(), output.streams, self._command, output.passed)
            self._death = _death_of_a_child(pid)
        except BaseException:
            mine.close()
            raise
        finally:
            its.close()
            # Not before: gevent's Popen makes the child by os.fork(), and forget() would close it there.
            self._boot_output = output
        mine.settimeout(self._patience)
        self._channel = MasterChannel(mine)

    def _warn_of_a_refusal(self) -> None:
        death = self._death
        words = death.refusal() if death is not None else ""
        if words:
            _log.warning("signals for the config owner go by its pid: %s", words)

    def _send_startup(self) -> None:
        """Raises OSError: it is dead already."""
        assert self._channel is not None
        captured, goes_on = (self._boot_output and self._boot_output.passed) or (-1, -1)
        startup = msgspec.structs.replace(
            self._startup, restarts=self.restarts, log=self._log(), captured=captured, output=goes_on
        )
        self._channel.send(startup)

    def _close_boot_output(self) -> None:
        output, self._boot_output = self._boot_output, None
        if output is not None:
            output.close()

    def _send_startup_to_the_next(self) -> None:
        try:
            self._send_startup()
        except OSError as error:  # its end, and how it ended, is told next
            _log.warning("the config owner %d has not heard its orders: %s", self.pid, error)

    def _boot(self) -> int:
        assert self._channel is not None
        try:
            self._send_startup()
            ready = self._channel.receive()
        except TimeoutError:
            raise ConfcastError(f"the config owner did not start within {self._patience:g} s{self._trace()}") from None
        except OSError:
            raise self._died_at_once() from None
        if not isinstance(ready, Ready):
            raise self._died_at_once()
        if ready.version:
            self._serving_since = ready.at
            return ready.version
        if ready.reason == "not_started":
            raise ConfcastError("; ".join(map(str, ready.problems)))
        if ready.reason == "":
            raise NotCarried(ready.problems)
        raise ConfigError(ready.problems, ready.reason)

    def _died_at_once(self) -> ConfcastError:
        """It could not say itself why. What it wrote is the only trace, and a person may not know where that went."""
        dead = self._death
        assert dead is not None
        if not dead.wait(_LEAVING):
            return ConfcastError(f"the config owner {dead.pid} lives, and has hung up on its master{self._trace()}")
        ending = exit_status.how(dead)
        how = f": {ending}" if ending else ""
        return ConfcastError(
            f"the config owner died while it started{how}; {exit_status.advice(ending)}{self._trace()}"
        )

    def _trace(self) -> str:
        said = self._boot_output.last_lines() if self._boot_output is not None else None
        if said is None:
            return "; what it said is on standard error"
        return f"; the last that it wrote:\n{said}" if said else "; it wrote nothing"

    def _replace(self, dead: Death) -> None:
        if self._not_before == 0.0:
            self._schedule(dead)
        if time.monotonic() < self._not_before:
            return
        self._not_before = 0.0
        self._serving_since = None  # whatever becomes of the next one, this life is counted
        self.restarts += 1
        channel = self._channel
        try:
            self._spawn()
        except OSError as error:
            _log.error("a new config owner could not be started: %s", error)
        else:
            self._send_startup_to_the_next()
        if self._death is not dead:
            _reap(dead)
            # Another thread may have taken it for the living one just now, and poll it: it is closed one owner later.
            retired, self._retired = self._retired, dead
            if retired is not None:
                retired.close()
            if channel is not None:
                channel.close()

    def _schedule(self, dead: Death) -> None:
        now = time.monotonic()
        since = self._served_since()
        if since is not None:
            self.lost += 1
        pause = self._backoff.after(None if since is None else now - since)
        self._not_before = now + pause
        when = f"in {pause:.1f} s" if pause else "at once"
        how = exit_status.how(dead)
        text = "the config owner %d of %r is dead%s; the next one starts %s"
        _log.error(text, dead.pid, self._name, how and f" ({how})", when)

    def _served_since(self) -> float | None:
        """When the dead one came to serve, if it did. A restarted one's word is not waited for: it lies there since."""
        if self._serving_since is None and self._channel is not None:
            self._channel.connection.setblocking(False)
            with contextlib.suppress(OSError, ProtocolError):
                said = self._channel.receive()
                if isinstance(said, Ready) and said.version:
                    self._serving_since = said.at
        return self._serving_since


@functools.cache
def _hook_fork() -> None:
    """Once in a process, with its first launcher, and not at import."""
    os.register_at_fork(after_in_child=_forget_all)


def _forget_all() -> None:
    for launcher in list(_launchers):
        launcher.forget()


def _death_of_a_child(pid: int) -> Death:
    """Of one that was started just now, and that nobody would know of otherwise. Raises OSError, and none is left."""
    try:
        return Death(pid)
    except OSError:
        with contextlib.suppress(OSError):  # reaped by a prefork master, or not to be killed: it leaves by itself
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        raise


def _reap(dead: Death) -> None:
    """Leave no zombie, unless somebody else has reaped it already: then its pid may be another child's by now.

    A pidfd means this one only, and nobody's end is waited for.
    """
    with contextlib.suppress(ChildProcessError):
        if sys.platform == "linux":
            os.waitid(os.P_PIDFD, dead.fileno(), os.WEXITED | os.WNOHANG)
        else:
            os.waitpid(dead.pid, os.WNOHANG)


_FIRST, _LONGEST = 0.1, 30.0
_FOR_A_WHILE = 5.0


class Backoff:
    """The pauses between the owners of one manager, in seconds. Keeps no clock."""

    def __init__(self) -> None:
        self._unserved = self._young = 0.0

    def after(self, served: float | None) -> float:
        """The pause after a death.

        Args:
            served: How many seconds the dead one had served; None: it never came to it.
        """
        if served is None:
            self._unserved = _next(self._unserved)
            return self._unserved
        self._unserved = 0.0
        self._young = 0.0 if served > _FOR_A_WHILE else _next(self._young)
        return self._young


def _next(pause: float) -> float:
    return min(max(pause * 2, _FIRST), _LONGEST)
