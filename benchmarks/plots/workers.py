"""A whole reload by the number of workers, beside two bare rounds in as many processes, and LeIndex in one."""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import crowd
from benchmarks.leindex_peer import VERSION, NoPeer, leindex
from benchmarks.plots.figures import Chart, Line, Panel, rounded
from benchmarks.timing import Sample

COUNTS = (1, 4, 16, 64)
BESIDE_LEINDEX = 4


def measure(rounds: int) -> Chart:
    """Every number of workers; LeIndex in turns with one of them, or not at all where it can't be had."""
    found = {float(count): _at(count, rounds) for count in COUNTS}
    ours, bare, theirs = ([(n, rounded(each[i])) for n, each in found.items() if i < len(each)] for i in range(3))
    lines = [
        Line("reload(), to the last worker's answer", ours),
        Line("two bare rounds over socketpairs", bare, is_peer=True),
    ]
    if theirs:
        lines.append(Line(f"LeIndex {VERSION}, one process, no workers", theirs, is_peer=True))
    title = "A whole reload by the number of workers, 340 bytes of YAML"
    return Chart("workers", title, "workers", "time, ms", [Panel("", lines)])


def _at(count: int, rounds: int) -> list[float]:
    with ExitStack() as stack:
        others: list[Sample] = []
        if count == BESIDE_LEINDEX:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="confcast-bench-")))
            try:
                peer = stack.enter_context(leindex(folder))
                others = [lambda: peer.reload(crowd.RELOADS)]
            except NoPeer as error:
                print(error, file=sys.stderr)
        return crowd.times(rounds, count, *others)
