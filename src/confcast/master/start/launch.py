"""The launcher: it starts the owner, watches for its death, and starts the next one.

Guarantees: an owner's death is noticed by a pidfd, so a prefork master that reaps children it does not know does no
harm; the old owner is dead by its pidfd before a new one starts; restarts are counted. execute.py makes the process.

An owner that served for a while is replaced at once. Owners that die early are replaced ever more slowly, after 0.1 to
30 seconds. Two counts set the pause: of owners that never came to serve (for example, the code can't be imported during
a deploy), and of owners that served and died soon after. An owner that comes to serve resets the first count, since
what kept the others from serving is over. Only an owner that serves for a while resets the second: otherwise a loop of
starts and deaths would never slow down.

Rejected: `waitpid` and `poll()` (they take ECHILD for a clean exit), counting by the time since the start (a slow
import that fails would count as a long life, and after a healthy owner the pause would be that of owners before it that
could not start), and one count for both.
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
from confcast.log_fields import about
from confcast.master.start import exit_status
from confcast.master.start.execute import execute
from confcast.master.start.interpreter import Command
from confcast.master.start.startup_output import Output, StartupOutput
from confcast.wire.master_channel import (
    Expect,
    Leave,
    MasterChannel,
    Pause,
    Paused,
    Ready,
    StartupConfig,
    Superseded,
)
from confcast.wire.processes import Death

_log = logging.getLogger("confcast.master")

_START_TIMEOUT = 30.0
_EXIT_TIMEOUT = 5.0
_SLACK = 5.0
"""Seconds, beyond its deadlines, within which an owner must have become idle."""

_launchers: weakref.WeakSet[Launcher] = weakref.WeakSet()


class Launcher:
    """Starts the owner of one manager, and restarts it. `ensure` and `close` may be called from any thread.

    Args:
        startup: The first owner's startup configuration; later owners get the same, with the number of restarts.
        command: The program that becomes an owner.
        output: Returns the descriptor for what owners print and log.
        log: Returns the path of that descriptor's log file; empty if it is none.

    Attributes:
        restarts: How many owners were started after the first.
        lost: How many owners have died that had served, and so have left requests unanswered.
    """

    def __init__(self, startup: StartupConfig, command: Command, output: Output, log: Callable[[], str]) -> None:
        self.restarts = self.lost = 0
        self._output = output
        self._log = log
        self._startup_output: StartupOutput | None = None
        self._startup = startup
        self._name = startup.options.name
        self._command = command
        self._start_timeout = startup.options.load_timeout + _START_TIMEOUT
        self._lock = threading.Lock()
        self._closed = False
        self._channel: MasterChannel | None = None
        self._death: Death | None = None
        self._retired: Death | None = None
        self._serving_since: float | None = None
        self._backoff = Backoff()
        self._not_before = 0.0
        self._pauses = 0
        _hook_fork()
        _launchers.add(self)

    @property
    def pid(self) -> int:
        """The owner's process id; 0 while there is no owner."""
        death = self._death
        return death.pid if death is not None else 0

    def start(self) -> None:
        """Start the first owner, and wait until it serves.

        Raises:
            ConfigError: The first configuration is refused.
            NotCarried: The schema has fields that can't be serialised exactly.
            ConfcastError: The owner could not start.
        """
        try:
            self._spawn()
            self._await_ready()
            self._warn_of_a_refusal()
        except BaseException:
            self.close()
            raise
        finally:
            self._close_startup_output()

    def trigger(self) -> bool:
        """Send the owner a HUP. Returns whether that was possible; if not, the next owner loads anyway.

        Returns at once and raises nothing: for signal handlers.
        """
        death = self._death
        try:
            if death is not None:
                death.signal(signal.SIGHUP)
        except OSError:  # this process has changed its user, or another thread closes the pidfd just now
            return False
        return True

    def log_was_rotated(self) -> None:
        """Send the owner a USR1. Returns at once. A dead owner's successor begins in the log that is open by then."""
        death = self._death
        if death is not None:
            death.signal(signal.SIGUSR1)

    def ensure(self) -> None:
        """Start a new owner if the present one is dead and the pause is over. While it lives, it costs one poll."""
        death = self._death
        if death is None or self._closed or not death.wait(0):
            return
        with self._lock:
            if self._death is death and not self._closed:
                self._replace(death)

    def pause(self) -> None:
        """Have the owner and its successors load no more until `resume()`; return when no reload is under way.

        Raises:
            OwnerUnavailable: The owner lives, but does not answer; then nothing changes.
        """
        with self._lock:
            self._startup = msgspec.structs.replace(self._startup, paused=True)
            self._pauses += 1
            try:
                self._await_paused()
            except TimeoutError:
                self._send_resume()
                raise OwnerUnavailable(
                    f"the config owner {self.pid} of {self._name!r} is not idle in time; its log says why"
                ) from None
            except (OSError, ProtocolError) as error:  # the owner is dead or dying; its successor starts paused
                _log.warning(
                    "the config owner of %r was lost: %s",
                    self._name,
                    error,
                    extra=about("owner_lost", name=self._name, error=error),
                )

    def resume(self) -> None:
        """Have the owner load again; an owner that watches loads what it has missed."""
        with self._lock:
            self._send_resume()

    def supersede(self) -> None:
        """Have the paused owner release the state folder. A successor of its, since it starts paused, never takes it.

        An owner that is dead has released the folder.
        """
        self._tell(Superseded())

    def expect(self, pids: list[int]) -> None:
        """Have the owner put these workers, which are sent to it, on its roster. A successor of its has the journal's.

        An owner that is dead is told nothing: its successor knows those that have connected by then.
        """
        self._tell(Expect(pids))

    def _tell(self, message: Superseded | Expect) -> None:
        with self._lock:
            if self._channel is not None:
                with contextlib.suppress(OSError):
                    self._channel.send(message)

    def next_look(self) -> float:
        """Seconds until `ensure` may have something to do, for a dead owner."""
        return max(0.0, self._not_before - time.monotonic())

    def death(self) -> Death | None:
        """The present owner's process, to wait for its end; None if there is none."""
        return self._death

    def close(self) -> None:
        """Have the owner exit, and wait for its end; kill it if it does not exit in time. May be called again."""
        with self._lock:
            self._closed = True
            death, channel = self._death, self._channel
            self._death = self._channel = None
        if channel is not None:
            with contextlib.suppress(OSError):
                channel.send(Leave())
        if death is not None:
            if not death.wait(_EXIT_TIMEOUT):
                _log.error(
                    "the config owner %d did not leave within %g s: killed",
                    death.pid,
                    _EXIT_TIMEOUT,
                    extra=about("owner_killed", pid=death.pid, seconds=_EXIT_TIMEOUT),
                )
                try:
                    death.signal(signal.SIGKILL)
                except OSError as error:
                    _log.error(
                        "the config owner %d could not be killed: %s",
                        death.pid,
                        error,
                        extra=about("owner_not_killed", pid=death.pid, error=error),
                    )
                death.wait(_EXIT_TIMEOUT)
            _reap(death)
            death.close()
        if self._retired is not None:
            self._retired.close()
        if channel is not None:
            channel.close()

    def forget(self) -> None:
        """Close what a forked child has inherited, and send nothing, since the owner is the parent's."""
        self._closed = True
        death, channel = self._death, self._channel
        self._death = self._channel = None
        for gone in (death, self._retired):
            if gone is not None:
                gone.close()
        if channel is not None:
            channel.close()
        if self._startup_output is not None:
            self._startup_output.forget()

    # ---- inside

    def _await_paused(self) -> None:
        """Wait until the owner has paused. Raises TimeoutError; OSError or ProtocolError if it can't answer."""
        channel = self._channel
        if channel is None:
            return
        channel.connection.settimeout(self._startup.options.answers_within + _SLACK)
        answer = Paused(self._pauses)
        channel.send(Pause(self._pauses, on=True))
        while (message := channel.receive()) != answer:
            if isinstance(message, Ready) and message.version:
                self._serving_since = message.at
            elif message is None:
                return

    def _send_resume(self) -> None:
        self._startup = msgspec.structs.replace(self._startup, paused=False)
        if self._channel is not None:
            with contextlib.suppress(OSError):  # the owner is dead; its successor starts unpaused
                self._channel.send(Pause(self._pauses, on=False))

    def _spawn(self) -> None:
        """Start an owner's process. Raises OSError if none can be made."""
        self._close_startup_output()
        output = StartupOutput(self._output, first=self.restarts == 0)
        try:
            mine, its = socket.socketpair()
        except BaseException:  # for example, no descriptor is left
            output.close()
            raise
        try:
            further = [each for each in (self._startup.bell, self._startup.listener) if each >= 0]
            pid = execute(its.fileno(), output.streams, self._command, (*output.passed, *further))
            self._death = _death_of_a_child(pid)
        except BaseException:
            mine.close()
            raise
        finally:
            its.close()
            # Set only now: gevent's Popen makes the child by os.fork(), in which forget() would close the output.
            self._startup_output = output
        mine.settimeout(self._start_timeout)
        self._channel = MasterChannel(mine)

    def _warn_of_a_refusal(self) -> None:
        death = self._death
        words = death.refusal() if death is not None else ""
        if words:
            _log.warning(
                "signals for the config owner go by its pid: %s",
                words,
                extra=about("owner_signalled_by_pid", reason=words),
            )

    def _send_startup(self) -> None:
        """Send the startup configuration. Raises OSError if the owner is dead already."""
        assert self._channel is not None
        captured, goes_on = (self._startup_output and self._startup_output.passed) or (-1, -1)
        startup = msgspec.structs.replace(
            self._startup, restarts=self.restarts, log=self._log(), captured=captured, output=goes_on
        )
        self._channel.send(startup)

    def _close_startup_output(self) -> None:
        output, self._startup_output = self._startup_output, None
        if output is not None:
            output.close()

    def _send_startup_to_the_next(self) -> None:
        try:
            self._send_startup()
        except OSError as error:  # how the owner ended is logged next
            _log.warning(
                "the config owner %d could not be sent its startup configuration: %s",
                self.pid,
                error,
                extra=about("owner_not_told", pid=self.pid, error=error),
            )

    def _await_ready(self) -> None:
        assert self._channel is not None
        try:
            self._send_startup()
            ready = self._channel.receive()
        except TimeoutError:
            raise ConfcastError(
                f"the config owner did not start within {self._start_timeout:g} s{self._last_output()}"
            ) from None
        except OSError:
            raise self._start_error() from None
        if not isinstance(ready, Ready):
            raise self._start_error()
        if ready.version:
            self._serving_since = ready.at
        elif ready.reason == "not_started":
            raise ConfcastError("; ".join(map(str, ready.problems)))
        elif ready.reason == "":
            raise NotCarried(ready.problems)
        else:
            raise ConfigError(ready.problems, ready.reason)

    def _start_error(self) -> ConfcastError:
        """The error for an owner that has sent no reason: its exit status, and the last lines of its output."""
        dead = self._death
        assert dead is not None
        if not dead.wait(_EXIT_TIMEOUT):
            return ConfcastError(
                f"the config owner {dead.pid} lives, and has closed the channel to its master{self._last_output()}"
            )
        ending = exit_status.how(dead)
        how = f": {ending}" if ending else ""
        return ConfcastError(
            f"the config owner died while it started{how}; {exit_status.advice(ending)}{self._last_output()}"
        )

    def _last_output(self) -> str:
        lines = self._startup_output.last_lines() if self._startup_output is not None else None
        if lines is None:
            return "; what it wrote is on standard error"
        return f"; the last that it wrote:\n{lines}" if lines else "; it wrote nothing"

    def _replace(self, dead: Death) -> None:
        if self._not_before == 0.0:
            self._schedule(dead)
        if time.monotonic() < self._not_before:
            return
        self._not_before = 0.0
        self._serving_since = None  # this death is counted, whatever happens to the next owner
        self.restarts += 1
        channel = self._channel
        try:
            self._spawn()
        except OSError as error:
            _log.error(
                "a new config owner could not be started: %s", error, extra=about("owner_not_started", error=error)
            )
        else:
            self._send_startup_to_the_next()
        if self._death is not dead:
            _reap(dead)
            # Another thread may be about to poll the dead owner's pidfd, so it is closed one owner later.
            retired, self._retired = self._retired, dead
            if retired is not None:
                retired.close()
            if channel is not None:
                channel.close()

    def _schedule(self, dead: Death) -> None:
        now = time.monotonic()
        since = self._served_from()
        if since is not None:
            self.lost += 1
        pause = self._backoff.after(None if since is None else now - since)
        self._not_before = now + pause
        when = f"in {pause:.1f} s" if pause else "at once"
        how = exit_status.how(dead)
        text = "the config owner %d of %r is dead%s; the next one starts %s"
        _log.error(
            text,
            dead.pid,
            self._name,
            how and f" ({how})",
            when,
            extra=about("owner_died", name=self._name, pid=dead.pid, how=how),
        )

    def _served_from(self) -> float | None:
        """Since when the dead owner served; None if it never did. Its Ready may still be unread."""
        if self._serving_since is None and self._channel is not None:
            self._channel.connection.setblocking(False)
            with contextlib.suppress(OSError, ProtocolError):
                ready = self._channel.receive()
                if isinstance(ready, Ready) and ready.version:
                    self._serving_since = ready.at
        return self._serving_since


