"""What a machine keeps waiting is counted, and what waits by itself is not."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from tests.torture import delays

_SHARED = """\
import os, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.fork()
end = time.process_time() + 0.1
while time.process_time() < end: pass
"""

counted = pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="this kernel does not count it")


@counted
def test_a_program_that_shares_a_processor_has_waited_for_it() -> None:
    ended = delays.run([sys.executable, "-c", _SHARED], 60.0)
    assert ended is not None
    assert ended.status == 0
    assert ended.waited > 0.02


def test_its_words_and_its_exit_status_are_told() -> None:
    ended = delays.run([sys.executable, "-c", "import sys; print('out'); sys.exit('err')"], 60.0)
    assert ended is not None
    assert (ended.status, ended.out, ended.err) == (1, b"out\n", b"err\n")


def test_one_that_does_not_end_is_killed() -> None:
    assert delays.run(["sleep", "100"], 0.1) is None


def test_who_waits_for_an_event_is_not_kept_waiting() -> None:
    before = delays.of_this_thread()
    threading.Event().wait(0.2)
    assert delays.of_this_thread() - before < 0.2


@counted
def test_a_thread_has_a_count_of_its_own() -> None:
    found = list[float]()
    other = threading.Thread(target=lambda: found.append(delays.of_this_thread()))
    other.start()
    other.join()
    assert found
    assert found[0] < delays.of_this_thread()
