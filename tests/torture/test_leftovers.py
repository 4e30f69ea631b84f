"""What a process has more than at first, and what a site leaves, is found; and the report says what a run was."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.torture import leftovers
from tests.torture.checker import Violation
from tests.torture.history import Act, Applied, Call, Record, Request, Run, Seen, Written
from tests.torture.leftovers import SLACK, Baseline
from tests.torture.report import line, report


def kinds(baseline: Baseline) -> set[str]:
    return {each.kind for each in baseline.gained({"worker": [os.getpid()]})}


def test_descriptors_beyond_those_of_the_first_tenth_are_found():
    baseline = Baseline()
    baseline.add({"worker": [os.getpid()]})
    more = [os.open("/dev/null", os.O_RDONLY) for _ in range(SLACK["descriptor"] + 1)]
    try:
        assert kinds(baseline) == {"descriptor"}
    finally:
        for each in more:
            os.close(each)
    assert kinds(baseline) == set()


def test_threads_beyond_those_of_the_first_tenth_are_found():
    baseline, over = Baseline(), threading.Event()
    baseline.add({"worker": [os.getpid()]})
    threads = [threading.Thread(target=over.wait) for _ in range(SLACK["thread"] + 1)]
    for each in threads:
        each.start()
    try:
        assert kinds(baseline) == {"thread"}
    finally:
        over.set()
        for each in threads:
            each.join()


def test_a_role_that_was_not_there_at_first_and_a_process_that_has_ended_are_compared_with_nothing():
    baseline = Baseline()
    assert baseline.gained({"worker": [os.getpid()]}) == []
    baseline.add({"worker": [os.getpid()]})
    assert baseline.gained({"worker": [2**22 + 1], "booting": [os.getpid()]}) == []


@pytest.fixture
def runtime() -> Iterator[Path]:
    """Not in tmp_path: a socket's path has room for 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="cc-") as folder:
        yield Path(folder)


def test_sockets_files_and_temporary_files_are_left_behind(runtime: Path, tmp_path: Path):
    state = tmp_path / "state"
    state.mkdir()
    assert leftovers.after_the_end(runtime, state) == []
    (state / "journal").write_bytes(b"")
    assert leftovers.after_the_end(runtime, state) == []
    (state / "x.tmp").write_bytes(b"")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(runtime / "s"))
        assert [each.kind for each in leftovers.after_the_end(runtime, state)] == ["socket", "file", "file"]


TRACEBACK = """\
a line
Traceback (most recent call last):
  File "{}/owner/loop/x.py", line 3, in run
    self.go()
ValueError: no
another line
"""


@pytest.mark.parametrize(("where", "found"), [("src/confcast", 1), ("site-packages/billiard", 0)])
def test_a_traceback_through_confcast_is_one_too_many(where: str, found: int):
    assert len(leftovers.tracebacks(TRACEBACK.format(where))) == found


HISTORY: list[Record] = [
    Run(at=1.0, seed=7, seconds=30.0, server="gunicorn", python="CPython 3.11", wall=0.0),
    Written(at=2.0, began=2.0, serial=2, veto="all"),
    Act(at=3.0, began=3.0, name="kill", role="owner", pid=5),
    Call(at=4.0, began=3.5, id=1, door="cli", verb="reload", answered=True, result="rejected"),
    Applied(at=4.5, by=9, version=1, serial=1),
    Request(at=5.0, began=4.9, client=1, worker=9, status=200, seen=[Seen(1, 1, 1, 1)]),
    Request(at=5.0, began=4.9, client=2, error="ConnectionResetError"),
]


def test_a_report_says_what_was_done_what_came_of_it_and_how_it_is_repeated():
    violation = Violation("barrier", "an older version", [HISTORY[5]])
    text = report(HISTORY, [violation], Path("kept"), ["scripts/torture", "--seed", "7"])
    for words in (
        "seed 7, 30 s, gunicorn, CPython 3.11",
        "acts: 1 kill owner",
        "contents: 1 valid vetoed by all by replace",
        "calls: 1 cli reload rejected",
        "2 requests (1 answered, 0 with 500, 1 lost)",
        "1 versions seen of 1 applied",
        "violations: 1",
        "  barrier: an older version",
        "kept in: kept",
        "again: scripts/torture --seed 7",
    ):
        assert words in text
    assert line(HISTORY, [violation]).endswith("1 violations (1 barrier)")