@functools.cache
def _hook_fork() -> None:
    """Register the fork handler: once in a process, with its first launcher, since an import registers nothing."""
    os.register_at_fork(after_in_child=_forget_all)


def _forget_all() -> None:
    for launcher in list(_launchers):
        launcher.forget()


def _death_of_a_child(pid: int) -> Death:
    """The pidfd of an owner that was started just now. If OSError is raised, the owner, unknown to all, is killed."""
    try:
        return Death(pid)
    except OSError:
        with contextlib.suppress(OSError):  # reaped by a prefork master, or not to be killed: it exits by itself
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        raise


def _reap(dead: Death) -> None:
    """Reap the dead owner, if no other process has. By now its pid may be another child's, but not its pidfd."""
    with contextlib.suppress(ChildProcessError):
        if sys.platform == "linux":
            os.waitid(os.P_PIDFD, dead.fileno(), os.WEXITED | os.WNOHANG)
        else:
            os.waitpid(dead.pid, os.WNOHANG)


_FIRST, _LONGEST = 0.1, 30.0
_FOR_A_WHILE = 5.0


class Backoff:
    """The pauses between the owners of one manager, in seconds. The object reads no clock."""

    def __init__(self) -> None:
        self._unserved = self._young = 0.0

    def after(self, served: float | None) -> float:
        """The pause after a death.

        Args:
            served: How many seconds the dead owner had served; None if it never came to serve.
        """
        if served is None:
            self._unserved = _next(self._unserved)
            return self._unserved
        self._unserved = 0.0
        self._young = 0.0 if served > _FOR_A_WHILE else _next(self._young)
        return self._young


def _next(pause: float) -> float:
    return min(max(pause * 2, _FIRST), _LONGEST)
