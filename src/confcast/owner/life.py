"""One owner's life: what it begins with, whom it tells, and what it leaves.

In this order: the lock and the control socket (workers may knock from then on), the schema, the journal, what a former
owner left there, and then the loop. A first owner whose first load is refused tells its master why, and ends; a
restarted one stands on the journal's version before it looks at the sources.

Rejected: importing the schema before taking the lock (two owners at once would run the user's code), and loading under
code that the journal's version was not made with (its bytes go out as they are, to workers of the old code).
"""

from __future__ import annotations

import contextlib
import functools
import gc
import logging
import os
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from confcast.config.loader import ConfigLoader, LoaderSpec
from confcast.config.sources.environment import Environment
from confcast.errors import ConfcastError, ConfigError, Problem
from confcast.owner import generations
from confcast.owner.core import Rules
from confcast.owner.effects import Input, MasterGone, Trigger
from confcast.owner.guests import Guests
from confcast.owner.house import Holder, House
from confcast.owner.inheritance import Inheritance, attempt, inherit
from confcast.owner.journal import Journal
from confcast.owner.loading import Loading, Mark
from confcast.owner.mailbox import Mailbox
from confcast.owner.mounts import warn_of_mounted_files
from confcast.owner.output import CapturedOutput, follow
from confcast.owner.process import Owner
from confcast.owner.signals import LogRotated, heed_signals
from confcast.owner.watch import Watcher
from confcast.wire import processes
from confcast.wire.about import About, module_file
from confcast.wire.boot import Booted, Leash, Leave, Orders, Pause, Paused
from confcast.wire.messages import ReloadEvent

_log = logging.getLogger("confcast.owner")

REFUSED = 78
"""EX_CONFIG of sysexits.h: the exit status when the first configuration is refused."""

_LAST_TRY = 2.0
"""Seconds that an owner whose master was killed waits for the state folder, while a former one is leaving it."""

_BARRED = (
    "the schema's code has changed since this server started: workers keep the version they have, and nothing is "
    "loaded until the server is fully reloaded"
)


