"""One owner from its startup to its exit: what it starts from, what it reports to its master, and its signals.

At the start, in this order: the lock and the control socket (workers may connect from then on), the schema, the
journal, what a former owner left, and then the loop. A first owner whose first load is refused reports why to its
master, and exits, unless it may start on the last good version; a restarted one serves the journal's version before it
reads the sources.

Rejected: importing the schema before acquiring the lock (two owners at once would run the user's code), and loading
under other code than that of the journal's version (workers of that code are sent the version's bytes as they are).

Signals are read out of the mailbox's wakeup socket. HUP asks for a load. INT is ignored: a terminal sends it to the
master, too. TERM is ignored: it comes to every process of a service that stops, and the owner serves its workers until
its master exits. USR1 says that log files were rotated (a server's master sends it on, `systemctl kill -s USR1` sends
it to all): the owner continues in the next file. RTMIN and IO are ignored, since either would end the process: RTMIN
may come to every process of a service that is to reload fully, and IO comes from a lease on a file that a writer opens.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from confcast.config.loader import ConfigLoader, LoaderSpec
from confcast.config.schema.kinds import loaded
from confcast.config.sources import last_known
from confcast.errors import ConfcastError, ConfigError, Problem
from confcast.log_fields import about
from confcast.owner.core.effects import Input, MasterGone, Trigger
from confcast.owner.core.last_good import ORIGIN
from confcast.owner.core.machine import Rules
from confcast.owner.log_file import CapturedOutput, follow
from confcast.owner.loop.collector_at_rest import freeze
from confcast.owner.loop.event_log import log_event, log_last_good
from confcast.owner.loop.event_loop import EventLoop
from confcast.owner.loop.load_thread import LoadThread
from confcast.owner.loop.mailbox import LogRotated, Mailbox
from confcast.owner.loop.questions import Answered
from confcast.owner.loop.relief import Relief
from confcast.owner.store import handover
from confcast.owner.store.allowed_uids import AllowedUids
from confcast.owner.store.attempts import Attempts
from confcast.owner.store.host_id import host_id, host_name
from confcast.owner.store.journal import Journal
from confcast.owner.store.recovery import Recovered, recover, try_to_write
from confcast.owner.store.runtime_dir import RuntimeDir
from confcast.owner.store.runtime_lock import LockHolder, RuntimeLock
from confcast.owner.watch.bind_mounts import warn_of_mounted_files
from confcast.owner.watch.followed_reads import FollowedReads
from confcast.owner.watch.following import Following
from confcast.owner.watch.polling import Polling
from confcast.owner.watch.watcher import Watcher
from confcast.wire import processes
from confcast.wire.decoders import decode
from confcast.wire.files.about import About, module_file
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
from confcast.wire.messages import ReloadEvent, ReloadResult
from confcast.wire.signal_mask import BLOCKED_AT_THE_START

if TYPE_CHECKING:
    from confcast.config.sources.following import Host
    from confcast.owner.loop.outcomes import Outcomes
    from confcast.owner.loop.webhooks import Webhooks
    from confcast.owner.store.deliveries import Deliveries

_log = logging.getLogger("confcast.owner")

REFUSED = 78
"""EX_CONFIG of sysexits.h: the exit status when the first configuration is refused."""

_MOVE_WITHIN = 2.0
"""Seconds for which an owner whose master was killed waits until a former owner has released the state folder."""

_REST_WITHIN, _REST_STEP = 0.5, 0.01
"""Seconds for which a next generation waits until this one follows no source any more, and between two looks at it."""

_BEFORE_THE_FIRST_LOAD = frozenset({"expiry", "late", "reissue"})
"""The origins of events that are no outcome of a first load: an override has ended while no server ran, or a worker of
a server before has connected."""

_OF_SIGNAL: dict[int, Input | Answered | LogRotated] = {signal.SIGHUP: Trigger("signal"), signal.SIGUSR1: LogRotated()}

_DISABLED = (
    "the schema's code has changed since this server started: workers keep the version they have, and nothing is "
    "loaded until the server is fully reloaded"
)


class Lifecycle:
    """Runs one owner from its StartupConfig to its exit status. Built and run in the owner's main thread.

    Args:
        channel: The master channel, on which the owner sends Ready, and receives Pause and Leave.
        startup: The first message that was received on the channel.
        output: This process's output until the owner serves.

    Attributes:
        ready: Whether Ready was sent; the master reads only one.
    """

    def __init__(self, channel: MasterChannel, startup: StartupConfig, output: CapturedOutput) -> None:
        self._output = output
        self._channel = channel
        self._startup = startup
        self._restarted = startup.restarts > 0
        self._status = 0
        if startup.bell >= 0:
            os.set_inheritable(startup.bell, False)
        self.ready = self._dismissed = False
        self._refused: ReloadEvent | None = None  # the first load of a start that falls back on the last good version
        self._mailbox: Mailbox[Input | Answered | LogRotated] = Mailbox(_OF_SIGNAL)
        install_handlers(self._mailbox)
        self._relief = Relief(functools.partial(leave_signals_to_the_loop, self._mailbox))
        me = os.getpid()
        holder = LockHolder(me, processes.started(me), startup.master_pid, startup.master_started, startup.options.name)
        allowed_uids = AllowedUids(startup.workers_uid, startup.workers_gid, startup.group_attaches)
        folder, state = Path(startup.folder), Path(startup.state_folder)
        self._paused = startup.paused
        self._has_refused = False  # whether a load was refused during a pause
        self._deliveries: Deliveries | None = None
        self._webhooks: Webhooks | None = None
        self._lock = RuntimeLock(holder, follows=bool(startup.former))
        self._runtime_dir = RuntimeDir(folder, state, self._lock, apart=startup.paused, allowed_uids=allowed_uids)

    def serve(self) -> int:
        """Serve until the loop ends, and return the exit status.

        Raises:
            NotCarried: The schema has fields that can't be serialised exactly.
            Exception: What keeps the owner from starting, and what the user's module raises when it is imported.
        """
        listener = self._runtime_dir.listen()
        loader = self._loader()
        codec = loader._codec
        self._make_webhooks()
        left = recover(self._runtime_dir, self._startup, self._open_journal, codec.fingerprint, codec.fields)
        disabled = left.row is not None and left.row.schema != codec.fingerprint
        try_to_write("description", lambda: self._runtime_dir.describe(self._about(loader)))
        self._attempts = Attempts(self._runtime_dir.in_progress_file, Problem("", _DISABLED) if disabled else None)
        if self._paused:
            self._attempts.disable(Problem("", handover.PAUSED))
        self._watcher = self._make_watcher(loader)
        self._polling = Polling(loader.sources, self._watcher.look)
        self._polling.pause(on=self._paused)
        self._reads = FollowedReads(loader, self._load_what_changed, self._watcher.look)
        self._following = Following(self._reads.sources, self._host)
        self._following.pause(on=self._paused)
        state = self._startup.state_folder
        last_known.keep_in(Path(state), outlives=state != self._startup.folder)
        if not self._restarted:
            with contextlib.suppress(ConfigError):  # raised by a user's source: the load reports it
                warn_of_mounted_files(loader._watched())
        self._loading = loading = LoadThread(
            loader,
            self._attempts,
            self._mailbox.post,
            self._relief,
            refuses_restart=self._startup.options.needs_restart == "refuse",
            takes_up=not self._restarted,
            during=self._reads.during if self._reads.sources else contextlib.nullcontext,
        )
        rules = self._rules(codec.fingerprint if left.row is None else left.row.schema, left.fields)
        self._loop = self._make_loop(rules, listener, loading)
        self._start_from(left, loading)
        return self._run(watching=self._startup.options.watch and not disabled)

    def _start_from(self, left: Recovered, loading: LoadThread) -> None:
        row = left.row
        if left.lost:
            self._loop.count_loss("journal lost")
        if row is not None:
            loading.committed(row.digest, row.payload, row.values)
            try_to_write(
                "snapshot file", lambda: self._runtime_dir.save(row.schema, row.version, row.digest, row.payload)
            )
        starts_anew = not self._restarted
        last_good = self._startup.options.on_start_error == "last_good" and starts_anew and not self._startup.former
        self._loop.start_from(
            row,
            left.roster,
            left.high_water,
            gathering=left.gathers,
            outlived=left.outlived,
            starts_anew=starts_anew,
            last_good=last_good,
        )
        operator = self._loop.core.operator
        if operator.is_held:
            loading.serves()
        self._loop.watch_master(self._startup.master_pid, self._startup.master_started)
        self._loop.watch_channel(self._channel.connection, self._receive)
        waits = operator.window is not None and operator.window.deadline != 0.0
        stands = (operator.is_held or operator.unconfirmed is not None) and not waits
        if row is not None and (self._restarted or stands):
            self._send_ready(row.version, [])  # what is held, or was put back, is served whatever the sources say

    def _run(self, *, watching: bool) -> int:
        self._following.start()  # first: a load may wait for what it brings
        if self._webhooks is not None:
            self._webhooks.start(self._loop, afresh=not self._restarted, paused=self._paused)
        if not self._paused:
            self._mailbox.post(Trigger("restart" if self._restarted else "start"))
            self._loop.when_idle(self._move_to_state_folder)
        else:  # the owner before died amid its pause, perhaps before it had ended a window
            self._loop.hand_over(on=True)
        if watching:
            self._watcher.start()
            self._polling.start()
        freeze()
        try:
            self._loop.run()
        finally:
            self._following.close()
            self._polling.close()
            self._watcher.close()
            self._move_before_exit()
            if self._webhooks is not None:
                self._loop.fold()  # or what is owed for the last events would not be counted
                state = self._runtime_dir.state_folder
                self._webhooks.close(last=self._is_last() and state == self._runtime_dir.folder)
            self._loop.close()
            self._attempts.close()
            if self._is_last():
                self._runtime_dir.remove_files()
            self._lock.release()
        reason = self._loop.exit_reason
        if reason and not self._status:
            _log.error("the config owner gives up: %s", reason, extra=about("owner_ends", reason=reason))
            return 1
        return self._status

    def _is_last(self) -> bool:
        """Whether no owner follows this one, so that the files may be deleted: its master is gone, or starts none."""
        return self._loop.exit_reason == "" or self._status == REFUSED

    # ---- what it is made of

    def _loader(self) -> ConfigLoader[Any]:
        startup = self._startup
        os.chdir(startup.working_directory)
        sys.path[:] = [entry.decode("utf-8", "surrogatepass") for entry in startup.sys_path]
        return ConfigLoader._from_spec(decode(startup.loader, LoaderSpec))

    def _about(self, loader: ConfigLoader[Any]) -> About:
        startup, schema = self._startup, loader.schema
        return About(
            name=startup.options.name,
            schema=loader.schema_path,
            qualname=schema.__qualname__,
            module=module_file(schema),
            sources=list(map(_described, loader.sources)),
            working_directory=startup.working_directory,
            command=processes.command(startup.master_pid),
            fingerprint=loader._codec.fingerprint,
            address=startup.address,
        )

    def _make_watcher(self, loader: ConfigLoader[Any]) -> Watcher:
        def changed() -> None:
            if not self._reads.is_due:  # then a load comes anyway, after which the watcher compares again
                self._load_what_changed()

        writing, nowhere = loader._still_being_written, loader._watches_nowhere
        return Watcher(loader._watched, loader._fingerprint, writing, changed, self._attempts, nowhere=nowhere)

    def _load_what_changed(self) -> None:
        if self._startup.options.watch and not self._paused:
            self._mailbox.post(Trigger("watch"))

    def _host(self, index: int) -> Host:
        """This owner, for the source that follows under this index."""
        from confcast.config.sources.following import Host

        state = self._startup.state_folder
        return Host(
            self._host_id,
            host_name(),
            self._startup.options.labels,
            Path(state) if state != self._startup.folder else None,
            functools.partial(self._reads.changed, index),
        )

    @functools.cached_property
    def _host_id(self) -> str:
        return host_id(Path(self._startup.state_folder))

    def _make_loop(self, rules: Rules, listener: socket.socket, loading: LoadThread) -> EventLoop:
        return EventLoop(
            rules,
            self._runtime_dir,
            listener,
            self._open_journal,
            self._mailbox,
            loading,
            self._on_event,
            former=Path(self._startup.former) if self._startup.former else None,
            follow_log=functools.partial(follow, Path(self._startup.log)) if self._startup.log else None,
            passed=self._passed_socket(),
            relief=self._relief,
            outcomes=self._make_outcomes() if self._reads.sources else None,
        )

    def _passed_socket(self) -> socket.socket | None:
        if self._startup.listener < 0:
            return None
        passed = socket.socket(fileno=self._startup.listener)
        passed.set_inheritable(False)
        passed.setblocking(False)
        return passed

    def _make_outcomes(self) -> Outcomes:
        from confcast.owner.loop.outcomes import Outcomes  # here: most owners follow nothing

        return Outcomes(self._reads, self._following.tell)

    def _rules(self, schema: bytes, fields: dict[str, str]) -> Rules:
        return Rules(**msgspec.structs.asdict(self._startup.options), schema=schema, fields=fields)

    def _open_journal(self, path: Path | None = None) -> Journal:
        options = self._startup.options
        return Journal(
            path or self._runtime_dir.journal,
            history_limit=options.history_limit,
            keep_versions=options.keep_versions,
            durable=self._startup.durable,
            deliveries=self._deliveries,
        )

    def _make_webhooks(self) -> None:
        """Make what delivers webhooks, if there are any. Raises ConfcastError at a first start: they can't deliver."""
        if not (webhooks := self._startup.options.webhooks):
            return
        from confcast.owner.loop.webhook_post import check  # here: most owners have none
        from confcast.owner.loop.webhooks import Webhooks
        from confcast.owner.store.deliveries import Deliveries

        if not self._restarted:
            check(webhooks)
        self._deliveries = Deliveries(webhooks, self._startup.options.name, host_name(), handover.PAUSED)
        self._webhooks = Webhooks(webhooks, self._deliveries)

    def _move_to_state_folder(self) -> float:
        """Move the journal, unless a next generation loads already. Returns the seconds until the next try, or 0."""
        if self._paused:
            return 0.0
        again = self._loop.move_to_state_folder()
        self._attempts.move_to(self._runtime_dir.in_progress_file)
        return again

    def _move_before_exit(self) -> None:
        """Move the journal before the runtime directory is deleted, with what was committed since.

        If the master has closed, its former owners have exited by now. If it was killed, they are exiting, too.
        """
        if self._paused or not self._is_last():
            return
        deadline = time.monotonic() + _MOVE_WITHIN
        while self._loop.move_to_state_folder() and not self._dismissed and time.monotonic() < deadline:
            time.sleep(_MOVE_WITHIN / 100)

    # ---- messages of the master channel

    def _on_event(self, event: ReloadEvent) -> None:
        """Report the first load to the master, and exit if a first owner's is refused."""
        self._ring()
        if self.ready:
            self._on_later_event(event)
            return
        if event.origin in _BEFORE_THE_FIRST_LOAD and not self._restarted:
            return
        if event or event.result is ReloadResult.UNDONE:  # a server whose window was open starts on its fallback
            self._send_ready(event.version, [])
            if event.origin == ORIGIN:
                self._log_last_good(event.version)
        elif not self._restarted and self._loop.core.falls_back(event):
            self._refused = event
        elif not self._restarted:
            first, more = (event, []) if self._refused is None else (self._refused, event.problems)
            self._send_ready(0, [*first.problems, *more], first.result.value)
            self._status = REFUSED
            self._loop.stop("the first configuration was refused")

    def _ring(self) -> None:
        """Tell a master that wants to know that there is a new event."""
        if self._startup.bell >= 0:
            with contextlib.suppress(OSError):  # it has not read the last ones yet, or is gone
                os.write(self._startup.bell, b"\0")

    def _on_later_event(self, event: ReloadEvent) -> None:
        """Note a refusal in a pause. Log a start's load that is refused only now: the master reports it no more."""
        if any(problem.message == handover.PAUSED for problem in event.problems):
            self._note_refusal()
        elif event.origin in ("start", ORIGIN) and not event:
            log_event(event)
        elif event.origin == ORIGIN:
            self._log_last_good(event.version)

    def _log_last_good(self, version: int) -> None:
        hold = self._loop.core.operator.hold
        if self._refused is not None:
            log_event(self._refused)
        log_last_good(version, hold.version if hold is not None else version)

    def _send_ready(self, version: int, problems: list[Problem], reason: str = "") -> None:
        """Tell the master that its server may start on this version, whose values run from now on; 0: on none."""
        self.ready = True
        if version:  # perhaps before a load: one that took others up would not know again what was undone
            self._loading.serves()
        self._output.release()
        send(self._channel, Ready(version, problems, reason, time.monotonic()))

    def _receive(self) -> bool:
        """Act on one message from the master. Returns whether more messages may come."""
        try:
            message = self._channel.receive()
        except (OSError, ConfcastError):
            return False
        match message:
            case Leave():
                self._dismissed = True
                self._mailbox.post(MasterGone())
            case None:  # the master is dead, or has become another program under its pid, which never sends Leave
                self._mailbox.post(MasterGone())
            case Pause(number=number, on=True):
                self._pause(number)
            case Pause():
                self._resume()
            case Expect(pids=pids):
                self._loop.expect(pids)
            case Superseded():
                self._loop.when_idle(self._leave_state_folder)
        return message is not None

    # ---- when a next generation takes over

    def _pause(self, number: int) -> None:
        """Disable loading, and send Paused once the current reload has ended, so that the copy has its version."""
        self._paused = True
        self._attempts.disable(Problem("", handover.PAUSED))
        self._polling.pause(on=True)
        self._following.pause(on=True)
        if self._webhooks is not None:
            self._webhooks.pause(on=True)
        self._rests_by = time.monotonic() + _REST_WITHIN
        self._loop.hand_over(on=True)
        self._loop.when_idle(functools.partial(self._report_paused, number))

    def _report_paused(self, number: int) -> float:
        if self._paused:
            if not self._rests() and time.monotonic() < self._rests_by:
                return _REST_STEP
            self._loop.copy_journal()
            send(self._channel, Paused(number))
        return 0.0

    def _rests(self) -> bool:
        """Whether nothing is under way by which two owners would pass for one."""
        return self._following.rests() and (self._webhooks is None or self._webhooks.rests())

    def _note_refusal(self) -> None:
        """Have a load that was refused during a pause done again: after the pause, or now, if this owner has resumed.

        A process that asked by a signal gets no answer, and would not ask again.
        """
        if self._paused:
            self._has_refused = True
        else:
            self._mailbox.post(Trigger("signal"))

    def _leave_state_folder(self) -> float:
        again = self._loop.leave_state_folder()
        self._attempts.move_to(self._runtime_dir.in_progress_file)
        return again

    def _resume(self) -> None:
        """Allow loads again, since the next generation was called off; load now if a load or a change was missed."""
        self._paused = False
        self._attempts.enable()
        self._polling.pause(on=False)
        self._following.pause(on=False)
        if self._webhooks is not None:
            self._webhooks.pause(on=False)
        self._loop.hand_over(on=False)
        self._loop.take_back()
        self._loop.when_idle(self._move_to_state_folder)
        if self._has_refused or self._startup.options.watch:
            self._mailbox.post(Trigger("signal" if self._has_refused else "watch"))
        self._has_refused = False


