"""An owner's loop that the test turns, with the journal and the world acting in the middle of a turn."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confcast.owner.core import effects as fx
from confcast.owner.core.machine import Rules
from confcast.owner.loop.event_loop import EventLoop
from confcast.owner.loop.mailbox import Mailbox
from confcast.owner.store.journal import Journal, StateRow, VersionRow
from confcast.owner.store.runtime_dir import RuntimeDir
from confcast.owner.store.runtime_lock import LockHolder, RuntimeLock
from confcast.wire import processes
from confcast.wire.framing import frame
from confcast.wire.messages import PROTOCOL, Hello, ReloadEvent, encode
from tests.support.waiting import eventually

SCHEMA = b"schema"


class NoLoading:
    """The loads of these tests are done by hand."""

    forgotten = 0
    present = b""

    def forget_attempt(self) -> None:
        self.forgotten += 1

    def start(self) -> None: ...

    def close(self) -> None: ...

    def submit(self, order: fx.Load, past_guards: frozenset[bytes] = frozenset()) -> None: ...

    def submit_question(self, ask: object) -> None: ...

    def overrides(self, layer: bytes) -> list[Any]:
        return []

    def doing(self) -> str:
        return ""

    def committed(self, digest: bytes, payload: bytes, values: bytes = b"") -> None: ...

    def restore(self, number: int, row: VersionRow) -> fx.Loaded:
        """What differs is for the core to be told: any content that is not the present one."""
        differs = row.digest != self.present
        return fx.Loaded(number, row.digest, row.payload, differs, layer=row.layer, restores=row.version)

    def located(self, given: fx.Input) -> fx.Input:
        return given


class Shell:
    """An owner that nobody runs: `turns` lets its loop go round for as long as there is something to do."""

    def __init__(self, home: Path) -> None:
        me = os.getpid()
        since = processes.started(me)
        self.lock = RuntimeLock(LockHolder(me, since, me, since, "app"))
        self.runtime_dir = RuntimeDir(home, home, self.lock)
        self.mailbox: Mailbox[fx.Input] = Mailbox()
        self.events: list[ReloadEvent] = []
        listener = self.runtime_dir.listen()
        self.loading = NoLoading()
        loading: Any = self.loading
        rules = Rules(schema=SCHEMA)
        self.owner = EventLoop(
            rules, self.runtime_dir, listener, self.open_journal, self.mailbox, loading, self.events.append
        )
        self.journal = self.owner._journal
        self.owner.start_from(None, (), 0, gathering=False)
        self.sockets: list[socket.socket] = []

    def open_journal(self) -> Journal:
        return Journal(self.runtime_dir.journal)

    def turns(self, *given: fx.Input) -> None:
        for each in given:
            self.mailbox.post(each)
            self.owner._turn()

    def turns_until(self, condition: Callable[[], bool]) -> None:
        """Turn after turn; what is said in each keeps it from waiting, and means nothing."""

        def turn() -> bool:
            self.turns(fx.Wake(fx.Timer.STAGE, 0))
            return condition()

        eventually(turn, "the loop has come to that")

    def connects(self) -> socket.socket:
        """This process, as a worker that holds nothing."""
        mine = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sockets.append(mine)
        mine.settimeout(5)
        mine.connect(str(self.runtime_dir.address))
        mine.sendall(frame(encode(Hello(PROTOCOL, os.getpid(), "replica", "app", SCHEMA))))
        return mine

    def before_it_writes(self, then: Callable[[VersionRow], None], *, after: bool = False) -> None:
        """Something that happens in the middle of every journal write."""
        record = self.journal.record

        def write(row: VersionRow, state: StateRow) -> None:
            if after:
                record(row, state)
            then(row)
            if not after:
                record(row, state)

        self.journal.record = write  # type: ignore[method-assign]

    def close(self) -> None:
        for each in self.sockets:
            each.close()
        self.owner.close()
        self.mailbox.close()
        self.runtime_dir.remove_files()
        self.lock.release()


def load(content: bytes, number: int = 1) -> list[fx.Input]:
    return [fx.Trigger("signal"), fx.Loaded(number, content, content, differs=True)]
