"""The owner's main program: `python -m confcast.owner FD`, where FD is its end of the leash.

It hears its orders, takes the lock, listens, imports the schema, opens the journal and runs the loop until its master
is gone. Standard input is /dev/null and standard output goes to standard error (the master may speak a protocol on
its own). This is a program of ours, so here, and only here, logging is configured: to standard error.

Exit status: 0 left with its master, 1 had to give up, 3 could not start, 78 the first configuration was refused.
"""

from __future__ import annotations

import logging
import multiprocessing.spawn
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from confcast.config.loader import ConfigLoader, LoaderSpec
from confcast.errors import ConfcastError, ConfigError, NotCarried, Problem
from confcast.owner.core import Rules
from confcast.owner.effects import Input, MasterGone, Trigger
from confcast.owner.house import Holder, House
from confcast.owner.journal import Journal, JournalError, VersionRow
from confcast.owner.loading import Loading, Mark
from confcast.owner.mailbox import Mailbox
from confcast.owner.process import Owner, heed_signals
from confcast.owner.watch import Watcher
from confcast.wire import processes, snapshots
from confcast.wire.boot import Booted, Leash, Leave, Orders
from confcast.wire.messages import ReloadEvent
from confcast.wire.role import become_owner

_log = logging.getLogger("confcast.owner")

REFUSED = 78
"""EX_CONFIG of sysexits.h."""

_BARRED = (
    "the schema's code has changed since this server started: workers keep the version they have, and nothing is "
    "loaded until the server is fully reloaded"
)


def main(arguments: list[str]) -> int:
    """Hear the orders and serve; the exit status."""
    become_owner()
    leash = Leash(socket.socket(fileno=int(arguments[0])))
    orders = leash.hear()
    if not isinstance(orders, Orders):
        return 3
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format=f"%(asctime)s [%(process)d] confcast {orders.name}: %(message)s",
    )
    try:
        return _Life(leash, orders).serve()
    except (ConfigError, NotCarried) as error:
        leash.say(Booted(0, error.problems, getattr(error, "reason", "")))
        return REFUSED
    except Exception as error:
        _log.debug("the config owner could not start", exc_info=True)
        problem = Problem("", str(error) if isinstance(error, ConfcastError) else f"{type(error).__name__}: {error}")
        leash.say(Booted(0, [problem], "not_started"))
        return 3


class _Life:
    """One owner from its orders to its end."""

    def __init__(self, leash: Leash, orders: Orders) -> None:
        self._leash = leash
        self._orders = orders
        self._mailbox: Mailbox[Input] = Mailbox()
        heed_signals(self._mailbox)
        holder = Holder(os.getpid(), orders.master_pid, orders.master_started)
        self._house = House(Path(orders.folder), Path(orders.state_folder), holder)
        self._status = 0
        self._booted = False

    def serve(self) -> int:
        orders = self._orders
        listener = self._house.enter()
        loader = self._loader()
        codec = loader.codec
        lost = self._set_aside_a_torn_journal()
        row, floor, roster = self._inheritance(codec.fingerprint)
        barred = row is not None and row.schema != codec.fingerprint
        rules = Rules(
            name=orders.name,
            schema=row.schema if row is not None else codec.fingerprint,
            fields={} if barred else codec.fields,
            vote_timeout=orders.vote_timeout,
            load_timeout=orders.load_timeout,
            silent=orders.silent,
        )
        watcher = Watcher(
            loader.watched,
            loader.fingerprint,
            loader.still_being_written,
            lambda: self._mailbox.post(Trigger("watch")),
        )
        mark = Mark(self._house.state_folder / "loading")
        loading = Loading(loader, mark, self._mailbox.post, watcher.tried, Problem("", _BARRED) if barred else None)
        if row is not None:
            loading.committed(row.digest, row.payload)
            snapshots.save(self._house.folder, row.schema, row.version, row.digest, row.payload)
        owner = Owner(
            rules, self._house, listener, self._open_journal, self._mailbox, loading, self._uids(), self._heard_event
        )
        self._owner = owner
        restarted = orders.restarts > 0
        owner.stand_on(row, roster, floor, gathering=restarted and (lost or row is None))
        owner.watch_master(orders.master_pid)
        owner.listen_to(self._leash.connection, self._hear_master)
        if restarted and row is not None:
            self._say_booted(row.version, [])
        self._mailbox.post(Trigger("restart" if restarted else "start"))
        if orders.watch and not barred:
            watcher.start()
        try:
            owner.run()
        finally:
            watcher.close()
            owner.close()
            mark.close()
            self._house.leave()
        return self._exit_status()

    # ---- what it begins with

    def _loader(self) -> ConfigLoader[Any]:
        orders = self._orders
        os.chdir(orders.working_directory)
        sys.path[:] = orders.sys_path
        multiprocessing.spawn.prepare(orders.main)
        return ConfigLoader.from_spec(msgspec.msgpack.decode(orders.loader, type=LoaderSpec))

    def _open_journal(self) -> Journal:
        return Journal(self._house.journal, history_limit=self._orders.history_limit, durable=self._orders.durable)

    def _set_aside_a_torn_journal(self) -> bool:
        try:
            self._open_journal().close()
        except JournalError as error:
            aside = self._house.journal.with_name(f"journal.torn-{int(time.time())}")
            _log.error("%s; it is kept as %s, and a new one is begun: history and totals are lost", error, aside.name)
            self._house.journal.rename(aside)
            return True
        return False

    def _inheritance(self, fingerprint: bytes) -> tuple[VersionRow | None, int, tuple[int, ...]]:
        """The version to stand on, the highest number ever used, and the processes that a former owner knew."""
        journal, restarted = self._open_journal(), self._orders.restarts > 0
        try:
            row, floor = journal.latest(), journal.floor
            roster = journal.roster()
            living = tuple(pid for pid, since in roster if restarted and processes.is_alive(pid, since))
            for pid, _ in roster:
                if pid not in living:
                    journal.strike(pid)
            if restarted:
                journal.count_restart()
        finally:
            journal.close()
        if row is None and restarted:
            floor = max(floor, int(time.time()))
        if row is not None and row.schema != fingerprint and not restarted:
            row = None
        return row, floor, living

    def _uids(self) -> frozenset[int]:
        return frozenset({os.geteuid(), *self._orders.allowed_uids})

    # ---- what it says to its master, and hears

    def _heard_event(self, event: ReloadEvent) -> None:
        """The first load decides whether this owner stays."""
        if self._booted:
            return
        if event:
            self._say_booted(event.version, [])
        elif self._orders.restarts == 0:
            self._say_booted(0, event.problems, event.result.value)
            self._status = REFUSED
            self._owner.exit_reason = "the first configuration was refused"

    def _say_booted(self, version: int, problems: list[Problem], reason: str = "") -> None:
        self._booted = True
        try:
            self._leash.say(Booted(version, problems, reason))
        except OSError as error:
            _log.debug("the master no longer listens: %s", error)

    def _hear_master(self) -> bool:
        """Whether more may come."""
        try:
            message = self._leash.hear()
        except (OSError, ConfcastError):
            return False
        if isinstance(message, Leave):
            self._mailbox.post(MasterGone())
        return message is not None

    def _exit_status(self) -> int:
        reason = self._owner.exit_reason
        if reason and not self._status:
            _log.error("the config owner gives up: %s", reason)
            return 1
        return self._status


if __name__ == "__main__":
    status = main(sys.argv[1:])
    logging.shutdown()
    sys.stderr.flush()
    # A load that hangs must not hold up the end; everything that must be closed is closed.
    os._exit(status)
