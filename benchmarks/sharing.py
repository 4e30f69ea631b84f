"""What a changed leaf costs: to apply in a worker, and to bring into many, as the configuration grows.

A worker's peer is itself when it decodes the whole: both are timed in one process, by the processor's time. The row of
many workers has a small configuration as its peer, in a server of its own beside: what is compared is the time from
the end of validation to the last worker's answer, without the journal's write (`stage_ms` and `commit_ms` of the
outcome), so that the load, which does grow, stays out.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from time import perf_counter, thread_time_ns
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel

from benchmarks.rows import Row, against_peer
from benchmarks.server import PATIENCE, _stderr_to
from benchmarks.spawned import spawned_worker
from benchmarks.timing import Sample, alternate

if TYPE_CHECKING:
    from confcast import ReloadEvent
    from confcast.config.codec import Codec

LARGE, MIDDLE, SMALL = 9000, 900, 3
"""Backends: 390 KB, 38 KB and less than 340 bytes as they are encoded."""
CALLS = 5
WORKERS = 64
RELOADS = 8
"""In each round, by each server."""


class Backend(BaseModel, frozen=True):
    """One of many."""

    host: str
    port: int = 8080
    weight: float = 1.0
    enabled: bool = True
    tags: tuple[str, ...] = ()


class Backends(BaseModel, frozen=True):
    """The schema: frozen, so that versions may share what is equal in both."""

    name: str = "backends"
    backends: dict[str, Backend]


def values(count: int, port: int) -> dict[str, Any]:
    """A configuration in which the port of one backend is to change."""
    tags = ["a", "b"]
    backends = {
        f"b{n}": {"host": f"10.0.{n // 256}.{n % 256}", "port": 80, "weight": 1.5, "tags": tags} for n in range(count)
    }
    backends[f"b{count // 2}"]["port"] = port
    return {"backends": backends}


def measure(rounds: int) -> list[Row]:
    """The worker alone, the owner alone, and 64 workers."""
    return [*_in_one_process(rounds), _many_workers(rounds)]


def _in_one_process(rounds: int) -> Iterator[Row]:
    from confcast.config.codec import Codec

    codec = Codec(Backends)
    for count in (MIDDLE, LARGE):
        old, new = (codec.encode(Backends.model_validate(values(count, port))) for port in (1, 2))
        found = leaf_costs(codec, old, new, rounds)
        assert found.apply is not None
        assert found.find is not None
        size, bar = f"one leaf of {found.size // 1000} KB", 1 / 200 if count == LARGE else None
        what = f"{size}: a worker applies {found.travels} bytes (µs); peer: decodes all"
        yield against_peer(what, found.apply, found.decode, bar)
        yield against_peer(f"{size}: the owner finds and proves them (µs); peer: encodes all", found.find, found.encode)


class LeafCosts(NamedTuple):
    """What a change costs in microseconds of the processor's time, and how many bytes it has.

    Attributes:
        size: Of the whole configuration.
        travels: Of what a worker is sent.
        decode: By the worker, of the whole.
        encode: By the owner, of the whole.
        apply: By the worker, of the patch; None where the whole travels.
        find: By the owner, to find the patch and to prove it; None where the whole travels.
    """

    size: int
    travels: int
    decode: float
    encode: float
    apply: float | None = None
    find: float | None = None


def leaf_costs(codec: Codec[Any], old: bytes, new: bytes, rounds: int) -> LeafCosts:
    """What it costs to get from one configuration to another, both as they are encoded."""
    held = codec.decode(old)
    found = codec.patch(held, old, new)
    calls: list[Callable[[], object]] = [partial(codec.decode, new), partial(codec.encode, held)]
    if found is not None:
        calls += [partial(codec.patched, held, found.patch), partial(codec.patch, held, old, new)]
    times = [each / 1000 for each in alternate(rounds, [_cpu(call) for call in calls])]
    return LeafCosts(len(new), len(new if found is None else found.patch), *times)


def _cpu(call: Callable[[], object]) -> Sample:
    """A sample of the processor's time that a call takes, in nanoseconds: the least of some."""

    def once() -> int:
        began = thread_time_ns()
        call()
        return thread_time_ns() - began

    return lambda: min(once() for _ in range(CALLS))


def _many_workers(rounds: int) -> Row:
    """Each worker is one of both servers: it has two replicas."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="confcast-bench-")))
        samples = [_stage_and_commit(stack, folder, count) for count in (MIDDLE, SMALL)]
        stack.enter_context(crew(WORKERS, "benchmarks.sharing:Backends", [_name(MIDDLE), _name(SMALL)]))
        for sample in samples:
            sample()
        ours, small = alternate(rounds, samples)
    name = f"stage and commit, one leaf of 38 KB, {WORKERS} workers (ms); peer: of 150 bytes"
    return against_peer(name, ours, small, 1.3)


def _name(count: int) -> str:
    return f"sharing{count}"


def _stage_and_commit(stack: ExitStack, folder: Path, count: int) -> Sample:
    """The sample reloads a server of its own some times."""
    texts = (json.dumps(values(count, port)) for port in range(1, 60000))
    path, schema = folder / f"{count}.json", "benchmarks.sharing:Backends"
    reload = stack.enter_context(server(path, schema, _name(count), texts, WORKERS))
    return lambda: median(event.stage_ms + event.commit_ms for _, event in (reload() for _ in range(RELOADS)))


@contextmanager
def server(
    path: Path, schema: str, name: str, texts: Iterator[str], workers: int
) -> Iterator[Callable[[], tuple[float, ReloadEvent]]]:
    """A server of a file that has one of the texts after the other: what is given reloads the next into the workers.

    It says how many milliseconds `reload()` took, and what became of it. Raises RuntimeError when a reload is none.
    """
    from confcast import ConfigLoader, ConfigReloadManager

    path.write_text(next(texts), encoding="utf-8")
    manager = ConfigReloadManager(ConfigLoader(schema, path), name=name, watch=False, vote_timeout=20.0)

    def reload() -> tuple[float, ReloadEvent]:
        path.write_text(next(texts), encoding="utf-8")
        began = perf_counter()
        event = manager.reload()
        took = perf_counter() - began
        if event.result != "success" or len(event.applied) != workers:
            raise RuntimeError(f"no reload to measure: {event}")
        return took * 1000, event

    try:
        with _stderr_to(path.with_suffix(".log")):
            manager.start()
        yield reload
    finally:
        manager.close()


@contextmanager
def crew(count: int, schema: str, names: list[str]) -> Iterator[None]:
    """So many workers, each of them one of all these servers, which have started: they have attached."""
    with ExitStack() as stack:
        pipes = [stack.enter_context(spawned_worker(work, schema, names)) for _ in range(count)]
        for pipe in pipes:
            if not pipe.poll(4 * PATIENCE):
                raise TimeoutError("a worker did not attach")
            pipe.recv()
        yield


def work(pipe: Connection, schema: str, names: list[str]) -> None:
    """A worker's whole life: attach to each server, say so, and wait for the end of the pipe."""
    from confcast import Replica

    module, _, of_it = schema.partition(":")
    found = getattr(import_module(module), of_it)
    replicas = [Replica(found, name=name).attach(timeout=3 * PATIENCE) for name in names]
    pipe.send("ready")
    pipe.poll(None)
    for replica in replicas:
        replica.close()
