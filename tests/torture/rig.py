"""One run: a site is started, asked, tortured, calmed and stopped, and all that is recorded.

The order matters: what processes have is measured once everything rests and no client asks, and what is left behind
once everything has ended. The nemesis acts in this thread, since a helper process that it starts ends with its thread.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from pathlib import Path
from typing import Any

import msgspec

from tests.torture import leftovers
from tests.torture.client import Clients
from tests.torture.history import Left, Record, Recorder, Run, Written, now, read
from tests.torture.nemesis import Nemesis
from tests.torture.options import Options
from tests.torture.plan import plan
from tests.torture.site import Site
from tests.torture.watcher import Watcher

_AFTERWARDS = 1.5
"""Seconds that clients go on once everything rests: what they see then is what was to come of it all."""


def run(server: str, seconds: float, seed: int, folder: Path, options: Options) -> list[Record]:
    """Do it all; the recorded history, which is in `folder`, too."""
    history = folder / "history"
    history.mkdir(parents=True, exist_ok=True)
    recorder = Recorder(history, "rig")
    try:
        wall = time.time() - time.monotonic()
        recorder.write(_first(server, seconds, seed, options, wall))
        _run(Site(server, folder, recorder, options), seed, seconds, wall)
    finally:
        recorder.close()
    return read(history)


def _run(site: Site, seed: int, seconds: float, wall: float) -> None:
    recorder, left = site.recorder, list[Left]()
    clients = Clients(site.asker, seed, recorder, site.options)
    watcher = Watcher(site, recorder, wall, seconds / 10)
    recorder.write(Written(at=now(), by=os.getpid(), began=now(), serial=1))
    nemesis = Nemesis(site, recorder, watcher.ask_events)
    try:
        with nemesis.greeting():
            _start(site)
        watcher.start()
        clients.start()
        try:
            nemesis.run(plan(seed, seconds, site.terrain()))
            nemesis.calm()
            threading.Event().wait(_AFTERWARDS)
        finally:
            try:
                clients.stop()
            finally:
                watcher.stop()
        left += watcher.baseline.gained(site.processes())
    finally:
        left += [_left(words) for words in site.stop()]
        left += leftovers.after_the_end(site.runtime, site.state) + leftovers.tracebacks(site.said())
        for each in left:
            recorder.write(each)


class NotStarted(Exception):
    """A site can't start; the text has what its processes have written last."""


_MOST_OF_A_LOG = 3000


def _start(site: Site) -> None:
    try:
        site.start()
    except Exception as error:
        raise NotStarted(f"{error}; its processes have said:\n{site.said()[-_MOST_OF_A_LOG:]}") from error


def _left(words: str) -> Left:
    return Left(at=now(), by=os.getpid(), kind="process", what=words)


def _first(server: str, seconds: float, seed: int, options: Options, wall: float) -> Run:
    given: dict[str, Any] = msgspec.structs.asdict(options)
    return Run(
        at=now(),
        by=os.getpid(),
        seed=seed,
        seconds=seconds,
        server=server,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        wall=wall,
        options={**given, "answers_within": options.answers_within},
    )
