"""Four workers of one kind: what each of them does, and how the benchmark asks it.

Guarantees: no answer is waited for without a deadline, and no worker outlives its context. A worker times its reads
itself, and says by CLOCK_MONOTONIC, which is one for the machine, when it had a value. A read and the timing of a read
evaluate the same expression.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any, Literal

from benchmarks.server import PATIENCE
from benchmarks.spawned import spawned_worker
from benchmarks.timing import Sample, statement

WORKERS = 4
_Question = Literal["time a read", "read"]


class Crew:
    """The workers, seen from the benchmark.

    Args:
        pipes: One to each; the first thing that a worker sends says who it is.

    Attributes:
        pids: Of the workers.
        about: What each worker said about itself.
    """

    def __init__(self, pipes: list[Connection]) -> None:
        self._pipes = pipes
        deadline = time.monotonic() + PATIENCE
        greetings = [_hear(pipe, deadline) for pipe in pipes]
        self.pids: list[int] = [pid for pid, _ in greetings]
        self.about: list[str] = [about for _, about in greetings]

    def read_us(self) -> float:
        """Microseconds that a read takes in one worker, while the others rest."""
        self._pipes[0].send("time a read")
        took: float = _hear(self._pipes[0], time.monotonic() + PATIENCE)
        return took / 1000

    def ask(self) -> None:
        """Have every worker read; `last` waits for the answers."""
        for pipe in self._pipes:
            pipe.send("read")

    def last(self, wanted: int, patience: float = PATIENCE) -> int:
        """When the last worker had this value. What is heard of other values is older. Raises TimeoutError."""
        deadline = time.monotonic() + patience
        return max(_when(pipe, wanted, deadline) for pipe in self._pipes)


def _when(pipe: Connection, wanted: int, deadline: float) -> int:
    while True:
        value, at = _hear(pipe, deadline)
        if value == wanted:
            return int(at)


def _hear(pipe: Connection, deadline: float) -> Any:
    if not pipe.poll(max(0.0, deadline - time.monotonic())):
        raise TimeoutError("a worker did not say in time what was waited for")
    return pipe.recv()


# ---- in the worker


def serve(pipe: Connection, expression: str, about: str = "", **names: object) -> None:
    """A worker's whole life: say that it is there, then read, or time a read, as often as it is asked.

    Args:
        pipe: To the benchmark; its end is the worker's.
        expression: What reads the value.
        about: For the benchmark to know.
        names: The expression's.
    """
    read: Callable[[], object] = eval(f"lambda: {expression}", dict(names))
    timed: Sample | None = None
    pipe.send((os.getpid(), about))
    with suppress(EOFError, ConnectionResetError):
        while True:
            question: _Question = pipe.recv()
            if question == "read":
                pipe.send((read(), time.monotonic_ns()))
            else:
                timed = timed or statement(expression, **names)
                pipe.send(timed())


@contextmanager
def spawned(work: Callable[..., None], *arguments: object) -> Iterator[Crew]:
    """Workers in processes of their own, each of which runs `work(pipe, *arguments)`."""
    with ExitStack() as stack:
        yield Crew([stack.enter_context(spawned_worker(work, *arguments)) for _ in range(WORKERS)])
