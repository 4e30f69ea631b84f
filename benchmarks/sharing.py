"""What a changed leaf costs: to apply in a worker, and to bring into many, as the configuration grows.

A worker's peer is itself when it decodes the whole: both are timed in one process, by the processor's time. The row of
many workers has a small configuration as its peer, in a server of its own beside: what is compared is the time from
the end of validation to the last worker's answer, without the journal's write (`stage_ms` and `commit_ms` of the
outcome), so that the load, which does grow, stays out.
"""

from __future__ import annotations

import json
import multiprocessing
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from time import thread_time_ns
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from benchmarks.rows import Row, against_peer
from benchmarks.server import PATIENCE, _stderr_to
from benchmarks.timing import Sample, alternate

if TYPE_CHECKING:
    from confcast import ConfigReloadManager

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
        held = codec.decode(old)
        patch = codec.patch(held, old, new)
        assert patch is not None
        calls = [
            partial(codec.patched, held, patch),
            partial(codec.decode, new),
            partial(codec.patch, held, old, new),
            partial(codec.encode, held),
        ]
        apply, decode, find, encode = (each / 1000 for each in alternate(rounds, [_cpu(call) for call in calls]))
        size, bar = f"one leaf of {len(new) // 1000} KB", 1 / 200 if count == LARGE else None
        yield against_peer(f"{size}: a worker applies {len(patch)} bytes (µs); peer: decodes all", apply, decode, bar)
        yield against_peer(f"{size}: the owner finds and proves them (µs); peer: encodes all", find, encode)


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
        samples = [stack.enter_context(_server(folder, count)) for count in (MIDDLE, SMALL)]
        pipes = [stack.enter_context(_worker([_name(MIDDLE), _name(SMALL)])) for _ in range(WORKERS)]
        for pipe in pipes:
            if not pipe.poll(4 * PATIENCE):
                raise TimeoutError("a worker did not attach")
            pipe.recv()
        for sample in samples:
            sample()
        ours, small = alternate(rounds, samples)
    name = f"stage and commit, one leaf of 38 KB, {WORKERS} workers (ms); peer: of 150 bytes"
    return against_peer(name, ours, small, 1.3)


def _name(count: int) -> str:
    return f"sharing{count}"


@contextmanager
def _server(folder: Path, count: int) -> Iterator[Sample]:
    """A server; the sample reloads it some times."""
    from confcast import ConfigLoader, ConfigReloadManager

    path = folder / f"{count}.json"
    path.write_text(json.dumps(values(count, 1)), encoding="utf-8")
    loader = ConfigLoader("benchmarks.sharing:Backends", path)
    with ExitStack() as stack:
        manager = ConfigReloadManager(loader, name=_name(count), watch=False, vote_timeout=20.0)
        stack.callback(manager.close)
        with _stderr_to(folder / f"{count}.log"):
            manager.start()
        ports = iter(range(2, 60000))
        yield lambda: median(_reload(manager, path, values(count, next(ports))) for _ in range(RELOADS))


def _reload(manager: ConfigReloadManager[Any], path: Path, new: dict[str, Any]) -> float:
    path.write_text(json.dumps(new), encoding="utf-8")
    event = manager.reload()
    if event.result != "success" or len(event.applied) != WORKERS:
        raise RuntimeError(f"no reload to measure: {event}")
    return event.stage_ms + event.commit_ms


@contextmanager
def _worker(names: list[str]) -> Iterator[Connection]:
    context = multiprocessing.get_context("spawn")
    ours, its = context.Pipe()
    process = context.Process(target=work, args=(names, its), daemon=True)
    process.start()
    its.close()
    try:
        yield ours
    finally:
        ours.close()
        process.join(PATIENCE)
        process.kill()
        process.join()


def work(names: list[str], pipe: Connection) -> None:
    """A worker's whole life: attach to each server, say so, and wait for the end of the pipe."""
    from confcast import Replica

    replicas = [Replica(Backends, name=name).attach(timeout=3 * PATIENCE) for name in names]
    pipe.send("ready")
    pipe.poll(None)
    for replica in replicas:
        replica.close()