class Life:
    """From the orders to the exit status. Built and run in the owner's main thread.

    Args:
        leash: Where the master waits for Booted, and may say Leave.
        orders: What was heard on it.
        output: What is written until it serves.
    """

    def __init__(self, leash: Leash, orders: Orders, output: CapturedOutput) -> None:
        self._output = output
        self._leash = leash
        self._orders = orders
        self._restarted = orders.restarts > 0
        self._status = 0
        self._booted = self._dismissed = False
        self._mailbox: Mailbox[Input | LogRotated] = Mailbox()
        heed_signals(self._mailbox)
        me = os.getpid()
        holder = Holder(me, processes.started(me), orders.master_pid, orders.master_started, orders.name)
        guests = Guests(orders.workers_uid, orders.workers_gid)
        folder, state = Path(orders.folder), Path(orders.state_folder)
        self._paused = orders.paused
        self._has_refused = False  # a load, while it was paused
        self._house = House(folder, state, holder, follows=bool(orders.former), apart=orders.paused, guests=guests)

    @property
    def booted(self) -> bool:
        """Whether the master was told of a beginning, and hears no more words."""
        return self._booted

    def serve(self) -> int:
        """Live; the exit status.

        Raises:
            NotCarried: The schema has fields that can't be carried.
            Exception: Whatever keeps it from starting, and whatever the user's module raises when it is imported.
        """
        listener = self._house.enter()
        loader = self._loader()
        codec = loader.codec
        left = inherit(self._house, self._orders, self._open_journal, codec.fingerprint, codec.fields)
        barred = left.row is not None and left.row.schema != codec.fingerprint
        attempt("description", lambda: self._house.describe(self._about(loader)))
        self._watcher = self._make_watcher(loader)
        if not self._restarted:
            with contextlib.suppress(ConfigError):  # of a source of the user's: the load says so
                warn_of_mounted_files(loader.watched())
        self._mark = Mark(self._house.mark)
        self._loading = loading = Loading(
            loader,
            self._mark,
            self._mailbox.post,
            self._watcher.tried,
            Problem("", _BARRED) if barred else None,
            self._watcher.forget,
        )
        if self._paused:
            loading.bar(Problem("", generations.WORDS))
        rules = self._rules(codec.fingerprint if left.row is None else left.row.schema, left.fields)
        self._owner = Owner(rules, self._house, listener, self._open_journal, self._mailbox, loading, self._heard_event)
        self._owner.former = Path(self._orders.former) if self._orders.former else None
        if self._orders.log:
            self._owner.follow_log = functools.partial(follow, Path(self._orders.log))
        if left.lost:
            self._owner.count_loss("journal lost")
        self._stand_on(left, loading)
        return self._run(watching=self._orders.watch and not barred)

    def _stand_on(self, left: Inheritance, loading: Loading) -> None:
        row = left.row
        gathering = self._restarted and (left.lost or row is None)
        if row is not None:
            loading.committed(row.digest, row.payload)
            attempt("snapshot file", lambda: self._house.save(row.schema, row.version, row.digest, row.payload))
        self._owner.stand_on(row, left.roster, left.floor, gathering=gathering)
        self._owner.watch_master(self._orders.master_pid, self._orders.master_started)
        self._owner.listen_to(self._leash.connection, self._hear_master)
        if self._restarted and row is not None:
            self._say_booted(row.version, [])

    def _run(self, *, watching: bool) -> int:
        if not self._paused:
            self._mailbox.post(Trigger("restart" if self._restarted else "start"))
            self._owner.when_idle.add(self._move_in)
        if watching:
            self._watcher.start()
        # What is imported by now lives as long as this process: no collection need look at it again.
        gc.collect()
        gc.freeze()
        try:
            self._owner.run()
        finally:
            self._watcher.close()
            self._move_in_at_last()
            self._owner.close()
            self._mark.close()
            if self._nobody_follows():
                self._house.leave()
            else:
                self._house.unlock()
        reason = self._owner.exit_reason
        if reason and not self._status:
            _log.error("the config owner gives up: %s", reason)
            return 1
        return self._status

    def _nobody_follows(self) -> bool:
        """The master is gone or has closed, or takes no owner: else the next one stands on what this one leaves."""
        return self._owner.exit_reason == "" or self._status == REFUSED

    # ---- what it begins with

    def _loader(self) -> ConfigLoader[Any]:
        orders = self._orders
        os.chdir(orders.working_directory)
        sys.path[:] = [entry.decode("utf-8", "surrogatepass") for entry in orders.sys_path]
        return ConfigLoader.from_spec(msgspec.msgpack.decode(orders.loader, type=LoaderSpec))

    def _about(self, loader: ConfigLoader[Any]) -> About:
        orders, schema = self._orders, loader.schema
        return About(
            name=orders.name,
            schema=loader.schema_path,
            qualname=schema.__qualname__,
            module=module_file(schema),
            sources=list(map(_described, loader.sources)),
            working_directory=orders.working_directory,
            command=processes.command(orders.master_pid),
        )

    def _make_watcher(self, loader: ConfigLoader[Any]) -> Watcher:
        def changed() -> None:
            if not self._paused:
                self._mailbox.post(Trigger("watch"))

        writing, nowhere = loader.still_being_written, loader.watches_nowhere
        return Watcher(loader.watched, loader.fingerprint, writing, changed, nowhere=nowhere)

    def _rules(self, schema: bytes, fields: dict[str, str]) -> Rules:
        orders = self._orders
        return Rules(
            name=orders.name,
            schema=schema,
            fields=fields,
            vote_timeout=orders.vote_timeout,
            precommit_timeout=orders.precommit_timeout,
            load_timeout=orders.load_timeout,
            answers_within=orders.answers_within,
            silent=orders.silent,
        )

    def _open_journal(self) -> Journal:
        return Journal(self._house.journal, history_limit=self._orders.history_limit, durable=self._orders.durable)

    def _move_in(self) -> float:
        """An owner that another one follows stays where it is."""
        if self._paused:
            return 0.0
        again = self._owner.move_in()
        self._mark.path = self._house.mark
        return again

    def _move_in_at_last(self) -> None:
        """What was committed since must not go with the run-time folder.

        When a master closes, its former owners have left by now. When it is killed, they leave at the same time.
        """
        if self._paused or not self._nobody_follows():
            return
        deadline = time.monotonic() + _LAST_TRY
        while self._owner.move_in() and not self._dismissed and time.monotonic() < deadline:
            time.sleep(_LAST_TRY / 100)

    # ---- what it says to its master, and hears

    def _heard_event(self, event: ReloadEvent) -> None:
        """The first load decides whether this owner stays."""
        if self._booted:
            if any(problem.message == generations.WORDS for problem in event.problems):
                self._heard_refusal()
            return
        if event:
            self._say_booted(event.version, [])
        elif not self._restarted:
            self._say_booted(0, event.problems, event.result.value)
            self._status = REFUSED
            self._owner.exit_reason = "the first configuration was refused"

    def _say_booted(self, version: int, problems: list[Problem], reason: str = "") -> None:
        self._booted = True
        self._output.release()
        self._say(Booted(version, problems, reason, time.monotonic()))

    def _say(self, message: Booted | Paused) -> None:
        try:
            self._leash.say(message)
        except OSError as error:
            _log.debug("the master no longer listens: %s", error)

    def _hear_master(self) -> bool:
        """Whether more may come."""
        try:
            message = self._leash.hear()
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
        self._loading.bar(Problem("", generations.WORDS))
        self._owner.when_idle.add(functools.partial(self._say_paused, number))

    def _say_paused(self, number: int) -> float:
        if self._paused:
            self._owner.leave_a_copy()
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
        self._loading.bar(None)
        self._owner.take_back()
        self._owner.when_idle.add(self._move_in)
        if self._has_refused or self._orders.watch:
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
