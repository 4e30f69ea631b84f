"""The loop around the core: what happens between two inputs, with the journal and the world acting in the middle."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from confcast.owner.core import effects as fx
from confcast.owner.core.machine import ProposalState
from confcast.owner.store.journal import JournalError, VersionRow
from confcast.wire.framing import frame
from confcast.wire.messages import PROTOCOL, Hello, ReloadResult, encode
from tests.support.shell import SCHEMA, Shell, load


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
