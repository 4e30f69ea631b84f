"""Coroutines under trio: real trio, installed for this test, since no other test needs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.programs import ROOT
from tests.support.settings import write

PROGRAM = """
import contextlib, json, os, pathlib, signal, sys
import trio
from confcast import BuildError, ConfigLoader, ConfigReloadManager, Replica
from tests.support.settings import SCHEMA, Settings, write
from tests.support.stopping import stop

path = pathlib.Path(sys.argv[1])
settings = Replica(Settings)
told = {}

async def on_a_loop(number): ...

pool = settings.derive(lambda number: [number], lambda config: config.number)
on_asyncio = settings.derive(on_a_loop, lambda config: config.number)

async def read(source, seen, *, task_status):
    changes = source.changes(lambda config: config.number, initial=True)
    async with contextlib.aclosing(changes):
        async for pair in changes:
            seen.append(pair)
            if len(seen) == 1:
                task_status.started()

async def observe(old, new): ...

async def main(manager):
    told["attached"] = await settings.aattach() is settings
    seen, of_manager = [], []
    async with trio.open_nursery() as nursery:
        await nursery.start(read, settings, seen)
        await nursery.start(read, manager, of_manager)
        for number in (2, 3):
            write(path, number)
            event = await settings.areload(wait_observers=10.0)
            with trio.fail_after(10):
                while len(seen) < number or len(of_manager) < number:
                    await trio.sleep(0.01)
        told["result"], told["workers"] = str(event.result), len(await manager.aworkers())
        told["derived"] = [pool.current, pool.kept[0].pins]
        try:
            on_asyncio.current
        except BuildError as error:
            told["async build"] = str(error)
        with settings.pin() as config:
            told["in a thread of trio's"] = await trio.to_thread.run_sync(lambda: settings.current is config)
        stop(manager.owner_pid)
        try:
            with trio.move_on_after(0.2) as waiting:
                await manager.areload()
            told["cancelled"] = waiting.cancelled_caught
        finally:
            os.kill(manager.owner_pid, signal.SIGCONT)
        try:
            settings.subscribe(observe)
        except TypeError as error:
            told["async observer"] = str(error)
        await settings.aclose()  # and both iterations end
    told["seen"], told["of the manager"] = seen, of_manager

left = settings.changes(initial=True)

async def look_once():
    await anext(left)

with ConfigReloadManager(ConfigLoader(SCHEMA, path), watch=False) as manager:
    trio.run(main, manager)
    settings.attach()
    trio.run(look_once)
    write(path, 4)
    told["after the end of trio"] = str(manager.reload(wait_observers=10.0).result)
    settings.close()
print(json.dumps(told))
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_verbs_attaching_and_changes_work_on_trio(config: Path, tmp_path: Path) -> None:
    home = tmp_path / "trio"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(home), "trio==0.35.0"]
    subprocess.run(install, check=True, capture_output=True, timeout=200)
    write(config, 1)
    path = os.pathsep.join([str(ROOT), str(home), os.environ.get("PYTHONPATH", "")])
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(config)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert told.pop("async observer").endswith("; on trio, read changes() in a task")
    assert "on_a_loop is built on an event loop" in told.pop("async build")
    assert told == {
        "derived": [[3], 0],
        "attached": True,
        "result": "success",
        "workers": 1,
        "in a thread of trio's": True,
        "cancelled": True,
        "seen": [[None, 1], [1, 2], [2, 3]],
        "of the manager": [[None, 1], [1, 2], [2, 3]],
        "after the end of trio": "success",
    }
    assert "Traceback" not in run.stderr
