"""The example, run as a reader runs it: every item is done, under the version of its half, and nothing is left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from confcast.examples.queue_consumer.settings import Settings
from tests.support.leaks import children_of, is_running
from tests.support.slow import slow
from tests.support.waiting import DEADLINE, eventually

WARNINGS = ["-W", "error", "-W", "ignore::DeprecationWarning"]  # Python 3.12 warns of a fork beside threads
PROGRAM = [sys.executable, *WARNINGS, "-m", "confcast.examples.queue_consumer"]

ONE_PROCESS = """\
from multiprocessing.process import BaseProcess

from confcast.examples.queue_consumer.__main__ import main

started = []

def start(process, start=BaseProcess.start):
    if started:
        raise OSError("no more processes")
    started.append(process)
    start(process)

BaseProcess.start = start
main()
"""


@pytest.mark.parametrize("method", [slow("fork"), "spawn", slow("forkserver")])
def test_it_does_every_item_and_each_half_under_its_own_version(method: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "--items", "20", "--start-method", method],
        capture_output=True,
        text=True,
        timeout=50,
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr
    items = re.findall(r"^version (\d), process \d+: (.*?) (\d+)$", done.stdout, re.MULTILINE)
    assert sorted((int(item), version, text) for version, text, item in items) == [
        (item, "1", "hello") if item < 10 else (item, "2", "good morning good morning") for item in range(20)
    ]
    assert done.stdout.splitlines()[-1] == "10 items under version 1, 10 items under version 2"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_refused_ends_it_in_words(tmp_path: Path) -> None:
    config = tmp_path / "app.toml"
    config.write_text("times = 11\n")
    done = subprocess.run([*PROGRAM, "--config", str(config)], capture_output=True, text=True, timeout=50)
    assert done.returncode == 78
    assert f"{config}:1:9: times: Input should be less than or equal to 10 (got 11)" in done.stderr


def test_where_only_one_process_can_be_started_that_one_is_ended_too(tmp_path: Path) -> None:
    program = [sys.executable, *WARNINGS, "-c", ONE_PROCESS, "--start-method", "fork"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=2 * DEADLINE, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("OSError: no more processes\n")


@pytest.fixture
def working(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The program, with items for a long time; each of its two processes has done one."""
    config = tmp_path / "app.toml"
    config.write_text('greeting = "moin"\n')
    program = subprocess.Popen(
        [*PROGRAM, "--config", str(config), "--items", "100000", "--pause", "0.01", "--start-method", "spawn"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    assert program.stdout is not None
    try:
        pids = set()
        while len(pids) < 2:
            found = re.match(r"version 1, process (\d+): moin \d+$", program.stdout.readline())
            assert found
            pids.add(found[1])
        yield program
    finally:
        program.kill()
        program.communicate(timeout=DEADLINE)


def test_after_ctrl_c_it_ends_without_a_traceback(working: subprocess.Popen[str]) -> None:
    os.killpg(working.pid, signal.SIGINT)
    _, errors = working.communicate(timeout=DEADLINE)
    assert (working.returncode, "Traceback" in errors) == (130, False), errors


def test_its_processes_end_though_it_is_killed_and_can_send_them_nothing(working: subprocess.Popen[str]) -> None:
    processes = children_of(working.pid)
    assert len(processes) >= 3  # its owner, and two that work
    working.kill()
    eventually(lambda: not any(map(is_running, processes)), "the end of its processes")


def test_the_schema_of_the_example_says_what_it_allows() -> None:
    assert Settings().model_dump() == {"greeting": "hello", "times": 1}
