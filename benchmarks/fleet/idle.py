"""An owner that follows an engine and has nothing to do, beside one that watches a file.

Wakeups are the switches of all its threads that they made by themselves, by the kernel's account: a thread that waits
makes one each time that it is woken. Between two re-reads of the head, which come every 27 to 30 seconds, an engine's
connection is silent, and a gateway's has a heartbeat every 10 seconds. So a second with a wakeup that is in no group of
them counts as one, and a re-read counts apart. Memory is the resident size of both owners, which have loaded the same.
"""

from __future__ import annotations

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
        woken, beside, cpu = _wakeups(follows), _wakeups(watches), used_ms([follows])
        time.sleep(seconds)
        woken, beside, cpu = _wakeups(follows) - woken, _wakeups(watches) - beside, used_ms([follows]) - cpu
    who = f"{name}: an idle owner that follows it"
    return [
        against_limit(f"{who}, resident beyond one with a file (MiB)", resident, MIB),
        against_peer(
            f"{who}, wakeups a second, re-reads included; peer: of one with a file", woken / seconds, beside / seconds
        ),
        against_peer(f"{who}, CPU (ms a minute)", cpu / seconds * 60, None),
    ]


def _wakeups(pid: int) -> int:
    """How often its threads have waited so far."""
    return sum(_voluntary(status) for status in Path(f"/proc/{pid}/task").glob("*/status"))


def _voluntary(status: Path) -> int:
    lines = status.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))