def send(channel: MasterChannel, message: Ready | Paused) -> None:
    """Send a message to the master, if its end of the channel is open."""
    try:
        channel.send(message)
    except OSError as error:
        _log.debug("the master no longer listens: %s", error, extra=about("master_deaf", error=error))


def _described(source: object) -> str:
    """The kind of a source, and its files; never its other fields, which may be secret in a user's source."""
    if isinstance(source, loaded("confcast.config.sources.environment", "Environment")):
        return f"Environment({', '.join(filter(None, [source.prefix, *source.names]))})"
    files: tuple[Path, ...] = ()
    with contextlib.suppress(Exception):  # raised by a user's source; the watcher logs it
        files = getattr(source, "watched", tuple)()
    return " ".join([type(source).__name__, *map(str, files)])


def install_handlers(mailbox: Mailbox[Input | Answered | LogRotated]) -> None:
    """Have the signals written into the mailbox, then unblock those that the master blocked. In the main thread."""
    signal.set_wakeup_fd(mailbox.wakeup_fd, warn_on_full_buffer=False)
    for number in _OF_SIGNAL:
        signal.signal(number, lambda number, frame: None)
    ignored = (signal.SIGINT, signal.SIGTERM, signal.SIGIO, getattr(signal, "SIGRTMIN", None))
    for number in filter(None, ignored):  # macOS has no RTMIN
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED_AT_THE_START)


def leave_signals_to_the_loop(mailbox: Mailbox[Input | Answered | LogRotated]) -> None:
    """Have the main thread, which only waits from now on, take no signal: the loop's thread wakes by itself.

    Before, while the schema's module is imported, nothing is blocked, since what that starts inherits the mask. The
    module may also have exchanged the wakeup descriptor, as `asyncio.run` with a signal handler does.
    """
    signal.set_wakeup_fd(mailbox.wakeup_fd, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED_AT_THE_START)
