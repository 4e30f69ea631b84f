"""A process that takes items from a queue, each under one version of the configuration, until it receives an end mark.

The process also ends when its parent has ended: a killed parent sends no mark, and a queue does not end while a sibling
has it open. The process ignores Ctrl-C; the main program notices Ctrl-C and sends the marks.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from multiprocessing.queues import Queue
from queue import Empty
from typing import NamedTuple

from confcast import Replica
from confcast.examples.queue_consumer.settings import Settings

_POLL_SECONDS = 0.5


class Done(NamedTuple):
    """An item that was done: its text, the version it was done under, and the process that did it."""

    text: str
    version: int
    pid: int


def consume(settings: Replica[Settings], items: Queue[int | None], done: Queue[Done]) -> None:
    """Take items, do them and report them, as the main program of a process.

    Args:
        settings: The replica of this process, with any start method.
        items: The items to do. None, the end mark, ends one process.
        done: Receives each item that was done.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings.attach()
    while (item := next_item(items)) is not None:
        with settings.pin() as config:
            text = " ".join([config.greeting] * config.times)
            done.put(Done(f"{text} {item}", settings.version, os.getpid()))
    settings.close()
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        done.cancel_join_thread()  # nothing reads the queue any more


def next_item(items: Queue[int | None]) -> int | None:
    """Wait for the next item; None when an end mark came or the parent has ended."""
    parent = multiprocessing.parent_process()
    while parent is None or parent.is_alive():
        try:
            return items.get(timeout=_POLL_SECONDS)
        except Empty:
            continue
    return None
