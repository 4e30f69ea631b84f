"""A program whose threads are greenlets: what a greenlet that is spawned in a pin sees, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.support.programs import ROOT
from tests.support.settings import write

PROGRAM = """
from gevent import monkey; monkey.patch_all()
import json, pathlib, sys
from contextvars import copy_context
import gevent
from gevent.event import Event
from confcast import ConfigLoader, ConfigReloadManager, Replica
from tests.support.settings import SCHEMA, Settings, write

settings = Replica(Settings)

def number():
    return settings.current.number

def before_and_after(closed):
    before = number()
    closed.wait()
    return [before, number()]

with ConfigReloadManager(ConfigLoader(SCHEMA, sys.argv[1]), watch=False) as manager:
    settings.attach()
    closed = Event()
    with settings.pin() as config:
        write(pathlib.Path(sys.argv[1]), 2)
        assert manager.reload()
        told = {
            "pinned": config.number,
            "latest": settings.latest.number,
            "plain": gevent.spawn(number).get(timeout=10),
            "handed on": [gevent.spawn(copy_context().run, number).get(timeout=10) for _ in range(2)],
            "in a pool": gevent.get_hub().threadpool.spawn(copy_context().run, number).get(timeout=10),
        }
        outlives = gevent.spawn(copy_context().run, before_and_after, closed)
        gevent.sleep(0)
    closed.set()
    told["outlives the pin"] = outlives.get(timeout=10)
    settings.close()
print(json.dumps(told))
"""


def test_a_greenlet_has_the_pin_that_is_handed_on_and_the_program_ends_without_a_word(config: Path) -> None:
    write(config, 1)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", PROGRAM, str(config)]
    run = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=50, check=False
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {
        "pinned": 1,
        "latest": 2,
        "plain": 2,  # a greenlet begins with an empty context
        "handed on": [1, 1],
        "in a pool": 1,
        "outlives the pin": [1, 2],
    }
    assert [line for line in run.stderr.splitlines() if "confcast app:" not in line] == []


ALONE = """
from gevent import monkey; monkey.patch_all()
import os, signal, subprocess, sys
from confcast import ConfigLoader, ConfigReloadManager
from tests.support.settings import SCHEMA

assert subprocess.Popen.__module__ == "gevent.subprocess"
with ConfigReloadManager(ConfigLoader(SCHEMA, sys.argv[1]), watch=False, instrument_owner=False) as manager:
    assert manager.reload()
    os.kill(manager.owner_pid, signal.SIGKILL)
    assert manager.reload()
"""


def test_an_owner_that_is_not_instrumented_is_started_by_none_of_gevent_s_functions(config: Path) -> None:
    write(config, 1)
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-c", ALONE, str(config)]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, timeout=50, check=True)
