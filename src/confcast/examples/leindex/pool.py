"""The threads that read files: as many as configured, resized while they work.

Guarantees: work that was handed in before a resize is done by the old threads, what comes afterwards by the new ones;
none is lost. The old threads end when their work is done. Threads start with the first work, not before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class WorkerPool:
    """A pool of threads that can be resized.

    Args:
        workers: How many threads, until `resize()`.
        batch_size: How many items each is given at a time, until `resize()`.
    """

    def __init__(self, workers: int = 1, batch_size: int = 10) -> None:
        self._lock = threading.Lock()
        self._workers = workers
        self._batch_size = batch_size
        self._executor = self._new_executor()

    @property
    def workers(self) -> int:
        """How many threads read files at the same time."""
        return self._workers

    @property
    def batch_size(self) -> int:
        """How many items one of them is given at a time."""
        return self._batch_size

    def resize(self, workers: int, batch_size: int) -> None:
        """Use that many threads and batches of that size from now on. Waits for nobody."""
        with self._lock:
            self._batch_size = batch_size
            if workers == self._workers:
                return
            self._workers = workers
            outgoing, self._executor = self._executor, self._new_executor()
        outgoing.shutdown(wait=False)

    def map(self, function: Callable[[T], R], items: Sequence[T]) -> Iterator[R]:
        """The function's results for all items, batch by batch as they are ready, in no order.

        Raises:
            Exception: What the function raised, when its batch is reached.
        """
        for done in as_completed(self._submit(function, items)):
            yield from done.result()

    def close(self) -> None:
        """End the threads, after the work that they have."""
        with self._lock:
            self._executor.shutdown(wait=True)

    def _submit(self, function: Callable[[T], R], items: Sequence[T]) -> list[Future[list[R]]]:
        def work(batch: Sequence[T]) -> list[R]:
            return [function(item) for item in batch]

        with self._lock:  # an executor that resize() is taking away would refuse the work
            size = self._batch_size
            return [self._executor.submit(work, items[start : start + size]) for start in range(0, len(items), size)]

    def _new_executor(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._workers, thread_name_prefix="leindex-files")
