"""What it costs that something is derived: a pin, the read of a thing, and a reload that leaves its part as it is.

The peer is the same without: a replica, and a server with as many workers, of which nothing is derived. A reload of one
and a reload of the other follow each other, so that what the machine does meanwhile disturbs both.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.read import Slot
from benchmarks.reload import one_call
from benchmarks.rows import Row, against_peer
from benchmarks.server import manager, workers
from benchmarks.timing import Sample, alternate, statement

WORKERS = 4
RELOADS = 50
"""In each round, of each."""


def measure(rounds: int) -> list[Row]:
    """Pins and reads in this process, and reloads into workers."""
    return [*_pins(4 * rounds), _reload(rounds * RELOADS)]


def _pins(rounds: int) -> list[Row]:
    from confcast import Replica
    from confcast.examples.leindex.schema import MCPConfig

    config = MCPConfig()
    plain, full = (Replica(MCPConfig, name=f"bench-{name}") for name in ("plain", "full"))
    first, *others = [full.derive(lambda part: [part], lambda c: c) for _ in range(3)]
    with plain.override(config), full.override(config):
        for thing in (first, *others):
            assert thing.current
        pins = [statement("with settings.pin(): pass", settings=each) for each in (plain, full)]
        reads = [statement("thing.current", thing=first), statement("slot.latest", slot=Slot(config))]
        peer, pin, read, read_peer = alternate(rounds, [*pins, *reads])
    return [
        against_peer("settings.pin() where three things are derived (ns); peer: where none is", pin, peer, 1.1),
        against_peer("thing.current outside a pin (ns); peer: a slot of a plain object", read, read_peer),
    ]


def _reload(rounds: int) -> Row:
    with ExitStack() as stack:
        plain, derived = (_server(stack, f"bench-{name}", derives=name == "derived") for name in ("plain", "derived"))
        for sample in (plain, derived):  # the first is slower, and no reload of a running server
            sample()
        peer, ours = alternate(rounds, [plain, derived])
    name = f"reload into {WORKERS} workers, what is derived stays (ms); peer: nothing is derived"
    return against_peer(name, ours, peer, 1.05)


def _server(stack: ExitStack, name: str, *, derives: bool) -> Sample:
    """A sample that is one reload of a server of its own, in milliseconds."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="confcast-bench-")))
    server, document = stack.enter_context(manager(folder, name))
    stack.enter_context(workers(WORKERS, name, derives=derives))
    return lambda: one_call(server, document, WORKERS) / 1e6
