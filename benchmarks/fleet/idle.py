"""An owner that follows an engine and has nothing to do, beside one that watches a file.

Wakeups are the switches of all its threads that they made by themselves, by the kernel's account: a thread that waits
makes one each time that it is woken. The re-read of the head, every 27 to 30 seconds, wakes it once for each answer of
the engine: all wakeups within a second count as one, and so many seconds as there can be re-reads are counted off.
Memory is the resident size of both owners, which have loaded the same.
"""

from __future__ import annotations

import math
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import confcast.fleet
from benchmarks.document import CONTENTS
from benchmarks.fleet import Extent
from benchmarks.fleet.running import KEY, Documents, engines_here, site, used_ms
from benchmarks.memory import _resident_kib
from benchmarks.rows import Row, against_limit, against_peer
from confcast.fleet.follower import VERIFY
from tests.support.engines.server import Server
from tests.support.fleet.publisher import Publisher

MIB = 2.0
PER_SECOND = 0.1
_UNTIL_REST = 5.0


def measure(extent: Extent, engines: list[str]) -> list[Row]:
    """Four rows for each engine."""
    rows: list[Row] = []
    for name, server in engines_here(engines):
        rows += _of_engine(name, server, extent.seconds)
    return rows


def _of_engine(name: str, server: Server, seconds: float) -> list[Row]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="confcast-bench-")))
        Documents(stack.enter_context(Publisher(server.access(), KEY))).publish()
        source = getattr(confcast.fleet, name)(server.url, KEY, format="yaml")
        follows = stack.enter_context(site(folder, "bench-fleet", source, 0)).manager.owner_pid
        alone = folder / "etc" / "alone"
        alone.mkdir(parents=True)
        (alone / "config.yaml").write_text(CONTENTS[1], encoding="utf-8")
        watches = stack.enter_context(site(folder, "bench-file", alone / "config.yaml", 0)).manager.owner_pid
        time.sleep(_UNTIL_REST)
        resident = (_resident_kib(follows) - _resident_kib(watches)) / 1024
        cpu = used_ms([follows])
        woken, beside = _seconds_with_wakeups([follows, watches], seconds)
        cpu = used_ms([follows]) - cpu
    rereads = math.ceil(seconds / (0.9 * VERIFY))
    who = f"{name}: an idle owner that follows it"
    return [
        against_limit(f"{who}, resident beyond one with a file (MiB)", resident, MIB),
        against_limit(
            f"{who}, wakeups in {seconds:g} s, beyond re-reads", max(0, woken - rereads), seconds * PER_SECOND
        ),
        against_peer(f"{who}, wakeups with re-reads; peer: of one with a file", woken, beside),
        against_peer(f"{who}, CPU (ms a minute)", cpu / seconds * 60, None),
    ]


def _seconds_with_wakeups(pids: list[int], seconds: float) -> list[int]:
    """In how many of the next seconds any thread of each process is woken."""
    found, before = [0] * len(pids), [_wakeups(pid) for pid in pids]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(1.0)
        now = [_wakeups(pid) for pid in pids]
        found = [count + (a != b) for count, a, b in zip(found, before, now, strict=True)]
        before = now
    return found


def _wakeups(pid: int) -> int:
    """How often its threads have waited so far."""
    return sum(_voluntary(status) for status in Path(f"/proc/{pid}/task").glob("*/status"))


def _voluntary(status: Path) -> int:
    lines = status.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))
