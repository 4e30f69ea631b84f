"""A whole reload of one changed leaf by the size of the configuration, and what it consists of.

The load is the owner's alone: reading, parsing, validating, encoding. Stage and commit are the rounds with the workers,
to whom the change travels; meanwhile the owner proves that what it sends is exact, and the stage does not end before.
What is left is the journal, and the way to the owner and back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.backends import COUNTS, values, with_port, yaml_text
from benchmarks.plots.figures import Chart, Line, Panel, rounded
from benchmarks.sharing import crew, server
from benchmarks.timing import alternate

if TYPE_CHECKING:
    from confcast import ReloadEvent

WORKERS = 4
RELOADS = 5
"""In each round, by each server."""
_SCHEMA = "benchmarks.backends:Settings"
_PLACE = 65535  # the port that the leaf has in the text that is changed: no other backend has it


class _Server:
    """One size: it reloads, and remembers what became of it."""

    def __init__(self, reload: Callable[[], tuple[float, ReloadEvent]]) -> None:
        self._reload = reload
        self.events: list[ReloadEvent] = []

    def sample(self) -> float:
        """The median of some reloads, in milliseconds."""
        found = [self._reload() for _ in range(RELOADS)]
        self.events += [event for _, event in found]
        return median(took for took, _ in found)


def measure(rounds: int) -> Chart:
    """A server for each size, at once and in turns; each worker is one of all of them."""
    texts = [yaml_text(with_port(values(count), _PLACE)) for count in COUNTS]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="confcast-bench-")))
        servers = [_server(stack, folder, text) for text in texts]
        stack.enter_context(crew(WORKERS, _SCHEMA, [_name(text) for text in texts]))
        for each in servers:
            each.sample()
            each.events.clear()
        whole = alternate(rounds, [each.sample for each in servers])
    sizes = [rounded(len(yaml_text(values(count))) / 1000) for count in COUNTS]
    loads = [median(event.load_ms for event in each.events) for each in servers]
    both = [median(event.stage_ms + event.commit_ms for event in each.events) for each in servers]
    named = {"the whole reload": whole, "of it: the load": loads, "of it: stage and commit": both}
    lines = [Line(label, [*zip(sizes, map(rounded, found), strict=True)]) for label, found in named.items()]
    title = f"A whole reload of one changed leaf by the size of the configuration, {WORKERS} workers"
    return Chart("size", title, "size of the YAML file, KB", "time, ms", [Panel("", lines)])


def _name(text: str) -> str:
    return f"size{len(text)}"


def _server(stack: ExitStack, folder: Path, text: str) -> _Server:
    name = _name(text)
    return _Server(stack.enter_context(server(folder / f"{name}.yaml", _SCHEMA, name, _texts(text), WORKERS)))


def _texts(text: str) -> Iterator[str]:
    return (text.replace(f"port: {_PLACE}", f"port: {port}", 1) for port in range(1, 60000))
