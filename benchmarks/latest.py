"""Reading costs what a plain slot costs (G4): no lock, no call, no test."""

from __future__ import annotations

from benchmarks.rows import Row, against_peer
from benchmarks.timing import alternate, statement


class Slot:
    """The cheapest object that holds something: the peer."""

    __slots__ = ("latest",)

    def __init__(self, value: object) -> None:
        self.latest = value


def measure(rounds: int) -> list[Row]:
    """`settings.latest` against a plain slot, both as locals of a function."""
    from confcast import Replica
    from confcast.examples.leindex.schema import MCPConfig

    settings = Replica(MCPConfig, name="bench-latest")
    config = MCPConfig()
    with settings.override(config):
        samples = statement("settings.latest", settings=settings), statement("slot.latest", slot=Slot(config))
        ours, peer = alternate(4 * rounds, samples)
    return [against_peer("settings.latest (ns); peer: a slot of a plain object", ours, peer, 1.1)]
