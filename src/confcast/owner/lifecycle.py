"""One owner's life: what it begins with, whom it tells, and what it leaves.

In this order: the lock and the control socket (workers may knock from then on), the schema, the journal, what a former
owner left there, and then the loop. A first owner whose first load is refused tells its master why, and ends; a
restarted one stands on the journal's version before it looks at the sources.

Rejected: importing the schema before taking the lock (two owners at once would run the user's code), and loading under
code that the journal's version was not made with (its bytes go out as they are, to workers of the old code).

What an owner does on a signal. Handlers only enqueue.

HUP is a trigger. INT is the terminal's word to the master. TERM comes to every process of a stopping service: the owner
outlives the workers that it still serves, and leaves with its master. USR1 says that log files were rotated (a server's
master sends it on, `systemctl kill -s USR1` sends it to all): the owner goes on in the next file then. RTMIN may come
to every process of a service that is to reload fully, and IO of a lease on a file that a writer opens: either would end
the process.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from confcast.config.loader import ConfigLoader, LoaderSpec
from confcast.config.sources.environment import Environment
from confcast.errors import ConfcastError, ConfigError, Problem
from confcast.owner.core.effects import Input, MasterGone, Trigger
from confcast.owner.core.machine import Rules
from confcast.owner.log_file import CapturedOutput, follow
from confcast.owner.loop.event_loop import EventLoop
from confcast.owner.loop.load_thread import Loading
from confcast.owner.loop.mailbox import LogRotated, Mailbox
from confcast.owner.store import handover
from confcast.owner.store.allowed_uids import AllowedUids
from confcast.owner.store.attempts import Attempts, InProgressFile
from confcast.owner.store.journal import Journal
from confcast.owner.store.recovery import Recovered, attempt, recover
from confcast.owner.store.runtime_dir import RuntimeDir
from confcast.owner.store.runtime_lock import LockHolder, RuntimeLock
from confcast.owner.watch.bind_mounts import warn_of_mounted_files
from confcast.owner.watch.watcher import Watcher
from confcast.wire import processes
from confcast.wire.files.about import About, module_file
from confcast.wire.master_channel import Leave, MasterChannel, Pause, Paused, Ready, StartupConfig
from confcast.wire.messages import ReloadEvent
from confcast.wire.role import BLOCKED_AT_THE_START

_log = logging.getLogger("confcast.owner")

REFUSED = 78
"""EX_CONFIG of sysexits.h: the exit status when the first configuration is refused."""

_LAST_TRY = 2.0
"""Seconds that an owner whose master was killed waits for the state folder, while a former one is leaving it."""

_DISABLED = (
    "the schema's code has changed since this server started: workers keep the version they have, and nothing is "
    "loaded until the server is fully reloaded"
)


class Lifecycle:
    """From the orders to the exit status. Built and run in the owner's main thread.

    Args:
        channel: Where the master waits for Booted, and may say Leave.
        startup: What was heard on it.
        output: What is written until it serves.
    """

    def __init__(self, channel: MasterChannel, startup: StartupConfig, output: CapturedOutput) -> None:
        self._output = output
        self._channel = channel
        self._startup = startup
        self._restarted = startup.restarts > 0
        self._status = 0
        self._ready = self._dismissed = False
        self._mailbox: Mailbox[Input | LogRotated] = Mailbox()
        install_handlers(self._mailbox)
        me = os.getpid()
        holder = LockHolder(me, processes.started(me), startup.master_pid, startup.master_started, startup.name)
        allowed_uids = AllowedUids(startup.workers_uid, startup.workers_gid)
        folder, state = Path(startup.folder), Path(startup.state_folder)
        self._paused = startup.paused
        self._has_refused = False  # a load, while it was paused
        self._lock = RuntimeLock(holder, follows=bool(startup.former))
        self._runtime_dir = RuntimeDir(folder, state, self._lock, apart=startup.paused, allowed_uids=allowed_uids)

    @property
    def ready(self) -> bool:
        """Whether the master was told of a beginning, and hears no more words."""
        return self._ready

    def serve(self) -> int:
        """Live; the exit status.

        Raises:
            NotCarried: The schema has fields that can't be carried.
            Exception: Whatever keeps it from starting, and whatever the user's module raises when it is imported.
        """
        listener = self._runtime_dir.listen()
        loader = self._loader()
        codec = loader._codec
        left = recover(self._runtime_dir, self._startup, self._open_journal, codec.fingerprint, codec.fields)
        disabled = left.row is not None and left.row.schema != codec.fingerprint
        attempt("description", lambda: self._runtime_dir.describe(self._about(loader)))
        in_progress_file = InProgressFile(self._runtime_dir.in_progress_file)
        self._attempts = Attempts(in_progress_file, Problem("", _DISABLED) if disabled else None)
        if self._paused:
            self._attempts.disable(Problem("", handover.WORDS))
        self._watcher = self._make_watcher(loader)
        if not self._restarted:
            with contextlib.suppress(ConfigError):  # of a source of the user's: the load says so
                warn_of_mounted_files(loader._watched())
        loading = Loading(loader, self._attempts, self._mailbox.post)
        rules = self._rules(codec.fingerprint if left.row is None else left.row.schema, left.fields)
        self._loop = EventLoop(
            rules,
            self._runtime_dir,
            listener,
            self._open_journal,
            self._mailbox,
            loading,
            self._on_event,
            former=Path(self._startup.former) if self._startup.former else None,
            follow_log=functools.partial(follow, Path(self._startup.log)) if self._startup.log else None,
        )
        if left.lost:
            self._loop.count_loss("journal lost")
        self._stand_on(left, loading)
        return self._run(watching=self._startup.watch and not disabled)

    def _stand_on(self, left: Recovered, loading: Loading) -> None:
        row = left.row
        gathering = self._restarted and (left.lost or row is None)
        if row is not None:
            loading.committed(row.digest, row.payload)
            attempt("snapshot file", lambda: self._runtime_dir.save(row.schema, row.version, row.digest, row.payload))
        self._loop.stand_on(row, left.roster, left.high_water, gathering=gathering)
        self._loop.watch_master(self._startup.master_pid, self._startup.master_started)
        self._loop.listen_to(self._channel.connection, self._hear_master)
        if self._restarted and row is not None:
            self._send_ready(row.version, [])

    def _run(self, *, watching: bool) -> int:
        if not self._paused:
            self._mailbox.post(Trigger("restart" if self._restarted else "start"))
            self._loop.when_idle(self._move_in)
        if watching:
            self._watcher.start()
        # What is imported by now lives as long as this process: no collection need look at it again.
        gc.collect()
        gc.freeze()
        try:
            self._loop.run()
        finally:
            self._watcher.close()
            self._move_in_at_last()
            self._loop.close()
            self._attempts.close()
            if self._nobody_follows():
                self._runtime_dir.remove_files()
            self._lock.release()
        reason = self._loop.exit_reason
        if reason and not self._status:
            _log.error("the config owner gives up: %s", reason)
            return 1
        return self._status

    def _nobody_follows(self) -> bool:
        """The master is gone or has closed, or takes no owner: else the next one stands on what this one leaves."""
        return self._loop.exit_reason == "" or self._status == REFUSED

    # ---- what it begins with

    def _loader(self) -> ConfigLoader[Any]:
        startup = self._startup
        os.chdir(startup.working_directory)
        sys.path[:] = [entry.decode("utf-8", "surrogatepass") for entry in startup.sys_path]
        return ConfigLoader._from_spec(msgspec.msgpack.decode(startup.loader, type=LoaderSpec))

    def _about(self, loader: ConfigLoader[Any]) -> About:
        startup, schema = self._startup, loader.schema
        return About(
            name=startup.name,
            schema=loader.schema_path,
            qualname=schema.__qualname__,
            module=module_file(schema),
            sources=list(map(_described, loader.sources)),
            working_directory=startup.working_directory,
            command=processes.command(startup.master_pid),
        )

    def _make_watcher(self, loader: ConfigLoader[Any]) -> Watcher:
        def changed() -> None:
            if not self._paused:
                self._mailbox.post(Trigger("watch"))

        writing, nowhere = loader._still_being_written, loader._watches_nowhere
        return Watcher(loader._watched, loader._fingerprint, writing, changed, self._attempts, nowhere=nowhere)

    def _rules(self, schema: bytes, fields: dict[str, str]) -> Rules:
        startup = self._startup
        return Rules(
            name=startup.name,
            schema=schema,
            fields=fields,
            vote_timeout=startup.vote_timeout,
            precommit_timeout=startup.precommit_timeout,
            load_timeout=startup.load_timeout,
            answers_within=startup.answers_within,
            silent=startup.silent,
        )

    def _open_journal(self) -> Journal:
        return Journal(
            self._runtime_dir.journal, history_limit=self._startup.history_limit, durable=self._startup.durable
        )

    def _move_in(self) -> float:
        """An owner that another one follows stays where it is."""
        if self._paused:
            return 0.0
        again = self._loop.move_in()
        self._attempts.move_to(self._runtime_dir.in_progress_file)
        return again

    def _move_in_at_last(self) -> None:
        """What was committed since must not go with the run-time folder.

        When a master closes, its former owners have left by now. When it is killed, they leave at the same time.
        """
        if self._paused or not self._nobody_follows():
            return
        deadline = time.monotonic() + _LAST_TRY
        while self._loop.move_in() and not self._dismissed and time.monotonic() < deadline:
            time.sleep(_LAST_TRY / 100)

    # ---- what it says to its master, and hears

    def _on_event(self, event: ReloadEvent) -> None:
        """The first load decides whether this owner stays."""
        if self._ready:
            if any(problem.message == handover.WORDS for problem in event.problems):
                self._heard_refusal()
            return
        if event:
            self._send_ready(event.version, [])
        elif not self._restarted:
            self._send_ready(0, event.problems, event.result.value)
            self._status = REFUSED
            self._loop.stop("the first configuration was refused")

    def _send_ready(self, version: int, problems: list[Problem], reason: str = "") -> None:
        self._ready = True
        self._output.release()
        self._say(Ready(version, problems, reason, time.monotonic()))

    def _say(self, message: Ready | Paused) -> None:
        try:
            self._channel.send(message)
        except OSError as error:
            _log.debug("the master no longer listens: %s", error)

    def _hear_master(self) -> bool:
        """Whether more may come."""
        try:
            message = self._channel.receive()
        except (OSError, ConfcastError):
            return False
        match message:
            case Leave():
                self._dismissed = True
                self._mailbox.post(MasterGone())
            case None:  # it is dead, or another program by now, under its pid: nobody could say Leave any more
                self._mailbox.post(MasterGone())
            case Pause(number=number, on=True):
                self._pause(number)
            case Pause():
                self._go_on()
        return message is not None

    # ---- when a next generation takes over

    def _pause(self, number: int) -> None:
        """What is under way still gets its end; its version must be in the copy."""
        self._paused = True
        self._attempts.disable(Problem("", handover.WORDS))
        self._loop.when_idle(functools.partial(self._say_paused, number))

    def _say_paused(self, number: int) -> float:
        if self._paused:
            self._loop.leave_a_copy()
            self._say(Paused(number))
        return 0.0

    def _heard_refusal(self) -> None:
        """Nobody tells who has sent a signal: it is loaded when this owner goes on, or now, if it has gone on."""
        if self._paused:
            self._has_refused = True
        else:
            self._mailbox.post(Trigger("signal"))

    def _go_on(self) -> None:
        """It was called off: what was refused meanwhile is loaded, or what a watching owner has missed."""
        self._paused = False
        self._attempts.enable()
        self._loop.take_back()
        self._loop.when_idle(self._move_in)
        if self._has_refused or self._startup.watch:
            self._mailbox.post(Trigger("signal" if self._has_refused else "watch"))
        self._has_refused = False


def _described(source: object) -> str:
    """Its kind and its files; of one of the user's no field, which may be a secret."""
    if isinstance(source, Environment):
        return f"Environment({source.prefix})"
    files: tuple[Path, ...] = ()
    with contextlib.suppress(Exception):  # of a source of the user's; who watches says so
        files = getattr(source, "watched", tuple)()
    return " ".join([type(source).__name__, *map(str, files)])


def install_handlers(mailbox: Mailbox[Input | LogRotated]) -> None:
    """Set the handlers, then let through what the master has blocked until now. In the main thread."""
    signal.set_wakeup_fd(mailbox.wakeup_fd, warn_on_full_buffer=False)
    signal.signal(signal.SIGHUP, lambda number, frame: mailbox.post(Trigger("signal")))
    signal.signal(signal.SIGUSR1, lambda number, frame: mailbox.post(LogRotated()))
    ignored = (signal.SIGINT, signal.SIGTERM, signal.SIGIO, getattr(signal, "SIGRTMIN", None))
    for number in filter(None, ignored):  # macOS has no RTMIN
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED_AT_THE_START)
