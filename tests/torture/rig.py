"""One run: a site is started, asked, tortured, calmed and stopped, and its history is checked."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

import msgspec

from tests.torture.client import Clients, Http
from tests.torture.history import Left, Record, Recorder, Run, now, read
from tests.torture.nemesis import Nemesis
from tests.torture.options import Options
from tests.torture.plan import plan
from tests.torture.site import Site
from tests.torture.watcher import Watcher


def run(server: str, seconds: float, seed: int, folder: Path, options: Options) -> list[Record]:
    """Do it all; the recorded history, which is in `folder`, too."""
    (folder / "history").mkdir(parents=True, exist_ok=True)
    recorder = Recorder(folder / "history", "rig")
    try:
        _run(server, seconds, seed, folder, options, recorder)
    finally:
        recorder.close()
    return read(folder / "history")


def _run(server: str, seconds: float, seed: int, folder: Path, options: Options, recorder: Recorder) -> None:
    wall = time.time() - time.monotonic()
    recorder.write(_first(server, seconds, seed, options, wall))
    site = Site(server, folder, recorder, options)
    clients = Clients(lambda: Http(lambda: site.port), seed, recorder, options)
    watcher = Watcher(site, recorder, wall)
    try:
        site.start()
        watcher.start()
        clients.start()
        try:
            _torture(site, recorder, watcher, seed, seconds)
        finally:
            clients.stop()
            watcher.stop()
    finally:
        left = site.stop()
    for each in left:
        recorder.write(Left(at=now(), by=os.getpid(), kind="process", what=each))


def _first(server: str, seconds: float, seed: int, options: Options, wall: float) -> Run:
    given: dict[str, Any] = msgspec.structs.asdict(options)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return Run(
        at=now(),
        by=os.getpid(),
        seed=seed,
        seconds=seconds,
        server=server,
        python=python,
        wall=wall,
        options={**given, "answers_within": options.answers_within},
    )


def _torture(site: Site, recorder: Recorder, watcher: Watcher, seed: int, seconds: float) -> None:
    nemesis = Nemesis(site, recorder, watcher.ask_events)
    nemesis.run(plan(seed, seconds, site.terrain()))
    nemesis.calm()
