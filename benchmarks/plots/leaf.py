"""The CPU of one changed leaf by the size of the configuration: in a worker, beside decoding it whole, and the owner's.

A configuration of less than 2 KB has no patch: there the whole travels, and a worker decodes it.
"""

from __future__ import annotations

from benchmarks.backends import COUNTS, Settings, values, with_port, yaml_text
from benchmarks.plots.figures import Chart, Line, Panel, rounded
from benchmarks.sharing import LeafCosts, leaf_costs


def measure(rounds: int) -> Chart:
    """Every size."""
    found = [_at(count, rounds) for count in COUNTS]
    lines = [
        Line("a worker applies the patch", [(size, rounded(each.apply)) for size, each in found if each.apply]),
        Line("a worker decodes the whole", [(size, rounded(each.decode)) for size, each in found]),
        Line("the owner finds and proves the patch", [(size, rounded(each.find)) for size, each in found if each.find]),
    ]
    title = "One changed leaf by the size of the configuration"
    return Chart("leaf", title, "size of the YAML file, KB", "CPU time, µs", [Panel("", lines)])


def _at(count: int, rounds: int) -> tuple[float, LeafCosts]:
    from confcast.config.codec import Codec

    data, codec = values(count), Codec(Settings)
    old, new = (codec.encode(Settings.model_validate(with_port(data, port))) for port in (1, 2))
    return rounded(len(yaml_text(data)) / 1000), leaf_costs(codec, old, new, rounds)
