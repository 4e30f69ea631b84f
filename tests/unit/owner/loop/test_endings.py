"""Which ends speak against a version: the table in words, and real ends as the owner sees them, which is no parent."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from confcast.owner.loop import exit_watch as module
from confcast.owner.loop.endings import why_it_failed
from confcast.wire import processes
from tests.support.exits import Exits

linux = pytest.mark.skipif(sys.platform == "darwin", reason="only the parent is told how a process has ended")


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (0, ""),
        (155 << 8, ""),
        (1 << 8, "left with status 1"),
        (signal.SIGKILL, "was killed by signal 9 (SIGKILL)"),
        (signal.SIGSEGV | 0x80, "was killed by signal 11 (SIGSEGV)"),  # with a core dump
        (signal.SIGRTMIN + 1, f"was killed by signal {signal.SIGRTMIN + 1}"),
        (None, "ended without a word"),
        *((number, "") for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1)),
    ],
)
def test_each_line_of_the_table(status: int | None, says: str) -> None:
    assert why_it_failed(status) == says


def test_what_goodbye_changes() -> None:
    assert why_it_failed(1 << 8, said_goodbye=True) == "left with status 1"
    assert why_it_failed(signal.SIGSEGV, said_goodbye=True) == "was killed by signal 11 (SIGSEGV)"
    assert why_it_failed(signal.SIGKILL, said_goodbye=True) == ""
    assert why_it_failed(None, said_goodbye=True) == ""


@pytest.fixture
def started(request: pytest.FixtureRequest) -> Iterator[list[subprocess.Popen[bytes]]]:
    children: list[subprocess.Popen[bytes]] = []
    yield children
    for child in children:
        child.kill()
        child.wait()
        child.stdin.close()  # type: ignore[union-attr]  # it has one


def child(started: list[subprocess.Popen[bytes]], program: str) -> subprocess.Popen[bytes]:
    """A process that runs this once `ends` lets it."""
    found = subprocess.Popen([sys.executable, "-c", f"import os, sys; sys.stdin.read(1); {program}"], stdin=-1)
    started.append(found)
    return found


def ends(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.write(b"x")
    process.stdin.flush()


ENDS = [
    ("os._exit(0)", ""),
    ("os._exit(7)", "left with status 7"),
    ("1 / 0", "left with status 1"),
    ("os.kill(os.getpid(), 9)", "was killed by signal 9 (SIGKILL)"),
    ("os.kill(os.getpid(), 15)", ""),
]


@linux
@pytest.mark.parametrize(("program", "says"), ENDS)
def test_the_end_is_told_at_once_though_nobody_has_reaped_the_process(
    exits: Exits, started: list[subprocess.Popen[bytes]], program: str, says: str
) -> None:
    process = child(started, program)
    assert exits.await_end(process.pid)
    ends(process)
    exits.turn()
    assert exits.told == [says]


@linux
@pytest.mark.parametrize(("program", "says"), ENDS)
def test_a_process_that_was_reaped_has_told_its_pidfd(
    exits: Exits, started: list[subprocess.Popen[bytes]], program: str, says: str
) -> None:
    process = child(started, program)
    assert exits.await_end(process.pid)
    ends(process)
    process.wait()
    if processes._exit_info(exits.watch._pidfds[process.pid][0].fileno()) is None:
        says = "ended without a word"
    exits.turn()
    assert exits.told == [says]


@linux
def test_where_a_zombie_s_status_can_not_be_seen_it_is_told_once_the_process_is_reaped(
    exits: Exits, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container, where root may not trace workers of another user. The death itself is told at once."""
    monkeypatch.setattr(processes, "_zombie_status", lambda pid, since: None)
    process = child(started, "os._exit(7)")
    assert exits.await_end(process.pid)
    later = processes._exit_info(exits.watch._pidfds[process.pid][0].fileno()) is not None
    ends(process)
    exits.turn()
    assert exits.told == ([""] if later else ["ended without a word"])
    exits.turn(0)
    assert len(exits.told) == 1, "a zombie does not keep the loop busy"
    process.wait()
    exits.turn(10.0 if later else 0.0)
    assert exits.told[1:] == (["left with status 7"] if later else [])


@linux
def test_an_older_kernel_tells_of_a_zombie_and_of_nothing_else(
    exits: Exits, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*about: object) -> int:
        raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))

    monkeypatch.setattr(fcntl, "ioctl", unknown)
    zombie, reaped = child(started, "os._exit(7)"), child(started, "os._exit(7)")
    for process in (zombie, reaped):
        assert exits.await_end(process.pid)
    ends(zombie)
    exits.turn()
    ends(reaped)
    reaped.wait()
    exits.turn()
    assert exits.told == ["left with status 7", "ended without a word"]


@linux
def test_one_that_has_left_the_roster_is_told_if_it_fails_soon(
    exits: Exits, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing, fine, late = child(started, "os._exit(7)"), child(started, "os._exit(0)"), child(started, "os._exit(7)")
    for process in (failing, fine, late):
        assert exits.await_end(process.pid)
        exits.watch.leaves(process.pid)
    for process in (failing, fine):
        ends(process)
        process.wait()
        exits.turn()
    if processes._exit_info(exits.watch._leaving[late.pid].death.fileno()) is not None:
        assert exits.told == ["left with status 7"]
    exits.told.clear()
    monkeypatch.setattr(module.time, "monotonic", lambda: float("inf"))
    ends(late)
    exits.turn()
    assert exits.told == []


@linux
def test_no_more_are_watched_after_they_have_left_than_a_few(
    exits: Exits, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_LEAVING", 1)
    first, second = child(started, "os._exit(7)"), child(started, "os._exit(7)")
    for process in (first, second):
        assert exits.await_end(process.pid)
        exits.watch.leaves(process.pid)
    assert list(exits.watch._leaving) == [second.pid]
    assert exits.await_end(second.pid)  # it has attached again
    assert not exits.watch._leaving
    ends(second)
    exits.turn()
    assert exits.told == ["left with status 7"]


@linux
def test_none_of_these_is_given_up_before_there_are_too_many(
    exits: Exits, started: list[subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_LEAVING", 4)
    processes = [child(started, "os._exit(7)") for _ in range(5)]
    for number, process in enumerate(processes, 1):
        assert exits.await_end(process.pid)
        exits.watch.leaves(process.pid)
        assert list(exits.watch._leaving) == [each.pid for each in processes[max(0, number - 4) : number]]
