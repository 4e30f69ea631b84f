"""The loop around the core: what happens between two inputs, with the journal and the world acting in the middle."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from confcast.owner.core import effects as fx
from confcast.owner.core.machine import ProposalState, Rules
from confcast.owner.loop.event_loop import EventLoop
from confcast.owner.loop.mailbox import Mailbox
from confcast.owner.store.journal import Journal, JournalError, StateRow, VersionRow
from confcast.owner.store.runtime_dir import RuntimeDir
from confcast.owner.store.runtime_lock import LockHolder, RuntimeLock
from confcast.wire import processes
from confcast.wire.framing import frame
from confcast.wire.messages import PROTOCOL, Hello, ReloadEvent, ReloadResult, encode
from tests.support.waiting import eventually

SCHEMA = b"schema"


class NoLoading:
    """The loads of these tests are done by hand."""

    forgotten = 0

    def forget_attempt(self) -> None:
        self.forgotten += 1

    def start(self) -> None: ...

    def close(self) -> None: ...

    def submit(self, order: fx.Load) -> None: ...

    def doing(self) -> str:
        return ""

    def committed(self, digest: bytes, payload: bytes) -> None: ...

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


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    made = Shell(tmp_path / "home")
    yield made
    made.close()


def load(content: bytes, number: int = 1) -> list[fx.Input]:
    return [fx.Trigger("signal"), fx.Loaded(number, content, content, differs=True)]


def test_a_worker_that_connects_while_an_owner_without_workers_writes_is_lagging(shell: Shell):
    """It may have started on the snapshot file since, and serve what that said."""
    shell.before_it_writes(lambda row: shell.connects() and None)
    shell.turns(*load(b"A"))
    assert shell.events == [], "it is waited for like anybody else"
    shell.turns_until(lambda: bool(shell.events))
    (event,) = shell.events
    assert event.result is ReloadResult.PARTIAL
    assert [status.pid for status in event.lagging] == [os.getpid()]


@pytest.mark.parametrize("written", [True, False])
def test_a_write_that_failed_is_read_back(shell: Shell, written: bool):
    def fail(row: VersionRow) -> None:
        raise JournalError("the disk says no")

    shell.before_it_writes(fail, after=written)
    shell.turns(*load(b"A"))
    (event,) = shell.events
    assert event.result is (ReloadResult.SUCCESS if written else ReloadResult.IO_ERROR)
    assert shell.owner.core.committed.version == (1 if written else 0)
    assert shell.loading.forgotten == (0 if written else 1)  # what came to nothing is loaded again when there is room


def test_while_no_journal_can_be_made_anew_the_former_one_answers(shell: Shell):
    shell.turns(*load(b"A"))
    shell.runtime_dir.journal.unlink()
    shell.runtime_dir.journal.mkdir()
    shell.turns(*load(b"B", 2))
    assert shell.events[-1].result is ReloadResult.IO_ERROR
    assert [event.result.value for event in shell.owner._journal.events()] == ["io_error", "success"]

    shell.runtime_dir.journal.rmdir()
    shell.turns(*load(b"C", 3))
    assert shell.events[-1].result is ReloadResult.SUCCESS
    assert [event.version for event in shell.owner._journal.events()] == [3]  # the one that failed is retired


def test_the_death_of_a_worker_takes_it_off_the_roster(shell: Shell):
    program = f"""
import socket, sys
mine = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
mine.connect({str(shell.runtime_dir.address)!r})
mine.sendall(bytes.fromhex(sys.argv[1]))
sys.stdin.read()
"""
    said = frame(encode(Hello(PROTOCOL, 0, "replica", "app", SCHEMA)))
    command = [sys.executable, "-c", program, said.hex()]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as worker:
        shell.turns_until(lambda: [status.pid for status in shell.owner.core.statuses()] == [worker.pid])
        worker.kill()
        worker.wait()
        shell.turns_until(lambda: shell.owner.core.statuses() == [])
    assert shell.journal.roster() == []
    assert shell.owner.core.state is ProposalState.IDLE


@pytest.mark.parametrize(("level", "reported"), [("DEBUG", True), ("INFO", False)])
def test_the_transitions_of_the_core_are_logged_where_debug_lines_are(
    level: str, reported: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(level, "confcast.owner")
    shell = Shell(tmp_path)
    shell.turns(fx.Trigger("signal"))
    lines = [record.getMessage() for record in caplog.records if record.levelname == "DEBUG"]
    wanted = "IDLE: Trigger origin=signal => LOADING: Load number=1 insist; WakeAt timer=load in=10s"
    assert (wanted in lines) is reported
    shell.close()
