"""Signals are the main thread's: confcast's own threads take none while they wait, and hand no mask on."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import programs
from tests.support.fixtures import Manager, StartManager
from tests.support.settings import SCHEMA
from tests.support.waiting import eventually

PROGRAM = f"""
import json, os, signal, threading
from pathlib import Path
from confcast import ConfigLoader, ConfigReloadManager, Replica
from tests.support.settings import Settings, write
from tests.support.waiting import eventually

seen, told = {{}}, threading.Event()
replica = Replica(Settings, name="app")

@replica.precommit
def check(old, new):
    seen["precommit"] = sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))

def observe(old, new):
    seen["observer"] = sorted(signal.pthread_sigmask(signal.SIG_BLOCK, []))
    told.set()

def blocked(tid):
    status = Path(f"/proc/self/task/{{tid}}/status").read_text()
    return int(status.partition("SigBlk:")[2].split()[0], 16) >> signal.SIGUSR1 - 1 & 1

config = Path("app.toml")
write(config, 1)
with ConfigReloadManager(ConfigLoader({SCHEMA!r}, config), watch=False, vote_timeout=10.0) as manager:
    replica.attach()
    replica.subscribe(observe)
    write(config, 2)
    manager.reload()
    told.wait(20)
    names = lambda: [thread.name for thread in threading.enumerate()]
    eventually(lambda: "confcast-judging" in names(), "the thread that is there during a probation")
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("confcast")]
    seen["threads"] = sorted(thread.name for thread in threads)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    eventually(lambda: all(blocked(thread.native_id) for thread in threads), "threads that take no signal", 5.0)
    os.kill(os.getpid(), signal.SIGUSR1)
    seen["taken"] = signal.sigwait([signal.SIGUSR1])
    replica.close()
print(json.dumps(seen))
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(programs.ROOT))
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    return script


def test_a_main_thread_that_waits_for_a_signal_gets_it(program: Path):
    done = programs.run(program)

    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["threads"] == ["confcast-app", "confcast-judging", "confcast-observers", "confcast-supervisor"]
    assert seen["taken"] == signal.SIGUSR1
    assert (seen["precommit"], seen["observer"]) == ([], [])  # a program that they start would inherit a mask


def test_an_owner_that_the_thread_has_restarted_blocks_nothing(start_manager: StartManager):
    manager: Manager = start_manager()
    first = manager.owner_pid

    os.kill(first, signal.SIGKILL)

    second = eventually(lambda: (pid := manager.owner_pid) not in (0, first) and pid, "the next owner")
    eventually(lambda: set(masks_of_all_but_the_main_thread(second)) == {0}, "threads without a mask")


def masks_of_all_but_the_main_thread(pid: int) -> Iterator[int]:
    """The blocked signals of each thread; the main one only waits, and starts nothing that would inherit a mask."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        if task.name != str(pid):
            yield int((task / "status").read_text().partition("SigBlk:")[2].split()[0], 16)
